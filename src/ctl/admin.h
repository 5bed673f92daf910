/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_ADMIN_H
#define CTL_ADMIN_H

/*
 * The admin server of a control-plane process: /ping, /ready (500 until it is), /live,
 * /metrics.  And what their flags share.
 */
#include "ev/loop.h"
#include "http/site.h"

struct admin_config {
	struct addr at;
	bool (*ready)(void *arg);
	/* Appends Prometheus text. */
	void (*metrics)(void *arg, struct buf *out);
	void *arg;
};

struct admin;
struct admin *admin_new(struct loop *l, const struct admin_config *cfg, struct err *e);
const struct addr *admin_addr(const struct admin *a);
void admin_free(struct admin *a); /* NULL is fine */

/* Go's listening addresses: ":8080" is every address of the machine. */
int listen_addr_parse(const char *text, struct addr *out, struct err *e);
/* The same as an opt's parse function; `field` is a struct addr. */
int listen_addr_opt(void *field, const char *text, struct err *e);

/* `level`: a log filter; `format`: "plain" or "json". */
int log_flags_apply(const char *level, const char *format, struct err *e);

#endif
