/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a matched rule does to heads: header edits, redirects, injected failures
 * (spec proxy.md §10.7).  The rule's filters come before a backend is chosen: a
 * redirect needs none.
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

/* Host is not among the fields: it is the request's authority. */
static void edit_request_fields(struct px *p, const struct field_edit *edit)
{
	struct exch *x = p->x;
	const struct field *host;

	edit_fields(&x->req.fields, x->arena, edit);
	host = fields_find(&x->req.fields, SLICE("host"));
	if (!host)
		return;
	x->req.authority = host->value;
	fields_remove(&x->req.fields, SLICE("host"));
}

static enum flow fail(struct px *p, const struct route_filter *f)
{
	if (f->denominator && random_u64() % f->denominator >= f->numerator)
		return FLOW_NEXT;
	if (p->route && p->route->is_grpc)
		return px_answer(p, 500, (int)f->status, false, f->message);
	return px_answer(
		p, (int)f->status, GRPC_FAILED_PRECONDITION, false, f->message);
}

/* The path, or with what the rule matched by prefix replaced. */
static void redirect_path(
	struct buf *b, const struct px *p, const struct route_filter *f)
{
	struct slice path = p->x->req.path;
	const char *prefix = rule_prefix(p->rule, path);
	size_t cut = prefix ? strlen(prefix) : 0;

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

/* A port that is said counts; a scheme that is said means its own; else it stays. */
static void redirect_authority(
	struct buf *b, const struct px *p, const struct route_filter *f)
{
	struct slice authority = p->x->req.authority, host = authority_host(authority);
	const char *scheme = f->scheme ? f->scheme : "http";
	unsigned usual = strcmp(scheme, "https") == 0 ? 443 : 80;

	buf_printf(b, "%s://", scheme);
	if (f->host)
		buf_text(b, f->host);
	else
		buf_adds(b, host);
	if (f->port && f->port != usual)
		buf_printf(b, ":%u", f->port);
	else if (!f->port && !f->scheme)
		buf_add(b, authority.p + host.n, authority.n - host.n);
}

static enum flow redirect(struct px *p, const struct route_filter *f)
{
	struct exch *x = p->x;
	struct buf b = BUF_LIMIT(16384);
	char *location;

	redirect_authority(&b, p, f);
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
			edit_request_fields(p, &v[i].edit);
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

enum flow px_edit_backend(struct px *p)
{
	return apply_request(p, p->backend_filters, p->nbackend_filters);
}

static enum flow edit_request(struct exch *x, void *shared, void *state)
{
	struct px *p = x->user;

	(void)shared, (void)state;
	if (!p->rule)
		return FLOW_NEXT;
	return apply_request(p, p->rule->filters, p->rule->nfilters);
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
