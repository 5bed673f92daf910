/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_NETLINK_H
#define SYS_NETLINK_H

/*
 * Netlink: messages written into a buf, read from bytes, and one conversation with the
 * kernel (netlink(7), linux/netlink.h).
 *
 *	size_t m = nl_begin(&b, RTM_NEWLINK, NLM_F_CREATE, 1);
 *	nl_put_head(&b, &info, sizeof(info));
 *	size_t in = nl_nest(&b, IFLA_LINKINFO);
 *	nl_put_text(&b, IFLA_INFO_KIND, "veth");
 *	nl_nest_end(&b, in);
 *	nl_end(&b, m);
 *
 * The buf starts empty and nothing is taken from it.  When memory is out it is
 *`failed`, which nl_ask() tells: writers need not look.
 */
#include "base/buf.h"

/* ---- writing ---- */
size_t nl_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq);
void nl_end(struct buf *b, size_t begun);
void nl_put_head(struct buf *b, const void *p, size_t n); /* after nl_begin() */
void nl_put(struct buf *b, uint16_t type, const void *p, size_t n);
void nl_put_text(struct buf *b, uint16_t type, const char *text); /* with its zero */
void nl_put_u32(struct buf *b, uint16_t type, uint32_t v);
size_t nl_nest(struct buf *b, uint16_t type);
void nl_nest_end(struct buf *b, size_t begun);

/* ---- reading: each takes one off the front of *rest ---- */
struct nl_message {
	uint16_t type, flags;
	uint32_t seq;
	struct slice body; /* what follows the header */
};

struct nl_attr {
	uint16_t type; /* without its flags */
	struct slice value;
};

/* 1: there was one; 0: none is left; -1: its length is not possible. */
int nl_next_message(struct slice *rest, struct nl_message *m);
int nl_next_attr(struct slice *rest, struct nl_attr *a);
/* The first attribute of this type; p == NULL when there is none. */
struct slice nl_find(struct slice attrs, uint16_t type);
/* 0 and *out when the value is a number of four bytes. */
int nl_u32(struct slice value, uint32_t *out);
/* 0 and a zero-terminated copy; -1 when it does not fit. */
int nl_text(struct slice value, char *out, size_t size);

/* ---- talking ---- */
struct nl_fault {
	int error;     /* errno; 0: `each` wanted no more */
	uint32_t seq;  /* of the message that the kernel refused; 0: none did arrive */
	size_t at;     /* where in that message the trouble is; 0: not told */
	char text[80]; /* the kernel's words; often none */
};

struct nl_ask {
	int protocol;               /* NETLINK_ROUTE, … */
	const struct buf *messages; /* sent at once */
	uint32_t last; /* its acknowledgement ends it, or the end of a dump */
	int (*each)(void *arg, const struct nl_message *m); /* non-zero: stop */
	void *arg;
};

/*
 * One conversation on a socket of its own, in the network namespace of the calling
 * thread.  The first refusal ends it: -1 and *f.  A dump that was overtaken by a change
 * fails with EINTR: ask again.
 */
int nl_ask(const struct nl_ask *a, struct nl_fault *f);

#endif
