/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_DNS_H
#define WIRE_DNS_H

/*
 * DNS messages without I/O (RFC 1035, SRV: RFC 2782): what a stub resolver and a small
 * authoritative server need.  Names are text without the last dot, lower case when
 * read, of printable bytes; other names are malformed.
 */
#include "base/addr.h"
#include "base/buf.h"
#include "base/err.h"

#define DNS_NAME_MAX 256  /* with its end */
#define DNS_TEXT_MAX 253  /* a name's text (RFC 1035: 255 bytes on the wire) */
#define DNS_UDP_MAX  1232 /* what dns_add_edns() asks for: fits any packet */

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_OPT = 41,
};
enum dns_code {
	DNS_OK,
	DNS_FORMAT,
	DNS_FAILED,
	DNS_NO_NAME,
	DNS_NOT_HERE,
	DNS_REFUSED
};

struct dns_record {
	char name[DNS_NAME_MAX];
	enum dns_type type;
	uint16_t class; /* read only: what is written is of class IN, 1 */
	uint32_t ttl;
	struct ip ip;              /* A, AAAA */
	char target[DNS_NAME_MAX]; /* CNAME, PTR, SRV; SOA: its first name */
	uint16_t priority, weight, port;
	uint32_t negative_ttl; /* SOA's minimum; 0 is written as 5 */
};

struct dns_head {
	uint16_t id;
	bool response, truncated, recursion;
	enum dns_code code;
	uint16_t questions, answers, authorities, additionals;
	char name[DNS_NAME_MAX]; /* of the one question */
	uint16_t type, class;
};

/* -1: malformed.  *at is where the records begin. */
int dns_read_head(
	const uint8_t *p, size_t n, struct dns_head *h, size_t *at, struct err *e);
/* The record at *at, which moves on.  Types unknown here come with their type only.
 * Follows compression, never in circles. */
int dns_read_record(
	const uint8_t *p, size_t n, size_t *at, struct dns_record *r, struct err *e);

/* Writers append to `b`; -1: not a name, or no room.  `b` is of no use then. */
int dns_write_query(struct buf *b, uint16_t id, const char *name, enum dns_type type);
/* To a query that is all of `b`: answers up to DNS_UDP_MAX may come (RFC 6891). */
int dns_add_edns(struct buf *b);
/* A response to `q`; the counts are those that follow with dns_write_record(). */
int dns_write_response(struct buf *b, const struct dns_head *q, enum dns_code code,
	bool truncated, uint16_t answers, uint16_t authorities);
int dns_write_record(struct buf *b, const struct dns_record *r);

/* The address in a host name made of one: "10-1-2-3.x", "fd00--1.x". */
bool dns_dashed_ip(const char *name, struct ip *out);

#endif
