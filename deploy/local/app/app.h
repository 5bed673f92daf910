/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_APP_H
#define APP_APP_H

/*
 * The demo application: one program, four roles, each a process of one loop.
 *
 *	traffic --HTTP/1--> web --gRPC--> emoji
 *	browser --HTTP/1--'  '----gRPC--> voting
 *
 * A role is chosen by the first argument and set by its environment.
 */
#include "base/opt.h"
#include "ev/dns.h"
#include "http/grpc.h"

struct place { /* "host:port" */
	char host[256];
	uint16_t port;
};

struct app {
	/* set by options */
	int64_t port, rate, doughnut;
	struct place emojisvc, votingsvc, web;

	const struct role *role;
	struct loop *loop;
	struct dns *dns;
	struct timer limit; /* of draining */
	struct later end;
	bool draining;
	char pod[64]; /* this machine's name */
	void *state;  /* the role's */
};

struct role {
	const char *name, *help;
	const struct opt *options;
	size_t noptions;
	int (*start)(struct app *app, struct err *e);
	/* Begins to end in order; app_drained() when it has. */
	void (*drain)(struct app *app);
	/* Also after a start that failed; state may be NULL. */
	void (*stop)(struct app *app);
};

extern const struct role role_web, role_emoji, role_voting, role_traffic;

void app_drained(void *app);
struct addr app_listen_at(int64_t port); /* on every address of this machine */
void app_says_where(const struct addr *at);
int place_opt(void *place, const char *text, struct err *e);

/* The option that three of the roles have, by the name of its variable. */
#define PORT_OPT(variable)                                                             \
	{                                                                              \
		.env = (variable), .kind = OPT_INT,                                    \
		.offset = offsetof(struct app, port), .preset = "8080", .max = 65535,  \
		.arg = "PORT", .help = "where it listens; 0: the system chooses"       \
	}
#define PLACE_OPT(variable, member, text)                                              \
	{                                                                              \
		.env = (variable), .kind = OPT_CUSTOM,                                 \
		.offset = offsetof(struct app, member), .needed = true,                \
		.parse = place_opt, .arg = "HOST:PORT", .help = (text)                 \
	}

#endif
