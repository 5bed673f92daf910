/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_SHAKES_H
#define PROXY_SHAKES_H

/*
 * The TLS handshakes a worker has begun for its clients.  Each holds some 35 KB until
 * its client has answered, so their number has a limit; beyond it the oldest leaves of
 * who has most of them, so that a flood from one address takes no place of another's:
 * whoever means it answers long before that.
 */
#include "base/addr.h"
#include "base/list.h"

#define SHAKES_MAX     512
#define SHAKES_SOURCES 64

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
};

void shakes_init(struct shakes *s);
void shake_begin(struct shakes *s, struct shake *k, const struct ip *from);
void shake_over(struct shakes *s, struct shake *k); /* may be repeated */
/* Whose turn it is to leave; NULL while there are not too many. */
struct shake *shakes_surplus(const struct shakes *s);

#endif
