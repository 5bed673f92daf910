/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a matched rule does to heads: header edits, redirects, injected failures
 * (spec proxy.md §10.7).
 */
#include <stdio.h>

#include "base/clock.h"
#include "http/grpc.h"
#include "proxy/px.h"

static void edit_fields(
	struct fields *f, struct arena *a, const struct field_edit *edit)
{
	for (size_t i = 0; i < edit->nadd; i++)
		fields_add(
			f, a, slice_of(edit->add[i].key), slice_of(edit->add[i].value));
	for (size_t i = 0; i < edit->nset; i++)
		fields_set(
			f, a, slice_of(edit->set[i].key), slice_of(edit->set[i].value));
	for (size_t i = 0; i < edit->nremove; i++)
		fields_remove(f, slice_of(edit->remove[i]));
}

static enum flow fail(struct px *p, const struct route_filter *f)
{
	if (f->denominator && random_u64() % f->denominator >= f->numerator)
		return FLOW_NEXT;
	if (p->route && p->route->is_grpc)
		return px_answer(p, 200, (int)f->status, false, f->message);
	return px_answer(
		p, (int)f->status, GRPC_FAILED_PRECONDITION, false, f->message);
}

/* The path that the rule matched by prefix, with the prefix replaced. */
static void redirect_path(
	struct buf *b, const struct px *p, const struct route_filter *f)
{
	struct slice path = p->x->req.path;
	const struct request_match *m = p->rule->nmatches ? &p->rule->matches[0] : NULL;
	size_t cut = m && m->path.kind == MATCH_PREFIX ? strlen(m->path.text) : 0;

	if (f->path_full) {
		buf_text(b, f->path_full);
		return;
	}
	if (!f->path_prefix || cut > path.n) {
		buf_adds(b, path);
		return;
	}
	buf_text(b, f->path_prefix);
	while (cut < path.n && path.p[cut] == '/' && buf_len(b) &&
		buf_slice(b).p[buf_len(b) - 1] == '/')
		cut++;
	buf_add(b, path.p + cut, path.n - cut);
}

static enum flow redirect(struct px *p, const struct route_filter *f)
{
	struct exch *x = p->x;
	struct buf b = BUF_LIMIT(16384);
	char *location;

	buf_text(&b, f->scheme ? f->scheme : "http");
	buf_text(&b, "://");
	if (f->host)
		buf_text(&b, f->host);
	else
		buf_adds(&b, x->req.authority);
	if (f->port)
		buf_printf(&b, ":%u", f->port);
	redirect_path(&b, p, f);
	location = arena_alloc(x->arena, buf_len(&b) + 1);
	px_answer(p, f->status ? (int)f->status : 302, GRPC_NOT_FOUND, false,
		"redirected");
	if (location && !b.failed) {
		memcpy(location, buf_slice(&b).p, buf_len(&b));
		fields_set(&x->rsp.fields, x->arena, SLICE("location"),
			(struct slice){location, buf_len(&b)});
	}
	buf_fini(&b);
	return FLOW_TURN;
}

static enum flow apply_request(struct px *p, const struct route_filter *v, size_t n)
{
	enum flow f = FLOW_NEXT;

	for (size_t i = 0; i < n && f == FLOW_NEXT; i++)
		switch (v[i].kind) {
		case RF_FAIL:
			f = fail(p, &v[i]);
			break;
		case RF_REDIRECT:
			f = redirect(p, &v[i]);
			break;
		case RF_REQUEST_FIELDS:
			edit_fields(&p->x->req.fields, p->x->arena, &v[i].edit);
			break;
		case RF_RESPONSE_FIELDS:
			break;
		}
	return f;
}

static void apply_response(struct px *p, const struct route_filter *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v[i].kind == RF_RESPONSE_FIELDS)
			edit_fields(&p->x->rsp.fields, p->x->arena, &v[i].edit);
}

static enum flow edit_request(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;
	enum flow f = FLOW_NEXT;

	(void)shared, (void)state;
	if (p->rule)
		f = apply_request(p, p->rule->filters, p->rule->nfilters);
	if (f == FLOW_NEXT)
		f = apply_request(p, p->backend_filters, p->nbackend_filters);
	return f;
}

static enum flow edit_response(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	apply_response(p, p->backend_filters, p->nbackend_filters);
	if (p->rule)
		apply_response(p, p->rule->filters, p->rule->nfilters);
	return FLOW_NEXT;
}

const struct filter edit_filter = {
	.name = "edit", .on_request = edit_request, .on_response = edit_response};
