/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "http/h1head.h"
#include "http/serverint.h"
#include "http/spelling.h"

bool h1_text_grow(struct h1_text *t, struct arena *a, size_t head_max)
{
	size_t cap = t->cap + 2 * head_max; /* what filters add is less */
	char *p = t->full ? arena_alloc(a, cap) : NULL;

	if (!p)
		return false;
	*t = (struct h1_text){.p = p, .cap = cap};
	return true;
}

static void add(struct h1_text *t, struct slice s)
{
	if (s.n > t->cap - t->n) {
		t->full = true;
		return;
	}
	if (s.n)
		memcpy(t->p + t->n, s.p, s.n);
	t->n += s.n;
}

#define ADD(t, lit) add(t, SLICE(lit))

static void add_number(struct h1_text *t, uint64_t v, unsigned base)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = "0123456789abcdef"[v % base];
		v /= base;
	} while (v);
	add(t, slice_bytes(digits + at, sizeof digits - at));
}

static void add_name(struct h1_text *t, const struct field *f)
{
	if (f->name.n > t->cap - t->n) {
		t->full = true;
		return;
	}
	spell(f, t->p + t->n);
	t->n += f->name.n;
	ADD(t, ": ");
}

static void add_field(struct h1_text *t, const struct field *f)
{
	add_name(t, f);
	add(t, f->value);
	ADD(t, "\r\n");
}

/* A field that the codec has to say, in the message's own style. */
#define OWN(t, titled, title, lower, value)                                            \
	add(t, titled ? SLICE(title ": " value) : SLICE(lower ": " value))

static const struct slice cookie = SLICE("cookie");

/* HTTP/2 may cut a cookie into crumbs (RFC 9113, section 8.2.3). */
static void add_cookies(struct h1_text *t, const struct fields *f, size_t first)
{
	add_name(t, &f->v[first]);
	add(t, f->v[first].value);
	for (size_t i = first + 1; i < f->n; i++) {
		if (!slice_eq(f->v[i].name, cookie))
			continue;
		ADD(t, "; ");
		add(t, f->v[i].value);
	}
	ADD(t, "\r\n");
}

static void add_fields(struct h1_text *t, const struct fields *f, bool join_cookies)
{
	bool cookies = false;

	for (size_t i = 0; i < f->n; i++) {
		struct slice name = f->v[i].name;

		if (!join_cookies || !slice_eq(name, cookie)) {
			add_field(t, &f->v[i]);
		} else if (!cookies) {
			cookies = true;
			add_cookies(t, f, i);
		}
	}
}

/* A bodiless response may tell the length that another would have had. */
static void add_framing(
	struct h1_text *t, enum h1_framing framing, int64_t length, bool titled)
{
	if (framing == H1_CHUNKED)
		OWN(t, titled, "Transfer-Encoding", "transfer-encoding", "chunked\r\n");
	if (framing != H1_LENGTH)
		return;
	OWN(t, titled, "Content-Length", "content-length", "");
	add_number(t, (uint64_t)length, 10);
	ADD(t, "\r\n");
}

enum h1_framing h1_request_framing(const struct req_head *req)
{
	static const char *const with_body[] = {"POST", "PUT", "PATCH"};

	if (req->length == BODY_UNKNOWN)
		return H1_CHUNKED;
	if (req->length > 0 || req->says_length)
		return H1_LENGTH;
	for (size_t i = 0; i < countof(with_body); i++)
		if (slice_is(req->method, with_body[i]))
			return H1_LENGTH;
	return H1_NONE;
}

static void add_upgrade(struct h1_text *t, struct slice to, bool titled)
{
	OWN(t, titled, "Connection", "connection", "upgrade\r\n");
	OWN(t, titled, "Upgrade", "upgrade", "");
	add(t, to);
	ADD(t, "\r\n");
}

static void add_target(struct h1_text *t, const struct req_head *req)
{
	if (slice_is(req->method, "CONNECT")) {
		add(t, req->authority);
		return;
	}
	if (req->absolute_form) {
		add(t, req->scheme);
		ADD(t, "://");
		add(t, req->authority);
	}
	if (!req->absolute_form || !slice_is(req->path, "*"))
		add(t, req->path);
}

void h1_write_request(
	struct h1_text *t, const struct req_head *req, enum h1_framing framing)
{
	bool host = req->authority.n || !req->no_host, titled = req->titled;

	add(t, req->method);
	ADD(t, " ");
	add_target(t, req);
	if (host) {
		ADD(t, " HTTP/1.1\r\n");
		OWN(t, titled, "Host", "host", "");
	} else {
		ADD(t, " HTTP/1.0\r\n");
		OWN(t, titled, "Connection", "connection", "keep-alive");
	}
	add(t, req->authority);
	ADD(t, "\r\n");
	add_fields(t, &req->fields, true);
	add_framing(t, framing, req->length, titled);
	if (req->upgrade.n)
		add_upgrade(t, req->upgrade, titled);
	if (req->te_trailers) {
		OWN(t, titled, "Connection", "connection", "te\r\n");
		OWN(t, titled, "TE", "te", "trailers\r\n");
	}
	ADD(t, "\r\n");
}

enum h1_framing h1_response_framing(const struct rsp_head *rsp, int minor, bool head)
{
	int status = rsp->status;

	if (head || status / 100 == 1 || status == 204 || status == 304)
		return H1_NONE;
	if (rsp->length != BODY_UNKNOWN)
		return H1_LENGTH;
	return minor ? H1_CHUNKED : H1_CLOSE;
}

static bool says_length(const struct rsp_head *rsp)
{
	if (rsp->status / 100 == 1 || rsp->status == 204)
		return false;
	return rsp->status == 304 ? rsp->length > 0 : rsp->length >= 0;
}

void h1_write_response(struct h1_text *t, const struct rsp_head *rsp,
	enum h1_framing framing, struct h1_hop say)
{
	struct slice reason =
		rsp->reason.n ? rsp->reason : slice_of(status_reason(rsp->status));

	ADD(t, "HTTP/1.1 ");
	add_number(t, (uint64_t)rsp->status, 10);
	ADD(t, " ");
	add(t, reason);
	ADD(t, "\r\n");
	add_fields(t, &rsp->fields, false);
	if (framing == H1_NONE && says_length(rsp))
		framing = H1_LENGTH;
	add_framing(t, framing, rsp->length, rsp->titled);
	if (rsp->status == 101)
		add_upgrade(t, rsp->upgrade, rsp->titled);
	else if (say.close)
		OWN(t, rsp->titled, "Connection", "connection", "close\r\n");
	else if (say.keep_alive)
		OWN(t, rsp->titled, "Connection", "connection", "keep-alive\r\n");
	ADD(t, "\r\n");
}

/* The last chunk, what follows it, and the end.  HTTP/2's may name what only a head
 * may say (RFC 9110, section 6.5.1). */
void h1_write_trailers(struct h1_text *t, const struct fields *trailers)
{
	ADD(t, "0\r\n");
	for (size_t i = 0; trailers && i < trailers->n; i++)
		if (!h1_is_own(trailers->v[i].name))
			add_field(t, &trailers->v[i]);
	ADD(t, "\r\n");
}

void h1_write_chunk_size(struct h1_text *t, size_t n)
{
	add_number(t, n, 16);
	ADD(t, "\r\n");
}
