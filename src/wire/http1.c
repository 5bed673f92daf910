/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/http1.h"

#include <string.h>

/* ---- small lexical facts ---- */

static bool is_tchar(unsigned char c)
{
	static const uint32_t set[4] = {0, 0x03ff6cfa, 0xc7fffffe,
		0x57ffffff}; /* by 32: !#$%&'*+-.0-9 A-Z^_ `a-z|~ */

	return c < 128 && (set[c >> 5] >> (c & 31) & 1);
}

bool http1_is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_tchar((unsigned char)s.p[i]))
			return false;
	return s.n > 0;
}

bool http1_is_value(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static void to_lower(char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (char)(p[i] + 32);
}

/* ---- head ---- */

size_t http1_head_end(const uint8_t *p, size_t n, size_t *scanned)
{
	size_t from = *scanned > 3 ? *scanned - 3 : 0;
	const uint8_t *at = n > from ? memmem(p + from, n - from, "\r\n\r\n", 4) : NULL;

	*scanned = n;
	return at ? (size_t)(at - p) + 4 : 0;
}

static bool version_of(struct slice s, int *minor)
{
	if (s.n != 8 || memcmp(s.p, "HTTP/1.", 7) != 0)
		return false;
	*minor = s.p[7] - '0';
	return *minor == 0 || *minor == 1;
}

static int request_line(struct slice line, struct http1_head *h, struct err *e)
{
	struct slice rest = line;

	if (!slice_cut(&rest, ' ', &h->method) || !rest.p ||
		!slice_cut(&rest, ' ', &h->target) || !rest.p ||
		!version_of(rest, &h->minor))
		return err_set(e, ERR_SYNTAX, "malformed request line");
	if (!http1_is_token(h->method))
		return err_set(e, ERR_SYNTAX, "the method is no token");
	if (h->target.n == 0)
		return err_set(e, ERR_SYNTAX, "empty request target");
	for (size_t i = 0; i < h->target.n; i++)
		if ((unsigned char)h->target.p[i] <= 0x20 || h->target.p[i] == 0x7f)
			return err_set(
				e, ERR_SYNTAX, "control byte in the request target");
	return 0;
}

static int status_line(struct slice line, struct http1_head *h, struct err *e)
{
	struct slice rest = line, version, code;
	uint64_t status;

	if (!slice_cut(&rest, ' ', &version) || !rest.p ||
		!version_of(version, &h->minor))
		return err_set(e, ERR_SYNTAX, "malformed status line");
	slice_cut(&rest, ' ', &code);
	if (code.n != 3 || !slice_u64(code, 999, &status) || status < 100)
		return err_set(e, ERR_SYNTAX, "malformed status code");
	h->status = (int)status;
	h->reason = rest.p ? rest : SLICE("");
	if (!http1_is_value(h->reason))
		return err_set(e, ERR_SYNTAX, "control byte in the reason");
	return 0;
}

/* A line end is CR LF, and nothing after one begins with a blank (RFC 9112, 5.2). */
static int check_lines(struct slice s, struct err *e)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\0')
			return err_set(e, ERR_SYNTAX, "NUL in the head");
		if (s.p[i] == '\n' && (i == 0 || s.p[i - 1] != '\r'))
			return err_set(e, ERR_SYNTAX, "bare LF in the head");
		if (s.p[i] == '\r' && (i + 1 == s.n || s.p[i + 1] != '\n'))
			return err_set(e, ERR_SYNTAX, "bare CR in the head");
		if (s.p[i] == '\n' && i + 1 < s.n &&
			(s.p[i + 1] == ' ' || s.p[i + 1] == '\t'))
			return err_set(e, ERR_SYNTAX, "folded line in the head");
	}
	return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = p->data;
	struct http1_head *head = h->head;

	if (h->in_trailers)
		return buf_add(&h->trailers, at, n);
	if (head->n == HTTP1_FIELDS_MAX)
		return HPE_USER;
	head->fields[head->n].name = (struct slice){at, n};
	head->fields[head->n].value = SLICE("");
	head->n++;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = p->data;

	if (h->in_trailers)
		return buf_add(&h->trailers, at, n);
	h->head->fields[h->head->n - 1].value = (struct slice){at, n};
	return 0;
}

/* Trailers are kept as name NUL value NUL: they may come in any number of pieces. */
static int on_part_complete(llhttp_t *p)
{
	struct http1 *h = p->data;

	return h->in_trailers ? buf_char(&h->trailers, '\0') : 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct http1 *h = p->data;

	h->on_data(h->arg, (const uint8_t *)at, n);
	return 0;
}

static int on_headers_complete(llhttp_t *p)
{
	((struct http1 *)p->data)->in_trailers = true;
	return 0;
}

static int on_complete(llhttp_t *p)
{
	((struct http1 *)p->data)->done = true;
	return HPE_PAUSED;
}

static const llhttp_settings_t *settings(void)
{
	static const llhttp_settings_t s = {.on_header_field = on_field,
		.on_header_value = on_value,
		.on_header_field_complete = on_part_complete,
		.on_header_value_complete = on_part_complete,
		.on_headers_complete = on_headers_complete,
		.on_body = on_body,
		.on_message_complete = on_complete};

	return &s;
}

static int bad_fields(struct http1 *h, enum llhttp_errno code, struct err *e)
{
	if (code == HPE_USER)
		return err_set(e, ERR_LIMIT, "more than %d fields", HTTP1_FIELDS_MAX);
	return err_set(e, ERR_SYNTAX, "malformed fields: %s",
		llhttp_get_error_reason(&h->parser)
			? llhttp_get_error_reason(&h->parser)
			: llhttp_errno_name(code));
}

/*
 * The fields, and with them the state for the chunks that may follow.  The parser gets
 * a plain start line instead of the real one, which it would judge by a list of
 * methods.
 */
static int parse_fields(
	struct http1 *h, enum http1_kind kind, struct slice fields, struct err *e)
{
	static const char request[] = "POST / HTTP/1.1\r\n";
	static const char response[] = "HTTP/1.1 200 \r\n";
	enum llhttp_errno code;

	llhttp_init(&h->parser, kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE,
		settings());
	h->parser.data = h;
	h->in_trailers = h->done = false;
	code = llhttp_execute(&h->parser, kind == HTTP1_REQUEST ? request : response,
		kind == HTTP1_REQUEST ? sizeof request - 1 : sizeof response - 1);
	if (code == HPE_OK)
		code = llhttp_execute(&h->parser, fields.p, fields.n);
	if (code == HPE_PAUSED || code == HPE_PAUSED_UPGRADE)
		code = HPE_OK; /* complete already, or an upgrade: judged by our user */
	if (code != HPE_OK)
		return bad_fields(h, code, e);
	return h->in_trailers ? 0 : err_set(e, ERR_SYNTAX, "the head does not end");
}

static int read_length(struct http1_head *head, struct slice v, struct err *e)
{
	uint64_t n;

	if (!slice_u64(slice_trim(v), INT64_MAX, &n))
		return err_set(e, ERR_SYNTAX, "malformed Content-Length");
	if (head->length >= 0)
		return err_set(e, ERR_SYNTAX, "more than one Content-Length");
	head->length = (int64_t)n;
	return 0;
}

static int read_coding(struct http1_head *head, struct slice v, struct err *e)
{
	struct slice part;

	while (slice_cut(&v, ',', &part)) {
		part = slice_trim(part);
		if (head->chunked)
			return err_set(e, ERR_SYNTAX, "a coding after chunked");
		if (slice_ieq(part, SLICE("chunked")))
			head->chunked = true;
		else
			head->coded = true;
	}
	return 0;
}

static int read_framing(struct http1_head *head, struct err *e)
{
	for (size_t i = 0; i < head->n; i++) {
		struct http1_field *f = &head->fields[i];

		if (!http1_is_token(f->name) || !http1_is_value(f->value))
			return err_set(e, ERR_SYNTAX, "malformed field %.*s",
				(int)(f->name.n < 40 ? f->name.n : 40), f->name.p);
		to_lower((char *)f->name.p, f->name.n);
		f->value = slice_trim(f->value);
		if (slice_is(f->name, "content-length") &&
			read_length(head, f->value, e) < 0)
			return -1;
		if (slice_is(f->name, "transfer-encoding") &&
			read_coding(head, f->value, e) < 0)
			return -1;
	}
	if (head->length >= 0 && (head->chunked || head->coded))
		return err_set(
			e, ERR_SYNTAX, "Content-Length beside Transfer-Encoding");
	if (head->minor == 0 && (head->chunked || head->coded))
		return err_set(e, ERR_SYNTAX, "Transfer-Encoding in HTTP/1.0");
	return 0;
}

int http1_parse(struct http1 *h, enum http1_kind kind, char *text, size_t n,
	struct http1_head *head, struct err *e)
{
	char *eol = memchr(text, '\r', n);
	struct slice line = {text, eol ? (size_t)(eol - text) : n};
	struct slice fields = {text + line.n + 2, n - line.n - 2};
	int r;

	head->n = 0;
	head->length = -1;
	head->chunked = head->coded = false;
	if (!eol || n < line.n + 4 || eol[1] != '\n')
		return err_set(e, ERR_SYNTAX, "malformed start line");
	if (check_lines(slice_bytes(text, n), e) < 0)
		return -1;
	r = kind == HTTP1_REQUEST ? request_line(line, head, e)
				  : status_line(line, head, e);
	if (r < 0)
		return -1;
	h->head = head;
	r = parse_fields(h, kind, fields, e);
	h->head = NULL;
	return r < 0 ? -1 : read_framing(head, e);
}

/* ---- body ---- */

void http1_expect(struct http1 *h, enum http1_framing framing, uint64_t left)
{
	h->framing = framing;
	h->left = left;
}

static int chunked(
	struct http1 *h, const uint8_t *p, size_t n, size_t *used, struct err *e)
{
	enum llhttp_errno code = llhttp_execute(&h->parser, (const char *)p, n);

	if (code == HPE_OK) {
		*used = n;
		if (h->head_max && buf_len(&h->trailers) > h->head_max)
			return err_set(e, ERR_LIMIT, "trailers larger than %zu bytes",
				h->head_max);
		return 0;
	}
	if (code == HPE_PAUSED && h->done) {
		*used = (size_t)((const uint8_t *)llhttp_get_error_pos(&h->parser) - p);
		return 1;
	}
	return err_set(e, ERR_SYNTAX, "malformed chunk: %s",
		llhttp_get_error_reason(&h->parser));
}

int http1_body(struct http1 *h, const uint8_t *p, size_t n, size_t *used, struct err *e)
{
	size_t take = n;

	*used = 0;
	switch (h->framing) {
	case HTTP1_NO_BODY:
		return 1;
	case HTTP1_LENGTH:
		take = n < h->left ? n : (size_t)h->left;
		h->left -= take;
		*used = take;
		if (take)
			h->on_data(h->arg, p, take);
		return h->left == 0;
	case HTTP1_CHUNKED:
		return n ? chunked(h, p, n, used, e) : 0;
	case HTTP1_UNTIL_CLOSE:
	case HTTP1_TUNNEL:
		*used = n;
		if (n)
			h->on_data(h->arg, p, n);
		return 0;
	}
	return 0;
}

bool http1_trailer(const struct http1 *h, size_t *at, struct http1_field *out)
{
	struct slice all = buf_slice(&h->trailers), part;
	struct slice rest = {all.p + *at, all.n - *at};

	if (*at >= all.n || !slice_cut(&rest, '\0', &part) || !rest.p)
		return false;
	out->name = part;
	to_lower((char *)part.p, part.n);
	if (!slice_cut(&rest, '\0', &out->value))
		return false;
	*at += part.n + out->value.n + 2;
	out->value = slice_trim(out->value);
	return true;
}

void http1_reset(struct http1 *h)
{
	buf_fini(&h->trailers);
	h->framing = HTTP1_NO_BODY;
	h->in_trailers = h->done = false;
}
