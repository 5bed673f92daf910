/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "http/grpc.h"
#include "http/grpcframe.h"

struct grpc_call {
	struct exch x; /* first */
	struct arena arena;
	struct later later;
	struct stack stack;
	const struct grpc_user *user; /* NULL: nobody listens any more */
	void *arg;
	struct grpc_reader in;
	struct buf out;
	bool last;      /* nothing follows what is in `out` */
	bool beginning; /* its user does not know it yet */
	int status;
	char text[256];
};

static struct grpc_call *call_of(struct exch *x)
{
	return (struct grpc_call *)x;
}

/* ---- the answer ---- */

/* gRPC over HTTP/2: what an answer without grpc-status means. */
static int status_of_http(int status)
{
	switch (status) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void percent_decode(struct slice s, char *out, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n && n + 1 < size; i++) {
		if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 &&
			hex(s.p[i + 2]) >= 0) {
			out[n++] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
			i += 2;
		} else {
			out[n++] = s.p[i];
		}
	}
	out[n] = '\0';
}

static void read_status(struct grpc_call *c, const struct fields *f)
{
	struct slice status = fields_get(f, SLICE("grpc-status"));
	uint64_t n;

	if (!status.n)
		return;
	c->status = slice_u64(status, 1000, &n) ? (int)n : GRPC_UNKNOWN;
	percent_decode(fields_get(f, SLICE("grpc-message")), c->text, sizeof c->text);
}

static void on_head(struct exch *x)
{
	struct grpc_call *c = call_of(x);

	read_status(c, &x->rsp.fields);
	if (c->status < 0 && x->rsp.status != 200) {
		c->status = status_of_http(x->rsp.status);
		snprintf(c->text, sizeof c->text, "HTTP status %d", x->rsp.status);
	} else if (c->status < 0 && !fields_is_grpc(&x->rsp.fields)) {
		c->status = GRPC_UNKNOWN; /* gRPC over HTTP/2: some other server */
		snprintf(c->text, sizeof c->text, "the answer is no gRPC but \"%.*s\"",
			SLICE_FMT(fields_get(&x->rsp.fields, SLICE("content-type"))));
	}
	exch_rsp_credit(x, 1 << 20);
}

static bool on_message(void *arg, struct slice message)
{
	struct grpc_call *c = arg;

	if (c->user && c->user->on_message)
		c->user->on_message(c->arg, c, message);
	return c->user != NULL;
}

static void on_data(struct exch *x, const uint8_t *p, size_t n)
{
	struct grpc_call *c = call_of(x);
	struct err e;

	if (!c->user || c->status >= 0) { /* not for us; let it end */
		exch_rsp_credit(x, n);
		return;
	}
	if (grpc_read(&c->in, p, n, on_message, c, &e) < 0) {
		exch_cancel(x, &e);
		return;
	}
	if (x->at != EXCH_OVER)
		exch_rsp_credit(x, n);
}

static void on_end(struct exch *x, const struct fields *trailers)
{
	if (trailers)
		read_status(call_of(x), trailers);
}

static int status_of_err(const struct err *e)
{
	return e->code == ERR_LIMIT ? GRPC_RESOURCE_EXHAUSTED : GRPC_UNAVAILABLE;
}

static void tell_over(struct grpc_call *c)
{
	const struct grpc_user *user = c->user;

	c->user = NULL;
	if (user && user->on_over)
		user->on_over(
			c->arg, c, c->status < 0 ? GRPC_UNKNOWN : c->status, c->text);
}

static void on_over(struct exch *x)
{
	struct grpc_call *c = call_of(x);

	if (c->status < 0 && x->err.code != ERR_NONE) {
		c->status = status_of_err(&x->err);
		snprintf(c->text, sizeof c->text, "%s", x->err.msg);
	}
	if (!c->beginning)
		tell_over(c);
	loop_later(x->loop, &c->later);
}

/* ---- the request ---- */

static void cut_short(struct grpc_call *c)
{
	struct err e;

	err_set(&e, ERR_LIMIT, "no memory to send a message");
	exch_cancel(&c->x, &e);
}

static void send_some(struct grpc_call *c)
{
	while (buf_len(&c->out) && c->x.req_credit && c->x.at != EXCH_OVER) {
		struct slice s = buf_slice(&c->out);
		struct buf piece = BUF_INIT;
		size_t n = s.n < c->x.req_credit ? s.n : c->x.req_credit;

		if (buf_add(&piece, s.p, n) < 0) {
			cut_short(c);
			return;
		}
		buf_take(&c->out, n);
		exch_req_data(&c->x, (const uint8_t *)buf_slice(&piece).p, n);
		buf_fini(&piece);
	}
	if (c->last && !buf_len(&c->out) && c->x.at != EXCH_OVER)
		exch_req_end(&c->x, NULL);
}

static void on_credit(struct exch *x, size_t n)
{
	(void)n;
	send_some(call_of(x));
}

static const struct source call_source = {.head = on_head,
	.data = on_data,
	.end = on_end,
	.credit = on_credit,
	.over = on_over};

static void call_free(struct grpc_call *c)
{
	grpc_reader_fini(&c->in);
	buf_fini(&c->out);
	arena_fini(&c->arena);
	free(c);
}

static void on_later(struct later *d)
{
	struct grpc_call *c = container_of(d, struct grpc_call, later);

	tell_over(c); /* when it was over before its user knew it */
	call_free(c);
}

static int fill(struct grpc_call *c, struct channel *ch, const char *path)
{
	struct req_head *h = &c->x.req;
	size_t n = strlen(path);
	char *p = arena_alloc(&c->arena, n + 1);

	if (!p)
		return -1;
	memcpy(p, path, n);
	h->version = HTTP_2;
	h->method = SLICE("POST");
	h->scheme = SLICE("http");
	h->authority = slice_of(channel_authority(ch));
	h->path = (struct slice){p, n};
	h->length = BODY_UNKNOWN;
	h->te_trailers = true;
	if (fields_add(&h->fields, &c->arena, SLICE("content-type"),
		    SLICE("application/grpc")) < 0)
		return -1;
	return fields_add(&h->fields, &c->arena, SLICE("user-agent"),
		SLICE("mesh/" MESH_VERSION));
}

struct grpc_call *grpc_call_begin(struct channel *ch, const char *path,
	struct slice request, bool more, const struct grpc_user *user, void *arg,
	struct err *e)
{
	struct grpc_call *c = calloc(1, sizeof *c);

	if (!c) {
		err_set(e, ERR_LIMIT, "no memory for a call");
		return NULL;
	}
	arena_init(&c->arena, 1 << 20);
	later_init(&c->later, on_later);
	c->user = user;
	c->arg = arg;
	c->status = -1;
	c->last = !more;
	c->x.arena = &c->arena;
	c->x.loop = channel_loop(ch);
	c->x.source = &call_source;
	channel_stack(ch, &c->stack);
	if (fill(c, ch, path) < 0 || grpc_frame(&c->out, request) < 0) {
		err_set(e, ERR_LIMIT, "no memory for a call");
		call_free(c);
		return NULL;
	}
	c->beginning = true;
	exch_begin(&c->x, &c->stack);
	c->beginning = false;
	return c;
}

void grpc_call_send(struct grpc_call *c, struct slice message, bool last)
{
	if (grpc_frame(&c->out, message) < 0) {
		cut_short(c);
		return;
	}
	c->last = last;
	send_some(c);
}

void grpc_call_end(struct grpc_call *c)
{
	struct err e;

	c->user = NULL;
	err_set(&e, ERR_CLOSED, "the caller has left");
	if (c->x.at != EXCH_OVER)
		exch_cancel(&c->x, &e);
}
