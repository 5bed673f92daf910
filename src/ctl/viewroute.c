/* SPDX-License-Identifier: Apache-2.0 */
/* HTTPRoute and GRPCRoute (Gateway API): rules as the parts of messages they come to.
 */
#include "api/api.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/policyview.h"
#include "ctl/viewint.h"

const char *route_group(const struct route_view *r)
{
	return r->view.kind == VIEW_HTTPROUTE ? "policy.linkerd.io"
					      : "gateway.networking.k8s.io";
}

const char *route_kind(const struct route_view *r)
{
	return r->is_grpc ? "GRPCRoute" : "HTTPRoute";
}

/* ---- hosts ---- */

/* "*.a.b": the labels behind the star, last first. */
static HttpRoute__HostMatch__Suffix *suffix(struct reading *r, const char *name)
{
	HttpRoute__HostMatch__Suffix *m = VIEW_NEW(
		r, HttpRoute__HostMatch__Suffix, http_route__host_match__suffix);
	struct slice rest = slice_of(name), part;
	char **v = view_take(r, strlen(name), sizeof *v);
	size_t n = 0;

	if (!m || !v)
		return m;
	while (slice_cut(&rest, '.', &part)) {
		char *label = api_text(part, r->a);

		r->full |= !label;
		memmove(v + 1, v, n++ * sizeof *v);
		v[0] = label;
	}
	m->reverse_labels = v;
	m->n_reverse_labels = n;
	return m;
}

static void hosts(struct reading *r, struct route_view *route, const struct json *list)
{
	route->hosts = view_take(r, json_count(list), sizeof(void *));
	if (!route->hosts)
		return;
	json_each(x, list)
	{
		const char *name = json_text(x);
		HttpRoute__HostMatch *m =
			VIEW_NEW(r, HttpRoute__HostMatch, http_route__host_match);

		if (!m || !name)
			continue;
		if (strncmp(name, "*.", 2) == 0) {
			m->match_case = HTTP_ROUTE__HOST_MATCH__MATCH_SUFFIX;
			m->suffix = suffix(r, name + 2);
		} else {
			m->match_case = HTTP_ROUTE__HOST_MATCH__MATCH_EXACT;
			m->exact = view_field(r, name);
		}
		route->hosts[route->nhosts++] = m;
	}
}

/* ---- matches ---- */

static bool is_regex(const struct json *j)
{
	return strcmp(json_text_or(j, "type", "Exact"), "RegularExpression") == 0;
}

static HttpRoute__PathMatch *path(struct reading *r, const struct json *j)
{
	HttpRoute__PathMatch *m =
		VIEW_NEW(r, HttpRoute__PathMatch, http_route__path_match);
	const char *type = json_text_or(j, "type", "PathPrefix");

	if (!m)
		return NULL;
	m->kind_case = strcmp(type, "Exact") == 0 ? HTTP_ROUTE__PATH_MATCH__KIND_EXACT
		       : is_regex(j)              ? HTTP_ROUTE__PATH_MATCH__KIND_REGEX
						  : HTTP_ROUTE__PATH_MATCH__KIND_PREFIX;
	m->exact = view_field(r, json_text_or(j, "value", "/")); /* a union */
	return m;
}

static HttpRoute__HeaderMatch **headers(
	struct reading *r, const struct json *list, size_t *n)
{
	HttpRoute__HeaderMatch **v = view_take(r, json_count(list), sizeof *v);

	*n = 0;
	if (!v)
		return NULL;
	json_each(x, list)
	{
		HttpRoute__HeaderMatch *m =
			VIEW_NEW(r, HttpRoute__HeaderMatch, http_route__header_match);
		char *value = view_field(r, json_text_at(x, "value"));

		if (!m)
			break;
		m->name = view_field(r, json_text_at(x, "name"));
		if (is_regex(x)) {
			m->value_case = HTTP_ROUTE__HEADER_MATCH__VALUE_REGEX;
			m->regex = value;
		} else {
			m->value_case = HTTP_ROUTE__HEADER_MATCH__VALUE_EXACT;
			m->exact.data = (uint8_t *)value;
			m->exact.len = strlen(value);
		}
		v[(*n)++] = m;
	}
	return v;
}

static HttpRoute__QueryParamMatch **params(
	struct reading *r, const struct json *list, size_t *n)
{
	HttpRoute__QueryParamMatch **v = view_take(r, json_count(list), sizeof *v);

	*n = 0;
	if (!v)
		return NULL;
	json_each(x, list)
	{
		HttpRoute__QueryParamMatch *m = VIEW_NEW(
			r, HttpRoute__QueryParamMatch, http_route__query_param_match);

		if (!m)
			break;
		m->name = view_field(r, json_text_at(x, "name"));
		m->value_case = is_regex(x)
					? HTTP_ROUTE__QUERY_PARAM_MATCH__VALUE_REGEX
					: HTTP_ROUTE__QUERY_PARAM_MATCH__VALUE_EXACT;
		m->exact = view_field(r, json_text_at(x, "value"));
		v[(*n)++] = m;
	}
	return v;
}

static HttpRoute__HttpRouteMatch *http_match(struct reading *r, const struct json *j)
{
	HttpRoute__HttpRouteMatch *m =
		VIEW_NEW(r, HttpRoute__HttpRouteMatch, http_route__http_route_match);
	const char *method = json_text_at(j, "method");

	if (!m)
		return NULL;
	m->path = path(r, json_get(j, "path"));
	m->headers = headers(r, json_get(j, "headers"), &m->n_headers);
	m->query_params = params(r, json_get(j, "queryParams"), &m->n_query_params);
	if (method) {
		m->method = api_method(method, r->a);
		r->full |= !m->method;
	}
	return m;
}

/* Regular expressions of services and methods have no place in the message: such a
 * match is of nothing. */
static GrpcRoute__GrpcRouteMatch *grpc_match(struct reading *r, const struct json *j)
{
	const struct json *method = json_get(j, "method");
	GrpcRoute__GrpcRouteMatch *m =
		VIEW_NEW(r, GrpcRoute__GrpcRouteMatch, grpc_route__grpc_route_match);
	GrpcRoute__GrpcRpcMatch *rpc =
		VIEW_NEW(r, GrpcRoute__GrpcRpcMatch, grpc_route__grpc_rpc_match);

	if (!m || !rpc || is_regex(method))
		return NULL;
	rpc->service = view_field(r, json_text_at(method, "service"));
	rpc->method = view_field(r, json_text_at(method, "method"));
	m->rpc = rpc;
	m->headers = headers(r, json_get(j, "headers"), &m->n_headers);
	return m;
}

/* A rule without matches has one of everything. */
static void matches(
	struct reading *r, struct route_rule *rule, const struct json *list, bool grpc)
{
	size_t n = json_count(list) ? json_count(list) : 1;

	rule->http = view_take(r, n, sizeof(void *));
	rule->grpc = view_take(r, n, sizeof(void *));
	for (size_t i = 0; i < n && !r->full; i++) {
		const struct json *j = json_at(list, i);

		if (!grpc)
			rule->http[rule->nmatches++] = http_match(r, j);
		else if ((rule->grpc[rule->nmatches] = grpc_match(r, j)))
			rule->nmatches++;
	}
}

/* ---- filters ---- */

static HttpTypes__Headers *fields(struct reading *r, const struct json *list)
{
	HttpTypes__Headers *m = VIEW_NEW(r, HttpTypes__Headers, http_types__headers);

	if (!m || json_count(list) == 0)
		return NULL;
	m->headers = view_take(r, json_count(list), sizeof(void *));
	json_each(x, list)
	{
		HttpTypes__Headers__Header *h = VIEW_NEW(
			r, HttpTypes__Headers__Header, http_types__headers__header);

		if (!h || !m->headers)
			break;
		h->name = view_field(r, json_text_at(x, "name"));
		h->value.data = (uint8_t *)view_field(r, json_text_at(x, "value"));
		h->value.len = strlen((char *)h->value.data);
		m->headers[m->n_headers++] = h;
	}
	return m;
}

static char **texts(struct reading *r, const struct json *list, size_t *n)
{
	char **v = view_take(r, json_count(list), sizeof *v);

	*n = 0;
	if (v)
		json_each(x, list)
		{
			v[(*n)++] = view_field(r, json_text(x));
		}
	return v;
}

static void request_modifier(
	struct reading *r, Outbound__HttpRoute__Filter *f, const struct json *j)
{
	HttpRoute__RequestHeaderModifier *m = VIEW_NEW(r,
		HttpRoute__RequestHeaderModifier, http_route__request_header_modifier);

	if (!m)
		return;
	f->kind_case = OUTBOUND__HTTP_ROUTE__FILTER__KIND_REQUEST_HEADER_MODIFIER;
	f->request_header_modifier = m;
	m->add = fields(r, json_get(j, "add"));
	m->set = fields(r, json_get(j, "set"));
	m->remove = texts(r, json_get(j, "remove"), &m->n_remove);
}

static void response_modifier(
	struct reading *r, Outbound__HttpRoute__Filter *f, const struct json *j)
{
	HttpRoute__ResponseHeaderModifier *m =
		VIEW_NEW(r, HttpRoute__ResponseHeaderModifier,
			http_route__response_header_modifier);

	if (!m)
		return;
	f->kind_case = OUTBOUND__HTTP_ROUTE__FILTER__KIND_RESPONSE_HEADER_MODIFIER;
	f->response_header_modifier = m;
	m->add = fields(r, json_get(j, "add"));
	m->set = fields(r, json_get(j, "set"));
	m->remove = texts(r, json_get(j, "remove"), &m->n_remove);
}

static HttpRoute__PathModifier *path_modifier(struct reading *r, const struct json *j)
{
	HttpRoute__PathModifier *m =
		VIEW_NEW(r, HttpRoute__PathModifier, http_route__path_modifier);
	const char *full = json_text_at(j, "replaceFullPath"),
		   *prefix = json_text_at(j, "replacePrefixMatch");

	if (!m || (!full && !prefix))
		return NULL;
	m->replace_case = full ? HTTP_ROUTE__PATH_MODIFIER__REPLACE_FULL
			       : HTTP_ROUTE__PATH_MODIFIER__REPLACE_PREFIX;
	m->full = view_field(r, full ? full : prefix);
	return m;
}

static HttpTypes__Scheme *scheme(struct reading *r, const char *name)
{
	HttpTypes__Scheme *m =
		name ? VIEW_NEW(r, HttpTypes__Scheme, http_types__scheme) : NULL;

	if (!m)
		return NULL;
	m->type_case = HTTP_TYPES__SCHEME__TYPE_REGISTERED;
	m->registered = strcmp(name, "https") == 0
				? HTTP_TYPES__SCHEME__REGISTERED__HTTPS
				: HTTP_TYPES__SCHEME__REGISTERED__HTTP;
	return m;
}

static void redirect(
	struct reading *r, Outbound__HttpRoute__Filter *f, const struct json *j)
{
	HttpRoute__RequestRedirect *m =
		VIEW_NEW(r, HttpRoute__RequestRedirect, http_route__request_redirect);

	if (!m)
		return;
	f->kind_case = OUTBOUND__HTTP_ROUTE__FILTER__KIND_REDIRECT;
	f->redirect = m;
	m->scheme = scheme(r, json_text_at(j, "scheme"));
	m->host = view_field(r, json_text_at(j, "hostname"));
	m->path = path_modifier(r, json_get(j, "path"));
	m->port = view_port_of(json_int_at(j, "port", 0));
	m->status = (uint32_t)json_int_at(j, "statusCode", 302);
}

static const struct {
	const char *type, *key;
	void (*read)(struct reading *r, Outbound__HttpRoute__Filter *f,
		const struct json *j);
} filter_types[] = {
	{"RequestHeaderModifier", "requestHeaderModifier", request_modifier},
	{"ResponseHeaderModifier", "responseHeaderModifier", response_modifier},
	{"RequestRedirect", "requestRedirect", redirect},
};

static Outbound__HttpRoute__Filter *filter(struct reading *r, const struct json *j)
{
	const char *type = json_text_or(j, "type", "");
	Outbound__HttpRoute__Filter *f =
		VIEW_NEW(r, Outbound__HttpRoute__Filter, outbound__http_route__filter);

	for (size_t i = 0; f && i < countof(filter_types); i++)
		if (strcmp(filter_types[i].type, type) == 0) {
			filter_types[i].read(r, f, json_get(j, filter_types[i].key));
			return f;
		}
	return NULL;
}

/* Returns the type that is not known, or NULL. */
static const char *filters(struct reading *r, const struct json *list,
	Outbound__HttpRoute__Filter ***out, size_t *n)
{
	const char *unknown = NULL;

	*out = view_take(r, json_count(list), sizeof **out);
	if (!*out)
		return NULL;
	json_each(x, list)
	{
		if (((*out)[*n] = filter(r, x)))
			(*n)++;
		else
			unknown = view_text(r, json_text_or(x, "type", "?"));
	}
	return unknown;
}

/* ---- parents and backends ---- */

static struct object_ref ref(
	struct reading *r, const struct json *j, const struct object_ref *preset)
{
	const char *group = json_text_or(j, "group", preset->group);

	return (struct object_ref){
		view_text(r, strcmp(group, "core") == 0 ? "" : group),
		view_text(r, json_text_or(j, "kind", preset->kind)),
		view_text(r, json_text_or(j, "namespace", preset->ns)),
		view_text(r, json_text_at(j, "name"))};
}

static void backends(struct reading *r, struct route_rule *rule,
	const struct json *list, const char *own_ns)
{
	struct backend_ref *v = view_take(r, json_count(list), sizeof *v);

	rule->backends = v;
	if (!v)
		return;
	json_each(x, list)
	{
		struct backend_ref *b = &v[rule->nbackends++];
		int64_t weight = json_int_at(x, "weight", 1);
		const char *unknown;

		b->to = ref(r, x, &(struct object_ref){"", "Service", own_ns, ""});
		b->port = view_port_of(json_int_at(x, "port", 0));
		b->weight = weight > 0 && weight <= 1000000 ? (uint32_t)weight : 0;
		unknown = filters(r, json_get(x, "filters"), &b->filters, &b->nfilters);
		rule->unknown = unknown ? unknown : rule->unknown;
	}
}

/* 0: none, as "0s" says, too. */
static uint64_t timeout(const char *text)
{
	uint64_t ns;

	return text && duration_parse_go(slice_of(text), &ns) ? ns : 0;
}

static void rule(struct reading *r, const struct route_view *route,
	struct route_rule *out, const struct json *j)
{
	const char *ns = route->view.ns;

	matches(r, out, json_get(j, "matches"), route->is_grpc);
	out->unknown =
		filters(r, json_get(j, "filters"), &out->filters, &out->nfilters);
	backends(r, out, json_get(j, "backendRefs"), ns);
	out->request = timeout(json_text_at(j, "timeouts.request"));
	out->backend_request = timeout(json_text_at(j, "timeouts.backendRequest"));
}

static void parents(
	struct reading *r, struct route_view *route, const struct json *list)
{
	bool ours = route->view.kind == VIEW_HTTPROUTE;
	struct object_ref preset = {
		route_group(route), ours ? "Server" : "Gateway", route->view.ns, ""};
	struct parent_ref *v = view_take(r, json_count(list), sizeof *v);

	route->parents = v;
	if (v)
		json_each(x, list)
		{
			v[route->nparents++] = (struct parent_ref){ref(r, x, &preset),
				view_port_of(json_int_at(x, "port", 0))};
		}
}

void view_read_route(struct reading *r, struct view *view)
{
	struct route_view *route = container_of(view, struct route_view, view);
	const struct json *spec = json_get(r->o, "spec"),
			  *rules = json_get(spec, "rules");
	struct route_rule *v = view_take(r, json_count(rules), sizeof *v);

	route->created = view_text(r, json_text_at(r->o, "metadata.creationTimestamp"));
	route->is_grpc = view->kind == VIEW_GRPCROUTE;
	route->traffic = view_traffic(r);
	hosts(r, route, json_get(spec, "hostnames"));
	parents(r, route, json_get(spec, "parentRefs"));
	route->rules = v;
	if (v)
		json_each(x, rules)
		{
			rule(r, route, &v[route->nrules++], x);
		}
}
