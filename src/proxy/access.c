/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/inbound_int.h"

#define VALUE_MAX 1024 /* bytes shown of one */
#define VALUE_MIN 64   /* ... where a line would be too long */

struct access_log {
	struct pworker *worker;
	bool json;
	struct buf lines;
	unsigned count;
	struct later flush;
	struct series *lost;
};

struct entry { /* the filter's state: of one request, as it came */
	struct slice method, path, authority, scheme, trace_id, user_agent;
	enum http_version version;
	int64_t length;
	uint64_t wall, begun, answered; /* wall and mono times */
};

/* ---- lines leave together ---- */

static void flush(struct access_log *a)
{
	if (a->count && !log_raw(buf_slice(&a->lines)))
		series_add(a->lost, a->worker->index, a->count);
	buf_clear(&a->lines);
	a->count = 0;
}

static void on_flush(struct later *d)
{
	flush(container_of(d, struct access_log, flush));
}

struct access_log *access_log_new(struct pworker *w, bool json)
{
	struct access_log *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->worker = w;
	a->json = json;
	a->lost = metrics_series(w->metrics, M_ACCESS_LOST, SLICE(""));
	later_init(&a->flush, on_flush);
	return a;
}

static void add_line(struct access_log *a, struct slice line)
{
	if (buf_len(&a->lines) + line.n > LOG_ATOM)
		flush(a);
	if (buf_adds(&a->lines, line) == 0)
		a->count++;
	loop_later(a->worker->loop, &a->flush);
}

/* ---- values ---- */

struct line {
	struct buf *out;
	size_t value_max;
	const struct exch *x;
	const struct in_conn *conn;
	const struct entry *e;
	uint64_t now;
};

static void timestamp(uint64_t wall, char out[CLOCK_TEXT])
{
	size_t n;

	clock_rfc3339(wall, false, out);
	n = strlen(out) - 1; /* its Z */
	snprintf(out + n, CLOCK_TEXT - n, ".%09lluZ",
		(unsigned long long)(wall % NS_PER_S));
}

static const char *version_name(enum http_version v)
{
	if (v == HTTP_2)
		return "HTTP/2.0";
	return v == HTTP_1_0 ? "HTTP/1.0" : "HTTP/1.1";
}

static struct slice cut(const struct line *l, struct slice s)
{
	s.n = s.n < l->value_max ? s.n : l->value_max;
	return s;
}

/* What a client wrote can end neither a line nor a quotation. */
static void plain(const struct line *l, struct slice s)
{
	s = cut(l, s);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c == '"' || c == '\\' || c >= 0x7f)
			buf_printf(l->out, "\\x%02x", c);
		else
			buf_char(l->out, (char)c);
	}
}

static void quoted(const struct line *l, struct slice s)
{
	buf_json(l->out, cut(l, s));
}

static void uri(
	const struct line *l, void (*write)(const struct line *l, struct slice s))
{
	const struct entry *e = l->e;

	if (e->authority.n && !slice_is(e->path, "*")) {
		if (e->path.n) { /* else CONNECT */
			write(l, e->scheme.n ? e->scheme : SLICE("http"));
			buf_text(l->out, "://");
		}
		write(l, e->authority);
	}
	write(l, e->path);
}

static const char *client_id(const struct line *l)
{
	return *in_identity(l->conn) ? in_identity(l->conn) : "-";
}

/* ---- formats ---- */

static void apache(const struct line *l)
{
	char peer[ADDR_TEXT], when[CLOCK_TEXT];

	timestamp(l->e->wall, when);
	buf_printf(l->out, "%s %s - [%s] \"", addr_text(&l->conn->peer, peer),
		client_id(l), when);
	plain(l, l->e->method);
	buf_char(l->out, ' ');
	uri(l, plain);
	buf_printf(l->out, " %s\"", version_name(l->e->version));
	if (l->x->rsp.status)
		buf_printf(l->out, " %d", l->x->rsp.status);
	buf_char(l->out, '\n');
}

static void text_field(const struct line *l, const char *name, struct slice value)
{
	buf_printf(l->out, ",\"%s\":\"", name);
	quoted(l, value);
	buf_char(l->out, '"');
}

static void number_field(const struct line *l, const char *name, uint64_t n)
{
	buf_printf(l->out, ",\"%s\":\"%llu\"", name, (unsigned long long)n);
}

static uint64_t processing(const struct line *l, uint64_t total)
{
	const struct px *p = l->x->user;
	uint64_t app = 0;

	if (l->e->answered > p->sent && p->sent)
		app = l->e->answered - p->sent;
	return app < total ? total - app : 0;
}

static void json_response(const struct line *l)
{
	uint64_t total = l->now - l->e->begun;

	if (!l->x->rsp.status)
		return;
	buf_printf(l->out, ",\"status\":%d", l->x->rsp.status);
	if (l->x->rsp.length >= 0)
		number_field(l, "response_bytes", (uint64_t)l->x->rsp.length);
	number_field(l, "total_ns", total);
	number_field(l, "processing_ns", processing(l, total));
}

static void json(const struct line *l)
{
	char peer[ADDR_TEXT], when[CLOCK_TEXT];

	timestamp(l->e->wall, when);
	buf_printf(l->out, "{\"client.addr\":\"%s\"", addr_text(&l->conn->peer, peer));
	text_field(l, "client.id", slice_of(client_id(l)));
	text_field(l, "timestamp", slice_of(when));
	text_field(l, "method", l->e->method);
	buf_text(l->out, ",\"uri\":\"");
	uri(l, quoted);
	buf_char(l->out, '"');
	text_field(l, "version", slice_of(version_name(l->e->version)));
	text_field(l, "trace_id", l->e->trace_id);
	if (l->e->length > 0)
		number_field(l, "request_bytes", (uint64_t)l->e->length);
	else
		text_field(l, "request_bytes", SLICE(""));
	json_response(l);
	text_field(l, "user_agent", l->e->user_agent);
	text_field(l, "host", l->e->authority);
	buf_text(l->out, "}\n");
}

/* ---- the filter ---- */

static struct slice trace_id(const struct fields *f)
{
	static const struct slice names[] = {
		{"x-b3-traceid", 12}, {"x-request-id", 12}, {"x-amzn-trace-id", 15}};
	const struct field *found = NULL;

	for (size_t i = 0; i < countof(names) && !found; i++)
		found = fields_find(f, names[i]);
	return found ? found->value : SLICE("");
}

static enum flow on_request(struct exch *x, void *shared, void *state)
{
	struct entry *e = state;

	(void)shared;
	*e = (struct entry){.method = x->req.method,
		.path = x->req.path,
		.authority = x->req.authority,
		.scheme = x->req.scheme,
		.trace_id = trace_id(&x->req.fields),
		.user_agent = fields_get(&x->req.fields, SLICE("user-agent")),
		.version = x->req.version,
		.length = x->req.length,
		.wall = clock_wall(),
		.begun = clock_mono()};
	return FLOW_NEXT;
}

static enum flow on_response(struct exch *x, void *shared, void *state)
{
	(void)x, (void)shared;
	((struct entry *)state)->answered = clock_mono();
	return FLOW_NEXT;
}

static void on_done(struct exch *x, void *shared, void *state)
{
	struct access_log *a = ((struct px *)x->user)->worker->access;
	struct buf b = BUF_LIMIT(LOG_ATOM);
	struct line l = {.out = &b,
		.value_max = VALUE_MAX,
		.x = x,
		.conn = x->conn_ctx,
		.e = state,
		.now = clock_mono()};

	(void)shared;
	(a->json ? json : apache)(&l);
	if (b.failed) {
		buf_fini(&b);
		b = BUF_LIMIT(LOG_ATOM);
		l.value_max = VALUE_MIN;
		(a->json ? json : apache)(&l);
	}
	if (!b.failed)
		add_line(a, buf_slice(&b));
	buf_fini(&b);
}

const struct filter access_filter = {.name = "access",
	.state_size = sizeof(struct entry),
	.on_request = on_request,
	.on_response = on_response,
	.on_done = on_done};
