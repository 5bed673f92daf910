/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SNIFF_H
#define PROXY_SNIFF_H

/*
 * What does this client speak?  Looks at the first bytes without taking them.
 *
 * A client that has said nothing for a moment may be waiting for the server to speak:
 * then `on_quiet` is called once, and its owner dials the server and listens to it.
 * Whoever speaks first decides; a silent pair waits for ever, at no cost.  When the
 * server cannot be reached nobody would ever speak: sniff_doom() gives the client a
 * last chance to (it may be about to send a request, whose answer says more than a
 * reset).  Only a client that began and then stopped in the middle of a head is given
 * up on (`limit`): its bytes are opaque.
 */
#include "net/conn.h"
#include "wire/detect.h"

struct sniff;

struct sniff_user {
	/* The verdict; the sniff is freed before, the conn has no user: conn_use() it.
	 * `sni` is set for DETECT_TLS ("" when the hello has none). */
	void (*on_verdict)(
		void *arg, enum detect verdict, const char *sni, bool timed_out);
	void (*on_quiet)(void *arg);
	void (*on_doom)(void *arg); /* the client used no chance; not freed */
	void (*on_gone)(
		void *arg, const struct err *e); /* the client left; freed before */
};

struct sniff_spec {
	bool want_sni;  /* read the whole hello of a TLS client */
	uint64_t quiet; /* ns of silence before on_quiet; 0: it is not called */
	uint64_t limit; /* ns from the first byte to a verdict */
};

struct sniff *sniff_new(struct conn *c, const struct sniff_spec *spec,
	const struct sniff_user *user, void *arg, struct err *e);
/* The server spoke: stop looking.  Freed; the conn has no user. */
void sniff_end(struct sniff *s);
/* The server is out of reach: calls on_doom when the client is still silent after a
 * while. */
void sniff_doom(struct sniff *s);
/* on_quiet was called, or never will be, and the client still says nothing. */
bool sniff_is_quiet(const struct sniff *s);

#endif
