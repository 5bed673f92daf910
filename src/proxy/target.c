/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/target.h"

#include <regex.h>

#include "base/obj.h"
#include "http/head.h"

/* ---- texts ---- */

static bool regex_is(const struct text_match *m, struct slice s)
{
	char text[4096];

	if (s.n >= sizeof text)
		return false;
	if (s.n)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return regexec(m->program, text, 0, NULL, 0) == 0;
}

static bool text_is(const struct text_match *m, struct slice s)
{
	switch (m->kind) {
	case MATCH_ANY:
		return true;
	case MATCH_EXACT:
		return slice_is(s, m->text);
	case MATCH_PREFIX:
		return slice_starts(s, slice_of(m->text));
	case MATCH_SUFFIX:
		return slice_ends(s, slice_of(m->text));
	case MATCH_REGEX:
		return regex_is(m, s);
	}
	return false;
}

/* "/a" is a prefix of "/a", "/a/" and "/a/b", not of "/ab" (Gateway API). */
static bool path_prefix_is(const char *prefix, struct slice path)
{
	size_t n = strlen(prefix);

	while (n > 0 && prefix[n - 1] == '/')
		n--;
	if (!slice_starts(path, (struct slice){prefix, n}))
		return false;
	return path.n == n || path.p[n] == '/';
}

static bool path_is(const struct text_match *m, struct slice path)
{
	const char *query = path.n ? memchr(path.p, '?', path.n) : NULL;

	if (query)
		path.n = (size_t)(query - path.p);
	if (m->kind == MATCH_PREFIX)
		return path_prefix_is(m->text, path);
	return text_is(m, path);
}

/* ---- requests ---- */

/* One of those with the name has the value. */
static bool field_is(const struct field_match *m, const struct fields *f)
{
	for (size_t i = 0; i < f->n; i++)
		if (slice_is(f->v[i].name, m->name) &&
			text_is(&m->value, f->v[i].value))
			return true;
	return false;
}

static bool fields_are(const struct request_match *m, const struct req_head *req)
{
	for (size_t i = 0; i < m->nfields; i++)
		if (!field_is(&m->fields[i], &req->fields))
			return false;
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#define QUERY_MAX 2048

/* As forms write it: %XX, and + for a space.  What is too long matches nothing. */
static struct slice form_text(struct slice s, char out[QUERY_MAX])
{
	size_t n = 0;

	if (s.n >= QUERY_MAX)
		return SLICE_NONE;
	for (size_t i = 0; i < s.n; i++) {
		bool coded = s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 &&
			     hex(s.p[i + 2]) >= 0;

		if (coded)
			out[n++] = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
		else
			out[n++] = s.p[i] == '+' ? ' ' : s.p[i];
		i += coded ? 2 : 0;
	}
	return (struct slice){out, n};
}

static bool query_has(struct slice query, const struct field_match *m)
{
	char name_text[QUERY_MAX], value_text[QUERY_MAX];
	struct slice part, name;

	while (slice_cut(&query, '&', &part)) {
		struct slice value = part;

		slice_cut(&value, '=', &name);
		name = form_text(name, name_text);
		value = form_text(value, value_text);
		if (value.p && name.p && slice_is(name, m->name) &&
			text_is(&m->value, value))
			return true;
	}
	return false;
}

static bool query_is(const struct request_match *m, struct slice path)
{
	const char *mark = path.n ? memchr(path.p, '?', path.n) : NULL;
	struct slice query = SLICE_NONE;

	if (mark)
		query = (struct slice){mark + 1, path.n - (size_t)(mark + 1 - path.p)};
	for (size_t i = 0; i < m->nquery; i++)
		if (!query_has(query, &m->query[i]))
			return false;
	return true;
}

/* "/package.Service/Method" */
static bool rpc_is(const struct request_match *m, struct slice path)
{
	struct slice service;

	if (!m->rpc_service && !m->rpc_method)
		return true;
	if (!path.n || path.p[0] != '/')
		return false;
	path.p++;
	path.n--;
	if (!slice_cut(&path, '/', &service) || !path.p)
		return false;
	return (!m->rpc_service || slice_is(service, m->rpc_service)) &&
	       (!m->rpc_method || slice_is(path, m->rpc_method));
}

static bool request_is(const struct request_match *m, const struct req_head *req)
{
	return (m->path.kind == MATCH_ANY || path_is(&m->path, req->path)) &&
	       (!m->method || slice_is(req->method, m->method)) && fields_are(m, req) &&
	       (!m->nquery || query_is(m, req->path)) && rpc_is(m, req->path);
}

/* How special a match is: the larger wins (Gateway API: path, method, fields, query).
 */
static uint64_t rank(const struct request_match *m)
{
	uint64_t path = 0, n = m->path.text ? strlen(m->path.text) : 0;

	if (m->path.kind == MATCH_EXACT)
		path = 0x8000 + n;
	else if (m->path.kind == MATCH_PREFIX)
		path = 0x4000 + n;
	else if (m->path.kind == MATCH_REGEX)
		path = 1;
	if (m->rpc_service)
		path += 0x100 + strlen(m->rpc_service);
	if (m->rpc_method)
		path += 0x1000 + strlen(m->rpc_method);
	return path << 32 | (uint64_t)(m->method != NULL) << 31 |
	       (m->nfields & 0xff) << 8 | (m->nquery & 0xff);
}

static bool rule_match(const struct rule *r, const struct req_head *req, uint64_t *best)
{
	bool found = false;

	if (r->nmatches == 0) {
		*best = 0;
		return true;
	}
	for (size_t i = 0; i < r->nmatches; i++) {
		uint64_t now;

		if (!request_is(&r->matches[i], req))
			continue;
		now = rank(&r->matches[i]);
		if (!found || now > *best)
			*best = now;
		found = true;
	}
	return found;
}

/* Names of hosts have no case (RFC 9110 §4.2.3). */
static bool ends_with(struct slice host, const char *suffix)
{
	size_t n = strlen(suffix);

	return host.n > n &&
	       slice_ieq((struct slice){host.p + host.n - n, n}, slice_of(suffix));
}

/* 0: no; else how special: any host, a suffix by its length, the exact name. */
static uint32_t host_match(const struct policy_route *r, struct slice host)
{
	uint32_t best = 0, now;

	if (r->nhosts == 0)
		return 1;
	for (size_t i = 0; i < r->nhosts; i++) {
		const struct text_match *m = &r->hosts[i];

		if (m->kind == MATCH_EXACT && slice_ieq(host, slice_of(m->text)))
			return UINT32_MAX;
		if (m->kind != MATCH_SUFFIX || !ends_with(host, m->text))
			continue;
		now = 2 + (uint32_t)strlen(m->text);
		best = now > best ? now : best;
	}
	return best;
}

struct slice authority_host(struct slice authority)
{
	size_t n = authority.n;

	while (n > 0 && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
		n--;
	if (n > 0 && n < authority.n && authority.p[n - 1] == ':')
		authority.n = n - 1;
	return authority;
}

const struct rule *routes_match(const struct policy_route *v, size_t n,
	const struct req_head *req, const struct policy_route **route)
{
	uint64_t best_rank = 0, now_rank = 0;
	const struct rule *best = NULL;
	uint32_t best_host = 0, now_host;
	struct slice host;

	if (n == 1 && v->nrules == 1 && v->nhosts == 0 && v->rules->nmatches == 0) {
		*route = v; /* by far the most usual */
		return v->rules;
	}
	host = authority_host(req->authority);
	for (size_t i = 0; i < n; i++) {
		now_host = host_match(&v[i], host);
		if (!now_host || now_host < best_host)
			continue;
		for (size_t j = 0; j < v[i].nrules; j++) {
			if (!rule_match(&v[i].rules[j], req, &now_rank))
				continue;
			if (best && now_host == best_host && now_rank <= best_rank)
				continue;
			best = &v[i].rules[j];
			best_host = now_host;
			best_rank = now_rank;
			*route = &v[i];
		}
	}
	return best;
}

const char *rule_prefix(const struct rule *r, struct slice path)
{
	const char *best = NULL;

	for (size_t i = 0; i < r->nmatches; i++) {
		const struct text_match *m = &r->matches[i].path;

		if (m->kind == MATCH_PREFIX && path_is(m, path) &&
			(!best || strlen(m->text) > strlen(best)))
			best = m->text;
	}
	return best;
}

/* ---- authorizations ---- */

static bool net_has(const struct authz_net *net, const struct ip *ip)
{
	if (!cidr_has(&net->net, ip))
		return false;
	for (size_t i = 0; i < net->nexcept; i++)
		if (cidr_has(&net->except[i], ip))
			return false;
	return true;
}

static bool identity_fits(const struct authz *az, const char *identity)
{
	struct slice id = slice_of(identity);

	for (size_t i = 0; i < az->nids; i++)
		if (strcmp(az->ids[i], identity) == 0)
			return true;
	if (slice_starts(id, SLICE("spiffe://")))
		return false;
	for (size_t i = 0; i < az->nsuffixes; i++)
		if (!*az->suffixes[i] || slice_ends(id, slice_of(az->suffixes[i])))
			return true;
	return false;
}

static bool admits(
	const struct authz *az, const struct ip *client, bool tls, const char *identity)
{
	bool net = false;

	for (size_t i = 0; i < az->nnets && !net; i++)
		net = net_has(&az->nets[i], client);
	if (!net)
		return false;
	switch (az->authn) {
	case AUTHN_NONE:
		return true;
	case AUTHN_TLS:
		return tls;
	case AUTHN_IDENTITY:
		return tls && *identity && identity_fits(az, identity);
	}
	return false;
}

const struct authz *authz_match(const struct authz *v, size_t n,
	const struct ip *client, bool tls, const char *identity)
{
	for (size_t i = 0; i < n; i++)
		if (admits(&v[i], client, tls, identity))
			return &v[i];
	return NULL;
}
