/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/grpc_route.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/inbound.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "proxy/decode.h"

#define DETECT (10 * NS_PER_S)

static void policy_free(struct ref *r)
{
	struct inbound_policy *p = container_of(r, struct inbound_policy, ref);

	arena_fini(&p->arena);
	free(p);
}

static struct inbound_policy *policy_new(void)
{
	struct inbound_policy *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	ref_init(&p->ref, policy_free);
	arena_init(&p->arena, SNAPSHOT_MAX);
	p->detect_timeout = DETECT;
	p->server = (struct meta){"", "default", "", "", "", 0};
	return p;
}

/* ---- metadata out of labels (spec proxy.md §7.5) ---- */

static void meta_of_labels(
	Common__Label *const *v, size_t n, const char *kind, struct meta *out)
{
	const char *name = api_label_get(v, n, "name"),
		   *k = api_label_get(v, n, "kind"),
		   *group = api_label_get(v, n, "group");

	*out = (struct meta){"", "default", "", "", "", 0};
	if (name && strncmp(name, "default:", 8) == 0) {
		out->name = name + 8;
		return;
	}
	out->name = name ? name : "";
	if (k && strcmp(k, "default") == 0)
		return;
	out->group = group ? group : "policy.linkerd.io";
	out->kind = k ? k : kind;
}

/* ---- authorizations ---- */

static const char *suffix(const Inbound__IdentitySuffix *s, struct arena *a)
{
	struct buf b = BUF_LIMIT(1024);
	const char *text;

	for (size_t i = 0; i < s->n_parts; i++)
		(void)buf_printf(&b, ".%s", s->parts[i]);
	text = b.failed ? NULL : api_text(buf_slice(&b), a); /* never half of it */
	buf_fini(&b);
	return text;
}

static int clients(
	const Inbound__ClientIdentities *c, struct arena *a, struct authz *out)
{
	const char **ids = arena_array(a, c->n_identities + 1, sizeof *ids);
	const char **suffixes = arena_array(a, c->n_suffixes + 1, sizeof *suffixes);

	if (!ids || !suffixes)
		return -1;
	for (size_t i = 0; i < c->n_identities; i++)
		ids[i] = c->identities[i]->name;
	for (size_t i = 0; i < c->n_suffixes; i++) {
		suffixes[i] = suffix(c->suffixes[i], a);
		if (!suffixes[i])
			return -1;
	}
	out->authn = AUTHN_IDENTITY;
	out->ids = ids;
	out->nids = c->n_identities;
	out->suffixes = suffixes;
	out->nsuffixes = c->n_suffixes;
	return 0;
}

static int authn(
	const Inbound__Authn *m, struct arena *a, struct authz *out, struct err *e)
{
	if (m && m->permit_case == INBOUND__AUTHN__PERMIT_UNAUTHENTICATED)
		return 0;
	if (!m || m->permit_case != INBOUND__AUTHN__PERMIT_MESH_TLS)
		return err_set(
			e, ERR_SYNTAX, "an authorization without authentication");
	switch (m->mesh_tls->clients_case) {
	case INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_UNAUTHENTICATED:
		out->authn = AUTHN_TLS;
		return 0;
	case INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_IDENTITIES:
		if (clients(m->mesh_tls->identities, a, out) < 0)
			return err_set(e, ERR_LIMIT, "no memory for identities");
		return 0;
	default:
		return err_set(e, ERR_SYNTAX, "mesh TLS without clients");
	}
}

static int networks(
	const Inbound__Authz *m, struct arena *a, struct authz *out, struct err *e)
{
	struct authz_net *v = arena_array(a, m->n_networks + 1, sizeof *v);

	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for networks");
	if (m->n_networks == 0)
		return err_set(e, ERR_SYNTAX, "an authorization without networks");
	for (size_t i = 0; i < m->n_networks; i++) {
		const Inbound__Network *n = m->networks[i];
		struct cidr *except = arena_array(a, n->n_except + 1, sizeof *except);

		if (!except || !api_to_cidr(n->net, &v[i].net))
			return err_set(e, ERR_SYNTAX, "a malformed network");
		for (size_t k = 0; k < n->n_except; k++)
			if (!api_to_cidr(n->except[k], &except[k]))
				return err_set(e, ERR_SYNTAX, "a malformed network");
		v[i].except = except;
		v[i].nexcept = n->n_except;
	}
	out->nets = v;
	out->nnets = m->n_networks;
	return 0;
}

static int authz(
	const Inbound__Authz *m, struct arena *a, struct authz *out, struct err *e)
{
	*out = (struct authz){.authn = AUTHN_NONE};
	if (m->metadata)
		decode_meta(m->metadata, &out->meta);
	else
		meta_of_labels(
			m->labels, m->n_labels, "serverauthorization", &out->meta);
	out->audit = strcmp(out->meta.kind, "default") == 0 &&
		     strcmp(out->meta.name, "audit") == 0;
	if (networks(m, a, out, e) < 0)
		return -1;
	return authn(m->authentication, a, out, e);
}

/* 127.0.0.1 and ::1 may always (spec proxy.md §7.3). */
static void localhost(struct authz *out, struct authz_net nets[2])
{
	nets[0] = (struct authz_net){.net = {{4, {127, 0, 0, 1}}, 32}};
	nets[1] = (struct authz_net){.net = {{6, {[15] = 1}}, 128}};
	*out = (struct authz){.meta = {"", "default", "", "localhost", "", 0},
		.nets = nets,
		.nnets = 2,
		.authn = AUTHN_NONE};
}

static int authzs(Inbound__Authz *const *v, size_t n, bool local, struct arena *a,
	const struct authz **out, size_t *nout, struct err *e)
{
	struct authz *z = arena_array(a, n + 1, sizeof *z);
	struct authz_net *nets = arena_array(a, 2, sizeof *nets);

	if (!z || !nets)
		return err_set(e, ERR_LIMIT, "no memory for authorizations");
	for (size_t i = 0; i < n; i++)
		if (authz(v[i], a, &z[i], e) < 0)
			return -1;
	if (local)
		localhost(&z[n], nets);
	*out = z;
	*nout = n + local;
	return 0;
}

/* ---- routes ---- */

static int http_filter(const Inbound__HttpRoute__Filter *f, struct arena *a,
	struct route_filter *out, struct err *e)
{
	switch (f->kind_case) {
	case INBOUND__HTTP_ROUTE__FILTER__KIND_FAILURE_INJECTOR:
		return decode_failure(f->failure_injector, out, e);
	case INBOUND__HTTP_ROUTE__FILTER__KIND_REQUEST_HEADER_MODIFIER:
		return decode_request_edit(f->request_header_modifier, a, out, e);
	case INBOUND__HTTP_ROUTE__FILTER__KIND_REDIRECT:
		return decode_redirect(f->redirect, out, e);
	default:
		return err_set(e, ERR_SYNTAX, "an unknown filter");
	}
}

static int http_rule(const Inbound__HttpRoute__Rule *m, struct arena *a,
	struct rule *out, struct err *e)
{
	struct request_match *v = arena_array(a, m->n_matches + 1, sizeof *v);
	struct route_filter *f = arena_array(a, m->n_filters + 1, sizeof *f);

	if (!v || !f)
		return err_set(e, ERR_LIMIT, "no memory for a rule");
	for (size_t i = 0; i < m->n_matches; i++)
		if (decode_match(m->matches[i], a, &v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < m->n_filters; i++)
		if (http_filter(m->filters[i], a, &f[i], e) < 0)
			return -1;
	*out = (struct rule){.matches = v,
		.nmatches = m->n_matches,
		.filters = f,
		.nfilters = m->n_filters};
	return 0;
}

static int http_route(const Inbound__HttpRoute *m, struct arena *a,
	struct policy_route *out, struct err *e)
{
	struct rule *v = arena_array(a, m->n_rules + 1, sizeof *v);

	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for a route");
	*out = (struct policy_route){.rules = v, .nrules = m->n_rules};
	decode_meta(m->metadata, &out->meta);
	for (size_t i = 0; i < m->n_rules; i++)
		if (http_rule(m->rules[i], a, &v[i], e) < 0)
			return -1;
	if (decode_hosts(m->hosts, m->n_hosts, a, out, e) < 0)
		return -1;
	return authzs(m->authorizations, m->n_authorizations, false, a, &out->authz,
		&out->nauthz, e);
}

static int http_routes(
	Inbound__HttpRoute *const *v, size_t n, struct inbound_policy *p, struct err *e)
{
	struct policy_route *r = arena_array(&p->arena, n + 1, sizeof *r);

	if (!r)
		return err_set(e, ERR_LIMIT, "no memory for routes");
	for (size_t i = 0; i < n; i++)
		if (http_route(v[i], &p->arena, &r[i], e) < 0)
			return -1;
	p->routes = r;
	p->nroutes = n;
	return 0;
}

static int grpc_filter(const Inbound__GrpcRoute__Filter *f, struct arena *a,
	struct route_filter *out, struct err *e)
{
	switch (f->kind_case) {
	case INBOUND__GRPC_ROUTE__FILTER__KIND_FAILURE_INJECTOR:
		return decode_rpc_failure(f->failure_injector, out, e);
	case INBOUND__GRPC_ROUTE__FILTER__KIND_REQUEST_HEADER_MODIFIER:
		return decode_request_edit(f->request_header_modifier, a, out, e);
	default:
		return err_set(e, ERR_SYNTAX, "an unknown filter");
	}
}

static int grpc_rule(const Inbound__GrpcRoute__Rule *m, struct arena *a,
	struct rule *out, struct err *e)
{
	struct request_match *v = arena_array(a, m->n_matches + 1, sizeof *v);
	struct route_filter *f = arena_array(a, m->n_filters + 1, sizeof *f);

	if (!v || !f)
		return err_set(e, ERR_LIMIT, "no memory for a rule");
	for (size_t i = 0; i < m->n_matches; i++)
		if (decode_rpc(m->matches[i], a, &v[i], e) < 0)
			return -1;
	for (size_t i = 0; i < m->n_filters; i++)
		if (grpc_filter(m->filters[i], a, &f[i], e) < 0)
			return -1;
	*out = (struct rule){.matches = v,
		.nmatches = m->n_matches,
		.filters = f,
		.nfilters = m->n_filters};
	return 0;
}

static int grpc_route(const Inbound__GrpcRoute *m, struct arena *a,
	struct policy_route *out, struct err *e)
{
	struct rule *v = arena_array(a, m->n_rules + 1, sizeof *v);

	if (!v)
		return err_set(e, ERR_LIMIT, "no memory for a route");
	*out = (struct policy_route){.rules = v, .nrules = m->n_rules, .is_grpc = true};
	decode_meta(m->metadata, &out->meta);
	for (size_t i = 0; i < m->n_rules; i++)
		if (grpc_rule(m->rules[i], a, &v[i], e) < 0)
			return -1;
	if (decode_hosts(m->hosts, m->n_hosts, a, out, e) < 0)
		return -1;
	return authzs(m->authorizations, m->n_authorizations, false, a, &out->authz,
		&out->nauthz, e);
}

static int grpc_routes(
	const Inbound__ProxyProtocol__Grpc *m, struct inbound_policy *p, struct err *e)
{
	struct policy_route *r = arena_array(&p->arena, m->n_routes + 1, sizeof *r);

	if (!r)
		return err_set(e, ERR_LIMIT, "no memory for routes");
	for (size_t i = 0; i < m->n_routes; i++)
		if (grpc_route(m->routes[i], &p->arena, &r[i], e) < 0)
			return -1;
	p->routes = r;
	p->nroutes = m->n_routes;
	return 0;
}

/* No route at all means every request, with the server's authorizations. */
static int any_route(struct inbound_policy *p)
{
	struct policy_route *r;
	struct rule *rule;

	if (p->nroutes || p->proto == PROTO_OPAQUE || p->proto == PROTO_TLS)
		return 0;
	r = arena_alloc(&p->arena, sizeof *r);
	rule = arena_alloc(&p->arena, sizeof *rule);
	if (!r || !rule)
		return -1;
	*r = (struct policy_route){.meta = {"", "default", "", "default", "", 0},
		.rules = rule,
		.nrules = 1,
		.is_grpc = p->proto == PROTO_GRPC};
	p->routes = r;
	p->nroutes = 1;
	return 0;
}

static int protocol(
	const Inbound__ProxyProtocol *m, struct inbound_policy *p, struct err *e)
{
	if (!m)
		return err_set(e, ERR_SYNTAX, "a server without a protocol");
	switch (m->kind_case) {
	case INBOUND__PROXY_PROTOCOL__KIND_DETECT:
		p->proto = PROTO_DETECT;
		p->detect_timeout = api_to_ns(m->detect->timeout, DETECT);
		return http_routes(
			m->detect->http_routes, m->detect->n_http_routes, p, e);
	case INBOUND__PROXY_PROTOCOL__KIND_HTTP1:
		p->proto = PROTO_HTTP1;
		return http_routes(m->http1->routes, m->http1->n_routes, p, e);
	case INBOUND__PROXY_PROTOCOL__KIND_HTTP2:
		p->proto = PROTO_HTTP2;
		return http_routes(m->http2->routes, m->http2->n_routes, p, e);
	case INBOUND__PROXY_PROTOCOL__KIND_GRPC:
		p->proto = PROTO_GRPC;
		return grpc_routes(m->grpc, p, e);
	case INBOUND__PROXY_PROTOCOL__KIND_OPAQUE:
		p->proto = PROTO_OPAQUE;
		return 0;
	case INBOUND__PROXY_PROTOCOL__KIND_TLS:
		p->proto = PROTO_TLS;
		return 0;
	default:
		return err_set(e, ERR_SYNTAX, "a server of an unknown protocol");
	}
}

static int server(const Inbound__Server *m, struct inbound_policy *p, struct err *e)
{
	meta_of_labels(m->labels, m->n_labels, "server", &p->server);
	if (protocol(m->protocol, p, e) < 0)
		return -1;
	p->source = p->proto == PROTO_OPAQUE && strcmp(p->server.kind, "default") == 0
			    ? SOURCE_ANNOTATION /* no Server says so */
			    : SOURCE_POLICY;
	if (authzs(m->authorizations, m->n_authorizations, true, &p->arena, &p->authz,
		    &p->nauthz, e) < 0)
		return -1;
	return any_route(p) < 0 ? err_set(e, ERR_LIMIT, "no memory for routes") : 0;
}

struct inbound_policy *decode_inbound(struct slice bytes)
{
	struct inbound_policy *p = policy_new();
	Inbound__Server *m;
	struct err e;

	if (!p)
		return NULL;
	m = API_READ(Inbound__Server, inbound__server, bytes, &p->arena, &e);
	if (m && server(m, p, &e) == 0)
		return p;
	log_error("proxy",
		"the policy of a port cannot be understood: requests are refused",
		LE(&e));
	p->invalid = true;
	p->proto = PROTO_DETECT;
	p->nauthz = 0;
	p->nroutes = 0;
	(void)any_route(p);
	return p;
}

/* ---- defaults ---- */

static int default_authz(const struct proxy_config *cfg, struct inbound_policy *p)
{
	static const char *const any[] = {""};
	const char *name = cfg->default_policy;
	bool cluster = strncmp(name, "cluster-", 8) == 0;
	struct authz *z = arena_array(&p->arena, 2, sizeof *z);
	struct authz_net *nets =
		arena_array(&p->arena, 4 + cfg->ncluster_networks, sizeof *nets);
	size_t n = 0;

	if (!z || !nets)
		return -1;
	for (size_t i = 0; cluster && i < cfg->ncluster_networks; i++)
		nets[n++].net = cfg->cluster_networks[i];
	if (!cluster) {
		nets[n++].net = (struct cidr){.ip.family = 4};
		nets[n++].net = (struct cidr){.ip.family = 6};
	}
	z[0] = (struct authz){.meta = {"", "default", "", name, "", 0},
		.nets = nets,
		.nnets = n,
		.authn = AUTHN_NONE,
		.audit = strcmp(name, "audit") == 0};
	if (strstr(name, "-authenticated")) {
		z[0].authn = AUTHN_IDENTITY;
		z[0].suffixes = any;
		z[0].nsuffixes = 1;
	}
	p->authz = z;
	if (strcmp(name, "deny") == 0)
		return 0;
	localhost(&z[1], nets + n);
	p->nauthz = 2;
	return 0;
}

struct inbound_policy *default_inbound(const struct proxy_config *cfg, uint16_t port)
{
	struct inbound_policy *p = policy_new();

	if (!p)
		return NULL;
	p->server.name = cfg->default_policy;
	p->detect_timeout = cfg->in.detect_timeout;
	if (portset_has(&cfg->opaque_ports, port)) {
		p->proto = PROTO_OPAQUE;
		p->source = SOURCE_ANNOTATION;
	}
	if (default_authz(cfg, p) == 0 && any_route(p) == 0)
		return p;
	ref_put(&p->ref);
	return NULL;
}
