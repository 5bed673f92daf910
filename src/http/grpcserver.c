/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/grpc.h"
#include "http/grpcframe.h"
#include "net/tcp.h"
#include "net/tlsconn.h"

#define BACKLOG_MAX ((size_t)64 * 1024 * 1024) /* of one call that nobody reads */
#define CALL_CHUNK  3072                       /* calls last, and there are thousands */

struct grpc_server {
	struct loop *loop;
	struct listener *listener;
	struct snap *creds;
	const struct grpc_method *methods;
	size_t nmethods;
	void *arg;
	struct list conns; /* server_conn */
	struct http_server_config http;
	bool draining;
	void (*drained)(void *arg);
	void *drained_arg;
};

struct server_conn {
	struct list node;
	struct grpc_server *server;
	struct conn *conn; /* until HTTP begins */
	struct http_server *http;
	char peer_id[TLS_ID_MAX];
};

struct grpc_request {
	struct exch *x;
	struct server_conn *conn;
	const struct grpc_method *method;
	struct grpc_reader in;
	struct buf out;
	bool head_sent, ending, ended, sending;
	int status;
	char text[256];
	void *arg;
	void (*on_gone)(struct grpc_request *r);
};

/* ---- answers ---- */

static void send_head(struct grpc_request *r)
{
	struct exch *x = r->x;

	if (r->head_sent)
		return;
	r->head_sent = true;
	x->rsp = (struct rsp_head){
		.version = HTTP_2, .status = 200, .length = BODY_UNKNOWN};
	fields_add(&x->rsp.fields, x->arena, SLICE("content-type"),
		SLICE("application/grpc"));
	exch_response(x);
}

static struct slice percent_encode(struct arena *a, const char *text)
{
	size_t n = strlen(text), at = 0;
	char *out = arena_alloc(a, 3 * n + 1);

	if (!out)
		return SLICE("");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= 0x20 && c < 0x7f && c != '%')
			out[at++] = (char)c;
		else
			at += (size_t)snprintf(out + at, 4, "%%%02X", c);
	}
	return (struct slice){out, at};
}

static void add_status(struct grpc_request *r, struct fields *f)
{
	char *num = arena_alloc(r->x->arena, 8);

	if (!num)
		return;
	snprintf(num, 8, "%d", r->status);
	fields_add(f, r->x->arena, SLICE("grpc-status"), slice_of(num));
	if (r->text[0])
		fields_add(f, r->x->arena, SLICE("grpc-message"),
			percent_encode(r->x->arena, r->text));
}

static void send_end(struct grpc_request *r)
{
	struct exch *x = r->x;
	struct fields *trailers;

	r->ended = true;
	if (!r->head_sent) { /* trailers only */
		r->head_sent = true;
		x->rsp = (struct rsp_head){
			.version = HTTP_2, .status = 200, .length = BODY_UNKNOWN};
		fields_add(&x->rsp.fields, x->arena, SLICE("content-type"),
			SLICE("application/grpc"));
		add_status(r, &x->rsp.fields);
		exch_response(x);
		if (x->at != EXCH_OVER)
			exch_rsp_end(x, NULL);
		return;
	}
	trailers = arena_alloc(x->arena, sizeof *trailers);
	if (trailers)
		add_status(r, trailers);
	exch_rsp_end(x, trailers);
}

static void send_some(struct grpc_request *r)
{
	struct exch *x = r->x;

	if (r->sending || !x || x->at == EXCH_OVER)
		return;
	r->sending = true;
	while (buf_len(&r->out) && x->rsp_credit && x->at != EXCH_OVER) {
		struct slice s = buf_slice(&r->out);
		size_t n = s.n < x->rsp_credit ? s.n : x->rsp_credit;

		exch_rsp_data(x, (const uint8_t *)s.p, n);
		buf_take(&r->out, n);
	}
	r->sending = false;
	if (r->ending && !r->ended && !buf_len(&r->out) && x->at != EXCH_OVER)
		send_end(r);
}

void grpc_send(struct grpc_request *r, struct slice message)
{
	if (!r->x || r->ending)
		return;
	if (grpc_frame(&r->out, message) < 0) {
		grpc_end(r, GRPC_RESOURCE_EXHAUSTED, "no memory for a message");
		return;
	}
	if (buf_len(&r->out) > BACKLOG_MAX) {
		buf_fini(&r->out);
		grpc_end(r, GRPC_RESOURCE_EXHAUSTED, "the client reads too slowly");
		return;
	}
	send_head(r);
	send_some(r);
}

size_t grpc_backlog(const struct grpc_request *r)
{
	return buf_len(&r->out);
}

void grpc_end(struct grpc_request *r, int status, const char *text)
{
	if (!r->x || r->ending)
		return;
	r->ending = true;
	r->status = status;
	snprintf(r->text, sizeof r->text, "%s", text ? text : "");
	send_some(r);
}

/* ---- a call being served ---- */

void *grpc_server_arg(const struct grpc_request *r)
{
	return r->conn->server->arg;
}

void grpc_set(
	struct grpc_request *r, void *arg, void (*on_gone)(struct grpc_request *r))
{
	r->arg = arg;
	r->on_gone = on_gone;
}

void *grpc_get(const struct grpc_request *r)
{
	return r->arg;
}

const char *grpc_peer_id(const struct grpc_request *r)
{
	return r->conn->peer_id;
}

struct slice grpc_metadata(const struct grpc_request *r, const char *name)
{
	return fields_get(&r->x->req.fields, slice_of(name));
}

static const struct grpc_method *find_method(
	const struct grpc_server *s, struct slice path)
{
	for (size_t i = 0; i < s->nmethods; i++)
		if (slice_is(path, s->methods[i].path))
			return &s->methods[i];
	return NULL;
}

static void service_begin(struct exch *x, void *shared)
{
	struct grpc_request *r = x->user;

	(void)shared;
	exch_req_credit(x, 64 * 1024);
	r->method = find_method(r->conn->server, x->req.path);
	if (!r->method) {
		char text[200];

		snprintf(text, sizeof text, "unknown method %.*s",
			SLICE_FMT(x->req.path));
		grpc_end(r, GRPC_UNIMPLEMENTED, text);
	}
}

static bool on_message(void *arg, struct slice message)
{
	struct grpc_request *r = arg;

	if (r->method && !r->ending)
		r->method->on_message(r, message);
	return r->x && !r->ending;
}

static void service_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	struct grpc_request *r = x->user;
	struct err e;

	(void)shared;
	if (!r->ending && grpc_read(&r->in, p, n, on_message, r, &e) < 0)
		grpc_end(r,
			e.code == ERR_SYNTAX ? GRPC_UNIMPLEMENTED
					     : GRPC_RESOURCE_EXHAUSTED,
			e.msg);
	if (x->at != EXCH_OVER)
		exch_req_credit(x, n);
}

static void service_end(struct exch *x, void *shared, const struct fields *trailers)
{
	struct grpc_request *r = x->user;

	(void)shared, (void)trailers;
	if (r->method && r->method->on_half_close && !r->ending)
		r->method->on_half_close(r);
}

static void service_credit(struct exch *x, void *shared, size_t n)
{
	(void)shared, (void)n;
	send_some(x->user);
}

static const struct service grpc_service = {.begin = service_begin,
	.data = service_data,
	.end = service_end,
	.credit = service_credit};

static void request_done(struct exch *x, void *shared, void *state)
{
	struct grpc_request *r = x->user;

	(void)shared, (void)state;
	if (!r)
		return;
	if (r->on_gone)
		r->on_gone(r);
	r->x = NULL;
	x->user = NULL;
	grpc_reader_fini(&r->in);
	buf_fini(&r->out);
}

static const struct filter grpc_filter = {.name = "grpc", .on_done = request_done};
static const struct stack grpc_stack = {
	.count = 1, .layer = {{&grpc_filter, NULL}}, .service = &grpc_service};

/* ---- connections ---- */

static void conn_free(struct server_conn *c)
{
	struct grpc_server *s = c->server;

	list_remove(&c->node);
	free(c);
	if (s->draining && list_is_empty(&s->conns) && s->drained) {
		void (*drained)(void *arg) = s->drained;

		s->drained = NULL;
		drained(s->drained_arg);
	}
}

static void on_exch(void *arg, struct exch *x)
{
	struct grpc_request *r = arena_alloc(x->arena, sizeof *r);
	struct err e;

	if (!r) {
		err_set(&e, ERR_LIMIT, "no memory for a call");
		exch_cancel(x, &e);
		return;
	}
	*r = (struct grpc_request){.x = x, .conn = arg};
	x->user = r;
	exch_begin(x, &grpc_stack);
}

static void on_gone(void *arg, const struct err *e)
{
	(void)e;
	conn_free(arg);
}

static const struct http_server_user server_user = {
	.on_exch = on_exch, .on_gone = on_gone};

static void serve(struct server_conn *c)
{
	struct conn *conn = c->conn;
	struct err e;

	c->conn = NULL;
	c->http = http_server_new(
		conn, HTTP_KIND_2, &c->server->http, &server_user, c, &e);
	if (c->http)
		return;
	log_warn("http", "connection dropped", LE(&e));
	conn_end(conn);
	conn_free(c);
}

static void tls_open_(struct conn *conn, void *arg)
{
	struct server_conn *c = arg;

	snprintf(c->peer_id, sizeof c->peer_id, "%s", tls_peer_id(conn_tls(conn)));
	serve(c);
}

static size_t tls_in(struct conn *conn, void *arg, const uint8_t *p, size_t n)
{
	(void)conn, (void)arg, (void)p, (void)n;
	return 0;
}

static void tls_gone(struct conn *conn, void *arg, const struct err *e)
{
	(void)conn;
	log_info("http", "TLS handshake failed", LE(e));
	conn_free(arg);
}

static const struct conn_user tls_user = {
	.on_open = tls_open_, .on_in = tls_in, .on_gone = tls_gone};

static void begin_tls(struct server_conn *c)
{
	struct ref *creds = snap_get(c->server->creds);
	struct tls_config cfg = {
		.creds = (struct creds *)creds, .ask_client_cert = true};
	struct conn *tls = NULL;
	struct err e;

	if (creds)
		tls = tlsconn_server(c->conn, &cfg, 10 * NS_PER_S, &e);
	else
		conn_end(c->conn);
	ref_put(creds);
	c->conn = tls;
	if (tls)
		conn_use(tls, &tls_user, c);
	else
		conn_free(c);
}

static void accepted(void *arg, int fd, const struct addr *peer)
{
	struct grpc_server *s = arg;
	struct server_conn *c = calloc(1, sizeof *c);
	struct err e;

	(void)peer;
	if (!c)
		return;
	c->server = s;
	list_init(&c->node);
	c->conn = tcp_adopt(s->loop, fd, NULL, &e);
	if (!c->conn) {
		free(c);
		return;
	}
	list_push(&s->conns, &c->node);
	if (s->creds)
		begin_tls(c);
	else
		serve(c);
}

struct grpc_server *grpc_server_new(struct loop *l, const struct addr *at,
	struct snap *creds, const struct grpc_method *methods, size_t n, void *arg,
	struct err *e)
{
	struct listener_opts o = {.tuning.keepalive = 10 * NS_PER_S};
	struct grpc_server *s = calloc(1, sizeof *s);

	if (!s) {
		err_set(e, ERR_LIMIT, "no memory for a server");
		return NULL;
	}
	s->loop = l;
	s->creds = creds;
	s->methods = methods;
	s->nmethods = n;
	s->arg = arg;
	s->http.max_streams = 10000;
	s->http.exch_chunk = CALL_CHUNK;
	list_init(&s->conns);
	s->listener = listener_new(l, at, &o, accepted, s, e);
	if (!s->listener) {
		free(s);
		return NULL;
	}
	return s;
}

const struct addr *grpc_server_addr(const struct grpc_server *s)
{
	return listener_addr(s->listener);
}

void grpc_server_drain(struct grpc_server *s, void (*done)(void *arg), void *arg)
{
	struct server_conn *c;

	s->draining = true;
	s->drained = done;
	s->drained_arg = arg;
	listener_free(s->listener);
	s->listener = NULL;
	list_each(c, &s->conns, node) if (c->http) http_server_drain(c->http);
	if (list_is_empty(&s->conns) && s->drained) {
		s->drained = NULL;
		done(arg);
	}
}

void grpc_server_free(struct grpc_server *s)
{
	struct server_conn *c;

	if (!s)
		return;
	s->drained = NULL;
	listener_free(s->listener);
	while ((c = list_first(&s->conns, struct server_conn, node))) {
		if (c->http)
			http_server_end(c->http);
		else if (c->conn)
			conn_end(c->conn);
		list_remove(&c->node);
		free(c);
	}
	free(s);
}
