/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/obj.h"
#include "http/head.h"
#include "proxy/decode.h"
#include "t.h"
#include "textproto.h"

#define ANY                                                                            \
	"networks { net { ip { ipv4: 0 } prefix_len: 0 } } "                           \
	"authentication { unauthenticated { } }"
#define AUTHZ "authorizations { " ANY " }"
#define ROUTE(r)                                                                       \
	"protocol { http1 { routes { metadata { default: \"x\" } " r " } } } " AUTHZ
#define MATCH(m)  ROUTE("rules { matches { " m " } }")
#define FILTER(f) ROUTE("rules { filters { " f " } }")
#define GRPC(r)                                                                        \
	"protocol { grpc { routes { metadata { default: \"x\" } rules { " r            \
	" } } } } " AUTHZ

static struct buf bytes_of(const ProtobufCMessageDescriptor *type, const char *text)
{
	struct buf b = BUF_INIT;
	struct err e;

	if (textproto_write(type, text, &b, &e) < 0)
		T_FAIL("%s: %s", text, e.msg);
	return b;
}

static struct inbound_policy *inbound(const char *text)
{
	struct buf b = bytes_of(&inbound__server__descriptor, text);
	struct inbound_policy *p = decode_inbound(buf_slice(&b));

	buf_fini(&b);
	return p;
}

static const struct outbound_key somewhere = {{{4, {10, 0, 0, 1}}, 80}, NULL};

static struct outbound_policy *outbound(const char *text, struct err *e)
{
	struct buf b = bytes_of(&outbound__outbound_policy__descriptor, text);
	struct outbound_policy *p =
		decode_outbound(buf_slice(&b), SLICE_NONE, &somewhere, e);

	buf_fini(&b);
	return p;
}

/* ---- what is not known ---- */

TEST(an_inbound_policy_with_an_unknown_part_refuses)
{
	static const char *const texts[] = {"", "protocol { }",
		"protocol { detect { } } authorizations { }",
		"protocol { opaque { } } authorizations { authentication { "
		"unauthenticated { } } }",
		"protocol { opaque { } } authorizations { networks { } authentication "
		"{ "
		"unauthenticated { } } }",
		"protocol { opaque { } } authorizations { networks { net { ip { ipv4: "
		"0 } "
		"prefix_len: 33 } } authentication { unauthenticated { } } }",
		"protocol { opaque { } } authorizations { networks { net { ip { ipv4: "
		"0 } "
		"prefix_len: 0 } except { } } authentication { unauthenticated { } } }",
		"protocol { opaque { } } authorizations { networks { net { ip { ipv4: "
		"0 } "
		"prefix_len: 0 } } authentication { mesh_tls { } } }",
		MATCH("path { }"), MATCH("path { regex: \"(\" }"), MATCH("method { }"),
		MATCH("method { registered: 99 }"), MATCH("headers { name: \"a\" }"),
		MATCH("headers { name: \"a\" exact: \"b\\x00c\" }"),
		MATCH("query_params { name: \"a\" }"), ROUTE("hosts { } rules { }"),
		FILTER(""), FILTER("failure_injector { status: 0 }"),
		FILTER("failure_injector { status: 101 }"),
		FILTER("failure_injector { status: 500 ratio { numerator: 1 } }"),
		FILTER("redirect { status: 200 }"), FILTER("redirect { port: 70000 }"),
		FILTER("request_header_modifier { set { headers { name: \"a b\" value: "
		       "\"c\" } } }"),
		FILTER("request_header_modifier { set { headers { name: \":path\" "
		       "value: \"/\" } } }"),
		FILTER("request_header_modifier { add { headers { name: \"a\" value: "
		       "\"b\\r\\nc: d\" } } }"),
		FILTER("request_header_modifier { remove: \"\" }"), GRPC("filters { }"),
		GRPC("filters { failure_injector { code: 17 } }"),
		GRPC("matches { headers { name: \"a\" } }")};

	for (size_t i = 0; i < countof(texts); i++) {
		struct inbound_policy *p = inbound(texts[i]);
		struct ip local = {4, {127, 0, 0, 1}};

		if (!p->invalid)
			T_FAIL("accepted: %s", texts[i]);
		OK(!authz_match(p->authz, p->nauthz, &local, true, "web.ns"));
		ref_put(&p->ref);
	}
}

#define BACKEND                                                                        \
	"backends { first_available { backends { backend { balancer { discovery { "    \
	"dst { path: "                                                                 \
	"\"web:80\" } } } } } } }"
#define OUT(rule)                                                                      \
	"protocol { http1 { routes { metadata { default: \"x\" } rules { " rule        \
	" } } } }"

TEST(an_outbound_policy_with_an_unknown_part_is_refused)
{
	static const char *const texts[] = {"", "protocol { }",
		"protocol { detect { http1 { } http2 { } } }",
		OUT("backends { first_available { backends { } } }"),
		OUT("backends { first_available { backends { backend { balancer { } } "
		    "} } }"),
		OUT("backends { first_available { backends { backend { forward { } } } "
		    "} }"),
		OUT(BACKEND " matches { path { } }"), OUT(BACKEND " filters { }"),
		OUT(BACKEND " filters { response_header_modifier { set { headers { "
			    "name: \"a\" value: \"\\n\" } } } }"),
		"protocol { http1 { routes { hosts { } rules { " BACKEND " } } } }"};
	struct outbound_policy *p;
	struct err e;

	for (size_t i = 0; i < countof(texts); i++) {
		p = outbound(texts[i], &e);
		if (p)
			T_FAIL("accepted: %s", texts[i]);
	}
	p = outbound(OUT(BACKEND " matches { path { prefix: \"/\" } }"), &e);
	OK(p);
	ref_put(&p->ref);
}

TEST(an_invalid_outbound_policy_answers_with_its_reason)
{
	struct outbound_policy *p = outbound_invalid(&somewhere, "no sense");
	struct req_head req = {
		.method = SLICE("GET"), .path = SLICE("/"), .authority = SLICE("a")};
	const struct policy_route *route;
	const struct rule *r = routes_match(p->h2, p->nh2, &req, &route);

	OK(r && r->nfilters == 1 && r->filters->kind == RF_FAIL);
	EQ_INT(r->filters->status, 500);
	EQ_STR(r->filters->message, "no sense");
	OK(p->opaque->invalid);
	ref_put(&p->ref);
}

/* ---- who may ---- */

TEST(a_server_of_the_policy_service_admits_the_pod_itself)
{
	struct inbound_policy *p = inbound("protocol { opaque { } }");
	struct ip v4 = {4, {127, 0, 0, 1}}, v6 = {6, {[15] = 1}},
		  near = {4, {127, 0, 0, 2}};

	OK(!p->invalid);
	OK(authz_match(p->authz, p->nauthz, &v4, false, ""));
	OK(authz_match(p->authz, p->nauthz, &v6, false, ""));
	OK(!authz_match(p->authz, p->nauthz, &near, true, "web.ns"));
	ref_put(&p->ref);
}

TEST(authentications_admit_whom_they_name)
{
	static const struct {
		const char *authn, *identity;
		bool tls, admitted;
	} v[] = {
		{"unauthenticated { }", "", false, true},
		{"mesh_tls { unauthenticated { } }", "", false, false},
		{"mesh_tls { unauthenticated { } }", "", true, true},
		{"mesh_tls { unauthenticated { } }", "web.ns", true, true},
		{"mesh_tls { identities { } }", "web.ns", true, false},
		{"mesh_tls { identities { identities { name: \"web.ns\" } } }",
			"web.ns", true, true},
		{"mesh_tls { identities { identities { name: \"web.ns\" } } }",
			"web.ns2", true, false},
		{"mesh_tls { identities { identities { name: \"web.ns\" } } }",
			"web.ns", false, false},
		{"mesh_tls { identities { identities { name: \"spiffe://a/b\" } } }",
			"spiffe://a/b", true, true},
		{"mesh_tls { identities { suffixes { } } }", "web.ns", true, true},
		{"mesh_tls { identities { suffixes { } } }", "", true, false},
		{"mesh_tls { identities { suffixes { parts: \"ns\" parts: \"id\" } } }",
			"web.ns.id", true, true},
		{"mesh_tls { identities { suffixes { parts: \"ns\" parts: \"id\" } } }",
			"ns.id", true, false},
		{"mesh_tls { identities { suffixes { parts: \"ns\" parts: \"id\" } } }",
			"webns.id", true, false},
	};
	struct ip ip = {4, {10, 1, 1, 1}};
	char text[512];

	for (size_t i = 0; i < countof(v); i++) {
		struct inbound_policy *p;

		snprintf(text, sizeof text,
			"protocol { opaque { } } authorizations { networks { net { ip "
			"{ "
			"ipv4: 0x0a000000 } prefix_len: 8 } } authentication { %s } }",
			v[i].authn);
		p = inbound(text);
		if ((authz_match(p->authz, p->nauthz, &ip, v[i].tls, v[i].identity) !=
			    NULL) != v[i].admitted)
			T_FAIL("%s for \"%s\"", v[i].authn, v[i].identity);
		ref_put(&p->ref);
	}
}

TEST(a_suffix_that_does_not_fit_is_refused_whole)
{
	char text[4096], part[1500];
	struct inbound_policy *p;

	memset(part, 'a', sizeof part - 1);
	part[sizeof part - 1] = '\0';
	snprintf(text, sizeof text,
		"protocol { opaque { } } authorizations { networks { net { ip { ipv4: "
		"0 } "
		"} } authentication { mesh_tls { identities { suffixes { parts: \"ns\" "
		"parts: \"%s\" } } } } }",
		part);
	p = inbound(text);
	OK(p->invalid);
	ref_put(&p->ref);
}

TEST(only_the_default_audit_policy_is_logged)
{
	struct inbound_policy *p =
		inbound("protocol { opaque { } } authorizations { " ANY
			" metadata { default: \"audit\" } } authorizations { " ANY
			" metadata { resource { group: \"policy.linkerd.io\" kind: "
			"\"authorizationpolicy\" name: \"audit\" } } }");

	OK(p->authz[0].audit);
	OK(!p->authz[1].audit);
	ref_put(&p->ref);
}

/* ---- which route ---- */

TEST(routes_are_found_by_every_kind_of_match)
{
	static const struct {
		const char *method, *authority, *path, *route;
	} v[] = {
		{"GET", "a", "/exact", "exact"},
		{"POST", "a", "/exact", NULL},
		{"GET", "a", "/exact?x=1", "exact"},
		{"GET", "a", "/api", "prefix"},
		{"GET", "a", "/api/", "prefix"},
		{"GET", "a", "/api/v1/x", "longer"},
		{"GET", "a", "/apis", NULL},
		{"GET", "a", "/n/12", "regex"},
		{"GET", "a", "/n/12/x", NULL},
		{"GET", "a.example.com:8080", "/api/v1/x", "suffix"},
		{"GET", "b.example.com", "/api", "host"},
		{"GET", "example.com", "/zzz", NULL},
		{"PURGE", "a", "/cache", "method"},
		{"GET", "a", "/q?b=1&a=2", "query"},
		{"GET", "a", "/q?a=3", NULL},
		{"GET", "a", "/q?%61=%32", "query"},
		{"GET", "a", "/q?a=2%", NULL},
		{"GET", "a", "/q?a=2=", NULL},
		{"GET", "a", "/q?a", NULL},
		{"GET", "a", "/empty?e", "empty"},
		{"GET", "a", "/empty?e=", "empty"},
		{"GET", "A.Example.COM", "/zzz", "suffix"},
		{"GET", "aexample.com", "/zzz", NULL},
		{"GET", "a", "/field", "field"},
	};
	struct inbound_policy *p = inbound(
		"protocol { http1 {"
		"routes { metadata { default: \"exact\" } rules { matches { path { "
		"exact: "
		"\"/exact\" } method { registered: GET } } } }"
		"routes { metadata { default: \"prefix\" } rules { matches { path { "
		"prefix: "
		"\"/api\" } } } }"
		"routes { metadata { default: \"longer\" } rules { matches { path { "
		"prefix: "
		"\"/api/v1\" } } } }"
		"routes { metadata { default: \"regex\" } rules { matches { path { "
		"regex: "
		"\"/n/[0-9]+\" } } } }"
		"routes { metadata { default: \"suffix\" } hosts { suffix { "
		"reverse_labels: "
		"\"com\" reverse_labels: \"example\" } } rules { matches { path { "
		"prefix: "
		"\"/\" } } } }"
		"routes { metadata { default: \"host\" } hosts { exact: "
		"\"B.example.com\" } "
		"rules { matches { path { prefix: \"/\" } } } }"
		"routes { metadata { default: \"method\" } rules { matches { method { "
		"unregistered: \"PURGE\" } } } }"
		"routes { metadata { default: \"query\" } rules { matches { path { "
		"exact: "
		"\"/q\" } query_params { name: \"a\" exact: \"2\" } } } }"
		"routes { metadata { default: \"empty\" } rules { matches { path { "
		"exact: "
		"\"/empty\" } query_params { name: \"e\" exact: \"\" } } } }"
		"routes { metadata { default: \"field\" } rules { matches { path { "
		"exact: "
		"\"/field\" } headers { name: \"X-A\" regex: \"t.o\" } } } }"
		"} } " AUTHZ);
	struct field fields[] = {
		{SLICE("x-a"), SLICE("one")}, {SLICE("x-a"), SLICE("two")}};

	OK(!p->invalid);
	for (size_t i = 0; i < countof(v); i++) {
		struct req_head req = {.method = slice_of(v[i].method),
			.authority = slice_of(v[i].authority),
			.path = slice_of(v[i].path),
			.fields = {fields, countof(fields), countof(fields)}};
		const struct policy_route *route = NULL;

		if (!routes_match(p->routes, p->nroutes, &req, &route))
			route = NULL;
		if ((route != NULL) != (v[i].route != NULL) ||
			(route && strcmp(route->meta.name, v[i].route) != 0))
			T_FAIL("%s %s%s: %s", v[i].method, v[i].authority, v[i].path,
				route ? route->meta.name : "none");
	}
	ref_put(&p->ref);
}

TEST(a_redirect_cuts_the_prefix_that_fits)
{
	struct inbound_policy *p = inbound(
		ROUTE("rules { matches { path { prefix: \"/a\" } } matches { path { "
		      "prefix: \"/a/b\" } } matches { path { exact: \"/c\" } } }"));
	const struct rule *r = p->routes->rules;

	EQ_STR(rule_prefix(r, SLICE("/a/b/c")), "/a/b");
	EQ_STR(rule_prefix(r, SLICE("/a?x=/a/b")), "/a");
	OK(!rule_prefix(r, SLICE("/c")));
	ref_put(&p->ref);
}

/* ---- endpoints ---- */

TEST(an_update_that_makes_no_sense_leaves_what_is_known)
{
	static const char *const bad[] = {"add { addrs { } }",
		"add { addrs { addr { ip { ipv4: 1 } port: 80 } } "
		"addrs { addr { ip { } } } }"};
	struct buf b = bytes_of(&destination__update__descriptor,
		"add { addrs { addr { ip { ipv4: 1 } port: 80 } } }");
	struct endpoints *s = decode_endpoints(NULL, true, buf_slice(&b), NULL);

	buf_fini(&b);
	EQ_INT(s->n, 1);
	for (size_t i = 0; i < countof(bad); i++) {
		b = bytes_of(&destination__update__descriptor, bad[i]);
		OK(!decode_endpoints(s, false, buf_slice(&b), NULL));
		buf_fini(&b);
	}
	OK(!decode_endpoints(s, false, SLICE("\xff\xff"), NULL));
	EQ_INT(s->n, 1);
	EQ_INT(s->v[0].addr.port, 80);
	ref_put(&s->ref);
}
