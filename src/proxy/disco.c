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
#define BACKOFF_HAD (2 * NS_PER_S)  /* of a stream that had said something */
#define STABLE      (10 * NS_PER_S) /* a stream of this age had not failed */
#define ANSWER_WAIT (3 * NS_PER_S)  /* for a control plane that is away */
#define DISTRUST    (10 * NS_PER_S)
#define RETELL      (100 * NS_PER_MS)

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
	struct timer quiet; /* nothing has come for too long */
	uint64_t opened;
	unsigned failures;
	bool told;     /* that it fails */
	bool fresh;    /* nothing came since it was opened */
	bool broken;   /* what came makes no sense: what follows does not count */
	bool terminal; /* the answer was final */
	enum part_at at;
	struct buf last; /* the last message */
};

struct disco_watch {
	struct map_node node;
	struct disco *disco;
	struct watch_key key;
	struct list subs;
	struct ref *value;   /* the newest snapshot, or NULL */
	struct timer idle;   /* nobody is subscribed */
	struct timer wait;   /* nobody has answered */
	struct timer retell; /* somebody could not be told */
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
	uint64_t invalid[3]; /* messages that made no sense, by enum watch_kind */
};

struct sub {
	struct list node; /* in the watch; control thread */
	struct disco *disco;
	struct disco_watch *watch; /* control thread */
	struct timer again;        /* memory was out: attach once more */
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

/* Without memory for it they are told again, all of them: once more does no harm. */
static void tell(struct sub *s, struct ref *value)
{
	struct telling *t = malloc(sizeof *t);

	if (!t) {
		timer_set(&s->watch->retell, RETELL);
		return;
	}
	ref_get(value);
	atomic_fetch_add(&s->refs, 1);
	*t = (struct telling){s, value};
	if (loop_post(s->worker, told, t) == 0)
		return;
	timer_set(&s->watch->retell, RETELL);
	ref_put(value);
	sub_unref(s);
	free(t);
}

static void on_retell(struct timer *t)
{
	struct disco_watch *w = container_of(t, struct disco_watch, retell);
	struct sub *s;

	if (w->value)
		list_each(s, &w->subs, node) tell(s, w->value);
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

/* One part of what is known of a target; "" is a message too. */
static struct slice part_of(const struct stream_call *c)
{
	if (c->at != PART_KNOWN)
		return SLICE_NONE;
	return buf_len(&c->last) ? buf_slice(&c->last) : SLICE("");
}

static int publish_outbound(struct disco_watch *w, struct err *e)
{
	struct outbound_key key = outbound_key(w);
	struct outbound_policy *p;

	if (w->main.at == PART_UNKNOWN || w->profile.at == PART_UNKNOWN)
		return 0;
	p = decode_outbound(part_of(&w->main), part_of(&w->profile), &key, e);
	if (!p)
		return -1;
	publish(w, &p->ref);
	return 0;
}

/* Nothing better is known: refused with the reason is better than waiting for ever. */
static void publish_invalid(struct disco_watch *w, const struct err *e)
{
	struct outbound_key key = outbound_key(w);
	struct outbound_policy *p;
	char reason[300];

	if (w->value)
		return;
	snprintf(reason, sizeof reason, "invalid client policy: %s", e->msg);
	p = outbound_invalid(&key, reason);
	publish(w, p ? &p->ref : NULL);
}

static int read_outbound(struct stream_call *c, struct slice message, struct err *e)
{
	struct disco_watch *w = c->watch;
	struct outbound_key key = outbound_key(w);
	struct slice m = message.n ? message : SLICE("");
	struct buf last = BUF_INIT;
	struct outbound_policy *p;

	p = c == &w->main ? decode_outbound(m, SLICE_NONE, &key, e)
			  : decode_outbound(SLICE_NONE, m, &key, e);
	if (!p) {
		publish_invalid(w, e);
		return -1;
	}
	ref_put(&p->ref);
	if (buf_adds(&last, message) < 0)
		return err_set(e, ERR_LIMIT, "no memory for a policy");
	buf_fini(&c->last);
	c->last = last;
	c->at = PART_KNOWN;
	return publish_outbound(w, e);
}

static int read_endpoints(
	struct disco_watch *w, bool reset, struct slice message, struct err *e)
{
	struct endpoints *before =
		w->value ? container_of(w->value, struct endpoints, ref) : NULL;
	struct endpoints *now = decode_endpoints(before, reset, message, e);

	if (!now)
		return -1;
	publish(w, &now->ref);
	return 0;
}

static int read_inbound(struct disco_watch *w, struct slice message, struct err *e)
{
	struct inbound_policy *p = decode_inbound(message);

	if (!p)
		return err_set(e, ERR_LIMIT, "no memory for a policy");
	w->disco->invalid[WATCH_INBOUND] += p->invalid;
	publish(w, &p->ref);
	return 0;
}

static int read_message(struct stream_call *c, struct slice message, struct err *e)
{
	struct disco_watch *w = c->watch;
	bool first = c->fresh;

	c->fresh = false;
	switch (w->key.kind) {
	case WATCH_INBOUND:
		return read_inbound(w, message, e);
	case WATCH_ENDPOINTS:
		return read_endpoints(w, first, message, e);
	case WATCH_OUTBOUND:
		break;
	}
	return read_outbound(c, message, e);
}

static uint64_t backoff(struct stream_call *c)
{
	uint64_t max = c->fresh ? BACKOFF_MAX : BACKOFF_HAD, ns;

	if (!c->fresh && loop_now(c->watch->disco->loop) - c->opened > STABLE)
		c->failures = 0;
	ns = BACKOFF_MIN << (c->failures > 10 ? 10 : c->failures);
	c->failures++;
	ns = ns > max ? max : ns;
	return ns + (uint64_t)((double)ns * 0.1 * random_unit());
}

/* Once, until it works again. */
static void say_failure(struct stream_call *c, const char *status, const char *text)
{
	if (!c->told)
		log_warn("proxy", "discovery fails: what is known stays",
			LS("target", c->watch->key.text), LS("status", status),
			LS("text", text));
	c->told = true;
}

static void say_success(struct stream_call *c)
{
	if (c->told)
		log_info("proxy", "discovery works again",
			LS("target", c->watch->key.text), LI("failures", c->failures));
	c->told = false;
}

/*
 * A stream is a sequence: without one of its messages the next say nothing.  What is
 * known stays, and the whole is asked for again.
 */
static void break_off(struct stream_call *c, const struct err *e)
{
	c->watch->disco->invalid[c->watch->key.kind]++;
	c->broken = true;
	say_failure(c, "invalid", e->msg);
	timer_clear(&c->quiet);
	timer_set(&c->retry, backoff(c));
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct stream_call *c = arg;
	uint64_t idle = c->watch->disco->cfg->stream_idle;
	struct err e;

	(void)call;
	if (c->broken)
		return;
	if (idle)
		timer_set(&c->quiet, idle);
	else
		timer_clear(&c->quiet);
	if (read_message(c, message, &e) == 0)
		say_success(c);
	else
		break_off(c, &e);
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
		(void)publish_outbound(w, NULL); /* each part was read before */
	} else if (w->key.kind == WATCH_ENDPOINTS) {
		struct endpoints *none = endpoints_none(ENDPOINTS_NO_SUCH);

		publish(w, none ? &none->ref : NULL);
	}
}

/* An end that is an answer, or the usual one of a server that is told to stop. */
static bool is_usual(const struct stream_call *c, int status)
{
	return c->terminal || says_none(c, status) || status == GRPC_OK;
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	struct stream_call *c = arg;

	(void)call;
	c->call = NULL;
	timer_clear(&c->quiet);
	c->terminal = is_final(c, status);
	log_debug("proxy", "a discovery stream ended", LS("target", c->watch->key.text),
		LS("status", grpc_status_name(status)), LS("text", text));
	if (!is_usual(c, status) && !c->broken)
		say_failure(c, grpc_status_name(status), text);
	if (says_none(c, status))
		there_is_none(c);
	if (c->terminal)
		timer_clear(&c->retry);
	else if (!c->broken)
		timer_set(&c->retry, backoff(c));
}

/* It is open and says nothing: asked again, as a failure when it never said anything.
 */
static void on_quiet(struct timer *t)
{
	struct stream_call *c = container_of(t, struct stream_call, quiet);

	if (c->call)
		grpc_call_end(c->call);
	c->call = NULL;
	if (c->fresh)
		say_failure(c, "silent", "no answer in time");
	timer_set(&c->retry, backoff(c));
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
	c->broken = false;
	c->opened = loop_now(c->watch->disco->loop);
	c->call = NULL;
	if (api_write(m, &b) == 0)
		c->call = grpc_call_begin(
			to, path, buf_slice(&b), false, &call_user, c, &e);
	buf_fini(&b);
	if (!c->call) {
		timer_set(&c->retry, backoff(c));
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
		timer_set(&w->main.retry, backoff(&w->main));
	else
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
	timer_init(&c->quiet, w->disco->loop, on_quiet);
}

static void call_fini(struct stream_call *c)
{
	timer_clear(&c->retry);
	timer_clear(&c->quiet);
	if (c->call)
		grpc_call_end(c->call);
	buf_fini(&c->last);
}

static void watch_free(struct disco_watch *w)
{
	map_remove(&w->disco->watches, &w->node);
	timer_clear(&w->idle);
	timer_clear(&w->wait);
	timer_clear(&w->retell);
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
	p = decode_outbound(part_of(&w->main), part_of(&w->profile), &key, &e);
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
	timer_init(&w->retell, d->loop, on_retell);
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
	if (!w) {
		timer_set(&s->again, RETELL);
		return;
	}
	s->watch = w;
	list_push(&w->subs, &s->node);
	timer_clear(&w->idle);
	if (w->value)
		tell(s, w->value);
}

static void on_again(struct timer *t)
{
	attach(container_of(t, struct sub, again));
}

static void detach(void *arg) /* control */
{
	struct sub *s = arg;
	struct disco_watch *w = s->watch;

	timer_clear(&s->again);
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
	timer_init(&s->again, d->loop, on_again);
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

void disco_metrics(void *disco, struct buf *out)
{
	static const char *const kinds[] = {"inbound", "outbound", "endpoints"};
	const struct disco *d = disco;

	buf_text(out, "# HELP control_invalid_messages_total Messages of discovery and "
		      "policy that make no sense.\n"
		      "# TYPE control_invalid_messages_total counter\n");
	for (size_t i = 0; i < countof(kinds); i++)
		buf_printf(out, "control_invalid_messages_total{kind=\"%s\"} %llu\n",
			kinds[i], (unsigned long long)d->invalid[i]);
}

void disco_free(struct disco *d)
{
	struct disco_watch *w;

	map_each(w, &d->watches, node) watch_free(w);
	map_fini(&d->watches);
	free(d);
}
