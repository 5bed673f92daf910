/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include <llhttp.h>

#include <sys/types.h>

#include "base/obj.h"
#include "wire/chunked.h"

#define CULPRIT_MAX 64 /* of a name, in a message */

static const char too_many[] = "too many fields";

enum http1_at {
	AT_START,    /* before a head */
	AT_LENGTH,   /* body: `left` bytes */
	AT_EOF,      /* body: until the input ends */
	AT_SIZE,     /* chunked: at a chunk's size */
	AT_CHUNK,    /* chunked: in data, `left` bytes */
	AT_CRLF,     /* chunked: behind a chunk's data */
	AT_TRAILERS, /* chunked: behind the last chunk */
	AT_TUNNEL,
	AT_BAD,
};

/* What llhttp's callbacks fill: one head or trailer section. */
struct fill {
	llhttp_t *parser;
	struct http1_head *head;
	struct slice culprit;
	bool too_many, broken;
	bool in_value; /* the last callback was a value's */
};

void http1_init(struct http1 *h, enum http1_kind kind, size_t head_max)
{
	*h = (struct http1){.kind = kind, .head_max = (uint32_t)head_max};
}

void http1_answers(struct http1 *h, bool head, bool connect)
{
	h->no_body = head;
	h->connect = connect;
}

void http1_tunnel(struct http1 *h)
{
	h->at = AT_TUNNEL;
}

bool http1_is_idle(const struct http1 *h)
{
	return h->at == AT_START;
}

static enum http1_got bad(struct http1 *h, int status, const char *why)
{
	h->at = AT_BAD;
	h->status = (uint16_t)status;
	h->why = why;
	return HTTP1_BAD;
}

/* The longest line's name: what to look at when a section is too large. */
static struct slice longest_line(struct slice rest)
{
	struct slice line, longest = SLICE(""), name;

	while (slice_cut(&rest, '\n', &line))
		if (line.n > longest.n)
			longest = line;
	slice_cut(&longest, ':', &name);
	return http1_is_token(name) ? name : SLICE("");
}

void http1_explain(const struct http1 *h, const struct http1_out *out, struct err *e)
{
	struct slice name = out->culprit;
	enum errc code = h->status == 431 ? ERR_LIMIT : ERR_SYNTAX;

	if (h->why == too_many)
		err_set(e, code, "%s (the limit is %d)", h->why, HTTP1_FIELDS_MAX);
	else if (code == ERR_LIMIT)
		err_set(e, code, "%s (the limit is %u bytes)", h->why, h->head_max);
	else
		err_set(e, code, "%s", h->why);
	if (name.n)
		err_wrap(e, "field \"%.*s\"",
			(int)(name.n < CULPRIT_MAX ? name.n : CULPRIT_MAX), name.p);
}

bool http1_is_token(struct slice s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			     (c >= 'A' && c <= 'Z');

		if (!alnum && (c == 0 || !strchr(marks, c)))
			return false;
	}
	return s.n > 0;
}

/* ---- callbacks: everything is in one piece, so a span is a whole word ---- */

static struct fill *fill_of(llhttp_t *p)
{
	return p->data;
}

static int on_target(llhttp_t *p, const char *at, size_t n)
{
	fill_of(p)->head->target = slice_bytes(at, n);
	return 0;
}

static int on_status(llhttp_t *p, const char *at, size_t n)
{
	fill_of(p)->head->reason = slice_bytes(at, n);
	return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t n)
{
	struct fill *f = fill_of(p);
	struct http1_head *head = f->head;

	f->in_value = false;
	if (head->nfields == HTTP1_FIELDS_MAX) {
		f->too_many = true;
		f->culprit = slice_bytes(at, n);
		return -1;
	}
	head->field[head->nfields].name = slice_bytes(at, n);
	head->field[head->nfields].value = SLICE("");
	head->nfields++;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct fill *f = fill_of(p);

	if (f->in_value && n) { /* a value in two pieces would be a folded line */
		f->broken = true;
		return -1;
	}
	f->in_value = n > 0;
	f->head->field[f->head->nfields - 1].value = slice_trim(slice_bytes(at, n));
	return 0;
}

static int on_head(llhttp_t *p)
{
	p->upgrade = 0; /* whether it is one, the answer will say */
	return HPE_PAUSED;
}

static int on_pause(llhttp_t *p)
{
	(void)p;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_target,
	.on_status = on_status,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_head,
	.on_chunk_header = on_pause,
	.on_message_complete = on_pause,
};

/* ---- where a head ends ---- */

/*
 * The length of the lines up to and with the first empty one; 0: not there yet; -1: a
 * bare CR, LF or NUL.  Lines scanned before are not scanned again.
 */
static ssize_t section_end(struct http1 *h, const uint8_t *p, size_t n)
{
	size_t line = h->scanned;
	const uint8_t *lf;

	while ((lf = memchr(p + line, '\n', n - line))) {
		size_t end = (size_t)(lf - p);

		if (end == line || p[end - 1] != '\r' ||
			memchr(p + line, '\r', end - 1 - line) ||
			memchr(p + line, '\0', end - line))
			return -1;
		if (end == line + 1) {
			h->scanned = 0;
			return (ssize_t)end + 1;
		}
		line = end + 1;
	}
	h->scanned = (uint32_t)line;
	return 0;
}

/* Empty lines before a message are tolerated (RFC 9112, section 2.2). */
static size_t skip_empty(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 2 && p[i] == '\r' && p[i + 1] == '\n')
		i += 2;
	return i;
}

/* ---- a head ---- */

static struct slice field_value(
	const struct http1_head *head, struct slice name, int *n)
{
	struct slice found = SLICE("");

	*n = 0;
	for (size_t i = 0; i < head->nfields; i++)
		if (head->field[i].name.n == name.n &&
			slice_ieq(head->field[i].name, name)) {
			found = head->field[i].value;
			++*n;
		}
	return found;
}

static const char *reason_of(const llhttp_t *parser, int e)
{
	const char *reason = llhttp_get_error_reason(parser);

	return reason && *reason ? reason : llhttp_errno_name(e);
}

static enum http1_got head_error(
	struct http1 *h, const struct fill *f, int e, struct http1_out *out)
{
	int lengths;

	out->culprit = f->culprit;
	if (f->too_many)
		return bad(h, 431, too_many);
	if (f->broken)
		return bad(h, 400, "a folded line");
	switch (e) {
	case HPE_INVALID_METHOD:
		return bad(h, 400, "a malformed request line");
	case HPE_INVALID_VERSION:
		return bad(h, 505, "not HTTP/1.0 or 1.1");
	case HPE_INVALID_TRANSFER_ENCODING:
		field_value(f->head, SLICE("content-length"), &lengths);
		return bad(h, 400,
			lengths ? "a length beside a transfer coding"
				: "a transfer coding that does not end in chunked");
	default:
		return bad(h, 400, reason_of(f->parser, e));
	}
}

/* One blank before the target and one behind it; llhttp would take more. */
static bool is_request_line(const char *sp, const char *end)
{
	const char *cr = memchr(sp, '\r', (size_t)(end - sp));
	const char *second = cr ? memchr(sp + 1, ' ', (size_t)(cr - sp - 1)) : NULL;

	return second && second > sp + 1 && cr - second == sizeof " HTTP/1.1" - 1;
}

/*
 * llhttp knows a list of methods; a proxy must not.  The method is checked here and
 * llhttp shown one it knows.
 */
static int run_request(llhttp_t *parser, struct http1_head *head, struct slice text)
{
	const char *sp = memchr(text.p, ' ', text.n);
	const char *alias = "POST";
	int e;

	if (!sp)
		return HPE_INVALID_METHOD;
	head->method = slice_bytes(text.p, (size_t)(sp - text.p));
	if (!http1_is_token(head->method) || !is_request_line(sp, text.p + text.n))
		return HPE_INVALID_METHOD;
	if (slice_is(head->method, "CONNECT"))
		alias = "CONNECT";
	e = llhttp_execute(parser, alias, strlen(alias));
	if (e != HPE_OK)
		return e;
	return llhttp_execute(parser, sp, text.n - head->method.n);
}

/* What llhttp leaves open: one coding only, and none in HTTP/1.0. */
static enum http1_got check_coding(struct http1 *h, struct http1_head *head)
{
	int n;
	struct slice coding = field_value(head, SLICE("transfer-encoding"), &n),
		     last = coding;

	head->chunked = n > 0;
	if (n == 0)
		return HTTP1_HEAD;
	if (head->minor == 0)
		return bad(h, 400, "a transfer coding in HTTP/1.0");
	if (n == 1 && slice_ieq(coding, SLICE("chunked")))
		return HTTP1_HEAD;
	/* RFC 9112, section 6.3: the last one decides whether it could be read at all
	 */
	while (slice_cut(&coding, ',', &last))
		;
	if (!slice_ieq(slice_trim(last), SLICE("chunked")))
		return bad(h, 400, "a transfer coding that does not end in chunked");
	return bad(h, 501, "a transfer coding other than chunked");
}

static bool is_bodiless(const struct http1 *h, int status)
{
	return h->no_body || status / 100 == 1 || status == 204 || status == 304;
}

/* RFC 9112, section 6.3. */
static void choose_body(
	struct http1 *h, struct http1_head *head, const llhttp_t *parser)
{
	bool sized = (parser->flags & F_CONTENT_LENGTH) != 0;
	int64_t said = sized ? (int64_t)parser->content_length : -1;

	head->upgrade =
		h->kind == HTTP1_RESPONSE &&
		(head->status == 101 || (h->connect && head->status / 100 == 2));
	head->until_end = false;
	head->length = 0;
	h->left = 0;
	h->at = AT_LENGTH;
	if (head->upgrade) {
		head->length = -1;
		h->at = AT_TUNNEL;
	} else if (h->kind == HTTP1_RESPONSE && is_bodiless(h, head->status)) {
		if (head->status / 100 == 1)
			h->at = AT_START; /* the final response follows */
		else if (head->status != 204)
			head->length = said;
		head->chunked = false;
	} else if (head->chunked) {
		head->length = -1;
		h->at = AT_SIZE;
	} else if (sized) {
		h->left = parser->content_length;
		head->length = said;
	} else if (h->kind == HTTP1_RESPONSE) {
		head->length = -1;
		head->until_end = true;
		h->at = AT_EOF;
	}
}

static enum http1_got parse_head(
	struct http1 *h, struct slice text, struct http1_out *out)
{
	struct http1_head *head = &out->head;
	llhttp_t parser;
	struct fill f = {.parser = &parser, .head = head};
	enum http1_got got;
	int e;

	head->method = head->target = head->reason = SLICE("");
	head->nfields = 0;
	llhttp_init(&parser, h->kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
		&settings);
	parser.data = &f;
	e = h->kind == HTTP1_REQUEST ? run_request(&parser, head, text)
				     : (int)llhttp_execute(&parser, text.p, text.n);
	if (e != HPE_PAUSED)
		return head_error(h, &f, e == HPE_OK ? HPE_INTERNAL : e, out);
	if (parser.http_major != 1 || parser.http_minor > 1)
		return bad(h, 505, "not HTTP/1.0 or 1.1");
	head->minor = parser.http_minor;
	head->status = parser.status_code;
	if (h->kind == HTTP1_RESPONSE && (head->status < 100 || head->status > 599))
		return bad(h, 502, "a status out of range");
	got = check_coding(h, head);
	if (got == HTTP1_HEAD && (parser.flags & F_CONTENT_LENGTH) &&
		parser.content_length > INT64_MAX)
		return bad(h, 413, "a body without measure");
	if (got == HTTP1_HEAD)
		choose_body(h, head, &parser);
	return got;
}

static enum http1_got too_large(
	struct http1 *h, const char *why, struct slice text, struct http1_out *out)
{
	if (text.n > h->head_max)
		text.n = h->head_max;
	out->culprit = longest_line(text);
	return bad(h, 431, why);
}

static enum http1_got next_head(
	struct http1 *h, const uint8_t *p, size_t n, struct http1_out *out)
{
	size_t skip = h->scanned ? 0 : skip_empty(p, n);
	ssize_t len;

	out->used = skip;
	p += skip;
	n -= skip;
	if (n == 0 || (n == 1 && p[0] == '\r'))
		return HTTP1_MORE;
	len = section_end(h, p, n);
	if (len < 0)
		return bad(h, 400, "a bare CR, a bare LF or a NUL");
	if ((size_t)len > h->head_max || (len == 0 && n >= h->head_max))
		return too_large(h, "the head is too large", slice_bytes(p, n), out);
	if (len == 0)
		return HTTP1_MORE;
	out->used += (size_t)len;
	return parse_head(h, slice_bytes(p, (size_t)len), out);
}

/* ---- bodies ---- */

static enum http1_got give(
	const uint8_t *p, size_t n, size_t data_max, struct http1_out *out)
{
	if (n == 0)
		return HTTP1_MORE;
	if (data_max == 0)
		return HTTP1_HELD;
	out->used = n < data_max ? n : data_max;
	out->data = slice_bytes(p, out->used);
	return HTTP1_DATA;
}

static size_t at_most(size_t n, uint64_t left)
{
	return n < left ? n : (size_t)left;
}

static enum http1_got message_end(struct http1 *h)
{
	h->at = AT_START;
	return HTTP1_END;
}

static enum http1_got next_length(struct http1 *h, const uint8_t *p, size_t n,
	size_t data_max, struct http1_out *out)
{
	enum http1_got got;

	if (h->left == 0) {
		out->head.nfields = 0;
		return message_end(h);
	}
	got = give(p, at_most(n, h->left), data_max, out);
	h->left -= out->used;
	return got;
}

static enum http1_got next_size(
	struct http1 *h, const uint8_t *p, size_t n, struct http1_out *out)
{
	const char *why;
	ssize_t len = chunk_line(p, n, &h->left, &why);

	if (len < 0)
		return bad(h, 400, why);
	if (len == 0)
		return HTTP1_MORE;
	out->used += (size_t)len;
	h->at = h->left ? AT_CHUNK : AT_TRAILERS;
	return HTTP1_HEAD; /* go on */
}

static enum http1_got next_chunk(struct http1 *h, const uint8_t *p, size_t n,
	size_t data_max, struct http1_out *out)
{
	size_t before = out->used;
	enum http1_got got = give(p, at_most(n, h->left), data_max, out);

	if (got != HTTP1_DATA)
		return got;
	h->left -= out->used;
	out->used += before;
	if (h->left == 0)
		h->at = AT_CRLF;
	return HTTP1_DATA;
}

static enum http1_got next_crlf(
	struct http1 *h, const uint8_t *p, size_t n, struct http1_out *out)
{
	if (p[0] != '\r' || (n > 1 && p[1] != '\n'))
		return bad(h, 400, "a chunk is longer than its size");
	if (n == 1)
		return HTTP1_MORE;
	out->used += 2;
	h->at = AT_SIZE;
	return HTTP1_HEAD; /* go on */
}

/* RFC 9110, section 6.5.1: what would have to be known before the body. */
static bool speaks_of_framing(const struct http1_head *head, struct slice *which)
{
	static const struct slice names[] = {
		{"content-length", 14}, {"transfer-encoding", 17}, {"host", 4}};

	for (size_t i = 0; i < head->nfields; i++)
		for (size_t k = 0; k < countof(names); k++)
			if (slice_ieq(head->field[i].name, names[k])) {
				*which = head->field[i].name;
				return true;
			}
	return false;
}

/* llhttp reads trailers as what they look like: a head's fields. */
static enum http1_got parse_trailers(
	struct http1 *h, struct slice text, struct http1_out *out)
{
	static const struct slice any = {"HTTP/1.1 200 OK\r\n", 17};
	llhttp_t parser;
	struct fill f = {.parser = &parser, .head = &out->head};
	int e;

	llhttp_init(&parser, HTTP_RESPONSE, &settings);
	parser.data = &f;
	e = (int)llhttp_execute(&parser, any.p, any.n);
	if (e == HPE_OK)
		e = (int)llhttp_execute(&parser, text.p, text.n);
	if (e != HPE_PAUSED)
		return head_error(h, &f, e == HPE_OK ? HPE_INTERNAL : e, out);
	if (speaks_of_framing(&out->head, &out->culprit))
		return bad(h, 400, "no field for trailers");
	return HTTP1_END;
}

static enum http1_got next_trailers(
	struct http1 *h, const uint8_t *p, size_t n, struct http1_out *out)
{
	static const size_t none = sizeof "\r\n" - 1;
	ssize_t len = section_end(h, p, n);

	if (len < 0)
		return bad(h, 400, "a bare CR, a bare LF or a NUL");
	if ((size_t)len > h->head_max || (len == 0 && n >= h->head_max))
		return too_large(
			h, "the trailers are too large", slice_bytes(p, n), out);
	if (len == 0)
		return HTTP1_MORE;
	out->used += (size_t)len;
	out->head.nfields = 0;
	if ((size_t)len > none &&
		parse_trailers(h, slice_bytes(p, (size_t)len), out) != HTTP1_END)
		return HTTP1_BAD;
	return message_end(h);
}

static enum http1_got next_chunked(struct http1 *h, const uint8_t *p, size_t n,
	size_t data_max, struct http1_out *out)
{
	enum http1_got got = HTTP1_HEAD;

	while (got == HTTP1_HEAD) {
		const uint8_t *at = p + out->used;
		size_t left = n - out->used;

		if (left == 0)
			return HTTP1_MORE;
		if (h->at == AT_SIZE)
			got = next_size(h, at, left, out);
		else if (h->at == AT_CHUNK)
			got = next_chunk(h, at, left, data_max, out);
		else if (h->at == AT_CRLF)
			got = next_crlf(h, at, left, out);
		else
			got = next_trailers(h, at, left, out);
	}
	return got;
}

enum http1_got http1_next(struct http1 *h, const uint8_t *p, size_t n, size_t data_max,
	struct http1_out *out)
{
	out->used = 0;
	out->culprit = SLICE("");
	switch ((enum http1_at)h->at) {
	case AT_START:
		return n ? next_head(h, p, n, out) : HTTP1_MORE;
	case AT_LENGTH:
		return next_length(h, p, n, data_max, out);
	case AT_EOF:
	case AT_TUNNEL:
		return give(p, n, data_max, out);
	case AT_SIZE:
	case AT_CHUNK:
	case AT_CRLF:
	case AT_TRAILERS:
		return next_chunked(h, p, n, data_max, out);
	case AT_BAD:
		break;
	}
	return HTTP1_BAD;
}

enum http1_got http1_eof(struct http1 *h)
{
	switch ((enum http1_at)h->at) {
	case AT_START:
		return HTTP1_MORE;
	case AT_EOF:
	case AT_TUNNEL:
		h->at = AT_START;
		return HTTP1_END;
	case AT_LENGTH:
	case AT_SIZE:
	case AT_CHUNK:
	case AT_CRLF:
	case AT_TRAILERS:
		return bad(h, 400, "the message is cut short");
	case AT_BAD:
		break;
	}
	return HTTP1_BAD;
}
