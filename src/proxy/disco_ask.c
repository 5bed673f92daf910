/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco_int.h"

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"

static void ask(
	struct stream_call *c, struct channel *to, const char *path, const void *m)
{
	const struct proxy_config *cfg = c->watch->disco->cfg;
	struct buf b = BUF_INIT;
	struct err e;

	c->fresh = true;
	c->broken = false;
	c->opened = loop_now(c->watch->disco->loop);
	c->call = NULL;
	if (api_write(m, &b) == 0)
		c->call = grpc_call_begin(
			to, path, buf_slice(&b), false, &stream_user, c, &e);
	buf_fini(&b);
	if (!c->call) {
		timer_set(&c->retry, stream_backoff(c));
		return;
	}
	if (cfg->stream_initial)
		timer_set(&c->quiet, cfg->stream_initial);
	if (cfg->stream_lifetime) /* not all of them at once */
		timer_set(&c->retry, cfg->stream_lifetime / 10 * 9 +
					     (uint64_t)((double)cfg->stream_lifetime *
							0.1 * random_unit()));
}

static void ask_inbound(struct disco_watch *w)
{
	Inbound__PortSpec m = INBOUND__PORT_SPEC__INIT;

	m.workload = (char *)w->disco->cfg->workload;
	m.port = w->dst.port;
	ask(&w->main, w->disco->policy, API_INBOUND, &m);
}

static void ask_endpoints(struct disco_watch *w)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;

	m.path = (char *)w->name;
	m.context_token = (char *)w->disco->cfg->context;
	ask(&w->main, w->disco->destination, API_GET, &m);
}

static void ask_profile(struct disco_watch *w)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;

	m.path = (char *)w->name;
	m.context_token = (char *)w->disco->cfg->context;
	ask(&w->profile, w->disco->destination, API_GET_PROFILE, &m);
}

static void ask_policy(struct disco_watch *w)
{
	Outbound__TrafficSpec m = OUTBOUND__TRAFFIC_SPEC__INIT;
	struct arena a;

	arena_init(&a, 4096);
	m.source_workload = (char *)w->disco->cfg->workload;
	if (w->dst.ip.family) {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR;
		m.addr = api_addr(&w->dst, &a);
	} else {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_AUTHORITY;
		m.authority = (char *)w->name;
	}
	if (w->dst.ip.family && !m.addr) /* asked without, it would be told a lie */
		timer_set(&w->main.retry, stream_backoff(&w->main));
	else
		ask(&w->main, w->disco->policy, API_OUTBOUND, &m);
	arena_fini(&a);
}

void stream_open(struct stream_call *c)
{
	struct disco_watch *w = c->watch;

	if (c->call) /* its life is over: a new one goes on from here */
		grpc_call_end(c->call);
	switch (w->key.kind) {
	case WATCH_INBOUND:
		ask_inbound(w);
		return;
	case WATCH_ENDPOINTS:
		ask_endpoints(w);
		return;
	case WATCH_OUTBOUND:
		if (c == &w->profile)
			ask_profile(w);
		else
			ask_policy(w);
		return;
	}
}
