/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/validate.h"

#include <regex.h>
#include <stdarg.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/destination.h"
#include "ctl/validateint.h"

#define REGEX_MAX 1024 /* bytes; what proxies take */

/* ---- what the others use ---- */

int invalid(struct err *e, const char *path, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(e, ERR_SYNTAX, "%s: %s", path, text);
}

int validate_each(const struct json *j, const char *path, const char *key,
	validate_one *one, struct err *e)
{
	size_t i = 0;

	json_each(x, json_get(j, key))
	{
		char at[PATH_MAX_];

		snprintf(at, sizeof at, "%s.%s[%zu]", path, key, i++);
		if (one(x, at, e))
			return -1;
	}
	return 0;
}

int validate_regex(const char *text, const char *path, struct err *e)
{
	regex_t re;

	if (strlen(text) > REGEX_MAX)
		return invalid(e, path, "longer than %d bytes", REGEX_MAX);
	if (regcomp(&re, text, REG_EXTENDED | REG_NOSUB) != 0)
		return invalid(e, path, "\"%.80s\" is no regular expression", text);
	regfree(&re);
	return 0;
}

int validate_duration(const struct json *j, const char *path, const char *key,
	uint64_t *ns, struct err *e)
{
	const struct json *value = json_get(j, key);
	const char *text = json_text(value);

	*ns = 0;
	if (!value || (text && duration_parse_go(slice_of(text), ns)))
		return 0;
	return invalid(e, path, "%s: \"%.40s\" is no duration such as \"10s\"", key,
		text ? text : "");
}

bool is_one_of(const char *text, const char *const *texts)
{
	for (; *texts; texts++)
		if (strcmp(*texts, text) == 0)
			return true;
	return false;
}

/* ---- selectors and networks ---- */

static int expression(const struct json *j, const char *path, struct err *e)
{
	static const char *const with[] = {"In", "NotIn", NULL}, *const without[] = {
									 "Exists",
									 "DoesNotExist",
									 NULL};
	const char *op = json_text_or(j, "operator", "");
	size_t n = json_count(json_get(j, "values"));

	if (!*json_text_or(j, "key", ""))
		return invalid(e, path, "key is absent");
	if (!is_one_of(op, with) && !is_one_of(op, without))
		return invalid(e, path, "operator \"%.40s\" is not known", op);
	if (is_one_of(op, with) != (n > 0))
		return invalid(e, path, "operator %s %s", op,
			n ? "takes no values" : "needs values");
	return 0;
}

static int selector(const struct json *j, const char *path, struct err *e)
{
	return validate_each(j, path, "matchExpressions", expression, e);
}

static int network(const struct json *j, const char *path, struct err *e)
{
	const char *text = json_text_or(j, "cidr", "");
	struct cidr net, except;

	if (!cidr_parse(slice_of(text), &net))
		return invalid(e, path, "cidr: \"%.60s\" is not a network", text);
	json_each(x, json_get(j, "except"))
	{
		const char *what = json_text(x) ? json_text(x) : "";

		if (!cidr_parse(slice_of(what), &except))
			return invalid(
				e, path, "except: \"%.60s\" is not a network", what);
		if (except.bits < net.bits || !cidr_has(&net, &except.ip))
			return invalid(e, path, "except: %.60s is not within %.60s",
				what, text);
	}
	return 0;
}

/* ---- Server ---- */

/* As Kubernetes names ports: up to 15 of a-z, 0-9 and -, with a letter. */
static bool is_port_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= 15 && !s[n] && s[strspn(s, "0123456789-")];
}

static int port(const struct json *j, struct err *e)
{
	int64_t n = json_int(j, 0);

	if (json_text(j) ? is_port_name(json_text(j)) : n > 0 && n < 65536)
		return 0;
	return invalid(
		e, "spec.port", "neither a number up to 65535 nor a port's name");
}

static int server(const struct json *o, struct err *e)
{
	static const char *const protocols[] = {
		"unknown", "HTTP/1", "HTTP/2", "gRPC", "opaque", "TLS", NULL};
	const struct json *spec = json_get(o, "spec"),
			  *pods = json_get(spec, "podSelector"),
			  *machines = json_get(spec, "externalWorkloadSelector");
	const char *protocol = json_text_or(spec, "proxyProtocol", "unknown"),
		   *access = json_text_or(spec, "accessPolicy", "deny");

	if (!pods == !machines)
		return invalid(e, "spec",
			"one of podSelector and externalWorkloadSelector is needed");
	if (port(json_get(spec, "port"), e))
		return -1;
	if (!is_one_of(protocol, protocols))
		return invalid(e, "spec.proxyProtocol",
			"\"%.40s\" is none of unknown, HTTP/1, HTTP/2, gRPC, opaque, "
			"TLS",
			protocol);
	if (!default_policy_is_known(access))
		return invalid(e, "spec.accessPolicy",
			"\"%.60s\" is not the name of a policy", access);
	return selector(pods ? pods : machines,
		pods ? "spec.podSelector" : "spec.externalWorkloadSelector", e);
}

/* ---- identities ---- */

static bool is_label(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", s.p[i]) || !s.p[i])
			return false;
	return s.n > 0 && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

/* "spiffe://domain/path": a URI of a trust domain, without query or fragment. */
static bool is_spiffe(struct slice s)
{
	struct slice head = SLICE("spiffe://"), domain;

	if (!slice_starts(s, head) || s.n > 2048 || memchr(s.p, '?', s.n) ||
		memchr(s.p, '#', s.n) || memchr(s.p, ' ', s.n))
		return false;
	s = slice_bytes(s.p + head.n, s.n - head.n);
	return slice_cut(&s, '/', &domain) && domain.n > 0;
}

static int identity(const struct json *j, const char *path, struct err *e)
{
	const char *text = json_text(j) ? json_text(j) : "";
	struct slice rest = slice_of(text), part;
	bool good = rest.n > 0, first = true;

	if (is_spiffe(rest))
		return 0;
	while (good && slice_cut(&rest, '.', &part)) {
		good = is_label(part) || (first && slice_is(part, "*"));
		first = false;
	}
	return good ? 0
		    : invalid(e, path,
			      "\"%.80s\" is no identity: \"*\", \"*.suffix\", a DNS "
			      "name or spiffe://",
			      text);
}

static bool is_core(const char *group)
{
	return !*group || strcmp(group, "core") == 0;
}

static int identity_ref(const struct json *j, const char *path, struct err *e)
{
	static const char *const kinds[] = {"ServiceAccount", "Namespace", NULL};
	const char *kind = json_text_or(j, "kind", "");

	if (!is_core(json_text_or(j, "group", "")) || !is_one_of(kind, kinds))
		return invalid(e, path,
			"kind \"%.60s\" is neither ServiceAccount nor Namespace", kind);
	if (!*json_text_or(j, "name", ""))
		return invalid(e, path, "name is absent");
	return 0;
}

static int mesh_tls(const struct json *o, struct err *e)
{
	const struct json *spec = json_get(o, "spec");

	if (!json_count(json_get(spec, "identities")) &&
		!json_count(json_get(spec, "identityRefs")))
		return invalid(e, "spec", "identities or identityRefs are needed");
	if (validate_each(spec, "spec", "identities", identity, e))
		return -1;
	return validate_each(spec, "spec", "identityRefs", identity_ref, e);
}

static int network_authentication(const struct json *o, struct err *e)
{
	const struct json *spec = json_get(o, "spec");

	if (!json_count(json_get(spec, "networks")))
		return invalid(e, "spec.networks", "at least one is needed");
	return validate_each(spec, "spec", "networks", network, e);
}

/* ---- ServerAuthorization ---- */

static int client_tls(const struct json *tls, struct err *e)
{
	static const char path[] = "spec.client.meshTLS";
	bool names = json_count(json_get(tls, "identities")) ||
		     json_count(json_get(tls, "serviceAccounts"));
	bool any = json_bool_at(tls, "unauthenticatedTLS", false);

	if (any && names)
		return invalid(e, path,
			"unauthenticatedTLS does not go with identities or "
			"serviceAccounts");
	if (!any && !names)
		return invalid(e, path,
			"one of unauthenticatedTLS, identities, serviceAccounts is "
			"needed");
	return validate_each(tls, path, "identities", identity, e);
}

static int server_authorization(const struct json *o, struct err *e)
{
	const struct json *target = json_path(o, "spec.server"),
			  *client = json_path(o, "spec.client"),
			  *tls = json_get(client, "meshTLS"),
			  *by = json_get(target, "selector");
	bool anybody = json_bool_at(client, "unauthenticated", false);

	if (!*json_text_or(target, "name", "") == !by)
		return invalid(e, "spec.server", "one of name and selector is needed");
	if (anybody == (tls != NULL))
		return invalid(e, "spec.client",
			"one of unauthenticated and meshTLS is needed");
	if (by && selector(by, "spec.server.selector", e))
		return -1;
	if (tls && client_tls(tls, e))
		return -1;
	return validate_each(client, "spec.client", "networks", network, e);
}

/* ---- AuthorizationPolicy ---- */

struct known_ref {
	const char *group, *kind;
};

static const struct known_ref targets[] = {{"policy.linkerd.io", "Server"},
	{"policy.linkerd.io", "HTTPRoute"}, {"gateway.networking.k8s.io", "HTTPRoute"},
	{"gateway.networking.k8s.io", "GRPCRoute"}, {"", "Namespace"}};
static const struct known_ref authentications[] = {
	{"policy.linkerd.io", "MeshTLSAuthentication"},
	{"policy.linkerd.io", "NetworkAuthentication"}, {"", "ServiceAccount"}};

static bool is_known_ref(const struct json *ref, const struct known_ref *v, size_t n)
{
	const char *group = json_text_or(ref, "group", ""),
		   *kind = json_text_or(ref, "kind", "");

	for (size_t i = 0; i < n; i++)
		if (strcmp(v[i].kind, kind) == 0 &&
			strcmp(v[i].group, is_core(group) ? "" : group) == 0)
			return true;
	return false;
}

static int unknown_ref(const struct json *ref, const char *path, struct err *e)
{
	return invalid(e, path, "kind \"%.60s\" of group \"%.60s\" cannot stand here",
		json_text_or(ref, "kind", ""), json_text_or(ref, "group", ""));
}

static int authentication(const struct json *j, const char *path, struct err *e)
{
	if (!is_known_ref(j, authentications, countof(authentications)))
		return unknown_ref(j, path, e);
	if (!*json_text_or(j, "name", ""))
		return invalid(e, path, "name is absent");
	return 0;
}

static int target(const struct json *j, const char *ns, struct err *e)
{
	static const char path[] = "spec.targetRef";

	if (!is_known_ref(j, targets, countof(targets)))
		return unknown_ref(j, path, e);
	if (*ns && strcmp(json_text_or(j, "namespace", ns), ns) != 0)
		return invalid(
			e, path, "namespace: policies are of their own namespace");
	if (*ns && strcmp(json_text_or(j, "kind", ""), "Namespace") == 0 &&
		strcmp(json_text_or(j, "name", ""), ns) != 0)
		return invalid(e, path, "name: only its own Namespace, %s", ns);
	return 0;
}

static int authorization(const struct json *o, struct err *e)
{
	static const char path[] = "spec.requiredAuthenticationRefs";
	const struct json *spec = json_get(o, "spec");
	size_t networks = 0, all = 0;

	if (target(json_get(spec, "targetRef"),
		    json_text_or(o, "metadata.namespace", ""), e) ||
		validate_each(
			spec, "spec", "requiredAuthenticationRefs", authentication, e))
		return -1;
	json_each(ref, json_get(spec, "requiredAuthenticationRefs"))
	{
		networks += strcmp(json_text_or(ref, "kind", ""),
				    "NetworkAuthentication") == 0;
		all++;
	}
	if (networks > 1)
		return invalid(
			e, path, "only one NetworkAuthentication can be required");
	if (all - networks > 1)
		return invalid(e, path,
			"only one MeshTLSAuthentication or ServiceAccount can be "
			"required");
	return 0;
}

/* ---- kinds ---- */

static const struct {
	const char *group, *kind;
	int (*check)(const struct json *object, struct err *e);
} kinds[] = {
	{"policy.linkerd.io", "Server", server},
	{"policy.linkerd.io", "ServerAuthorization", server_authorization},
	{"policy.linkerd.io", "AuthorizationPolicy", authorization},
	{"policy.linkerd.io", "MeshTLSAuthentication", mesh_tls},
	{"policy.linkerd.io", "NetworkAuthentication", network_authentication},
	{"policy.linkerd.io", "HTTPRoute", validate_route},
	{"gateway.networking.k8s.io", "HTTPRoute", validate_route},
	{"gateway.networking.k8s.io", "GRPCRoute", validate_route},
	{"linkerd.io", "ServiceProfile", validate_profile},
};

int validate(const struct json *object, struct err *e)
{
	struct slice version = slice_of(json_text_or(object, "apiVersion", "")), group;
	const char *kind = json_text_or(object, "kind", "");

	if (!slice_cut(&version, '/', &group))
		return 0;
	for (size_t i = 0; i < countof(kinds); i++)
		if (slice_is(group, kinds[i].group) && strcmp(kinds[i].kind, kind) == 0)
			return kinds[i].check(object, e);
	return 0;
}
