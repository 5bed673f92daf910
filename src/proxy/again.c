/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is begun again, and where: a request of which nothing left, or that was sent
 * back unread, anywhere; one that may be repeated and of whose answer nothing came,
 * once: on a fresh connection when the server closed a kept one, else at another
 * endpoint.
 */
#include "base/log.h"
#include "http/client.h"
#include "proxy/endpoint.h"
#include "proxy/extended.h"

static enum flow again_request(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	x->keeps = true;
	return FLOW_NEXT;
}

/* Its endpoint was lost with it, but there are others. */
static bool was_lost(const struct px *p)
{
	const struct exch *x = p->x;

	return x->touched && x->unheard && !x->raced &&
	       method_is_idempotent(x->req.method) &&
	       balancer_has_another(p->balancer, p->endpoint);
}

static bool may_repeat(struct px *p)
{
	struct exch *x = p->x;

	if (!p->client || p->tries >= TRIES_MAX)
		return false;
	if (was_lost(p)) {
		p->left = p->endpoint;
		x->raced = true;
	}
	return exch_may_begin_again(x) && !(x->raced && p->fresh);
}

static void send_fresh(struct px *p)
{
	p->fresh = true;
	log_info("proxy",
		p->left ? "request sent again: its endpoint was lost"
			: "request sent again: the server has closed an idle "
			  "connection",
		LS("addr", p->endpoint->text), LZ("method", p->x->req.method),
		LE(&p->x->err));
}

static enum flow again_error(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (!may_repeat(p))
		return FLOW_NEXT;
	if (x->raced)
		send_fresh(p);
	p->last = x->err;
	/* not when its limit was only just told, or it is going away */
	if (p->refused || (x->reset_code == HTTP_REFUSED_STREAM &&
				  http_client_has_room(p->client)))
		endpoint_refused(p->endpoint, &x->err);
	p->refused = false;
	balancer_release(p);
	return FLOW_AGAIN;
}

/* A proxy that we know answered in its application's place (px.h). */
static bool peer_got_no_answer(struct px *p)
{
	struct exch *x = p->x;
	struct slice said = fields_get(&x->rsp.fields, SLICE(PX_UNANSWERED));
	struct slice why = fields_get(&x->rsp.fields, SLICE("l5d-proxy-error"));

	if (!said.n || !p->endpoint || !p->endpoint->use.identity)
		return false;
	p->refused = slice_is(said, PX_REFUSED);
	x->unheard = slice_is(said, PX_LOST);
	x->touched = !p->refused;
	if (!may_repeat(p)) {
		x->touched = true;
		p->refused = false;
		return false;
	}
	err_set(&x->err, ERR_CLOSED, "the peer's proxy: %.*s", (int)why.n,
		why.n ? why.p : "");
	return true;
}

static enum flow again_response(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	if (peer_got_no_answer(x->user))
		return FLOW_ABORT;
	if (!extended_was_ignored(x->user))
		return FLOW_NEXT;
	x->touched = true; /* it was heard */
	err_set(&x->err, ERR_CLOSED, "the server does not switch protocols");
	return FLOW_ABORT;
}

const struct filter again_filter = {.name = "again",
	.on_request = again_request,
	.on_response = again_response,
	.on_error = again_error};
