/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/balancermeter.h"
#include "proxy/endpoint.h"

struct fixed { /* the owner of a fixed address: a snapshot of one */
	struct ref ref;
	struct endpoint_info info;
};

struct balancer {
	struct map_node node; /* by key, in the worker */
	struct pworker *worker;
	enum side side;
	char *key;
	const char *name; /* inside key; NULL for a fixed address */
	unsigned refs;
	uint64_t unused_since;
	uint64_t default_rtt, decay;

	struct sub *sub;
	enum endpoints_state state;
	uint64_t distrusted; /* generation that we asked to have anew */
	uint64_t generation;
	struct list endpoints;
	size_t count;
	struct endpoint **ready; /* those of `endpoints` that may be picked */
	size_t nready, ready_cap;

	struct list queue; /* px for whom nobody was ready */
	size_t queued;
	struct list streams; /* waiting in the same way */
	size_t nstreams;
	bool is_shut;          /* in failfast */
	struct timer failfast; /* set while one of the queues is not empty */
	uint64_t failfast_at;
	struct err last; /* what the last failed endpoint said */

	char *labels; /* of its metrics, or NULL: none */
	struct balancer_meter *meters[BALANCED_KINDS]; /* NULL until used */
};

struct stream {
	struct list node; /* in balancer->streams, or the endpoint's while dialling */
	struct balancer *balancer;
	struct endpoint *endpoint;
	struct conn *conn;
	stream_done *done;
	void *arg;
	bool is_queued; /* in balancer->streams */
	unsigned tries;
	uint64_t since;
};

static void dispatch(struct balancer *b, struct px *p);
static void stream_dispatch(struct stream *s);
static void stream_fail(struct stream *s, const struct err *e);

/* ---- what is counted ---- */

static uint64_t request_limit(const struct balancer *b);
static uint64_t stream_limit(const struct balancer *b);

static struct balancer_figures figures(const struct balancer *b)
{
	return (struct balancer_figures){b->count, b->nready};
}

void balancer_for(
	struct balancer *b, const struct meta *parent, const struct meta *backend)
{
	struct buf labels = BUF_INIT;

	if (b->labels || !b->name)
		return;
	labels_parent(&labels, parent);
	labels_backend(&labels, backend);
	b->labels = slice_dup(buf_slice(&labels));
	buf_fini(&labels);
}

static struct balancer_meter *meter_of(struct balancer *b, enum balanced kind)
{
	struct balancer_figures now;

	if (b->meters[kind] || !b->labels)
		return b->meters[kind];
	now = figures(b);
	b->meters[kind] = balancer_meter_new(b->worker, kind, b->labels,
		kind == BALANCED_HTTP ? request_limit(b) : stream_limit(b), &now);
	return b->meters[kind];
}

static void meters_look(struct balancer *b)
{
	struct balancer_figures now = figures(b);

	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_endpoints(b->meters[i], &now);
}

static void meters_update(struct balancer *b, enum p2c_update what)
{
	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_update(b->meters[i], what, 1);
}

static void asks(struct balancer *b, enum balanced kind)
{
	struct balancer_meter *m = meter_of(b, kind);

	balancer_meter_asked(m);
	if (b->nready)
		balancer_meter_waited(m, 0);
}

/* A request, or a stream, left the queue in any way. */
static void left_queue(struct balancer *b, enum balanced kind, uint64_t since)
{
	struct balancer_meter *m = b->meters[kind];

	balancer_meter_queue(m, -1);
	balancer_meter_waited(m, loop_now(b->worker->loop) - since);
}

/* ---- which endpoints may be picked ---- */

static void ready_rebuild(struct balancer *b)
{
	struct endpoint *ep;

	b->nready = 0;
	if (b->count > b->ready_cap) {
		struct endpoint **v = realloc(b->ready, b->count * sizeof *v);

		if (!v)
			return;
		b->ready = v;
		b->ready_cap = b->count;
	}
	list_each(ep, &b->endpoints,
		node) if (ep->at == ENDPOINT_READY && b->nready < b->ready_cap)
		b->ready[b->nready++] = ep;
	if (b->nready > 0)
		b->is_shut = false;
	meters_look(b);
}

bool balancer_is_shut(const struct balancer *b)
{
	return b->is_shut || b->state == ENDPOINTS_NO_SUCH;
}

static void serve_queue(struct balancer *b)
{
	struct stream *s;
	struct px *p;

	while (b->nready > 0 && (p = list_first(&b->queue, struct px, node))) {
		list_remove(&p->node);
		p->queued = false;
		b->queued--;
		left_queue(b, BALANCED_HTTP, p->sent);
		dispatch(b, p);
	}
	while (b->nready > 0 && (s = list_first(&b->streams, struct stream, node))) {
		list_remove(&s->node);
		b->nstreams--;
		s->is_queued = false;
		left_queue(b, BALANCED_TCP, s->since);
		stream_dispatch(s);
	}
	if (list_is_empty(&b->queue) && list_is_empty(&b->streams))
		timer_clear(&b->failfast);
}

/* An address that keeps refusing may be stale: discovery is asked again, once. */
#define DISTRUST_AFTER 3

void balancer_ready_changed(struct balancer *b, struct endpoint *ep)
{
	if (ep->at == ENDPOINT_BACKOFF)
		b->last = ep->last;
	if (b->name && ep->failures >= DISTRUST_AFTER &&
		b->distrusted != b->generation) {
		b->distrusted = b->generation;
		disco_distrust(b->worker->disco, b->name);
	}
	ready_rebuild(b);
	if (ep->at == ENDPOINT_READY)
		serve_queue(b);
}

/* Any but `left`, when there is another; it may be no more. */
static struct endpoint *pick(struct balancer *b, const struct endpoint *left)
{
	uint64_t now = loop_now(b->worker->loop);
	size_t i, j;

	if (b->nready <= 1)
		return b->nready ? b->ready[0] : NULL;
	i = random_u64() % b->nready;
	j = random_u64() % (b->nready - 1);
	j += j >= i;
	if (b->ready[i] == left || b->ready[j] == left)
		return b->ready[b->ready[i] == left ? j : i];
	return endpoint_cost(b->ready[j], now, b->decay) <
			       endpoint_cost(b->ready[i], now, b->decay)
		       ? b->ready[j]
		       : b->ready[i];
}

/* ---- endpoints from discovery ---- */

static struct endpoint *endpoint_at(struct balancer *b, const struct addr *a)
{
	struct endpoint *ep;

	list_each(ep, &b->endpoints, node) if (addr_eq(&ep->info->addr, a)) return ep;
	return NULL;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* What may change without new connections: labels, weight. */
static bool same_peer(const struct endpoint_info *a, const struct endpoint_info *b)
{
	return a->hint == b->hint && same_text(a->identity, b->identity) &&
	       same_text(a->server_name, b->server_name) &&
	       same_text(a->authority, b->authority) &&
	       a->tunnel_port == b->tunnel_port;
}

static void endpoint_add(
	struct balancer *b, const struct endpoint_info *info, struct ref *owner)
{
	struct endpoint *ep = endpoint_new(b, b->side, b->worker, info, owner);

	if (!ep)
		return;
	ep->rtt = (double)b->default_rtt;
	list_push(&b->endpoints, &ep->node);
	b->count++;
	meters_update(b, P2C_ADD);
}

static void endpoint_drop(struct balancer *b, struct endpoint *ep)
{
	b->count--;
	meters_update(b, P2C_REMOVE);
	list_remove(&ep->node);
	ready_rebuild(b);
	endpoint_remove(ep);
}

static bool still_there(const struct endpoints *now, const struct endpoint *ep)
{
	for (size_t i = 0; i < now->n; i++)
		if (addr_eq(&now->v[i].addr, &ep->info->addr))
			return same_peer(&now->v[i], ep->info);
	return false;
}

static void endpoints_told(void *arg, struct ref *value)
{
	struct endpoints *now = container_of(value, struct endpoints, ref);
	struct balancer *b = arg;
	struct endpoint *ep;

	b->state = now->state;
	b->generation = now->generation;
	for (size_t i = 0; i < now->n; i++) {
		ep = endpoint_at(b, &now->v[i].addr);
		if (ep && !same_peer(&now->v[i], ep->info)) {
			endpoint_drop(b, ep);
			ep = NULL;
		}
		if (!ep)
			endpoint_add(b, &now->v[i], &now->ref);
	}
	ready_rebuild(b);
	list_each(ep, &b->endpoints, node) if (!still_there(now, ep))
		endpoint_drop(b, ep);
	serve_queue(b);
	if (b->state == ENDPOINTS_NO_SUCH && timer_is_set(&b->failfast))
		timer_set(&b->failfast, 0);
}

/* ---- life ---- */

static void failfast_due(struct timer *t);

static struct balancer *balancer_new(
	struct pworker *w, enum side side, struct slice key)
{
	struct balancer *b = calloc(1, sizeof *b);

	if (!b)
		return NULL;
	b->key = slice_dup(key);
	b->worker = w;
	b->side = side;
	b->default_rtt = 30 * NS_PER_MS;
	b->decay = 10 * NS_PER_S;
	list_init(&b->endpoints);
	list_init(&b->queue);
	list_init(&b->streams);
	timer_init(&b->failfast, w->loop, failfast_due);
	if (!b->key || map_insert(&w->balancers, &b->node, slice_of(b->key)) < 0) {
		free(b->key);
		free(b);
		return NULL;
	}
	return b;
}

struct balancer *balancer_ref(struct balancer *b)
{
	b->refs++;
	return b;
}

void balancer_unref(struct balancer *b)
{
	if (!b || --b->refs > 0)
		return;
	b->unused_since = loop_now(b->worker->loop);
	worker_tick(b->worker);
}

struct balancer *balancer_for_name(struct pworker *w, const struct backend *be)
{
	struct buf key = BUF_INIT;
	struct balancer *b;

	if (buf_printf(&key, "name %s", be->name) < 0)
		return NULL;
	b = map_get(&w->balancers, buf_slice(&key), struct balancer, node);
	if (!b) {
		b = balancer_new(w, SIDE_OUT, buf_slice(&key));
		if (b) {
			b->name = b->key + 5;
			b->default_rtt =
				be->default_rtt ? be->default_rtt : b->default_rtt;
			b->decay = be->rtt_decay ? be->rtt_decay : b->decay;
			b->sub = disco_endpoints(
				w->disco, w->loop, b->name, endpoints_told, b);
		}
	}
	buf_fini(&key);
	return b ? balancer_ref(b) : NULL;
}

static void fixed_free(struct ref *r)
{
	struct fixed *f = container_of(r, struct fixed, ref);

	free((char *)f->info.identity);
	free((char *)f->info.server_name);
	free((char *)f->info.authority);
	for (size_t i = 0; i < f->info.labels.n; i++) {
		free((char *)f->info.labels.v[i].key);
		free((char *)f->info.labels.v[i].value);
	}
	free((void *)f->info.labels.v);
	free(f);
}

static char *copy(const char *text)
{
	return text ? slice_dup(slice_of(text)) : NULL;
}

static struct fixed *fixed_new(const struct endpoint_info *info)
{
	struct fixed *f = calloc(1, sizeof *f);
	struct label *v = calloc(info->labels.n + 1, sizeof *v);

	if (!f || !v) {
		free(f);
		free(v);
		return NULL;
	}
	ref_init(&f->ref, fixed_free);
	f->info = *info;
	f->info.identity = copy(info->identity);
	f->info.server_name = copy(info->server_name);
	f->info.authority = copy(info->authority);
	for (size_t i = 0; i < info->labels.n; i++)
		v[i] = (struct label){
			copy(info->labels.v[i].key), copy(info->labels.v[i].value)};
	f->info.labels.v = v;
	return f;
}

static void add_fixed(struct balancer *b, const struct endpoint_info *info)
{
	struct fixed *f = fixed_new(info);

	b->state = ENDPOINTS_KNOWN;
	if (!f)
		return;
	endpoint_add(b, &f->info, &f->ref);
	ref_put(&f->ref);
	ready_rebuild(b);
}

struct balancer *balancer_for_addr(
	struct pworker *w, enum side side, const struct endpoint_info *info)
{
	struct buf key = BUF_INIT;
	char text[ADDR_TEXT];
	struct balancer *b;

	if (buf_printf(&key, "%s %s %d %u %s %s", side == SIDE_IN ? "app" : "addr",
		    info->identity ? info->identity : "-", info->hint,
		    info->tunnel_port, info->authority ? info->authority : "-",
		    addr_text(&info->addr, text)) < 0)
		return NULL;
	b = map_get(&w->balancers, buf_slice(&key), struct balancer, node);
	if (!b) {
		b = balancer_new(w, side, buf_slice(&key));
		if (b)
			add_fixed(b, info);
	}
	buf_fini(&key);
	return b ? balancer_ref(b) : NULL;
}

static void balancer_free(struct balancer *b)
{
	struct endpoint *ep;

	map_remove(&b->worker->balancers, &b->node);
	if (b->sub)
		sub_end(b->sub);
	timer_clear(&b->failfast);
	list_each(ep, &b->endpoints, node) endpoint_drop(b, ep);
	for (int i = 0; i < BALANCED_KINDS; i++)
		balancer_meter_free(b->meters[i]);
	free(b->labels);
	free(b->ready);
	free(b->key);
	free(b);
}

void balancers_sweep(struct pworker *w, bool all)
{
	uint64_t now = loop_now(w->loop);
	struct endpoint *ep;
	struct balancer *b;

	map_each(b, &w->balancers, node)
	{
		uint64_t keep = worker_side(w, b->side)->discovery_idle;

		list_each(ep, &b->endpoints, node) endpoint_sweep(ep, now);
		if (b->refs == 0 && (all || now - b->unused_since > keep))
			balancer_free(b);
	}
}

void balancers_drain(struct pworker *w)
{
	struct endpoint *ep;
	struct balancer *b;

	map_each(b, &w->balancers, node) list_each(ep, &b->endpoints, node)
		endpoint_sweep(ep, UINT64_MAX);
}

/* ---- exchanges ---- */

static const char *name_of(const struct balancer *b)
{
	const struct endpoint *ep = list_first(&b->endpoints, struct endpoint, node);

	if (b->name)
		return b->name;
	return ep ? ep->text : b->key;
}

/* `last` has the address in it. */
static void every_one_failed(
	const struct balancer *b, enum errc code, const struct err *last, struct err *e)
{
	struct err why = *last;

	if (b->count > 1 && b->nready == 0)
		err_set(e, code, "%s: all %zu endpoints failed; last: %s", name_of(b),
			b->count, why.msg);
	else if (b->name)
		err_set(e, code, "%s: %s", b->name, why.msg);
	else
		err_set(e, code, "%s", why.msg);
	e->sys = why.sys;
}

/* Why nobody could take it. */
static void explain(const struct balancer *b, struct err *e)
{
	const char *what = name_of(b);

	if (b->state == ENDPOINTS_UNKNOWN)
		err_set(e, ERR_TIMEOUT, "%s: discovery has not answered", what);
	else if (b->state == ENDPOINTS_NO_SUCH)
		err_set(e, ERR_MISSING, "%s: no such service", what);
	else if (b->count == 0)
		err_set(e, ERR_TIMEOUT, "%s: no endpoints", what);
	else
		every_one_failed(b, ERR_TIMEOUT, &b->last, e);
}

/* How long a request, and a stream, may wait for an endpoint. */
static uint64_t request_limit(const struct balancer *b)
{
	return balancer_is_shut(b) ? 0 : worker_side(b->worker, b->side)->failfast;
}

static uint64_t stream_limit(const struct balancer *b)
{
	if (balancer_is_shut(b))
		return 0;
	return b->side == SIDE_OUT ? b->worker->cfg->out_tcp_failfast
				   : b->worker->cfg->in.failfast;
}

static void fail_late_requests(struct balancer *b, uint64_t now, const struct err *e)
{
	uint64_t limit = request_limit(b);
	struct list late = {&late, &late};
	struct px *p;

	list_each(p, &b->queue, node) if (now - p->sent >= limit)
	{
		list_remove(&p->node);
		p->queued = false;
		b->queued--;
		left_queue(b, BALANCED_HTTP, p->sent);
		list_push(&late, &p->node);
	}
	while ((p = list_first(&late, struct px, node))) {
		list_remove(&p->node);
		exch_fail(p->x, e);
	}
}

static void fail_late_streams(struct balancer *b, uint64_t now, const struct err *e)
{
	uint64_t limit = stream_limit(b);
	struct list late = {&late, &late};
	struct stream *s;

	list_each(s, &b->streams, node) if (now - s->since >= limit)
	{
		list_remove(&s->node);
		b->nstreams--;
		s->is_queued = false;
		left_queue(b, BALANCED_TCP, s->since);
		list_push(&late, &s->node);
	}
	while ((s = list_first(&late, struct stream, node))) {
		list_remove(&s->node);
		stream_fail(s, e);
	}
}

/* Somebody waits who may do so for `limit`. */
static void wait_in_queue(struct balancer *b, uint64_t limit)
{
	uint64_t at = loop_now(b->worker->loop) + limit;

	if (timer_is_set(&b->failfast) && b->failfast_at <= at)
		return;
	b->failfast_at = at;
	timer_set(&b->failfast, limit);
}

static void failfast_due(struct timer *t)
{
	struct balancer *b = container_of(t, struct balancer, failfast);
	uint64_t now = loop_now(b->worker->loop);
	struct err e;

	explain(b, &e);
	balancer_ref(b);
	if (b->nready == 0)
		b->is_shut = true;
	fail_late_requests(b, now, &e);
	fail_late_streams(b, now, &e);
	if (!list_is_empty(&b->queue))
		wait_in_queue(b, request_limit(b) / 4);
	if (!list_is_empty(&b->streams))
		wait_in_queue(b, stream_limit(b) / 4);
	balancer_unref(b);
}

static void enqueue(struct balancer *b, struct px *p)
{
	const struct side_config *cfg = worker_side(b->worker, b->side);
	struct err e;

	if (b->queued >= cfg->queue_capacity) {
		err_set(&e, ERR_BUSY, "%s: %zu requests are queued, the limit",
			name_of(b), b->queued);
		exch_fail(p->x, &e);
		return;
	}
	if (p->tries == 0)
		p->sent = loop_now(b->worker->loop);
	p->queued = true;
	b->queued++;
	balancer_meter_queue(b->meters[BALANCED_HTTP], 1);
	list_push(&b->queue, &p->node);
	wait_in_queue(b, request_limit(b));
}

/* Is it whom the request wants to reach (l5d-require-id)? */
static bool is_required(const struct endpoint *ep, const struct px *p, struct err *e)
{
	const char *id = ep->use.identity ? ep->use.identity : "";

	if (!p->require_id.n || slice_is(p->require_id, id))
		return true;
	err_set(e, ERR_DENIED, "%s: identity %.*s is required, it has %s", ep->text,
		p->require_id.n < 100 ? (int)p->require_id.n : 100, p->require_id.p,
		*id ? id : "none");
	return false;
}

static void dispatch(struct balancer *b, struct px *p)
{
	struct endpoint *ep = pick(b, p->left);
	struct err e;

	if (ep && !is_required(ep, p, &e)) {
		exch_fail(p->x, &e);
	} else if (ep) {
		p->tries++;
		endpoint_begin(ep, p);
	} else if (p->tries > 0 && p->last.code != ERR_BUSY &&
		   p->last.code != ERR_NONE) {
		every_one_failed(b, p->last.code, &p->last, &e);
		exch_fail(p->x, &e);
	} else if (p->tries == 0 && balancer_is_shut(b)) {
		explain(b, &e);
		exch_fail(p->x, &e);
	} else {
		enqueue(b, p);
	}
}

void balancer_release(struct px *p)
{
	struct endpoint *ep = p->endpoint;

	if (!ep)
		return;
	if (!p->sampled)
		ep->load--;
	if (p->authority.p)
		p->x->req.authority = p->authority;
	p->sampled = true;
	p->endpoint = NULL;
	p->client = NULL;
	endpoint_unuse(ep);
}

void balancer_retry(struct balancer *b, struct px *p, const struct err *why)
{
	struct err e = *why;

	p->last = e;
	balancer_release(p);
	if (p->tries < TRIES_MAX)
		dispatch(b, p);
	else
		exch_fail(p->x, &e);
}

bool balancer_has_another(const struct balancer *b, const struct endpoint *ep)
{
	return b->nready > 1 || (b->nready == 1 && b->ready[0] != ep);
}

void balancer_again(struct balancer *b, struct px *p)
{
	balancer_release(p);
	p->tries--;
	dispatch(b, p);
}

static void service_begin(struct exch *x, void *shared)
{
	struct px *p = x->user;

	(void)shared;
	asks(p->balancer, BALANCED_HTTP);
	dispatch(p->balancer, p);
}

static void service_data(struct exch *x, void *shared, const uint8_t *bytes, size_t n)
{
	(void)shared;
	http_client_data(x, bytes, n);
}

static void service_end(struct exch *x, void *shared, const struct fields *trailers)
{
	struct px *p = x->user;

	(void)shared;
	p->request_ended = true;
	p->trailers = (struct fields *)trailers;
	if (p->client)
		http_client_end_body(x, trailers);
}

static void service_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared;
	http_client_credit(x, n);
}

static void service_cancel(struct exch *x, void *shared)
{
	struct px *p = x->user;

	(void)shared;
	if (p->client) {
		http_client_cancel(x);
	} else if (p->queued) {
		p->balancer->queued--;
		p->queued = false;
		left_queue(p->balancer, BALANCED_HTTP, p->sent);
		list_remove(&p->node);
	} else if (p->endpoint) {
		endpoint_forget(p);
	}
}

const struct service balancer_service = {.begin = service_begin,
	.data = service_data,
	.end = service_end,
	.credit = service_credit,
	.cancel = service_cancel};

void balancer_sample(struct px *p)
{
	uint64_t now = loop_now(p->worker->loop);

	if (!p->endpoint || p->sampled)
		return;
	p->sampled = true;
	p->endpoint->load--;
	if (p->endpoint->refusals)
		endpoint_answered(p->endpoint);
	if (p->balancer->count > 1)
		endpoint_observe(p->endpoint, now - p->sent, now, p->balancer->decay);
}

void balancer_done(struct px *p)
{
	balancer_release(p);
	balancer_unref(p->balancer);
	p->balancer = NULL;
}

/* ---- streams ---- */

static void stream_fail(struct stream *s, const struct err *e)
{
	stream_done *done = s->done;
	void *arg = s->arg;

	balancer_unref(s->balancer);
	free(s);
	done(arg, NULL, NULL, NULL, e);
}

static void stream_release(struct stream *s)
{
	struct endpoint *ep = s->endpoint;

	s->endpoint = NULL;
	ep->load--;
	endpoint_unuse(ep);
}

static void stream_gone(struct conn *c, void *arg, const struct err *e)
{
	struct stream *s = arg;
	struct err why = *e;

	(void)c;
	if (why.code == ERR_NONE)
		err_set(&why, ERR_CLOSED, "closed by the peer");
	endpoint_name(s->endpoint, &why);
	s->conn = NULL;
	endpoint_dial_failed(s->endpoint, &why);
	stream_release(s);
	if (s->balancer->nready > 0 && s->tries < TRIES_MAX)
		stream_dispatch(s);
	else
		stream_fail(s, &why);
}

static void stream_open(struct conn *c, void *arg)
{
	struct stream *s = arg;
	struct err e;

	if (endpoint_opened(s->endpoint, c, SESSION_BYTES, &e) < 0) {
		conn_end(c);
		stream_gone(c, s, &e);
		return;
	}
	s->conn = NULL;
	endpoint_dial_worked(s->endpoint);
	s->done(s->arg, c, &s->endpoint->use, s->endpoint->transport, NULL);
}

static size_t stream_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	(void)c, (void)arg, (void)p, (void)n;
	return 0;
}

static const struct conn_user stream_user = {
	.on_open = stream_open, .on_in = stream_in, .on_gone = stream_gone};

static void stream_later(struct stream *s)
{
	list_push(&s->balancer->streams, &s->node);
	s->balancer->nstreams++;
	s->is_queued = true;
	balancer_meter_queue(s->balancer->meters[BALANCED_TCP], 1);
	wait_in_queue(s->balancer, stream_limit(s->balancer));
}

static void stream_dispatch(struct stream *s)
{
	struct endpoint *ep = pick(s->balancer, NULL);
	struct err e;

	if (!ep) {
		stream_later(s);
		return;
	}
	s->conn = endpoint_dial(ep, &e);
	if (!s->conn) {
		endpoint_dial_failed(ep, &e);
		stream_later(s);
		return;
	}
	s->tries++;
	s->endpoint = ep;
	ep->users++;
	ep->load++;
	conn_use(s->conn, &stream_user, s);
}

struct stream *balancer_stream(
	struct balancer *b, stream_done *done, void *arg, struct err *e)
{
	struct stream *s;

	if (b->side == SIDE_OUT && b->nstreams >= b->worker->cfg->out_tcp_queue) {
		err_set(e, ERR_BUSY, "%s: %zu connections are queued, the limit",
			name_of(b), b->nstreams);
		return NULL;
	}
	s = calloc(1, sizeof *s);
	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a stream");
		return NULL;
	}
	*s = (struct stream){.balancer = balancer_ref(b),
		.done = done,
		.arg = arg,
		.since = loop_now(b->worker->loop)};
	list_init(&s->node);
	asks(b, BALANCED_TCP);
	stream_dispatch(s);
	return s;
}

void stream_cancel(struct stream *s)
{
	if (s->is_queued) {
		s->balancer->nstreams--;
		left_queue(s->balancer, BALANCED_TCP, s->since);
	}
	list_remove(&s->node);
	if (s->conn)
		conn_end(s->conn);
	stream_over(s);
}

void stream_over(struct stream *s)
{
	if (s->endpoint)
		stream_release(s);
	balancer_unref(s->balancer);
	free(s);
}
