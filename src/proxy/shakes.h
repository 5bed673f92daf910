/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SHAKES_H
#define PROXY_SHAKES_H

/*
 * The TLS handshakes a worker has open for its clients.  Each holds some 35 KB until
 * its client has answered, so their number has a limit; beyond it one has to leave.  It
 * is one of who has most of them open, so that a flood from one address takes no place
 * of another's: the oldest that waits for its client, who has had more time than one
 * that means it needs.  Where all of them wait for us it is the newest, or else none
 * would ever be served.
 */
#include "base/addr.h"
#include "base/list.h"

#define SHAKES_MAX     512
#define SHAKES_SOURCES 64

struct conn;

struct shakes {
	struct shakes_source {
		struct list open; /* the oldest first */
		unsigned n;
	} sources[SHAKES_SOURCES]; /* addresses, some of which share one */
	unsigned n;
};

struct shake { /* in what has the handshake */
	struct list node;
	struct shakes_source *source; /* NULL: not begun, or over */
	const struct conn *below;     /* what TLS lies over */
};

void shakes_init(struct shakes *s);
/* Borrows `below` until shake_over(). */
void shake_begin(struct shakes *s, struct shake *k, const struct conn *below,
	const struct ip *from);
void shake_over(struct shakes *s, struct shake *k); /* may be repeated */
/* Whose turn it is to leave; NULL while there are not too many. */
struct shake *shakes_surplus(const struct shakes *s);

#endif
