/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_CTL_RIG_H
#define TEST_CTL_RIG_H

/*
 * Discovery and policy over gRPC, with a cluster that the test makes of JSON: what
 * tests of ctl/destination share.  In objects ' stands for ".
 */
#include "ctl/destination.h"

#include <stdarg.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "http/grpc.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct destination *d;
static struct channel *destination, *policy;
static struct destination_config cfg = {
	.namespace = "mesh",
	.trust_domain = "trust.local",
	.cluster_domain = "cluster.local",
	.opaque_ports = "25,3306",
	.default_policy = "all-unauthenticated",
	.h2_upgrade = true,
	.ipv6 = true,
	.queue = 100,
};

static inline struct channel *channel_to(const struct addr *at)
{
	struct channel_config to = {
		.host = "127.0.0.1", .kind = HTTP_KIND_2, .port = at->port};
	struct channel *c = channel_new(loop, dns, &to, NULL);

	OK(c);
	return c;
}

static inline void start(void)
{
	struct err e = {0};

	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	OK(addr_parse(SLICE("127.0.0.1:0"), &cfg.at));
	cfg.policy_at = cfg.at;
	OK(cidr_list_parse("10.0.0.0/8,fd00::/8", &cfg.cluster_networks, &e) == 0);
	OK(cidr_list_parse("0.0.0.0/0", &cfg.probe_networks, &e) == 0);
	d = destination_new(loop, NULL, &cfg, &e);
	if (!d)
		T_FAIL("%s", e.msg);
	destination = channel_to(destination_addr(d));
	policy = channel_to(destination_policy_addr(d));
}

/* ---- the cluster ---- */

static inline struct json *object(const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;
	struct json *j;
	struct err e = {0};

	OK(buf_vprintf(&b, fmt, ap) == 0);
	for (size_t i = b.at; i < b.end; i++)
		if (b.p[i] == '\'')
			b.p[i] = '"';
	j = json_parse(buf_slice(&b), &e);
	if (!j)
		T_FAIL("%s", e.msg);
	buf_fini(&b);
	return j;
}

static inline void PRINTF_LIKE(2, 3) put(enum view_kind kind, const char *fmt, ...)
{
	struct json *j;
	va_list ap;

	va_start(ap, fmt);
	j = object(fmt, ap);
	va_end(ap);
	index_put(destination_index(d), kind, j);
	json_free(j);
}

static inline void PRINTF_LIKE(2, 3) gone(enum view_kind kind, const char *fmt, ...)
{
	struct json *j;
	va_list ap;

	va_start(ap, fmt);
	j = object(fmt, ap);
	va_end(ap);
	index_gone(destination_index(d), kind, j);
	json_free(j);
}

#define MESSAGES 16
struct client {
	struct buf messages[MESSAGES];
	size_t n, seen;
	int status; /* -1: goes on */
	char text[256];
	struct grpc_call *call;
};

static inline void on_message(void *arg, struct grpc_call *c, struct slice m)
{
	struct client *cl = arg;

	(void)c;
	OK(cl->n < MESSAGES);
	buf_adds(&cl->messages[cl->n++], m);
}

static inline void on_over(void *arg, struct grpc_call *c, int status, const char *text)
{
	struct client *cl = arg;

	(void)c;
	cl->status = status;
	cl->call = NULL;
	snprintf(cl->text, sizeof cl->text, "%s", text ? text : "");
}

static const struct grpc_user user = {on_message, on_over};

static inline void call(
	struct client *c, struct channel *to, const char *path, const void *m)
{
	struct buf b = BUF_INIT;

	OK(api_write(m, &b) == 0);
	c->status = -1;
	c->call = grpc_call_begin(to, path, buf_slice(&b), false, &user, c, NULL);
	OK(c->call);
	buf_fini(&b);
}

static inline void ask(
	struct client *c, const char *path, const char *name, const char *token)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;

	m.path = (char *)(uintptr_t)name;
	m.context_token = (char *)(uintptr_t)token;
	call(c, destination, path, &m);
}

static inline void ask_in(struct client *c, const char *workload, unsigned port)
{
	Inbound__PortSpec m = INBOUND__PORT_SPEC__INIT;

	m.workload = (char *)(uintptr_t)workload;
	m.port = port;
	call(c, policy, API_INBOUND, &m);
}

static inline void ask_out_of(struct client *c, const char *workload, const char *to)
{
	Outbound__TrafficSpec m = OUTBOUND__TRAFFIC_SPEC__INIT;
	struct arena a = {.limit = 4096};
	struct addr at;

	m.source_workload = (char *)(uintptr_t)workload;
	if (addr_parse(slice_of(to), &at)) {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR;
		m.addr = api_addr(&at, &a);
	} else {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_AUTHORITY;
		m.authority = (char *)(uintptr_t)to;
	}
	call(c, policy, API_OUTBOUND, &m);
	arena_fini(&a);
}

static inline void ask_out(struct client *c, const char *to)
{
	ask_out_of(c, "apps:curl", to);
}

static struct client *waiting;
static inline void on_tick(struct timer *t)
{
	if (waiting->n > waiting->seen || waiting->status >= 0)
		loop_stop(loop);
	else
		timer_set(t, NS_PER_MS);
}

static inline void wait_for(struct client *c)
{
	struct timer t = {0};

	waiting = c;
	timer_init(&t, loop, on_tick);
	timer_set(&t, 0);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
}

/* The next message. */
static inline struct slice next(struct client *c)
{
	wait_for(c);
	if (c->n == c->seen)
		T_FAIL("ended with %d %s", c->status, c->text);
	return buf_slice(&c->messages[c->seen++]);
}

static inline void ends(struct client *c, int status, const char *says)
{
	wait_for(c);
	if (c->status != status || !strstr(c->text, says))
		T_FAIL("%d \"%s\", want %d %s", c->status, c->text, status, says);
}

static inline void on_pause(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Nothing is said for a while. */
static inline void stays_silent(struct client *c)
{
	struct timer t = {0};

	timer_init(&t, loop, on_pause);
	timer_set(&t, 40 * NS_PER_MS);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
	OK(c->n == c->seen && c->status < 0);
}

static inline void hang_up(struct client *c)
{
	if (c->call)
		grpc_call_end(c->call);
	for (size_t i = 0; i < c->n; i++)
		buf_fini(&c->messages[i]);
}

static inline void stop(void)
{
	channel_free(destination);
	channel_free(policy);
	destination_free(d);
	{
		struct timer t = {0};

		timer_init(&t, loop, on_pause);
		timer_set(&t, 0);
		OK(loop_run(loop, NULL) == 0);
		timer_clear(&t);
	}
	dns_free(dns);
	loop_free(loop);
	free(cfg.cluster_networks.v);
	free(cfg.probe_networks.v);
}

#endif
