/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "http/grpc.h"
#include "proxy/control.h"
#include "proxy/decode.h"

#define BACKOFF_MIN (100 * NS_PER_MS)
#define BACKOFF_MAX (10 * NS_PER_S)
#define ANSWER_WAIT (3 * NS_PER_S) /* for a control plane that is away */
#define DISTRUST    (10 * NS_PER_S)

enum watch_kind { WATCH_INBOUND, WATCH_OUTBOUND, WATCH_ENDPOINTS };
enum part_at { PART_UNKNOWN, PART_KNOWN, PART_NONE };

struct watch_key { /* what a subscriber asks for */
	enum watch_kind kind;
	char text[320]; /* "in 8080", "out 10.0.0.1:80", "outname web:80", "eps web:80"
			 */
};

/* One stream to the control plane, opened again whenever it ends. */
struct stream_call {
	struct disco_watch *watch;
	struct grpc_call *call;
	struct timer retry; /* or the stream's lifetime, while it is open */
	unsigned failures;
	bool fresh;    /* nothing came since it was opened */
	bool terminal; /* the answer was final */
	enum part_at at;
	struct buf last; /* the last message */
};

struct disco_watch {
	struct map_node node;
	struct disco *disco;
	struct watch_key key;
	struct list subs;
	struct ref *value; /* the newest snapshot, or NULL */
	struct timer idle; /* nobody is subscribed */
	struct timer wait; /* nobody has answered */
	uint64_t asked_anew;
	struct addr dst;
	const char *name;           /* in key.text */
	struct stream_call main;    /* policy; endpoints */
	struct stream_call profile; /* outbound only */
};

struct disco {
	struct loop *loop;
	const struct proxy_config *cfg;
	struct channel *destination, *policy;
	struct map watches;
};

struct sub {
	struct list node; /* in the watch; control thread */
	struct disco *disco;
	struct disco_watch *watch; /* control thread */
	struct loop *worker;
	sub_fn *fn;
	void *arg;
	bool ended; /* worker */
	struct watch_key key;
	atomic_uint refs; /* one of each thread, one of each message under way */
};

/* ---- between the threads ---- */

static void sub_unref(struct sub *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		free(s);
}

struct telling {
	struct sub *sub;
	struct ref *value;
};

static void told(void *arg) /* worker */
{
	struct telling *t = arg;

	if (!t->sub->ended)
		t->sub->fn(t->sub->arg, t->value);
	ref_put(t->value);
	sub_unref(t->sub);
	free(t);
}

static void tell(struct sub *s, struct ref *value)
{
	struct telling *t = malloc(sizeof *t);

	if (!t)
		return;
	ref_get(value);
	atomic_fetch_add(&s->refs, 1);
	*t = (struct telling){s, value};
	if (loop_post(s->worker, told, t) == 0)
		return;
	ref_put(value);
	sub_unref(s);
	free(t);
}

/* Takes `value`. */
static void publish(struct disco_watch *w, struct ref *value)
{
	struct sub *s;

	if (!value)
		return;
	timer_clear(&w->wait);
	ref_put(w->value);
	w->value = value;
	list_each(s, &w->subs, node) tell(s, value);
}

/* ---- what comes ---- */

static struct outbound_key outbound_key(const struct disco_watch *w)
{
	return (struct outbound_key){w->dst, w->dst.ip.family ? NULL : w->name};
}

static void publish_outbound(struct disco_watch *w)
{
	struct outbound_key key = outbound_key(w);
	struct slice policy = SLICE_NONE, profile = SLICE_NONE;
	struct outbound_policy *p;
	struct err e;

	if (w->main.at == PART_UNKNOWN || w->profile.at == PART_UNKNOWN)
		return;
	if (w->main.at == PART_KNOWN)
		policy = buf_slice(&w->main.last);
	if (w->profile.at == PART_KNOWN)
		profile = buf_len(&w->profile.last) ? buf_slice(&w->profile.last)
						    : SLICE("");
	p = decode_outbound(policy, profile, &key, &e);
	if (p)
		publish(w, &p->ref);
	else
		log_error("proxy", "what discovery says cannot be understood",
			LS("target", w->key.text), LE(&e));
}

static void publish_endpoints(struct disco_watch *w, bool reset, struct slice message)
{
	struct endpoints *before =
		w->value ? container_of(w->value, struct endpoints, ref) : NULL;
	struct endpoints *now;
	struct err e;

	now = decode_endpoints(before, reset, message, &e);
	if (now)
		publish(w, &now->ref);
	else
		log_error("proxy", "an update of endpoints cannot be understood",
			LS("target", w->key.text), LE(&e));
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct stream_call *c = arg;
	struct disco_watch *w = c->watch;
	bool first = c->fresh;
	struct inbound_policy *p;

	(void)call;
	c->fresh = false;
	c->failures = 0;
	switch (w->key.kind) {
	case WATCH_INBOUND:
		p = decode_inbound(message);
		publish(w, p ? &p->ref : NULL);
		return;
	case WATCH_ENDPOINTS:
		publish_endpoints(w, first, message);
		return;
	case WATCH_OUTBOUND:
		buf_clear(&c->last);
		buf_adds(&c->last, message);
		c->at = PART_KNOWN;
		publish_outbound(w);
		return;
	}
}

/* Answers that asking again would not change. */
static bool is_final(const struct stream_call *c, int status)
{
	switch (c->watch->key.kind) {
	case WATCH_INBOUND:
		return status == GRPC_INVALID_ARGUMENT ||
		       status == GRPC_FAILED_PRECONDITION;
	case WATCH_OUTBOUND:
		return status == GRPC_INVALID_ARGUMENT || status == GRPC_UNIMPLEMENTED;
	case WATCH_ENDPOINTS:
		break;
	}
	return status == GRPC_INVALID_ARGUMENT;
}

/*
 * Says this end of a stream that there is nothing?  Of endpoints only an update says so
 * (or that the name is none): a stream that fails keeps what is known.
 */
static bool says_none(const struct stream_call *c, int status)
{
	return c->terminal ||
	       (status == GRPC_NOT_FOUND && c->watch->key.kind != WATCH_ENDPOINTS);
}

static void there_is_none(struct stream_call *c)
{
	struct disco_watch *w = c->watch;

	if (w->key.kind == WATCH_OUTBOUND) {
		c->at = PART_NONE;
		publish_outbound(w);
	} else if (w->key.kind == WATCH_ENDPOINTS) {
		struct endpoints *none = endpoints_none(ENDPOINTS_NO_SUCH);

		publish(w, none ? &none->ref : NULL);
	}
}

static uint64_t backoff(unsigned failures)
{
	uint64_t ns = BACKOFF_MIN << (failures > 10 ? 10 : failures);

	ns = ns > BACKOFF_MAX ? BACKOFF_MAX : ns;
	return ns + (uint64_t)((double)ns * 0.1 * random_unit());
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	struct stream_call *c = arg;

	(void)call;
	c->call = NULL;
	c->terminal = is_final(c, status);
	if (says_none(c, status))
		there_is_none(c);
	log_debug("proxy", "a discovery stream ended", LS("target", c->watch->key.text),
		LS("status", grpc_status_name(status)), LS("text", text));
	if (c->terminal)
		return;
	timer_set(&c->retry, backoff(c->failures++));
}

static const struct grpc_user call_user = {on_message, on_over};

/* ---- asking ---- */

static void ask(
	struct stream_call *c, struct channel *to, const char *path, const void *m)
{
	const struct proxy_config *cfg = c->watch->disco->cfg;
	struct buf b = BUF_INIT;
	struct err e;

	c->fresh = true;
	c->call = NULL;
	if (api_write(m, &b) == 0)
		c->call = grpc_call_begin(
			to, path, buf_slice(&b), false, &call_user, c, &e);
	buf_fini(&b);
	if (!c->call)
		timer_set(&c->retry, backoff(c->failures++));
	else if (cfg->stream_lifetime)
		timer_set(&c->retry, cfg->stream_lifetime);
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
	ask(&w->main, w->disco->policy, API_OUTBOUND, &m);
	arena_fini(&a);
}

static void open_call(struct stream_call *c)
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

static void on_retry(struct timer *t)
{
	open_call(container_of(t, struct stream_call, retry));
}

/* ---- watches ---- */

static void call_init(struct stream_call *c, struct disco_watch *w)
{
	c->watch = w;
	timer_init(&c->retry, w->disco->loop, on_retry);
}

static void call_fini(struct stream_call *c)
{
	timer_clear(&c->retry);
	if (c->call)
		grpc_call_end(c->call);
	buf_fini(&c->last);
}

static void watch_free(struct disco_watch *w)
{
	map_remove(&w->disco->watches, &w->node);
	timer_clear(&w->idle);
	timer_clear(&w->wait);
	call_fini(&w->main);
	call_fini(&w->profile);
	ref_put(w->value);
	free(w);
}

static void on_idle(struct timer *t)
{
	watch_free(container_of(t, struct disco_watch, idle));
}

/* Nobody answers: what can be done without is done. */
static void on_wait(struct timer *t)
{
	struct disco_watch *w = container_of(t, struct disco_watch, wait);
	struct outbound_key key = outbound_key(w);
	struct outbound_policy *p;
	struct err e;

	if (w->key.kind != WATCH_OUTBOUND || w->value)
		return;
	log_warn("proxy",
		"discovery does not answer: connections go where they were meant",
		LS("target", w->key.text));
	p = decode_outbound(
		w->main.at == PART_KNOWN ? buf_slice(&w->main.last) : SLICE_NONE,
		w->profile.at == PART_KNOWN ? buf_slice(&w->profile.last) : SLICE_NONE,
		&key, &e);
	publish(w, p ? &p->ref : NULL);
}

static bool in_networks(const struct proxy_config *cfg, const struct ip *ip)
{
	for (size_t i = 0; i < cfg->nprofile_networks; i++)
		if (cidr_has(&cfg->profile_networks[i], ip))
			return true;
	return false;
}

/* "host:port" instead of an address: only its port is put there. */
static struct slice host_of(struct disco_watch *w)
{
	struct slice host = slice_of(w->name);
	const char *colon = strrchr(w->name, ':');
	uint64_t port;

	w->dst = (struct addr){.port = 0};
	if (!colon || !slice_u64(slice_of(colon + 1), 65535, &port))
		return host;
	w->dst.port = (uint16_t)port;
	host.n = (size_t)(colon - w->name);
	return host;
}

/* May the destination service be asked for its profile? */
static bool is_discoverable(struct disco_watch *w)
{
	const struct proxy_config *cfg = w->disco->cfg;

	if (addr_parse(slice_of(w->name), &w->dst))
		return in_networks(cfg, &w->dst.ip);
	return name_in_suffixes(host_of(w), cfg->profile_suffixes);
}

static void watch_start(struct disco_watch *w)
{
	const struct proxy_config *cfg = w->disco->cfg;
	struct inbound_policy *p;

	switch (w->key.kind) {
	case WATCH_INBOUND:
		w->dst.port = (uint16_t)strtoul(w->name, NULL, 10);
		p = default_inbound(cfg, w->dst.port);
		publish(w, p ? &p->ref : NULL);
		break;
	case WATCH_OUTBOUND:
		if (is_discoverable(w))
			open_call(&w->profile);
		else
			w->profile.at = PART_NONE;
		timer_set(&w->wait, ANSWER_WAIT);
		break;
	case WATCH_ENDPOINTS:
		break;
	}
	open_call(&w->main);
}

static struct disco_watch *watch_new(struct disco *d, const struct watch_key *key)
{
	struct disco_watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->disco = d;
	w->key = *key;
	w->name = strchr(w->key.text, ' ') + 1;
	list_init(&w->subs);
	timer_init(&w->idle, d->loop, on_idle);
	timer_init(&w->wait, d->loop, on_wait);
	call_init(&w->main, w);
	call_init(&w->profile, w);
	if (map_insert(&d->watches, &w->node, slice_of(w->key.text)) < 0) {
		free(w);
		return NULL;
	}
	watch_start(w);
	return w;
}

/* ---- subscriptions ---- */

static void attach(void *arg) /* control */
{
	struct sub *s = arg;
	struct disco *d = s->disco;
	struct disco_watch *w =
		map_get(&d->watches, slice_of(s->key.text), struct disco_watch, node);

	if (!w)
		w = watch_new(d, &s->key);
	if (!w)
		return;
	s->watch = w;
	list_push(&w->subs, &s->node);
	timer_clear(&w->idle);
	if (w->value)
		tell(s, w->value);
}

static void detach(void *arg) /* control */
{
	struct sub *s = arg;
	struct disco_watch *w = s->watch;

	list_remove(&s->node);
	if (w && list_is_empty(&w->subs))
		timer_set(&w->idle, w->key.kind == WATCH_INBOUND
					    ? w->disco->cfg->in.discovery_idle
					    : w->disco->cfg->out.discovery_idle);
	sub_unref(s);
}

static struct sub *subscribe(struct disco *d, struct loop *worker, enum watch_kind kind,
	const char *prefix, const char *name, sub_fn *fn, void *arg)
{
	struct sub *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->disco = d;
	s->worker = worker;
	s->fn = fn;
	s->arg = arg;
	s->key.kind = kind;
	snprintf(s->key.text, sizeof s->key.text, "%s %s", prefix, name);
	list_init(&s->node);
	atomic_init(&s->refs, 2);
	if (loop_post(d->loop, attach, s) == 0)
		return s;
	free(s);
	return NULL;
}

struct sub *disco_inbound(
	struct disco *d, struct loop *worker, uint16_t port, sub_fn *fn, void *arg)
{
	char text[8];

	snprintf(text, sizeof text, "%u", port);
	return subscribe(d, worker, WATCH_INBOUND, "in", text, fn, arg);
}

struct sub *disco_outbound(struct disco *d, struct loop *worker, const struct addr *dst,
	sub_fn *fn, void *arg)
{
	char text[ADDR_TEXT];

	return subscribe(
		d, worker, WATCH_OUTBOUND, "out", addr_text(dst, text), fn, arg);
}

struct sub *disco_outbound_name(struct disco *d, struct loop *worker,
	const char *authority, sub_fn *fn, void *arg)
{
	return subscribe(d, worker, WATCH_OUTBOUND, "outname", authority, fn, arg);
}

struct sub *disco_endpoints(
	struct disco *d, struct loop *worker, const char *name, sub_fn *fn, void *arg)
{
	return subscribe(d, worker, WATCH_ENDPOINTS, "eps", name, fn, arg);
}

void sub_end(struct sub *s)
{
	s->ended = true;
	if (loop_post(s->disco->loop, detach, s) == 0)
		sub_unref(s);
}

struct distrust {
	struct disco *disco;
	char key[320];
};

static void distrusted(void *arg) /* control */
{
	struct distrust *m = arg;
	struct disco_watch *w =
		map_get(&m->disco->watches, slice_of(m->key), struct disco_watch, node);
	uint64_t now = loop_now(m->disco->loop);

	if (w && now - w->asked_anew > DISTRUST) {
		w->asked_anew = now;
		open_call(&w->main);
	}
	free(m);
}

void disco_distrust(struct disco *d, const char *name)
{
	struct distrust *m = malloc(sizeof *m);

	if (!m)
		return;
	m->disco = d;
	snprintf(m->key, sizeof m->key, "eps %s", name);
	if (loop_post(d->loop, distrusted, m) < 0)
		free(m);
}

/* ---- life ---- */

struct disco *disco_new(struct loop *l, const struct proxy_config *cfg,
	struct channel *destination, struct channel *policy)
{
	struct disco *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->loop = l;
	d->cfg = cfg;
	d->destination = destination;
	d->policy = policy;
	return d;
}

void disco_free(struct disco *d)
{
	struct disco_watch *w;

	map_each(w, &d->watches, node) watch_free(w);
	map_fini(&d->watches);
	free(d);
}
