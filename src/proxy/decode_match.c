/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/grpc_route.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/http_types.pb-c.h"
#include "proxy/decode.h"
#include "wire/http1.h"

/*
 * What cannot be understood here would match more than was meant, or do less: the whole
 * policy is refused then.
 */
#define REGEX_MAX     1024
#define GRPC_CODE_MAX 16

void decode_meta(const Meta__Metadata *m, struct meta *out)
{
	*out = (struct meta){"", "", "", "", "", 0};
	if (!m)
		return;
	if (m->kind_case == META__METADATA__KIND_DEFAULT) {
		out->kind = "default";
		out->name = m->default_;
	} else if (m->kind_case == META__METADATA__KIND_RESOURCE) {
		*out = (struct meta){m->resource->group, m->resource->kind,
			m->resource->namespace_, m->resource->name,
			m->resource->section, (uint16_t)m->resource->port};
	}
}

/* ---- regular expressions: anchored, freed with the snapshot ---- */

static void regex_free(void *arg)
{
	regfree(arg);
}

static int regex(
	const char *pattern, struct arena *a, struct text_match *out, struct err *e)
{
	regex_t *re = arena_alloc(a, sizeof *re);
	char anchored[REGEX_MAX + 8];

	if (!re || strlen(pattern) > REGEX_MAX)
		return err_set(e, ERR_LIMIT, "a pattern of %zu bytes", strlen(pattern));
	snprintf(anchored, sizeof anchored, "^(%s)$", pattern);
	if (regcomp(re, anchored, REG_EXTENDED | REG_NOSUB) != 0)
		return err_set(
			e, ERR_SYNTAX, "pattern \"%.80s\" is malformed", pattern);
	if (arena_hook(a, regex_free, re) < 0) {
		regfree(re);
		return err_set(e, ERR_LIMIT, "no memory for a pattern");
	}
	*out = (struct text_match){MATCH_REGEX, pattern, re};
	return 0;
}

/* ---- requests ---- */

static int path_match(const HttpRoute__PathMatch *m, struct arena *a,
	struct text_match *out, struct err *e)
{
	if (!m)
		return 0;
	switch (m->kind_case) {
	case HTTP_ROUTE__PATH_MATCH__KIND_EXACT:
		*out = (struct text_match){MATCH_EXACT, m->exact, NULL};
		return 0;
	case HTTP_ROUTE__PATH_MATCH__KIND_PREFIX:
		*out = (struct text_match){MATCH_PREFIX, m->prefix, NULL};
		return 0;
	case HTTP_ROUTE__PATH_MATCH__KIND_REGEX:
		return regex(m->regex, a, out, e);
	default:
		return err_set(e, ERR_SYNTAX, "a path match of an unknown kind");
	}
}

/* NULL in `out`: any. */
static int method_name(const HttpTypes__HttpMethod *m, const char **out, struct err *e)
{
	static const char *const names[] = {"GET", "POST", "PUT", "DELETE", "PATCH",
		"OPTIONS", "CONNECT", "HEAD", "TRACE"};

	if (!m)
		return 0;
	if (m->type_case == HTTP_TYPES__HTTP_METHOD__TYPE_UNREGISTERED)
		*out = m->unregistered;
	else if (m->type_case == HTTP_TYPES__HTTP_METHOD__TYPE_REGISTERED &&
		 (size_t)m->registered < countof(names))
		*out = names[m->registered];
	return *out ? 0 : err_set(e, ERR_SYNTAX, "a method of an unknown kind");
}

static char *lower_copy(const char *text, size_t n, struct arena *a)
{
	char *p = arena_alloc(a, n + 1);

	for (size_t i = 0; p && i < n; i++)
		p[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32
							       : text[i]);
	return p;
}

static int header_match(const HttpRoute__HeaderMatch *m, struct arena *a,
	struct field_match *out, struct err *e)
{
	char *exact;

	out->name = lower_copy(m->name, strlen(m->name), a);
	if (!out->name)
		return err_set(e, ERR_LIMIT, "no memory for a match");
	if (m->value_case == HTTP_ROUTE__HEADER_MATCH__VALUE_REGEX)
		return regex(m->regex, a, &out->value, e);
	if (m->value_case != HTTP_ROUTE__HEADER_MATCH__VALUE_EXACT)
		return err_set(e, ERR_SYNTAX, "a header match of an unknown kind");
	if (m->exact.len && memchr(m->exact.data, 0, m->exact.len))
		return err_set(e, ERR_SYNTAX, "a header match with a zero byte");
	exact = arena_alloc(a, m->exact.len + 1);
	if (!exact)
		return err_set(e, ERR_LIMIT, "no memory for a match");
	if (m->exact.len)
		memcpy(exact, m->exact.data, m->exact.len);
	out->value = (struct text_match){MATCH_EXACT, exact, NULL};
	return 0;
}

static int header_matches(HttpRoute__HeaderMatch *const *v, size_t n, struct arena *a,
	struct request_match *out, struct err *e)
{
	struct field_match *f = arena_array(a, n + 1, sizeof *f);

	if (!f)
		return err_set(e, ERR_LIMIT, "no memory for matches");
	for (size_t i = 0; i < n; i++)
		if (header_match(v[i], a, &f[i], e) < 0)
			return -1;
	out->fields = f;
	out->nfields = n;
	return 0;
}

static int query_matches(const HttpRoute__HttpRouteMatch *m, struct arena *a,
	struct request_match *out, struct err *e)
{
	struct field_match *q = arena_array(a, m->n_query_params + 1, sizeof *q);

	if (!q)
		return err_set(e, ERR_LIMIT, "no memory for matches");
	for (size_t i = 0; i < m->n_query_params; i++) {
		const HttpRoute__QueryParamMatch *p = m->query_params[i];

		q[i].name = p->name;
		if (p->value_case == HTTP_ROUTE__QUERY_PARAM_MATCH__VALUE_EXACT)
			q[i].value = (struct text_match){MATCH_EXACT, p->exact, NULL};
		else if (p->value_case != HTTP_ROUTE__QUERY_PARAM_MATCH__VALUE_REGEX)
			return err_set(
				e, ERR_SYNTAX, "a query match of an unknown kind");
		else if (regex(p->regex, a, &q[i].value, e) < 0)
			return -1;
	}
	out->query = q;
	out->nquery = m->n_query_params;
	return 0;
}

int decode_match(const HttpRoute__HttpRouteMatch *m, struct arena *a,
	struct request_match *out, struct err *e)
{
	*out = (struct request_match){.method = NULL};
	if (method_name(m->method, &out->method, e) < 0 ||
		path_match(m->path, a, &out->path, e) < 0)
		return -1;
	/* the prefix "/" is every path: the cheapest match of all */
	if (out->path.kind == MATCH_PREFIX && strcmp(out->path.text, "/") == 0)
		out->path = (struct text_match){.kind = MATCH_ANY};
	if (header_matches(m->headers, m->n_headers, a, out, e) < 0)
		return -1;
	return query_matches(m, a, out, e);
}

int decode_rpc(const GrpcRoute__GrpcRouteMatch *m, struct arena *a,
	struct request_match *out, struct err *e)
{
	*out = (struct request_match){.method = NULL};
	if (m->rpc) {
		out->rpc_service = *m->rpc->service ? m->rpc->service : NULL;
		out->rpc_method = *m->rpc->method ? m->rpc->method : NULL;
	}
	return header_matches(m->headers, m->n_headers, a, out, e);
}

/* ---- hosts ---- */

/* reverse_labels of "*.example.com" are com, example: ".example.com". */
static const char *suffix_text(const HttpRoute__HostMatch__Suffix *s, struct arena *a)
{
	size_t n = 1, at = 0;
	char *p;

	for (size_t i = 0; i < s->n_reverse_labels; i++)
		n += strlen(s->reverse_labels[i]) + 1;
	p = arena_alloc(a, n);
	for (size_t i = s->n_reverse_labels; p && i-- > 0;) {
		size_t len = strlen(s->reverse_labels[i]);

		p[at++] = '.';
		memcpy(p + at, s->reverse_labels[i], len);
		at += len;
	}
	return p;
}

int decode_hosts(HttpRoute__HostMatch *const *v, size_t n, struct arena *a,
	struct policy_route *out, struct err *e)
{
	struct text_match *h = arena_array(a, n + 1, sizeof *h);

	if (!h)
		return err_set(e, ERR_LIMIT, "no memory for hosts");
	for (size_t i = 0; i < n; i++) {
		if (v[i]->match_case == HTTP_ROUTE__HOST_MATCH__MATCH_EXACT)
			h[i] = (struct text_match){MATCH_EXACT, v[i]->exact, NULL};
		else if (v[i]->match_case == HTTP_ROUTE__HOST_MATCH__MATCH_SUFFIX)
			h[i] = (struct text_match){
				MATCH_SUFFIX, suffix_text(v[i]->suffix, a), NULL};
		else
			return err_set(
				e, ERR_SYNTAX, "a host match of an unknown kind");
		if (!h[i].text)
			return err_set(e, ERR_LIMIT, "no memory for hosts");
	}
	out->hosts = h;
	out->nhosts = n;
	return 0;
}

/* ---- filters ---- */

static int ratio(const HttpRoute__Ratio *m, struct route_filter *out, struct err *e)
{
	if (!m)
		return 0;
	out->numerator = m->numerator;
	out->denominator = m->denominator;
	return m->denominator ? 0 : err_set(e, ERR_SYNTAX, "a ratio of nothing");
}

int decode_failure(const HttpRoute__HttpFailureInjector *m, struct route_filter *out,
	struct err *e)
{
	*out = (struct route_filter){
		.kind = RF_FAIL, .status = m->status, .message = m->message};
	if (m->status < 200 || m->status > 599)
		return err_set(e, ERR_SYNTAX, "a failure with status %u", m->status);
	return ratio(m->ratio, out, e);
}

int decode_rpc_failure(const GrpcRoute__GrpcFailureInjector *m,
	struct route_filter *out, struct err *e)
{
	*out = (struct route_filter){
		.kind = RF_FAIL, .status = m->code, .message = m->message};
	if (m->code > GRPC_CODE_MAX)
		return err_set(e, ERR_SYNTAX, "a failure with gRPC code %u", m->code);
	return ratio(m->ratio, out, e);
}

/* Of the framing, which is the codec's own. */
static bool is_framing(const char *name)
{
	static const char *const names[] = {"connection", "content-length",
		"keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"};

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

/* A field that a peer could not have sent; NULL: it cannot be, or no memory. */
static char *field_name(const char *name, struct arena *a, struct err *e)
{
	char *p = lower_copy(name, strlen(name), a);

	if (p && http1_is_token(slice_of(p)))
		return p;
	err_set(e, p ? ERR_SYNTAX : ERR_LIMIT, "field \"%.80s\" cannot be", name);
	return NULL;
}

static char *field_value(const ProtobufCBinaryData *v, struct arena *a, struct err *e)
{
	char *p = arena_alloc(a, v->len + 1);

	if (!p) {
		err_set(e, ERR_LIMIT, "no memory for a field");
		return NULL;
	}
	for (size_t i = 0; i < v->len; i++) {
		if ((v->data[i] < 0x20 && v->data[i] != '\t') || v->data[i] == 0x7f) {
			err_set(e, ERR_SYNTAX, "a field's value with control bytes");
			return NULL;
		}
		p[i] = (char)v->data[i];
	}
	return p;
}

static int headers(const HttpTypes__Headers *m, struct arena *a,
	const struct label **out, size_t *n, struct err *e)
{
	struct label *v;

	if (!m)
		return 0;
	v = arena_array(a, m->n_headers + 1, sizeof *v);
	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for fields");
	for (size_t i = 0; i < m->n_headers; i++) {
		v[*n].key = field_name(m->headers[i]->name, a, e);
		v[*n].value = field_value(&m->headers[i]->value, a, e);
		if (!v[*n].key || !v[*n].value)
			return -1;
		*n += !is_framing(v[*n].key);
	}
	*out = v;
	return 0;
}

static int edit(const HttpTypes__Headers *add, const HttpTypes__Headers *set,
	char **remove, size_t nremove, struct arena *a, struct field_edit *out,
	struct err *e)
{
	const char **v = arena_array(a, nremove + 1, sizeof *v);

	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for fields");
	if (headers(add, a, &out->add, &out->nadd, e) < 0 ||
		headers(set, a, &out->set, &out->nset, e) < 0)
		return -1;
	for (size_t i = 0; i < nremove; i++) {
		v[i] = field_name(remove[i], a, e);
		if (!v[i])
			return -1;
	}
	out->remove = v;
	out->nremove = nremove;
	return 0;
}

int decode_request_edit(const HttpRoute__RequestHeaderModifier *m, struct arena *a,
	struct route_filter *out, struct err *e)
{
	*out = (struct route_filter){.kind = RF_REQUEST_FIELDS};
	return edit(m->add, m->set, m->remove, m->n_remove, a, &out->edit, e);
}

int decode_response_edit(const HttpRoute__ResponseHeaderModifier *m, struct arena *a,
	struct route_filter *out, struct err *e)
{
	*out = (struct route_filter){.kind = RF_RESPONSE_FIELDS};
	return edit(m->add, m->set, m->remove, m->n_remove, a, &out->edit, e);
}

static bool is_redirect(uint32_t status)
{
	return status == 0 || (status >= 300 && status <= 399);
}

int decode_redirect(
	const HttpRoute__RequestRedirect *m, struct route_filter *out, struct err *e)
{
	*out = (struct route_filter){.kind = RF_REDIRECT,
		.status = m->status,
		.port = (uint16_t)m->port,
		.host = *m->host ? m->host : NULL};
	if (!is_redirect(m->status) || m->port > 65535)
		return err_set(e, ERR_SYNTAX, "a redirect to port %u with status %u",
			m->port, m->status);
	if (m->scheme && m->scheme->type_case == HTTP_TYPES__SCHEME__TYPE_REGISTERED)
		out->scheme = m->scheme->registered ? "https" : "http";
	else if (m->scheme &&
		 m->scheme->type_case == HTTP_TYPES__SCHEME__TYPE_UNREGISTERED)
		out->scheme = m->scheme->unregistered;
	if (m->path && m->path->replace_case == HTTP_ROUTE__PATH_MODIFIER__REPLACE_FULL)
		out->path_full = m->path->full;
	if (m->path &&
		m->path->replace_case == HTTP_ROUTE__PATH_MODIFIER__REPLACE_PREFIX)
		out->path_prefix = m->path->prefix;
	return 0;
}
