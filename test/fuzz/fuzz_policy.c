/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Updates of policy and discovery, decoded and then asked about a few clients and
 * requests: the same question has the same answer, and what is chosen belongs to the
 * snapshot.  The first byte says which.
 */
#include "base/log.h"
#include "base/obj.h"
#include "http/head.h"
#include "proxy/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct req_head requests[4];
static struct arena arena;

static void make_requests(void)
{
	static const char *const rows[][4] = {
		{"GET", "web.test", "/", NULL},
		{"POST", "web.test:80", "/a/b?x=1&y=2", "text/plain"},
		{"POST", "grpc", "/pkg.Service/Method", "application/grpc"},
		{"OPTIONS", "", "*", NULL},
	};

	arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < countof(rows); i++) {
		requests[i] = (struct req_head){.method = slice_of(rows[i][0]),
			.scheme = SLICE("http"),
			.authority = slice_of(rows[i][1]),
			.path = slice_of(rows[i][2])};
		if (rows[i][3])
			must(fields_add(&requests[i].fields, &arena,
				     SLICE("content-type"), slice_of(rows[i][3])) == 0);
	}
}

static void ask_authz(const struct authz *v, size_t n)
{
	static const char *const ids[] = {"", "a.ns.serviceaccount.identity.test", "x"};
	struct ip ips[2];

	must(ip_parse(SLICE("10.1.2.3"), &ips[0]) &&
		ip_parse(SLICE("fd00::1"), &ips[1]));
	for (size_t i = 0; i < 6; i++) {
		const struct authz *z =
			authz_match(v, n, &ips[i % 2], i > 1, ids[i / 2]);

		must(!z || (z >= v && z < v + n));
		must(z == authz_match(v, n, &ips[i % 2], i > 1, ids[i / 2]));
	}
}

static void ask_routes(const struct policy_route *v, size_t n)
{
	for (size_t i = 0; i < countof(requests); i++) {
		const struct policy_route *route = NULL, *again = NULL;
		const struct rule *r = routes_match(v, n, &requests[i], &route);

		must(!r || (route >= v && route < v + n));
		must(!r || (r >= route->rules && r < route->rules + route->nrules));
		must(r == routes_match(v, n, &requests[i], &again));
		if (r)
			ask_authz(route->authz, route->nauthz);
	}
}

static void inbound(struct slice bytes)
{
	struct inbound_policy *p = decode_inbound(bytes);

	if (!p)
		return;
	ask_authz(p->authz, p->nauthz);
	ask_routes(p->routes, p->nroutes);
	ref_put(&p->ref);
}

/* The policy, a profile or both: the second byte says where one ends. */
static void outbound(struct slice bytes)
{
	size_t cut = bytes.n ? (uint8_t)bytes.p[0] * bytes.n / 256 : 0;
	struct outbound_key dst = {.addr = {.port = 80}};
	struct outbound_policy *p;
	struct err e;

	must(ip_parse(SLICE("10.0.0.1"), &dst.addr.ip));
	p = decode_outbound(cut ? (struct slice){bytes.p, cut} : SLICE_NONE,
		cut < bytes.n ? (struct slice){bytes.p + cut, bytes.n - cut}
			      : SLICE_NONE,
		&dst, &e);
	if (!p)
		return;
	ask_routes(p->http, p->nhttp);
	ask_routes(p->h2, p->nh2);
	ref_put(&p->ref);
}

/* Two updates, one after the other: endpoints stay sorted and are there once. */
static void endpoints(struct slice bytes)
{
	size_t cut = bytes.n ? (uint8_t)bytes.p[0] * bytes.n / 256 : 0;
	struct endpoints *a, *b;
	struct err e;

	a = decode_endpoints(NULL, true, (struct slice){bytes.p, cut}, &e);
	b = decode_endpoints(
		a, false, (struct slice){bytes.p + cut, bytes.n - cut}, &e);
	for (size_t i = 1; b && i < b->n; i++)
		must(!addr_eq(&b->v[i - 1].addr, &b->v[i].addr));
	if (b)
		ref_put(&b->ref);
	if (a)
		ref_put(&a->ref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const kinds[])(struct slice) = {inbound, outbound, endpoints};

	if (!requests[0].method.n) {
		make_requests();
		must(log_filter_set(SLICE("off"), NULL) == 0);
	}
	if (size)
		kinds[data[0] % countof(kinds)](slice_bytes(data + 1, size - 1));
	return 0;
}
