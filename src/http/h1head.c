/* SPDX-License-Identifier: Apache-2.0 */
#include "http/h1head.h"

#include "base/obj.h"

/* Fields that are about the connection (RFC 9110, section 7.6.1), and Host. */
enum known {
	K_OTHER,
	K_HOST,
	K_CONNECTION,
	K_TE,
	K_UPGRADE,
	K_EXPECT,
	K_KEEP_ALIVE,
	K_LENGTH,
	K_DROP
};

static const struct {
	struct slice name;
	enum known known;
} known_fields[] = {
	{SLICE("te"), K_TE},
	{SLICE("host"), K_HOST},
	{SLICE("expect"), K_EXPECT},
	{SLICE("upgrade"), K_UPGRADE},
	{SLICE("connection"), K_CONNECTION},
	{SLICE("keep-alive"), K_KEEP_ALIVE},
	{SLICE("proxy-connection"), K_DROP},
	{SLICE("content-length"), K_LENGTH},
	{SLICE("transfer-encoding"), K_DROP},
};

/* `name` is lower case.  Most have a length that none of the above has. */
static enum known known_of(struct slice name)
{
	const uint32_t lengths = 1 << 2 | 1 << 4 | 1 << 6 | 1 << 7 | 1 << 10 | 1 << 14 |
				 1 << 16 | 1 << 17;

	if (name.n > 17 || !(lengths >> name.n & 1))
		return K_OTHER;
	for (size_t i = 0; i < countof(known_fields); i++)
		if (slice_eq(known_fields[i].name, name))
			return known_fields[i].known;
	return K_OTHER;
}

bool h1_is_own(struct slice name)
{
	return known_of(name) != K_OTHER;
}

struct reader {
	char *at; /* where the next text goes */
	struct fields *fields;
	struct h1_hop *hop;
	int hosts;
	bool says_upgrade, says_length, te_trailers, expects_100, titled;
	struct slice host, upgrade;
	struct slice connection[8]; /* values of Connection; more are not believed */
	size_t nconnection;
};

static struct slice put(struct reader *r, struct slice s)
{
	char *p = r->at;

	if (s.n)
		memcpy(p, s.p, s.n);
	r->at += s.n;
	return slice_bytes(p, s.n);
}

/* In lower case; returns whether that made a difference. */
static bool lower(char *to, struct slice s)
{
	unsigned char upper, any = 0;

	for (size_t i = 0; i < s.n; i++) {
		upper = (unsigned char)(s.p[i] - 'A') < 26;
		to[i] = (char)(s.p[i] | upper << 5);
		any |= upper;
	}
	return any;
}

static struct slice put_lower(struct reader *r, struct slice s)
{
	char *p = r->at;

	lower(p, s);
	r->at += s.n;
	return slice_bytes(p, s.n);
}

/* A field's name in lower case, and as it was spelt where that is another. */
static struct field put_name(struct reader *r, struct slice name)
{
	struct field f = {.name = {r->at, name.n}};
	bool differs = lower(r->at, name);

	r->at += name.n;
	if (!differs)
		return f;
	f.spelt = put(r, name).p;
	r->titled |= (unsigned char)(name.p[0] - 'A') < 26;
	return f;
}

static bool list_has(struct slice list, struct slice token)
{
	struct slice part;

	while (slice_cut(&list, ',', &part))
		if (slice_ieq(slice_trim(part), token))
			return true;
	return false;
}

static void read_connection(struct reader *r, struct slice value)
{
	if (r->nconnection < countof(r->connection))
		r->connection[r->nconnection++] = value;
	r->hop->close |= list_has(value, SLICE("close"));
	r->hop->keep_alive |= list_has(value, SLICE("keep-alive"));
	r->says_upgrade |= list_has(value, SLICE("upgrade"));
}

/* "timeout=5, max=100": how long the other side keeps an idle connection. */
static void read_keep_alive(struct reader *r, struct slice list)
{
	struct slice part;
	uint64_t n;

	while (slice_cut(&list, ',', &part)) {
		part = slice_trim(part);
		if (slice_starts(part, SLICE("timeout=")) &&
			slice_u64(slice_bytes(part.p + 8, part.n - 8), 86400, &n))
			r->hop->idle = (unsigned)n;
	}
}

static void read_field(struct reader *r, struct slice name, struct slice value)
{
	struct field f = put_name(r, name);

	switch (known_of(f.name)) {
	case K_HOST:
		r->hosts++;
		r->host = put(r, value);
		return;
	case K_CONNECTION:
		read_connection(r, put(r, value));
		return;
	case K_TE:
		r->te_trailers |= list_has(value, SLICE("trailers"));
		return;
	case K_UPGRADE:
		r->upgrade = put(r, value);
		return;
	case K_KEEP_ALIVE:
		read_keep_alive(r, value);
		return;
	case K_LENGTH:
		r->says_length = true;
		return;
	case K_DROP:
		return;
	case K_EXPECT:
		r->expects_100 |= slice_ieq(value, SLICE("100-continue"));
		break;
	case K_OTHER:
		break;
	}
	f.value = put(r, value);
	r->fields->v[r->fields->n++] = f;
}

/* Fields that Connection names end here, too. */
static void drop_named(struct reader *r)
{
	for (size_t i = 0; i < r->nconnection; i++) {
		struct slice list = r->connection[i], part;

		while (slice_cut(&list, ',', &part)) {
			char name[64];
			struct reader low = {.at = name};

			part = slice_trim(part);
			if (part.n && part.n < sizeof name &&
				!slice_ieq(part, SLICE("close")) &&
				!slice_ieq(part, SLICE("keep-alive")))
				fields_remove(r->fields, put_lower(&low, part));
		}
	}
}

static int read_fields(struct reader *r, const struct http1_head *in, struct arena *a,
	size_t more_text, struct fields *out)
{
	size_t text = more_text;

	for (size_t i = 0; i < in->nfields; i++)
		text += 2 * in->field[i].name.n + in->field[i].value.n;
	out->n = 0;
	out->cap = in->nfields + 8; /* filters add some */
	out->v = arena_array(a, out->cap, sizeof *out->v);
	r->at = arena_alloc(a, text + 1);
	r->fields = out;
	if (!out->v || !r->at) {
		r->hop->why = "no room for the head";
		return 431;
	}
	for (size_t i = 0; i < in->nfields; i++)
		read_field(r, in->field[i].name, in->field[i].value);
	drop_named(r);
	return 0;
}

/* absolute form: scheme "://" authority [path] */
static int read_absolute(struct reader *r, struct req_head *out, struct slice t)
{
	struct slice rest;
	const char *colon = memchr(t.p, ':', t.n);
	size_t scheme = colon ? (size_t)(colon - t.p) : 0, auth = 0;

	if (!scheme || t.n < scheme + 3 || memcmp(colon, "://", 3) != 0)
		return 400;
	rest = slice_bytes(colon + 3, t.n - scheme - 3);
	while (auth < rest.n && !strchr("/?", rest.p[auth]))
		auth++;
	if (auth == 0)
		return 400;
	out->absolute_form = true;
	out->scheme = put_lower(r, slice_bytes(t.p, scheme));
	out->authority = put(r, slice_bytes(rest.p, auth));
	rest = slice_bytes(rest.p + auth, rest.n - auth);
	if (rest.n && rest.p[0] == '?') { /* an empty path (RFC 9110, section 4.2.3) */
		out->path = slice_bytes(r->at, rest.n + 1);
		put(r, SLICE("/"));
		put(r, rest);
	} else if (rest.n) {
		out->path = put(r, rest);
	} else {
		out->path = slice_is(out->method, "OPTIONS") ? SLICE("*") : SLICE("/");
	}
	return 0;
}

static int read_target(struct reader *r, struct req_head *out, struct slice t)
{
	if (slice_is(out->method, "CONNECT")) {
		out->authority = put(r, t);
		out->path = SLICE("");
		return t.n ? 0 : 400;
	}
	if (t.n == 0)
		return 400;
	if (t.p[0] != '/' && !(slice_is(t, "*") && slice_is(out->method, "OPTIONS")))
		return read_absolute(r, out, t);
	out->path = put(r, t);
	out->authority = r->host;
	return 0;
}

static int wrong(struct h1_hop *hop, const char *why)
{
	hop->why = why;
	return 400;
}

int h1_read_request(const struct http1_head *in, struct arena *a, struct req_head *out,
	struct h1_hop *hop)
{
	struct reader r = {.hop = hop, .host = SLICE("")};
	int status;

	*hop = (struct h1_hop){0};
	*out = (struct req_head){.version = in->minor ? HTTP_1_1 : HTTP_1_0,
		.scheme = SLICE("http"),
		.length = in->length};
	status = read_fields(&r, in, a, in->method.n + in->target.n + 1, &out->fields);
	if (status)
		return status;
	if (r.hosts > 1 || (in->minor == 1 && r.hosts == 0)) /* RFC 9112, 3.2 */
		return wrong(hop, r.hosts ? "more than one Host" : "no Host");
	out->method = put(&r, in->method);
	status = read_target(&r, out, in->target);
	if (status || !is_authority(out->authority) ||
		(out->authority.p != r.host.p && !is_authority(r.host)))
		return wrong(hop, status ? "a malformed target" : "a malformed Host");
	out->no_host = r.hosts == 0 && !out->authority.n;
	out->te_trailers = r.te_trailers;
	out->says_length = r.says_length;
	out->titled = r.titled;
	out->expects_100 = r.expects_100 && in->minor == 1;
	/* HTTP/2 in clear begins with its preface; an upgrade to it may be ignored (RFC
	 * 9113, 3.1) */
	if (r.says_upgrade && in->minor == 1 && !slice_ieq(r.upgrade, SLICE("h2c")))
		out->upgrade = r.upgrade;
	hop->close |= in->minor == 0 && !hop->keep_alive;
	return 0;
}

int h1_read_response(const struct http1_head *in, struct arena *a, struct rsp_head *out,
	struct h1_hop *hop)
{
	struct reader r = {.hop = hop, .host = SLICE("")};
	int status;

	*hop = (struct h1_hop){0};
	*out = (struct rsp_head){.version = in->minor ? HTTP_1_1 : HTTP_1_0,
		.status = in->status,
		.length = in->length};
	status = read_fields(&r, in, a, in->reason.n, &out->fields);
	if (status)
		return status;
	out->reason = put(&r, in->reason);
	out->titled = r.titled;
	if (in->status == 101)
		out->upgrade = r.upgrade;
	hop->close |= in->minor == 0 && !hop->keep_alive;
	return 0;
}

int h1_read_trailers(const struct http1_head *in, struct arena *a, struct fields *out)
{
	struct h1_hop hop = {0};
	struct reader r = {.hop = &hop};

	return read_fields(&r, in, a, 0, out);
}
