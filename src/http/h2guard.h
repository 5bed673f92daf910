/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_H2GUARD_H
#define HTTP_H2GUARD_H

/*
 * What an HTTP/2 peer may ask of us that costs it nothing: frames that carry no byte of
 * anybody's and yet make us work (RFC 9113 §10.5, CVE-2019-9511 to 9518,
 * CVE-2023-44487).
 *
 * Each kind has an allowance that grows back with time, and with real work: the
 * requests that were answered, the DATA that we sent.  So a busy connection may send
 * many of them, an idle one few.  Who is out of allowance has its connection ended with
 * ENHANCE_YOUR_CALM.  Pure: no clock, no I/O, no allocation.
 */
#include <stdbool.h>
#include <stdint.h>

enum h2_fault {
	H2_FAULT_NONE,
	/* with an allowance */
	H2_RESETS, /* streams begun and reset by a client */
	H2_PINGS,
	H2_SETTINGS,
	H2_WINDOWS,   /* WINDOW_UPDATE */
	H2_EMPTY,     /* DATA without a byte or an end */
	H2_IGNORED,   /* PRIORITY, and frames that nobody knows */
	H2_MALFORMED, /* what made us reset a stream */
	H2_HEADS,     /* heads beyond the limit */
	H2_ALLOWANCES,
	/* at once */
	H2_CONTINUATIONS = H2_ALLOWANCES,
	H2_UNREAD,   /* acknowledgements that it does not read */
	H2_INFOS,    /* 1xx without an end */
	H2_STALLED,  /* a stream that took nothing while memory was short */
	H2_SILENT,   /* no answer to a PING */
	H2_PROTOCOL, /* any other error of its connection */
	H2_FAULTS
};

/* "rapid reset": for a label and a log line.  Static. */
const char *h2_fault_name(enum h2_fault f);

struct h2_guard {
	uint64_t since; /* allowances grew until then */
	uint32_t left[H2_ALLOWANCES];
};

void h2_guard_init(struct h2_guard *g, uint64_t now);
/* Takes `n` of the allowance; false when there is not so much. */
bool h2_guard_take(struct h2_guard *g, enum h2_fault f, uint32_t n, uint64_t now);
/* A DATA frame was sent; a stream was opened; an exchange came to its end. */
void h2_guard_sent(struct h2_guard *g);
void h2_guard_opened(struct h2_guard *g);
void h2_guard_served(struct h2_guard *g);

/* A reset costs more while the stream is so young that it was hardly begun. */
#define H2_RESET_YOUNG (50 * UINT64_C(1000000)) /* ns */
#define H2_RESET_COST  10

#endif
