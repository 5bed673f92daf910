/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "base/obj.h"
#include "http/head.h"
#include "proxy/decode.h"
#include "t.h"

static struct ip ip_of(const char *text)
{
	struct ip ip;

	if (!ip_parse(slice_of(text), &ip))
		T_FAIL("%s", text);
	return ip;
}

/* ---- who may ---- */

TEST(default_policies_admit_whom_they_name)
{
	static const struct {
		const char *policy, *client, *identity;
		bool tls, admitted;
	} v[] = {
		{"all-unauthenticated", "1.2.3.4", "", false, true},
		{"all-unauthenticated", "2001:db8::1", "", false, true},
		{"all-authenticated", "1.2.3.4", "", false, false},
		{"all-authenticated", "1.2.3.4", "", true, false},
		{"all-authenticated", "1.2.3.4", "web.ns", true, true},
		{"cluster-unauthenticated", "10.1.1.1", "", false, true},
		{"cluster-unauthenticated", "11.1.1.1", "", false, false},
		{"cluster-authenticated", "10.1.1.1", "web.ns", true, true},
		{"cluster-authenticated", "11.1.1.1", "web.ns", true, false},
		{"audit", "1.2.3.4", "", false, true},
		{"deny", "10.1.1.1", "web.ns", true, false},
		{"deny", "127.0.0.1", "", false, false},
		{"all-authenticated", "127.0.0.1", "", false, true},
		{"all-authenticated", "::1", "", false, true},
	};
	struct cidr cluster;

	cidr_parse(SLICE("10.0.0.0/8"), &cluster);
	for (size_t i = 0; i < countof(v); i++) {
		struct proxy_config cfg = {.default_policy = v[i].policy,
			.cluster_networks = &cluster,
			.ncluster_networks = 1};
		struct inbound_policy *p = default_inbound(&cfg, 80);
		struct ip ip = ip_of(v[i].client);

		if ((authz_match(p->authz, p->nauthz, &ip, v[i].tls, v[i].identity) !=
			    NULL) != v[i].admitted)
			T_FAIL("%s for %s \"%s\"", v[i].policy, v[i].client,
				v[i].identity);
		ref_put(&p->ref);
	}
}

TEST(suffixes_fit_names_and_never_spiffe_ids)
{
	static const char *const suffixes[] = {
		".ns.serviceaccount.identity.mesh.local"};
	const struct authz_net any = {.net = {.ip.family = 4}};
	struct authz z = {.nets = &any,
		.nnets = 1,
		.authn = AUTHN_IDENTITY,
		.suffixes = suffixes,
		.nsuffixes = 1};
	struct ip ip = ip_of("1.1.1.1");

	OK(authz_match(&z, 1, &ip, true, "a.ns.serviceaccount.identity.mesh.local"));
	OK(!authz_match(
		&z, 1, &ip, true, "a.other.serviceaccount.identity.mesh.local"));
	OK(!authz_match(&z, 1, &ip, true, "xns.serviceaccount.identity.mesh.local"));
	OK(!authz_match(
		&z, 1, &ip, true, "spiffe://a.ns.serviceaccount.identity.mesh.local"));
	OK(!authz_match(&z, 1, &ip, true, ""));
}

TEST(an_excepted_network_is_not_admitted)
{
	struct cidr except;
	struct authz_net net = {
		.net = {.ip.family = 4}, .except = &except, .nexcept = 1};
	struct authz z = {.nets = &net, .nnets = 1};
	struct ip in = ip_of("10.2.0.1"), out = ip_of("10.1.0.1");

	cidr_parse(SLICE("10.1.0.0/16"), &except);
	OK(authz_match(&z, 1, &in, false, ""));
	OK(!authz_match(&z, 1, &out, false, ""));
}

/* ---- which route ---- */

static struct req_head request(
	const char *method, const char *authority, const char *path)
{
	return (struct req_head){.method = slice_of(method),
		.authority = slice_of(authority),
		.path = slice_of(path)};
}

TEST(the_most_special_route_wins)
{
	static const struct request_match
		prefix = {.path = {MATCH_PREFIX, "/api", NULL}},
		longer = {.path = {MATCH_PREFIX, "/api/v2", NULL}},
		exact = {.path = {MATCH_EXACT, "/api/v2/x", NULL}},
		post = {.path = {MATCH_PREFIX, "/api", NULL}, .method = "POST"};
	static const struct rule rules[] = {{.matches = &prefix, .nmatches = 1},
		{.matches = &longer, .nmatches = 1}, {.matches = &exact, .nmatches = 1},
		{.matches = &post, .nmatches = 1}};
	static const struct policy_route all = {
		.rules = rules, .nrules = countof(rules)};
	static const struct {
		const char *method, *path;
		int rule;
	} v[] = {{"GET", "/api", 0}, {"GET", "/api/", 0}, {"GET", "/apis", -1},
		{"GET", "/api/v2/y?q=1", 1}, {"GET", "/api/v2/x", 2},
		{"POST", "/api/a", 3}, {"GET", "/", -1}};
	const struct policy_route *route;

	for (size_t i = 0; i < countof(v); i++) {
		struct req_head r = request(v[i].method, "h", v[i].path);
		const struct rule *got = routes_match(&all, 1, &r, &route);

		if (got != (v[i].rule < 0 ? NULL : &rules[v[i].rule]))
			T_FAIL("%s %s: rule %td", v[i].method, v[i].path,
				got ? got - rules : -1);
	}
}

TEST(an_exact_host_wins_over_a_suffix_and_case_is_nothing)
{
	static const struct text_match exact = {MATCH_EXACT, "a.test", NULL},
				       suffix = {MATCH_SUFFIX, ".test", NULL};
	static const struct rule any = {.nmatches = 0}, other = {.nmatches = 0};
	static const struct policy_route v[] = {
		{.hosts = &suffix, .nhosts = 1, .rules = &any, .nrules = 1},
		{.hosts = &exact, .nhosts = 1, .rules = &other, .nrules = 1}};
	struct req_head a = request("GET", "A.Test:8080", "/"),
			b = request("GET", "b.test", "/"),
			c = request("GET", "test.example", "/");
	const struct policy_route *route;

	OK(routes_match(v, 2, &a, &route) == &other);
	OK(routes_match(v, 2, &b, &route) == &any);
	OK(routes_match(v, 2, &c, &route) == NULL);
}

/* ---- what discovery says ---- */

static struct endpoints *update(const struct endpoints *before, bool reset, bool add,
	const char *const *addrs, size_t n)
{
	Destination__Update u = DESTINATION__UPDATE__INIT;
	struct buf b = BUF_INIT;
	struct endpoints *out;
	struct arena a;
	struct err e;

	arena_init(&a, 1 << 20);
	u.update_case = add ? DESTINATION__UPDATE__UPDATE_ADD
			    : DESTINATION__UPDATE__UPDATE_REMOVE;
	if (add)
		u.add = API_NEW(Destination__WeightedAddrSet,
			destination__weighted_addr_set, &a);
	else
		u.remove = API_NEW(Destination__AddrSet, destination__addr_set, &a);
	if (add)
		u.add->addrs = arena_array(&a, n, sizeof *u.add->addrs);
	else
		u.remove->addrs = arena_array(&a, n, sizeof *u.remove->addrs);
	for (size_t i = 0; i < n; i++) {
		struct addr addr;

		OK(addr_parse(slice_of(addrs[i]), &addr));
		if (!add) {
			u.remove->addrs[u.remove->n_addrs++] = api_addr(&addr, &a);
			continue;
		}
		u.add->addrs[i] = API_NEW(
			Destination__WeightedAddr, destination__weighted_addr, &a);
		u.add->addrs[i]->addr = api_addr(&addr, &a);
		u.add->n_addrs++;
	}
	OK(api_write(&u, &b) == 0);
	out = decode_endpoints(before, reset, buf_slice(&b), &e);
	if (!out)
		T_FAIL("%s", e.msg);
	buf_fini(&b);
	arena_fini(&a);
	return out;
}

TEST(endpoints_are_added_removed_and_reset)
{
	static const char *const two[] = {"10.0.0.2:80", "10.0.0.1:80"},
				 *const one[] = {"10.0.0.1:80"},
				 *const third[] = {"10.0.0.3:80"};
	struct endpoints *a = update(NULL, true, true, two, 2);
	struct endpoints *b = update(a, false, true, third, 1);
	struct endpoints *c = update(b, false, false, one, 1);
	struct endpoints *d = update(c, true, true, one, 1);
	char text[ADDR_TEXT];

	EQ_INT(a->n, 2);
	EQ_STR(addr_text(&a->v[0].addr, text), "10.0.0.1:80");
	EQ_INT(b->n, 3);
	EQ_INT(c->n, 2);
	EQ_STR(addr_text(&c->v[0].addr, text), "10.0.0.2:80");
	EQ_INT(d->n, 1);
	OK(d->generation > c->generation);
	ref_put(&a->ref);
	ref_put(&b->ref);
	ref_put(&c->ref);
	ref_put(&d->ref);
}

TEST(a_policy_that_cannot_be_understood_refuses)
{
	struct inbound_policy *p = decode_inbound(SLICE("\xff\xff\xff"));

	OK(p && p->invalid);
	EQ_INT(p->nauthz, 0);
	ref_put(&p->ref);
	p = decode_inbound(SLICE("")); /* a server without a protocol */
	OK(p && p->invalid);
	ref_put(&p->ref);
}

/* ---- settings ---- */

TEST(settings_have_defaults_and_every_mistake_counts)
{
	struct proxy_config c;

	clearenv();
	EQ_INT(proxy_config_read(&c), 8); /* what must be set */
	EQ_INT(c.out.connect_timeout, UINT64_C(1000000000));
	EQ_INT(c.inbound_listen.port, 4143);
	EQ_INT(c.noutbound_listen, 1);
	proxy_config_free(&c);
	setenv("LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT", "10", 1);
	setenv("LINKERD2_PROXY_INBOUND_DEFAULT_POLICY", "some", 1);
	setenv("LINKERD2_PROXY_DESTINATION_SVC_ADDR", "dst.mesh:8086", 1); /* no name */
	EQ_INT(proxy_config_read(&c), 10);
	proxy_config_free(&c);
}
