/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1head.h"

#include <stdio.h>

#include "base/obj.h"
#include "http/serverint.h"

/* ---- in ---- */

enum hop_field {
	HOP_NOT,
	HOP_CONNECTION,
	HOP_HOST,
	HOP_LENGTH,
	HOP_UPGRADE,
	HOP_TE,
	HOP_EXPECT,
	HOP_DROP,
};

/* By length first: most fields are none of these. */
static enum hop_field hop_field(struct slice name)
{
	switch (name.n) {
	case 2:
		return slice_is(name, "te") ? HOP_TE : HOP_NOT;
	case 4:
		return slice_is(name, "host") ? HOP_HOST : HOP_NOT;
	case 6:
		return slice_is(name, "expect") ? HOP_EXPECT : HOP_NOT;
	case 7:
		return slice_is(name, "upgrade") ? HOP_UPGRADE : HOP_NOT;
	case 10:
		if (slice_is(name, "keep-alive"))
			return HOP_DROP;
		return slice_is(name, "connection") ? HOP_CONNECTION : HOP_NOT;
	case 14:
		return slice_is(name, "content-length") ? HOP_LENGTH : HOP_NOT;
	case 16:
		return slice_is(name, "proxy-connection") ? HOP_DROP : HOP_NOT;
	case 17:
		return slice_is(name, "transfer-encoding") ? HOP_DROP : HOP_NOT;
	default:
		return HOP_NOT;
	}
}

struct reading {
	struct slice host, upgrade, named[16]; /* named by Connection */
	size_t nnamed, hosts;
	bool upgrades, expects, te_trailers;
};

static void read_connection(struct slice v, struct h1_hop *hop, struct reading *r)
{
	struct slice part;

	while (slice_cut(&v, ',', &part)) {
		part = slice_trim(part);
		if (slice_ieq(part, SLICE("close")))
			hop->close = true;
		else if (slice_ieq(part, SLICE("keep-alive")))
			hop->keep_alive = true;
		else if (slice_ieq(part, SLICE("upgrade")))
			r->upgrades = true;
		else if (part.n && r->nnamed < countof(r->named))
			r->named[r->nnamed++] = part;
	}
}

static bool is_named(const struct reading *r, struct slice name)
{
	for (size_t i = 0; i < r->nnamed; i++)
		if (slice_ieq(r->named[i], name))
			return true;
	return false;
}

static int read_fields(const struct http1_head *in, struct arena *a, struct fields *out,
	struct h1_hop *hop, struct reading *r, struct err *e)
{
	for (size_t i = 0; i < in->n; i++)
		if (hop_field(in->fields[i].name) == HOP_CONNECTION)
			read_connection(in->fields[i].value, hop, r);
	for (size_t i = 0; i < in->n; i++) {
		const struct http1_field *f = &in->fields[i];

		switch (hop_field(f->name)) {
		case HOP_HOST:
			r->host = f->value;
			r->hosts++;
			break;
		case HOP_UPGRADE:
			r->upgrade = f->value;
			break;
		case HOP_TE:
			r->te_trailers = slice_ieq(f->value, SLICE("trailers"));
			break;
		case HOP_EXPECT:
			r->expects = slice_ieq(f->value, SLICE("100-continue"));
			if (fields_add(out, a, f->name, f->value) < 0)
				return err_set(e, ERR_LIMIT, "too many fields");
			break;
		case HOP_CONNECTION:
		case HOP_LENGTH:
		case HOP_DROP:
			break;
		case HOP_NOT:
			if (r->nnamed && is_named(r, f->name))
				break;
			if (fields_add(out, a, f->name, f->value) < 0)
				return err_set(e, ERR_LIMIT, "too many fields");
			break;
		}
	}
	return 0;
}

/* "http://host/path" → authority and path; CONNECT's target is an authority. */
static int read_target(struct slice target, struct req_head *out, struct err *e)
{
	struct slice rest = target;
	size_t i = 0;

	if (slice_is(out->method, "CONNECT")) {
		out->authority = target;
		out->path = SLICE("");
		return 0;
	}
	out->path = target;
	if (target.p[0] == '/' || slice_is(target, "*"))
		return 0;
	while (i + 2 < target.n && memcmp(target.p + i, "://", 3) != 0)
		i++;
	if (i == 0 || i + 3 >= target.n)
		return err_set(e, ERR_SYNTAX, "malformed request target");
	out->scheme = (struct slice){target.p, i};
	rest.p += i + 3;
	rest.n -= i + 3;
	for (i = 0; i < rest.n && rest.p[i] != '/' && rest.p[i] != '?';)
		i++;
	out->authority = (struct slice){rest.p, i};
	out->path = (struct slice){rest.p + i, rest.n - i};
	if (!out->path.n)
		out->path = SLICE("/");
	out->absolute_form = true;
	return 0;
}

int h1_request(const struct http1_head *in, struct arena *a, struct req_head *out,
	struct h1_hop *hop, struct err *e)
{
	struct reading r = {0};

	*hop = (struct h1_hop){0};
	*out = (struct req_head){.version = in->minor ? HTTP_1_1 : HTTP_1_0,
		.method = in->method,
		.scheme = SLICE("http")};
	if (read_target(in->target, out, e) < 0 ||
		read_fields(in, a, &out->fields, hop, &r, e) < 0)
		return -1;
	if (r.hosts > 1 || (r.hosts == 0 && in->minor == 1))
		return err_set(
			e, ERR_SYNTAX, r.hosts ? "more than one Host" : "no Host");
	if (in->coded)
		return err_set(e, ERR_SYNTAX, "a transfer coding other than chunked");
	if (!out->authority.n)
		out->authority = r.host;
	if (!out->authority.p)
		out->authority = SLICE("");
	out->no_host = r.hosts == 0;
	out->te_trailers = r.te_trailers;
	out->expects_100 = r.expects && in->minor == 1;
	if (r.upgrades && in->minor == 1)
		out->upgrade = r.upgrade;
	out->length = in->chunked ? BODY_UNKNOWN : in->length > 0 ? in->length : 0;
	hop->framing = in->chunked      ? HTTP1_CHUNKED
		       : in->length > 0 ? HTTP1_LENGTH
					: HTTP1_NO_BODY;
	if (in->minor == 0)
		hop->close = !hop->keep_alive;
	return 0;
}

static enum http1_framing response_framing(
	const struct http1_head *in, struct slice method)
{
	if (in->status == 101 || (slice_is(method, "CONNECT") && in->status / 100 == 2))
		return HTTP1_TUNNEL;
	if (slice_is(method, "HEAD") || in->status < 200 || in->status == 204 ||
		in->status == 304)
		return HTTP1_NO_BODY;
	if (in->chunked)
		return HTTP1_CHUNKED;
	if (in->coded || in->length < 0)
		return HTTP1_UNTIL_CLOSE;
	return in->length ? HTTP1_LENGTH : HTTP1_NO_BODY;
}

int h1_response(const struct http1_head *in, struct arena *a, struct slice method,
	struct rsp_head *out, struct h1_hop *hop, struct err *e)
{
	struct reading r = {0};

	*hop = (struct h1_hop){0};
	*out = (struct rsp_head){.version = in->minor ? HTTP_1_1 : HTTP_1_0,
		.status = in->status,
		.reason = in->reason,
		.length = in->chunked ? BODY_UNKNOWN : in->length};
	if (read_fields(in, a, &out->fields, hop, &r, e) < 0)
		return -1;
	if (in->status == 101)
		out->upgrade = r.upgrade;
	hop->framing = response_framing(in, method);
	if (in->minor == 0)
		hop->close = !hop->keep_alive;
	if (hop->framing == HTTP1_UNTIL_CLOSE)
		hop->close = true;
	return 0;
}

/* ---- out ---- */

struct text {
	char *p;
	size_t n;
	bool full;
};

static void put(struct text *t, const char *p, size_t n)
{
	if (n > HEAD_TEXT - t->n) {
		t->full = true;
		return;
	}
	if (n)
		memcpy(t->p + t->n, p, n);
	t->n += n;
}

#define PUT(t, lit) put(t, lit, sizeof(lit) - 1)

static void put_field(struct text *t, struct slice name, struct slice value)
{
	put(t, name.p, name.n);
	PUT(t, ": ");
	put(t, value.p, value.n);
	PUT(t, "\r\n");
}

static void put_fields(struct text *t, const struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		put_field(t, f->v[i].name, f->v[i].value);
}

static void put_length(struct text *t, int64_t n)
{
	char num[24];

	snprintf(num, sizeof num, "%lld", (long long)n);
	put_field(t, SLICE("content-length"), slice_of(num));
}

/* Whose requests have a body by their nature, so that none is said as a length of 0. */
static bool wants_length(struct slice method)
{
	return slice_is(method, "POST") || slice_is(method, "PUT") ||
	       slice_is(method, "PATCH");
}

size_t h1_write_request(const struct req_head *h, bool chunked, char *to)
{
	struct text t = {to, 0, false};

	put(&t, h->method.p, h->method.n);
	PUT(&t, " ");
	if (h->absolute_form) {
		put(&t, h->scheme.p, h->scheme.n);
		PUT(&t, "://");
	}
	if (h->absolute_form || slice_is(h->method, "CONNECT"))
		put(&t, h->authority.p, h->authority.n);
	put(&t, h->path.p, h->path.n);
	if (h->version == HTTP_1_0)
		PUT(&t, " HTTP/1.0\r\n");
	else
		PUT(&t, " HTTP/1.1\r\n");
	if (!h->no_host)
		put_field(&t, SLICE("host"), h->authority);
	put_fields(&t, &h->fields);
	if (h->te_trailers)
		PUT(&t, "te: trailers\r\n");
	if (h->upgrade.n) {
		PUT(&t, "connection: upgrade\r\n");
		put_field(&t, SLICE("upgrade"), h->upgrade);
	}
	if (h->version == HTTP_1_0)
		PUT(&t, "connection: close\r\n");
	if (chunked)
		PUT(&t, "transfer-encoding: chunked\r\n");
	else if (h->length > 0 || (h->length == 0 && wants_length(h->method)))
		put_length(&t, h->length);
	PUT(&t, "\r\n");
	return t.full ? 0 : t.n;
}

size_t h1_write_response(
	const struct rsp_head *h, const struct h1_response_opts *o, char *to)
{
	bool bodiless = h->status < 200 || h->status == 204;
	struct slice reason =
		h->reason.n ? h->reason : slice_of(status_reason(h->status));
	struct text t = {to, 0, false};
	char line[32];

	put(&t, line,
		(size_t)snprintf(line, sizeof line, "HTTP/1.%d %d ", o->minor0 ? 0 : 1,
			h->status));
	put(&t, reason.p, reason.n);
	PUT(&t, "\r\n");
	put_fields(&t, &h->fields);
	if (h->upgrade.n) {
		PUT(&t, "connection: upgrade\r\n");
		put_field(&t, SLICE("upgrade"), h->upgrade);
	} else if (o->close) {
		PUT(&t, "connection: close\r\n");
	} else if (o->keep_alive) {
		PUT(&t, "connection: keep-alive\r\n");
	}
	if (o->chunked)
		PUT(&t, "transfer-encoding: chunked\r\n");
	else if (h->length >= 0 && !bodiless && (h->status != 304 || h->length > 0))
		put_length(&t, h->length);
	PUT(&t, "\r\n");
	return t.full ? 0 : t.n;
}

size_t h1_write_last_chunk(const struct fields *trailers, char *to)
{
	struct text t = {to, 0, false};

	PUT(&t, "0\r\n");
	if (trailers)
		put_fields(&t, trailers);
	PUT(&t, "\r\n");
	return t.full ? 0 : t.n;
}
