/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "http/grpc.h"
#include "proxy/endpoint.h"

/* What each kind of failure becomes.  `label` is the `error` of *_http_errors_total. */
static const struct rescue {
	int status, grpc;
	const char *label;
} rescues[] = {
	[ERR_NONE] = {500, GRPC_INTERNAL, "unexpected"},
	[ERR_SYS] = {502, GRPC_UNAVAILABLE, "i/o"},
	[ERR_SYNTAX] = {502, GRPC_UNAVAILABLE, "i/o"},
	[ERR_LIMIT] = {502, GRPC_UNAVAILABLE, "unexpected"},
	[ERR_DENIED] = {502, GRPC_UNAVAILABLE, "identity required"},
	[ERR_MISSING] = {504, GRPC_DEADLINE_EXCEEDED, "failfast"},
	[ERR_CLOSED] = {502, GRPC_UNAVAILABLE, "i/o"},
	[ERR_TIMEOUT] = {504, GRPC_DEADLINE_EXCEEDED, "failfast"},
	[ERR_BUSY] = {503, GRPC_UNAVAILABLE, "loadshed"},
	[ERR_BUG] = {500, GRPC_INTERNAL, "unexpected"},
};

static void count_error(struct pworker *w, enum side side, const char *error)
{
	struct buf b = BUF_INIT;

	labels_add(&b, "error", slice_of(error));
	metrics_count(w->metrics,
		side == SIDE_IN ? M_IN_HTTP_ERRORS : M_OUT_HTTP_ERRORS, buf_slice(&b),
		w->index);
	buf_fini(&b);
}

void px_count_error(struct px *p, const char *error)
{
	count_error(p->worker, p->side, error);
}

/* grpc-message carries any byte but these percent-encoded (gRPC over HTTP/2). */
static struct slice grpc_text(struct arena *a, const char *text)
{
	size_t n = strlen(text), at = 0;
	char *out = arena_alloc(a, 3 * n + 1);

	if (!out)
		return SLICE("");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '%') {
			out[at++] = (char)c;
			continue;
		}
		snprintf(out + at, 4, "%%%02X", c);
		at += 3;
	}
	return (struct slice){out, at};
}

/* One line without control bytes, for a field value. */
static struct slice field_text(struct arena *a, const char *text)
{
	size_t n = strlen(text);
	char *out = arena_alloc(a, n + 1);

	if (!out)
		return SLICE("");
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' '
									  : text[i];
	return (struct slice){out, n};
}

static void add_grpc_status(struct px *p, struct fields *to, int grpc, const char *text)
{
	struct arena *a = p->x->arena;
	char *num = arena_alloc(a, 4);

	if (!num)
		return;
	snprintf(num, 4, "%d", grpc);
	fields_add(to, a, SLICE("grpc-status"), slice_of(num));
	if (p->informs)
		fields_add(to, a, SLICE("grpc-message"), grpc_text(a, text));
	p->grpc_status = grpc;
}

static void grpc_answer(struct px *p, int grpc, const char *text)
{
	struct exch *x = p->x;

	exch_answer(x, 200);
	fields_add(&x->rsp.fields, x->arena, SLICE("content-type"),
		SLICE("application/grpc"));
	add_grpc_status(p, &x->rsp.fields, grpc, text);
}

enum flow px_answer(struct px *p, int status, int grpc, bool close, const char *text)
{
	struct exch *x = p->x;

	if (p->is_grpc)
		grpc_answer(p, grpc, text);
	else
		exch_answer(x, status);
	if (p->informs) {
		fields_add(&x->rsp.fields, x->arena, SLICE("l5d-proxy-error"),
			field_text(x->arena, text));
		if (close && !p->is_grpc)
			fields_add(&x->rsp.fields, x->arena,
				SLICE("l5d-proxy-connection"), SLICE("close"));
	}
	if (close && p->version != HTTP_2)
		x->rsp.close = true;
	return FLOW_TURN;
}

/* What the proxy that asks may begin again, at another endpoint; or NULL. */
static const char *unanswered(const struct px *p)
{
	const struct exch *x = p->x;
	bool refused = x->err.code == ERR_SYS && x->err.sys == ECONNREFUSED;

	if (p->side != SIDE_IN || !p->informs)
		return NULL;
	if (refused && !x->touched)
		return PX_REFUSED;
	/* also when nobody took it then a second time */
	return x->unheard && method_is_idempotent(x->req.method) ? PX_LOST : NULL;
}

/* Untouched, in HTTP/2: that is what REFUSED_STREAM means (RFC 9113 §8.7). */
static enum flow refuse_stream(struct px *p, const struct err *e)
{
	px_count_error(p, rescues[e->code].label);
	log_warn("proxy", "request refused", LS("direction", "inbound"),
		LZ("authority", p->x->req.authority), LE(e));
	p->x->reset_code = HTTP_REFUSED_STREAM;
	return FLOW_NEXT;
}

enum flow px_fail(struct px *p, const struct err *e)
{
	const struct rescue *r = &rescues[e->code];

	px_count_error(p, r->label);
	log_warn("proxy", "request failed",
		LS("direction", p->side == SIDE_IN ? "inbound" : "outbound"),
		LZ("authority", p->x->req.authority), LI("status", r->status), LE(e));
	return px_answer(p, r->status, r->grpc, true, e->msg);
}

static enum flow rescue_error(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;
	const char *what = unanswered(p);
	struct err e = x->err;

	(void)shared, (void)state;
	if (x->reset_code >= 0 && x->req.version == HTTP_2 && !p->was_h1)
		return FLOW_NEXT; /* an HTTP/2 peer's reset goes on as a reset */
	p->error = px_error_name(x);
	if (p->endpoint)
		endpoint_name(p->endpoint, &e);
	if (what && !x->touched && p->version == HTTP_2)
		return refuse_stream(p, &e);
	(void)px_fail(p, &e);
	if (what)
		fields_add(
			&x->rsp.fields, x->arena, SLICE(PX_UNANSWERED), slice_of(what));
	return FLOW_TURN;
}

static const char *refusal_label(const struct rsp_head *rsp, const struct err *why)
{
	if (rsp->status == 408)
		return "head timeout";
	if (rsp->status == 431)
		return "head too large";
	return why->code == ERR_SYNTAX ? "malformed request" : "unexpected";
}

void px_refused(struct pworker *w, enum side side, bool informs, struct rsp_head *rsp,
	struct arena *a, const struct err *why)
{
	count_error(w, side, refusal_label(rsp, why));
	log_info("proxy", "request refused",
		LS("direction", side == SIDE_IN ? "inbound" : "outbound"),
		LI("status", rsp->status), LE(why));
	if (!informs)
		return;
	fields_add(&rsp->fields, a, SLICE("l5d-proxy-error"), field_text(a, why->msg));
	fields_add(&rsp->fields, a, SLICE("l5d-proxy-connection"), SLICE("close"));
}

/*
 * A gRPC response that breaks off in the middle has its status in trailers: a client
 * would make INTERNAL or UNKNOWN of a reset.  The peer's own reset goes on as one.
 */
static const struct fields *rescue_cut(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;
	struct fields *trailers;
	struct err e = x->err;

	(void)shared, (void)state;
	if (!p->is_grpc || x->reset_code >= 0 || !fields_is_grpc(&x->rsp.fields))
		return NULL;
	trailers = arena_alloc(x->arena, sizeof *trailers);
	if (!trailers)
		return NULL;
	if (p->endpoint)
		endpoint_name(p->endpoint, &e);
	px_count_error(p, rescues[e.code].label);
	log_warn("proxy", "response cut",
		LS("direction", p->side == SIDE_IN ? "inbound" : "outbound"),
		LZ("authority", x->req.authority), LE(&e));
	add_grpc_status(p, trailers, rescues[e.code].grpc, e.msg);
	return trailers;
}

const struct filter rescue_filter = {
	.name = "rescue", .on_error = rescue_error, .on_cut = rescue_cut};
