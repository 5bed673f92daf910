/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/balancer_int.h"

#include "proxy/endpoint.h"

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

/* Nobody is ready, and each has failed it. */
static bool is_refused_by_all(const struct balancer *b, const struct px *p)
{
	return p->tries > 0 && (size_t)__builtin_popcountll(p->tried) >= b->count &&
	       p->last.code != ERR_BUSY && p->last.code != ERR_NONE;
}

void balancer_dispatch(struct balancer *b, struct px *p)
{
	struct endpoint *ep = balancer_pick(b, p->left);
	struct err e;

	if (ep && !is_required(ep, p, &e)) {
		exch_fail(p->x, &e);
	} else if (ep) {
		p->tries++;
		p->tried |= ep->mark;
		endpoint_begin(ep, p);
	} else if (is_refused_by_all(b, p)) {
		balancer_all_failed(b, p->last.code, &p->last, &e);
		exch_fail(p->x, &e);
	} else if (p->tries == 0 && balancer_is_shut(b)) {
		balancer_explain(b, &e);
		exch_fail(p->x, &e);
	} else {
		balancer_queue_exchange(b, p);
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
		balancer_dispatch(b, p);
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
	balancer_dispatch(b, p);
}

static void service_begin(struct exch *x, void *shared)
{
	struct px *p = x->user;

	(void)shared;
	p->request_ended = false; /* told for each try */
	balancer_count_asked(p->balancer, BALANCED_HTTP);
	balancer_dispatch(p->balancer, p);
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
		balancer_unqueue_exchange(p->balancer, p);
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
