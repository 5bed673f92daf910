/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "http/siteint.h"

/*
 * Requests to a site.  A handler's answer is only noted; it goes out at the end of the
 * turn, so that a call never ends inside one of the handler's own calls.
 */
#define WINDOW      ((size_t)64 * 1024)
#define BACKLOG_MAX ((size_t)16 * 1024 * 1024) /* of a stream nobody reads */

enum answer_at {
	ANSWER_NONE,    /* the handler has not answered yet */
	ANSWER_NOTED,   /* the head is to be sent */
	ANSWER_STARTED, /* it was */
	ANSWER_OVER,    /* all of it was, or the connection was taken over */
};

struct site_call {
	struct call call; /* first */
	struct exch *x;
	struct site_conn *conn;
	struct later later;
	enum answer_at at;
	bool handled; /* the handler was called, or never will be */
	bool ending;  /* nothing will be added to `out` */
	bool sending; /* credit given meanwhile is used by the one who sends */
	bool cut;     /* it reads too slowly */
	bool owes_room;
	bool *gone; /* set when the call ends while it sends */
	int status;
	int64_t length;
	struct fields fields;
	struct buf body, out;
};

static struct site_call *sc_of(struct call *c)
{
	return (struct site_call *)c;
}

/* ---- sending ---- */

static void send_head(struct site_call *sc)
{
	struct exch *x = sc->x;

	sc->at = ANSWER_STARTED;
	x->rsp = (struct rsp_head){.version = x->req.version,
		.status = sc->status,
		.fields = sc->fields,
		.length = sc->length};
	exch_response(x);
}

static void send_body(struct site_call *sc, bool *gone)
{
	size_t n;

	while (!*gone && (n = buf_len(&sc->out)) && sc->x->rsp_credit) {
		n = n < sc->x->rsp_credit ? n : sc->x->rsp_credit;
		exch_rsp_data(sc->x, (const uint8_t *)buf_slice(&sc->out).p, n);
		if (!*gone)
			buf_take(&sc->out, n);
	}
}

static void tell_room(struct site_call *sc)
{
	if (!sc->owes_room || buf_len(&sc->out) > CONN_LOW)
		return;
	sc->owes_room = false;
	if (sc->call.on_room)
		sc->call.on_room(&sc->call);
}

static void send_some(struct site_call *sc)
{
	bool gone = false;

	if (sc->sending || sc->at == ANSWER_NONE || sc->at == ANSWER_OVER)
		return;
	sc->sending = true;
	sc->gone = &gone;
	if (sc->at == ANSWER_NOTED)
		send_head(sc);
	if (!gone)
		send_body(sc, &gone);
	if (gone)
		return;
	sc->sending = false;
	sc->gone = NULL;
	if (sc->ending && !buf_len(&sc->out)) {
		sc->at = ANSWER_OVER;
		exch_rsp_end(sc->x, NULL);
	} else {
		tell_room(sc);
	}
}

static void on_later(struct later *d)
{
	struct site_call *sc = container_of(d, struct site_call, later);
	struct err e;

	if (!sc->cut) {
		send_some(sc);
		return;
	}
	err_set(&e, ERR_LIMIT, "the client reads too slowly");
	exch_cancel(sc->x, &e);
}

static void answer_soon(struct site_call *sc)
{
	loop_later(sc->call.loop, &sc->later);
}

static bool wants_no_body(const struct site_call *sc)
{
	return slice_is(sc->x->req.method, "HEAD") || sc->status == 204 ||
	       sc->status == 304;
}

static bool answer(struct site_call *sc, int status, const char *type, int64_t length)
{
	if (sc->at != ANSWER_NONE)
		return false;
	sc->at = ANSWER_NOTED;
	sc->handled = true;
	sc->status = status;
	sc->length = length;
	if (type)
		call_header(&sc->call, "content-type", type);
	answer_soon(sc);
	return true;
}

/* ---- for handlers ---- */

static struct slice keep(struct arena *a, const char *text, bool lower)
{
	size_t n = strlen(text);
	char *p = arena_alloc(a, n + 1);

	if (!p)
		return SLICE_NONE;
	for (size_t i = 0; i < n; i++) {
		bool upper = text[i] >= 'A' && text[i] <= 'Z';

		p[i] = (char)(lower && upper ? text[i] | 0x20 : text[i]);
	}
	return slice_bytes(p, n);
}

void call_header(struct call *c, const char *name, const char *value)
{
	struct slice n = keep(c->arena, name, true), v = keep(c->arena, value, false);

	if (n.p && v.p && !memchr(v.p, '\r', v.n) && !memchr(v.p, '\n', v.n))
		(void)fields_add(&sc_of(c)->fields, c->arena, n, v);
}

void call_reply(struct call *c, int status, const char *type, struct slice body)
{
	struct site_call *sc = sc_of(c);

	if (!answer(sc, status, type, (int64_t)body.n))
		return;
	sc->ending = true;
	if (!wants_no_body(sc) && buf_adds(&sc->out, body) < 0)
		sc->cut = true;
}

void call_text(struct call *c, int status, const char *fmt, ...)
{
	struct buf text = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	(void)buf_vprintf(&text, fmt, ap); /* what fits is said */
	va_end(ap);
	call_reply(c, status, "text/plain; charset=utf-8", buf_slice(&text));
	buf_fini(&text);
}

void call_stream(struct call *c, int status, const char *type)
{
	(void)answer(sc_of(c), status, type, BODY_UNKNOWN);
}

void call_send(struct call *c, struct slice bytes)
{
	struct site_call *sc = sc_of(c);

	if (sc->at == ANSWER_NONE || sc->ending || sc->cut || wants_no_body(sc))
		return;
	if (buf_adds(&sc->out, bytes) < 0 || buf_len(&sc->out) > BACKLOG_MAX)
		sc->cut = true;
	if (buf_len(&sc->out) > CONN_LOW)
		sc->owes_room = true;
	answer_soon(sc);
}

size_t call_backlog(const struct call *c)
{
	return buf_len(&((const struct site_call *)c)->out);
}

void call_end(struct call *c)
{
	struct site_call *sc = sc_of(c);

	if (sc->at == ANSWER_NONE)
		return;
	sc->ending = true;
	answer_soon(sc);
}

struct conn *call_upgrade(struct call *c, const char *protocol)
{
	struct site_call *sc = sc_of(c);
	struct exch *x = sc->x;
	struct conn *conn;

	if (sc->at != ANSWER_NONE || !sc->conn->http ||
		!slice_ieq(x->req.upgrade, slice_of(protocol)))
		return NULL;
	x->rsp = (struct rsp_head){.version = HTTP_1_1,
		.status = 101,
		.fields = sc->fields,
		.upgrade = keep(c->arena, protocol, false)};
	conn = http_server_take(sc->conn->http, x);
	if (conn)
		sc->at = ANSWER_OVER;
	return conn;
}

/* ---- targets ---- */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %XX (and + in a query) undone; p == NULL when malformed or there is no room. */
static struct slice decode(struct arena *a, struct slice s, bool plus)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;

	if (!out)
		return SLICE_NONE;
	for (size_t i = 0; i < s.n; i++) {
		int v = (unsigned char)s.p[i];

		if (v == '%') {
			if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
				return SLICE_NONE;
			v = hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]);
			i += 2;
		} else if (v == '+' && plus) {
			v = ' ';
		}
		if (v == 0)
			return SLICE_NONE;
		out[n++] = (char)v;
	}
	return slice_bytes(out, n);
}

struct slice call_param(struct call *c, const char *name)
{
	struct slice rest = c->query, pair;

	while (slice_cut(&rest, '&', &pair)) {
		struct slice value = pair, key;

		(void)slice_cut(&value, '=', &key);
		key = decode(c->arena, key, true);
		if (!key.p || !slice_is(key, name))
			continue;
		return decode(c->arena, value.p ? value : SLICE(""), true);
	}
	return SLICE_NONE;
}

struct slice call_query(struct call *c)
{
	return decode(c->arena, c->query, true);
}

/* ---- routes ---- */

static bool route_has(const struct route *r, struct slice path)
{
	struct slice at = slice_of(r->path);

	return at.n && at.p[at.n - 1] == '/' ? slice_starts(path, at)
					     : slice_eq(path, at);
}

static bool method_fits(const struct route *r, struct slice method)
{
	return strcmp(r->method, "*") == 0 || slice_is(method, r->method) ||
	       (slice_is(method, "HEAD") && strcmp(r->method, "GET") == 0);
}

/* The longest path that fits; *exists: there is one, for another method. */
static const struct route *find_route(
	const struct site *s, struct slice path, struct slice method, bool *exists)
{
	const struct route *best = NULL;

	*exists = false;
	for (size_t i = 0; i < s->nroutes; i++) {
		const struct route *r = &s->routes[i];

		if (!route_has(r, path))
			continue;
		*exists = true;
		if (method_fits(r, method) &&
			(!best || strlen(r->path) > strlen(best->path)))
			best = r;
	}
	return best;
}

static void handle(struct site_call *sc)
{
	struct call *c = &sc->call;
	bool exists;
	const struct route *r =
		find_route(sc->conn->site, c->path, c->req->method, &exists);

	sc->handled = true;
	c->body = buf_slice(&sc->body);
	if (sc->conn->site->permit && !sc->conn->site->permit(c))
		return;
	if (r)
		r->handle(c);
	else if (exists)
		call_text(c, 405, "method not allowed\n");
	else
		call_text(c, 404, "not found\n");
}

/* ---- the exchange: a site is its service ---- */

static void too_large(struct site_call *sc)
{
	call_text(&sc->call, 413, "the body is larger than %zu bytes\n",
		sc->conn->site->body_max);
}

static void service_begin(struct exch *x, void *shared)
{
	struct site_call *sc = x->user;

	(void)shared;
	exch_req_credit(x, WINDOW);
	if (!sc->call.path.p)
		call_text(&sc->call, 400, "malformed path\n");
	else if (x->req.length > 0 &&
		 (uint64_t)x->req.length > sc->conn->site->body_max)
		too_large(sc);
	else if (x->req.upgrade.n && x->req.length == 0)
		handle(sc); /* its end comes after the answer (exch.h) */
}

static void service_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	struct site_call *sc = x->user;

	(void)shared;
	if (sc->handled)
		return;
	if (buf_len(&sc->body) + n > sc->conn->site->body_max ||
		buf_add(&sc->body, p, n) < 0)
		too_large(sc);
	else
		exch_req_credit(x, n);
}

static void service_end(struct exch *x, void *shared, const struct fields *trailers)
{
	struct site_call *sc = x->user;

	(void)shared, (void)trailers;
	if (!sc->handled)
		handle(sc);
}

static void service_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared, (void)n;
	send_some(x->user);
}

static const struct service site_service = {.begin = service_begin,
	.data = service_data,
	.end = service_end,
	.credit = service_credit};

static void call_over(struct exch *x, void *shared, void *state)
{
	struct site_call *sc = x->user;

	(void)shared, (void)state;
	if (sc->gone)
		*sc->gone = true;
	sc->at = ANSWER_OVER;
	later_clear(&sc->later);
	if (sc->call.on_gone)
		sc->call.on_gone(&sc->call);
	later_clear(&sc->later);
	buf_fini(&sc->body);
	buf_fini(&sc->out);
}

static const struct filter site_filter = {.name = "site", .on_done = call_over};
static const struct stack site_stack = {
	.count = 1, .layer = {{&site_filter, NULL}}, .service = &site_service};

static void split_target(struct call *c)
{
	struct slice path = c->req->path;
	const char *mark = memchr(path.p, '?', path.n);

	c->query = SLICE("");
	if (mark) {
		size_t n = (size_t)(mark - path.p);

		c->query = slice_bytes(mark + 1, path.n - n - 1);
		path.n = n;
	}
	c->path = decode(c->arena, path, false);
}

void site_exch(void *arg, struct exch *x)
{
	struct site_conn *conn = arg;
	struct site_call *sc = arena_alloc(x->arena, sizeof *sc);
	struct err e;

	if (!sc) {
		err_set(&e, ERR_LIMIT, "no memory for a request");
		exch_cancel(x, &e);
		return;
	}
	sc->x = x;
	sc->conn = conn;
	later_init(&sc->later, on_later);
	sc->call = (struct call){.req = &x->req,
		.peer = conn->peer,
		.peer_id = conn->peer_id,
		.is_tls = conn->is_tls,
		.site_arg = conn->site->arg,
		.loop = conn->site->loop,
		.arena = x->arena};
	split_target(&sc->call);
	x->user = sc;
	exch_begin(x, &site_stack);
}
