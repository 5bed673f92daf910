/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "http/channel.h"

struct fetch {
	struct exch x; /* first */
	struct arena arena;
	struct later later; /* frees it, at the end of the turn */
	struct stack stack;
	const struct fetch_user *user; /* NULL: nobody listens any more */
	void *arg;
	struct slice body;
	size_t sent;
};

static struct fetch *fetch_of(struct exch *x)
{
	return (struct fetch *)x;
}

static void on_head(struct exch *x)
{
	struct fetch *f = fetch_of(x);

	if (f->user && f->user->on_head)
		f->user->on_head(f->arg, f, &x->rsp);
	if (x->at != EXCH_OVER)
		exch_rsp_credit(x, 256 * 1024);
}

static void on_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct fetch *f = fetch_of(x);

	if (f->user && f->user->on_data)
		f->user->on_data(f->arg, f, slice_bytes(p, n));
	if (x->at != EXCH_OVER)
		exch_rsp_credit(x, n);
}

static void on_end(struct exch *x, const struct fields *trailers)
{
	(void)x, (void)trailers;
}

static void send_body(struct fetch *f)
{
	while (f->sent < f->body.n && f->x.req_credit && f->x.at != EXCH_OVER) {
		size_t n = f->body.n - f->sent;
		const uint8_t *p = (const uint8_t *)f->body.p + f->sent;

		n = n < f->x.req_credit ? n : f->x.req_credit;
		f->sent += n;
		exch_req_data(&f->x, p, n);
	}
	if (f->sent == f->body.n && f->x.at != EXCH_OVER)
		exch_req_end(&f->x, NULL);
}

static void on_credit(struct exch *x, size_t n)
{
	(void)n;
	send_body(fetch_of(x));
}

static void on_over(struct exch *x)
{
	struct fetch *f = fetch_of(x);
	const struct fetch_user *user = f->user;

	f->user = NULL;
	if (user)
		user->on_over(f->arg, f, &x->err);
	loop_later(x->loop, &f->later);
}

static const struct source fetch_source = {.head = on_head,
	.data = on_data,
	.end = on_end,
	.credit = on_credit,
	.over = on_over};

static void on_later(struct later *d)
{
	struct fetch *f = container_of(d, struct fetch, later);

	arena_fini(&f->arena);
	free(f);
}

static struct slice keep(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (!p)
		return SLICE("");
	if (s.n)
		memcpy(p, s.p, s.n);
	return (struct slice){p, s.n};
}

static void fill(struct fetch *f, struct channel *c, const struct fetch_spec *spec)
{
	struct req_head *h = &f->x.req;

	h->version = HTTP_1_1;
	h->method = keep(&f->arena, slice_of(spec->method));
	h->path = keep(&f->arena, slice_of(spec->path));
	h->scheme = SLICE("https");
	h->authority = slice_of(channel_authority(c));
	h->length = (int64_t)spec->body.n;
	for (size_t i = 0; i < spec->nfields; i++)
		fields_add(&h->fields, &f->arena, keep(&f->arena, spec->fields[i].name),
			keep(&f->arena, spec->fields[i].value));
	f->body = keep(&f->arena, spec->body);
}

struct fetch *fetch_begin(struct channel *c, const struct fetch_spec *spec,
	const struct fetch_user *user, void *arg, struct err *e)
{
	struct fetch *f = calloc(1, sizeof *f);

	if (!f) {
		err_set(e, ERR_LIMIT, "no memory for a call");
		return NULL;
	}
	arena_init(&f->arena, spec->body.n + (1 << 20));
	later_init(&f->later, on_later);
	f->user = user;
	f->arg = arg;
	f->x.arena = &f->arena;
	f->x.loop = channel_loop(c);
	f->x.source = &fetch_source;
	channel_stack(c, &f->stack);
	fill(f, c, spec);
	exch_begin(&f->x, &f->stack);
	if (!f->body.n && f->x.at != EXCH_OVER)
		exch_req_end(&f->x, NULL);
	return f;
}

void fetch_end(struct fetch *f)
{
	struct err e;

	f->user = NULL;
	err_set(&e, ERR_CLOSED, "the caller has left");
	exch_cancel(&f->x, &e);
}
