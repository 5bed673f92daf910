/* SPDX-License-Identifier: Apache-2.0 */
#include "http/head.h"

#include "base/obj.h"
#include "wire/http1.h"

bool is_authority(struct slice s)
{
	static const bool not_there[256] = {[0 ... ' '] = true,
		[0x7f] = true,
		['/'] = true,
		['\\'] = true,
		['?'] = true,
		['#'] = true,
		['@'] = true,
		['<'] = true,
		['>'] = true,
		['"'] = true,
		['{'] = true,
		['}'] = true,
		['|'] = true,
		['^'] = true,
		['`'] = true};

	for (size_t i = 0; i < s.n; i++)
		if (not_there[(unsigned char)s.p[i]])
			return false;
	return true;
}

static bool is_path(const struct req_head *req)
{
	struct slice s = req->path;

	if (slice_is(req->method, "CONNECT"))
		return s.n == 0;
	if (slice_is(req->method, "OPTIONS") && slice_is(s, "*"))
		return true;
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == 0x7f)
			return false;
	return s.n > 0 && s.p[0] == '/';
}

bool req_head_fits_http1(const struct req_head *req)
{
	return http1_is_token(req->method) && is_authority(req->authority) &&
	       is_path(req) && !req->two_hosts;
}

static int make_room(struct fields *f, struct arena *a)
{
	size_t cap = f->cap ? 2 * f->cap : 16;
	struct field *v;

	if (f->n < f->cap)
		return 0;
	if (f->n >= HTTP_FIELDS_MAX)
		return -1;
	v = arena_array(a, cap, sizeof *v);
	if (!v)
		return -1;
	if (f->n)
		memcpy(v, f->v, f->n * sizeof *v);
	f->v = v;
	f->cap = cap;
	return 0;
}

int fields_add(struct fields *f, struct arena *a, struct slice name, struct slice value)
{
	if (make_room(f, a) < 0)
		return -1;
	f->v[f->n++] = (struct field){.name = name, .value = value};
	return 0;
}

static size_t index_of(const struct fields *f, struct slice name, size_t from)
{
	while (from < f->n && !slice_eq(f->v[from].name, name))
		from++;
	return from;
}

static void remove_from(struct fields *f, struct slice name, size_t from)
{
	size_t to = from;

	for (size_t i = from; i < f->n; i++)
		if (!slice_eq(f->v[i].name, name))
			f->v[to++] = f->v[i];
	f->n = to;
}

int fields_set(struct fields *f, struct arena *a, struct slice name, struct slice value)
{
	size_t i = index_of(f, name, 0);

	if (i == f->n)
		return fields_add(f, a, name, value);
	f->v[i].value = value;
	remove_from(f, name, i + 1);
	return 0;
}

static size_t joined_size(const struct fields *f, struct slice name, size_t between)
{
	size_t n = 0;

	for (size_t i = index_of(f, name, 0); i < f->n; i = index_of(f, name, i + 1))
		n += f->v[i].value.n + between;
	return n;
}

int fields_join(
	struct fields *f, struct arena *a, struct slice name, struct slice between)
{
	size_t first = index_of(f, name, 0), n = 0;
	char *p;

	if (first == f->n || index_of(f, name, first + 1) == f->n)
		return 0;
	p = arena_alloc(a, joined_size(f, name, between.n));
	if (!p)
		return -1;
	for (size_t i = first; i < f->n; i = index_of(f, name, i + 1)) {
		if (i != first) {
			memcpy(p + n, between.p, between.n);
			n += between.n;
		}
		memcpy(p + n, f->v[i].value.p, f->v[i].value.n);
		n += f->v[i].value.n;
	}
	return fields_set(f, a, name, (struct slice){p, n});
}

void fields_remove(struct fields *f, struct slice name)
{
	size_t i = index_of(f, name, 0);

	if (i < f->n)
		remove_from(f, name, i);
}

const struct field *fields_find(const struct fields *f, struct slice name)
{
	size_t i = index_of(f, name, 0);

	return i < f->n ? &f->v[i] : NULL;
}

struct slice fields_get(const struct fields *f, struct slice name)
{
	const struct field *found = fields_find(f, name);

	return found ? found->value : SLICE("");
}

bool fields_is_grpc(const struct fields *f)
{
	static const struct slice grpc = {"application/grpc", 16};
	struct slice type = fields_get(f, SLICE("content-type"));

	if (!slice_starts(type, grpc))
		return false;
	return type.n == grpc.n || type.p[grpc.n] == '+' || type.p[grpc.n] == ';';
}

bool method_is_idempotent(struct slice method)
{
	static const char *const names[] = {
		"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};

	for (size_t i = 0; i < countof(names); i++)
		if (slice_is(method, names[i]))
			return true;
	return false;
}
