/* SPDX-License-Identifier: Apache-2.0 */
/* clang-format off */
/*
 * A control plane that says what a script says: for scenarios and benches of the proxy.
 *
 *	scripted_control [-listen ADDR] [-ca FILE] [-life SECONDS] SCRIPT
 *
 * The script's lines:
 *	service ADDR NAME          what is meant by this address, or authority
 *	endpoint NAME ADDR [ID [MORE]]  who serves the name; with an identity: meshed, HTTP/2;
 *	                           MORE, with commas: tunnel=PORT (of its proxy),
 *	                           authority=HOST:PORT (it goes by that), opaque, plain (no hint)
 *	sni ADDR PATTERN NAME      TLS to this address: by server name (or *.DOMAIN), to NAME
 *	none NAME [gone]           instead of endpoints: there are none, or no such service
 *	end NAME STATUS            a Get of this name ends with this gRPC status
 *	opaque ADDR                the service at this address speaks bytes
 *	port N PROTO               inbound: detect (else), opaque, tls, http1, http2, grpc
 *	permit N WHO [VALUE]       inbound: an authorization of the port; WHO is all, none,
 *	                           network CIDR, identity ID, mesh (any identity)
 *	allow ID                   inbound, ports without permit: this identity only
 *	certificate ID [HOW]       makes FILE.ID for peers that the test plays itself; HOW is
 *	                           expired, early (not yet valid), foreign (of no
 *	                           authority we know) or huge (a long chain)
 *	life SECONDS               of the certificates it signs (else as -life)
 *	root NAME                  who signs from now on: another authority, in FILE.root.NAME
 *	key KIND                   of the authority that is made: p256 (else), p384, rsa
 *	intermediate KIND          between it and what it signs: p256, p384, rsa
 *	inbound PORT TEXT          the whole answer, a message as text (lib/textproto.h)
 *	outbound ADDR TEXT         the same, and
 *	profile ADDR TEXT
 *	update NAME TEXT           …of Get, at first and after each change
 *	stale NAME                 who watches these endpoints hears of no change
 *	bad KIND HOW               KIND is endpoints, profile, outbound, inbound, identity;
 *	                           HOW is garbage, huge, silent, reset (after the answer),
 *	                           or a gRPC status
 *
 * FILE holds the authority's certificate and key; it is made when it is not there.
 *
 * Prints "listening on ADDR" when it serves.  SIGHUP reads the script again and tells
 * those who watch.  It certifies whoever asks.
 */
/* clang-format on */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/identity.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/opt.h"
#include "http/grpc.h"
#include "testca.h"
#include "textproto.h"
#include "tls/cert.h"

#define LINES_MAX 512
#define TEXT_MAX  65536

enum word {
	W_SERVICE,
	W_ENDPOINT,
	W_OPAQUE,
	W_ALLOW,
	W_PORT,
	W_PERMIT,
	W_CERTIFICATE,
	W_NONE,
	W_END,
	W_LIFE,
	W_SNI,
	W_ROOT,
	W_KEY,
	W_INTERMEDIATE,
	W_INBOUND,
	W_OUTBOUND,
	W_PROFILE,
	W_UPDATE,
	W_STALE,
	W_BAD
};

struct line {
	enum word word;
	char a[256], b[256], c[256], d[256];
	char *rest; /* behind `a` */
};

struct watcher { /* one open stream */
	struct list node;
	struct grpc_request *req;
	const char *kind;
	void (*answer)(struct watcher *w);
	char what[300];
	struct addr addr;
	bool first;
};

static struct {
	const char *listen, *ca_file;
	int64_t life;
	const char *script;
	struct line lines[LINES_MAX], old[LINES_MAX]; /* and before the last SIGHUP */
	size_t n, nold;
	struct list watchers;
	struct key *ca_key; /* of whoever signs: the root, or the intermediate */
	struct cert *ca;
	struct buf between; /* the intermediate's certificate, when there is one */
} t;

static void die(const char *what)
{
	fprintf(stderr, "scripted_control: %s\n", what);
	exit(1);
}

/* ---- the script ---- */

static void read_script(void)
{
	static const char *const words[] = {"service", "endpoint", "opaque", "allow",
		"port", "permit", "certificate", "none", "end", "life", "sni", "root",
		"key", "intermediate", "inbound", "outbound", "profile", "update",
		"stale", "bad"};
	static char text[TEXT_MAX];
	FILE *f = fopen(t.script, "r");
	char word[32];
	int at;

	if (!f)
		die("the script cannot be read");
	memcpy(t.old, t.lines, sizeof t.old);
	t.nold = t.n;
	t.n = 0;
	while (fgets(text, sizeof text, f) && t.n < LINES_MAX) {
		struct line *l = &t.lines[t.n];

		*l = (struct line){.a = ""};
		if (sscanf(text, "%31s %255s%n %255s %255s %255s", word, l->a, &at,
			    l->b, l->c, l->d) < 2)
			continue;
		l->rest = strdup(text + at);
		for (size_t i = 0; i < countof(words); i++)
			if (strcmp(word, words[i]) == 0) {
				l->word = (enum word)i;
				t.n++;
			}
	}
	fclose(f);
}

static const struct line *first(enum word word)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.lines[i].word == word)
			return &t.lines[i];
	return NULL;
}

static const struct line *find(enum word word, const char *a)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.lines[i].word == word && strcmp(t.lines[i].a, a) == 0)
			return &t.lines[i];
	return NULL;
}

static void push(struct watcher *w, const void *m)
{
	struct buf b = BUF_INIT;

	if (api_write(m, &b) == 0)
		grpc_send(w->req, buf_slice(&b));
	buf_fini(&b);
}

/* The answer that the script has in full; false: it has none. */
static bool push_text(
	struct watcher *w, enum word word, const ProtobufCMessageDescriptor *type)
{
	const struct line *l = find(word, w->what);
	struct buf b = BUF_INIT;
	struct err e;

	if (!l)
		return false;
	if (textproto_write(type, l->rest, &b, &e) < 0)
		die(e.msg);
	grpc_send(w->req, buf_slice(&b));
	buf_fini(&b);
	return true;
}

static void send_huge(struct watcher *w)
{
	static char zeros[GRPC_MESSAGE_MAX + 4096];

	grpc_send(w->req, (struct slice){zeros, sizeof zeros});
}

/* What the script does wrong with calls of this kind; true: that is all. */
static bool misbehave(struct watcher *w, const char *kind)
{
	const struct line *l = find(W_BAD, kind);

	if (!l || strcmp(l->b, "reset") == 0)
		return false;
	if (strcmp(l->b, "garbage") == 0)
		grpc_send(w->req, SLICE("\xff\xff\xff no message"));
	else if (strcmp(l->b, "huge") == 0)
		send_huge(w);
	else if (strcmp(l->b, "silent") != 0)
		grpc_end(w->req, (int)strtol(l->b, NULL, 10), "the script says so");
	return true;
}

/* ---- watchers ---- */

static void watcher_gone(struct grpc_request *r)
{
	struct watcher *w = grpc_get(r);

	list_remove(&w->node);
	free(w);
}

static void answer(struct watcher *w)
{
	const struct line *l = find(W_BAD, w->kind);

	if (misbehave(w, w->kind))
		return;
	w->answer(w);
	if (l && strcmp(l->b, "reset") == 0)
		grpc_end(w->req, GRPC_UNAVAILABLE, "the script says so");
}

static void watch(struct grpc_request *r, const char *kind, const char *what,
	void (*answers)(struct watcher *w))
{
	struct watcher *w = calloc(1, sizeof *w);

	if (!w)
		die("no memory");
	w->req = r;
	w->kind = kind;
	w->answer = answers;
	w->first = true;
	snprintf(w->what, sizeof w->what, "%s", what);
	list_push(&t.watchers, &w->node);
	grpc_set(r, w, watcher_gone);
	answer(w);
	w->first = false;
}

static void issue_all(void);
static void make_ca(void);

static void on_hup(void *arg, int signo)
{
	struct watcher *w;

	(void)arg, (void)signo;
	read_script();
	make_ca();
	issue_all();
	list_each(w, &t.watchers, node) if (!find(W_STALE, w->what)) answer(w);
}

/* ---- destinations ---- */

/* "KEY=VALUE" among the words of `more`, or NULL. */
static char *option(const char *more, const char *key, struct arena *a)
{
	struct slice rest = slice_of(more), one;
	size_t n = strlen(key);

	while (*more && slice_cut(&rest, ',', &one))
		if (slice_starts(one, slice_of(key)))
			return api_text((struct slice){one.p + n, one.n - n}, a);
	return NULL;
}

static void more_of(Destination__WeightedAddr *m, const char *more, struct arena *a)
{
	const char *tunnel = option(more, "tunnel=", a);
	char *authority = option(more, "authority=", a);

	if (option(more, "plain", a))
		m->protocol_hint->protocol_case =
			DESTINATION__PROTOCOL_HINT__PROTOCOL__NOT_SET;
	if (option(more, "opaque", a)) {
		m->protocol_hint->protocol_case =
			DESTINATION__PROTOCOL_HINT__PROTOCOL_OPAQUE;
		m->protocol_hint->opaque = API_NEW(Common__Empty, common__empty, a);
	}
	if (tunnel) {
		m->protocol_hint->opaque_transport =
			API_NEW(Destination__ProtocolHint__OpaqueTransport,
				destination__protocol_hint__opaque_transport, a);
		m->protocol_hint->opaque_transport->inbound_port =
			(uint32_t)strtoul(tunnel, NULL, 10);
	}
	if (!authority)
		return;
	m->authority_override = API_NEW(
		Destination__AuthorityOverride, destination__authority_override, a);
	m->authority_override->authority_override = authority;
}

static Destination__WeightedAddr *endpoint(const struct line *l, struct arena *a)
{
	Destination__WeightedAddr *m =
		API_NEW(Destination__WeightedAddr, destination__weighted_addr, a);
	struct addr addr;

	if (!addr_parse(slice_of(l->b), &addr))
		die("an endpoint's address is malformed");
	m->addr = api_addr(&addr, a);
	m->weight = 10000;
	if (!l->c[0])
		return m;
	m->tls_identity =
		API_NEW(Destination__TlsIdentity, destination__tls_identity, a);
	m->tls_identity->strategy_case =
		DESTINATION__TLS_IDENTITY__STRATEGY_DNS_LIKE_IDENTITY;
	m->tls_identity->dns_like_identity =
		API_NEW(Destination__TlsIdentity__DnsLikeIdentity,
			destination__tls_identity__dns_like_identity, a);
	m->tls_identity->dns_like_identity->name = (char *)l->c;
	m->protocol_hint =
		API_NEW(Destination__ProtocolHint, destination__protocol_hint, a);
	m->protocol_hint->protocol_case = DESTINATION__PROTOCOL_HINT__PROTOCOL_H2;
	m->protocol_hint->h2 = API_NEW(Common__Empty, common__empty, a);
	more_of(m, l->d, a);
	return m;
}

static bool is_endpoint(const struct line *l, const char *name)
{
	return l->word == W_ENDPOINT && strcmp(l->a, name) == 0;
}

static bool has_line(const struct line *v, size_t n, const struct line *l, bool whole)
{
	for (size_t i = 0; i < n; i++)
		if (is_endpoint(&v[i], l->a) && strcmp(v[i].b, l->b) == 0 &&
			(!whole || (strcmp(v[i].c, l->c) == 0 &&
					   strcmp(v[i].d, l->d) == 0)))
			return true;
	return false;
}

static void push_gone(struct watcher *w, struct arena *a)
{
	Destination__Update u = DESTINATION__UPDATE__INIT;
	struct addr addr;

	u.update_case = DESTINATION__UPDATE__UPDATE_REMOVE;
	u.remove = API_NEW(Destination__AddrSet, destination__addr_set, a);
	u.remove->addrs = arena_array(a, t.nold + 1, sizeof *u.remove->addrs);
	for (size_t i = 0; i < t.nold; i++)
		if (is_endpoint(&t.old[i], w->what) &&
			!has_line(t.lines, t.n, &t.old[i], false) &&
			addr_parse(slice_of(t.old[i].b), &addr))
			u.remove->addrs[u.remove->n_addrs++] = api_addr(&addr, a);
	if (u.remove->n_addrs)
		push(w, &u);
}

static void push_none(struct watcher *w, bool exists, struct arena *a)
{
	Destination__Update u = DESTINATION__UPDATE__INIT;

	u.update_case = DESTINATION__UPDATE__UPDATE_NO_ENDPOINTS;
	u.no_endpoints =
		API_NEW(Destination__NoEndpoints, destination__no_endpoints, a);
	u.no_endpoints->exists = exists;
	push(w, &u);
}

/* At first all; later what is new or has changed. */
static void push_new(struct watcher *w, struct arena *a)
{
	Destination__Update u = DESTINATION__UPDATE__INIT;

	u.update_case = DESTINATION__UPDATE__UPDATE_ADD;
	u.add = API_NEW(
		Destination__WeightedAddrSet, destination__weighted_addr_set, a);
	u.add->addrs = arena_array(a, t.n + 1, sizeof *u.add->addrs);
	for (size_t i = 0; i < t.n; i++)
		if (is_endpoint(&t.lines[i], w->what) &&
			(w->first || !has_line(t.old, t.nold, &t.lines[i], true)))
			u.add->addrs[u.add->n_addrs++] = endpoint(&t.lines[i], a);
	if (w->first || u.add->n_addrs)
		push(w, &u);
}

static void answer_get(struct watcher *w)
{
	const struct line *none = find(W_NONE, w->what), *end = find(W_END, w->what);
	struct arena a;

	if (push_text(w, W_UPDATE, &destination__update__descriptor))
		return;
	if (end) {
		grpc_end(w->req, (int)strtol(end->b, NULL, 10), "the script says so");
		return;
	}
	arena_init(&a, 1 << 20);
	if (none) {
		push_none(w, strcmp(none->b, "gone") != 0, &a);
	} else {
		if (!w->first)
			push_gone(w, &a);
		push_new(w, &a);
	}
	arena_fini(&a);
}

static void get(struct grpc_request *r, struct slice message)
{
	Destination__GetDestination *m;
	struct arena a;

	arena_init(&a, 1 << 20);
	m = API_READ(Destination__GetDestination, destination__get_destination, message,
		&a, NULL);
	if (m)
		watch(r, "endpoints", m->path, answer_get);
	arena_fini(&a);
}

static void answer_profile(struct watcher *w)
{
	Destination__DestinationProfile p = DESTINATION__DESTINATION_PROFILE__INIT;
	const struct line *l = find(W_SERVICE, w->what);

	if (push_text(w, W_PROFILE, &destination__destination_profile__descriptor))
		return;
	p.opaque_protocol = find(W_OPAQUE, w->what) != NULL;
	if (l)
		p.fully_qualified_name = (char *)l->b;
	push(w, &p);
}

static void get_profile(struct grpc_request *r, struct slice message)
{
	Destination__GetDestination *m;
	struct arena a;

	arena_init(&a, 1 << 20);
	m = API_READ(Destination__GetDestination, destination__get_destination, message,
		&a, NULL);
	if (m)
		watch(r, "profile", m->path, answer_profile);
	arena_fini(&a);
}

/* ---- outbound policy ---- */

static Outbound__Backend *backend(const char *name, struct arena *a)
{
	Outbound__Backend *b = API_NEW(Outbound__Backend, outbound__backend, a);
	Outbound__Backend__BalanceP2c *p = API_NEW(
		Outbound__Backend__BalanceP2c, outbound__backend__balance_p2c, a);

	b->kind_case = OUTBOUND__BACKEND__KIND_BALANCER;
	b->balancer = p;
	b->metadata = api_meta("core", "Service", "test", name, 80, a);
	p->discovery = API_NEW(Outbound__Backend__EndpointDiscovery,
		outbound__backend__endpoint_discovery, a);
	p->discovery->kind_case = OUTBOUND__BACKEND__ENDPOINT_DISCOVERY__KIND_DST;
	p->discovery->dst =
		API_NEW(Outbound__Backend__EndpointDiscovery__DestinationGet,
			outbound__backend__endpoint_discovery__destination_get, a);
	p->discovery->dst->path = (char *)name;
	return b;
}

#define ONE(field, count, value, a)                                                    \
	do {                                                                           \
		(field) = arena_array((a), 1, sizeof *(field));                        \
		(field)[0] = (value);                                                  \
		(count) = 1;                                                           \
	} while (0)

static Outbound__HttpRoute *http_route(const char *name, struct arena *a)
{
	Outbound__HttpRoute *r = API_NEW(Outbound__HttpRoute, outbound__http_route, a);
	Outbound__HttpRoute__Rule *rule =
		API_NEW(Outbound__HttpRoute__Rule, outbound__http_route__rule, a);
	Outbound__HttpRoute__RouteBackend *rb =
		API_NEW(Outbound__HttpRoute__RouteBackend,
			outbound__http_route__route_backend, a);

	r->metadata = api_meta_default("http", a);
	rb->backend = backend(name, a);
	rule->backends = API_NEW(Outbound__HttpRoute__Distribution,
		outbound__http_route__distribution, a);
	rule->backends->kind_case =
		OUTBOUND__HTTP_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
	rule->backends->first_available = API_NEW(Outbound__HttpRoute__FirstAvailable,
		outbound__http_route__first_available, a);
	ONE(rule->backends->first_available->backends,
		rule->backends->first_available->n_backends, rb, a);
	ONE(r->rules, r->n_rules, rule, a);
	return r;
}

static Outbound__OpaqueRoute *opaque_route(const char *name, struct arena *a)
{
	Outbound__OpaqueRoute *r =
		API_NEW(Outbound__OpaqueRoute, outbound__opaque_route, a);
	Outbound__OpaqueRoute__Rule *rule =
		API_NEW(Outbound__OpaqueRoute__Rule, outbound__opaque_route__rule, a);
	Outbound__OpaqueRoute__RouteBackend *rb =
		API_NEW(Outbound__OpaqueRoute__RouteBackend,
			outbound__opaque_route__route_backend, a);

	r->metadata = api_meta_default("opaque", a);
	rb->backend = backend(name, a);
	rule->backends = API_NEW(Outbound__OpaqueRoute__Distribution,
		outbound__opaque_route__distribution, a);
	rule->backends->kind_case =
		OUTBOUND__OPAQUE_ROUTE__DISTRIBUTION__KIND_FIRST_AVAILABLE;
	rule->backends->first_available = API_NEW(Outbound__OpaqueRoute__FirstAvailable,
		outbound__opaque_route__first_available, a);
	ONE(rule->backends->first_available->backends,
		rule->backends->first_available->n_backends, rb, a);
	ONE(r->rules, r->n_rules, rule, a);
	return r;
}

/* "*.domain", or a name. */
static HttpRoute__HostMatch *host(const char *pattern, struct arena *a)
{
	HttpRoute__HostMatch *m =
		API_NEW(HttpRoute__HostMatch, http_route__host_match, a);
	struct slice rest = slice_of(pattern), label;
	char **labels = arena_array(a, 32, sizeof *labels);

	m->match_case = HTTP_ROUTE__HOST_MATCH__MATCH_EXACT;
	m->exact = (char *)pattern;
	if (pattern[0] != '*')
		return m;
	m->match_case = HTTP_ROUTE__HOST_MATCH__MATCH_SUFFIX;
	m->suffix = API_NEW(
		HttpRoute__HostMatch__Suffix, http_route__host_match__suffix, a);
	m->suffix->reverse_labels = labels;
	rest.p += 2, rest.n -= 2;
	while (m->suffix->n_reverse_labels < 32 && slice_cut(&rest, '.', &label))
		labels[m->suffix->n_reverse_labels++] = api_text(label, a);
	for (size_t i = 0, n = m->suffix->n_reverse_labels; i < n / 2; i++) {
		char *swap = labels[i];

		labels[i] = labels[n - 1 - i];
		labels[n - 1 - i] = swap;
	}
	return m;
}

static void answer_sni(struct watcher *w)
{
	Outbound__OutboundPolicy p = OUTBOUND__OUTBOUND_POLICY__INIT;
	Outbound__ProxyProtocol__Tls *tls;
	struct arena a;

	arena_init(&a, 1 << 20);
	p.metadata = api_meta("core", "Service", "test", "tls", 443, &a);
	p.protocol = API_NEW(Outbound__ProxyProtocol, outbound__proxy_protocol, &a);
	tls = API_NEW(Outbound__ProxyProtocol__Tls, outbound__proxy_protocol__tls, &a);
	p.protocol->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_TLS;
	p.protocol->tls = tls;
	tls->routes = arena_array(&a, t.n + 1, sizeof *tls->routes);
	for (size_t i = 0; i < t.n; i++) {
		Outbound__OpaqueRoute *same;
		Outbound__TlsRoute *r;

		if (t.lines[i].word != W_SNI || strcmp(t.lines[i].a, w->what) != 0)
			continue;
		same = opaque_route(t.lines[i].c, &a);
		r = API_NEW(Outbound__TlsRoute, outbound__tls_route, &a);
		r->metadata = api_meta_default(t.lines[i].b, &a);
		r->rules = same->rules;
		r->n_rules = same->n_rules;
		ONE(r->snis, r->n_snis, host(t.lines[i].b, &a), &a);
		tls->routes[tls->n_routes++] = r;
	}
	push(w, &p);
	arena_fini(&a);
}

static void answer_outbound(struct watcher *w)
{
	Outbound__OutboundPolicy p = OUTBOUND__OUTBOUND_POLICY__INIT;
	const struct line *l = find(W_SERVICE, w->what);
	Outbound__ProxyProtocol__Detect *d;
	struct arena a;

	if (push_text(w, W_OUTBOUND, &outbound__outbound_policy__descriptor))
		return;
	if (find(W_SNI, w->what)) {
		answer_sni(w);
		return;
	}
	if (!l) {
		if (w->first)
			grpc_end(w->req, GRPC_NOT_FOUND, "no such service");
		return;
	}
	arena_init(&a, 1 << 20);
	p.metadata = api_meta("core", "Service", "test", l->b, 80, &a);
	p.protocol = API_NEW(Outbound__ProxyProtocol, outbound__proxy_protocol, &a);
	d = API_NEW(
		Outbound__ProxyProtocol__Detect, outbound__proxy_protocol__detect, &a);
	p.protocol->kind_case = OUTBOUND__PROXY_PROTOCOL__KIND_DETECT;
	p.protocol->detect = d;
	d->timeout = api_duration(10 * NS_PER_S, &a);
	d->http1 = API_NEW(
		Outbound__ProxyProtocol__Http1, outbound__proxy_protocol__http1, &a);
	d->http2 = API_NEW(
		Outbound__ProxyProtocol__Http2, outbound__proxy_protocol__http2, &a);
	d->opaque = API_NEW(
		Outbound__ProxyProtocol__Opaque, outbound__proxy_protocol__opaque, &a);
	ONE(d->http1->routes, d->http1->n_routes, http_route(l->b, &a), &a);
	ONE(d->http2->routes, d->http2->n_routes, http_route(l->b, &a), &a);
	ONE(d->opaque->routes, d->opaque->n_routes, opaque_route(l->b, &a), &a);
	push(w, &p);
	arena_fini(&a);
}

static void outbound(struct grpc_request *r, struct slice message)
{
	Outbound__TrafficSpec *m;
	char text[300] = "";
	struct addr addr;
	struct arena a;

	arena_init(&a, 1 << 20);
	m = API_READ(Outbound__TrafficSpec, outbound__traffic_spec, message, &a, NULL);
	if (m && m->target_case == OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR &&
		api_to_addr(m->addr, &addr))
		addr_text(&addr, text);
	if (m && m->target_case == OUTBOUND__TRAFFIC_SPEC__TARGET_AUTHORITY)
		snprintf(text, sizeof text, "%s", m->authority);
	watch(r, "outbound", text, answer_outbound);
	arena_fini(&a);
}

/* ---- inbound policy ---- */

static Inbound__Authn *mesh(const char *who, const char *id, struct arena *a)
{
	Inbound__Authn *n = API_NEW(Inbound__Authn, inbound__authn, a);
	Inbound__Authn__PermitMeshTLS *m = API_NEW(
		Inbound__Authn__PermitMeshTLS, inbound__authn__permit_mesh_tls, a);
	Inbound__IdentitySuffix *any =
		API_NEW(Inbound__IdentitySuffix, inbound__identity_suffix, a);
	Inbound__Identity *one = API_NEW(Inbound__Identity, inbound__identity, a);

	n->permit_case = INBOUND__AUTHN__PERMIT_MESH_TLS;
	n->mesh_tls = m;
	m->clients_case = INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_IDENTITIES;
	m->identities =
		API_NEW(Inbound__ClientIdentities, inbound__client_identities, a);
	one->name = (char *)id;
	if (strcmp(who, "mesh") == 0)
		ONE(m->identities->suffixes, m->identities->n_suffixes, any, a);
	else
		ONE(m->identities->identities, m->identities->n_identities, one, a);
	return n;
}

static Inbound__Authn *everybody(struct arena *a)
{
	Inbound__Authn *n = API_NEW(Inbound__Authn, inbound__authn, a);

	n->permit_case = INBOUND__AUTHN__PERMIT_UNAUTHENTICATED;
	n->unauthenticated = API_NEW(Inbound__Authn__PermitUnauthenticated,
		inbound__authn__permit_unauthenticated, a);
	return n;
}

/* `who` as in the script; `value` goes with it. */
static Inbound__Authz *authz(const char *who, const char *value, struct arena *a)
{
	Inbound__Authz *z = API_NEW(Inbound__Authz, inbound__authz, a);
	bool by_net = strcmp(who, "network") == 0, all = strcmp(who, "all") == 0;
	struct cidr nets[] = {{.ip.family = 4}, {.ip.family = 6}};

	if (by_net && !cidr_parse(slice_of(value), &nets[0]))
		die("a network is malformed");
	z->n_networks = by_net ? 1 : 2;
	z->networks = arena_array(a, 2, sizeof *z->networks);
	for (size_t i = 0; i < z->n_networks; i++) {
		z->networks[i] = API_NEW(Inbound__Network, inbound__network, a);
		z->networks[i]->net = api_cidr(&nets[i], a);
	}
	z->authentication = by_net || all ? everybody(a) : mesh(who, value, a);
	z->metadata = api_meta_default(all ? "all-unauthenticated" : "only", a);
	return z;
}

static void authorize(Inbound__Server *s, const char *port, struct arena *a)
{
	const char *only = NULL;

	s->authorizations = arena_array(a, t.n + 1, sizeof *s->authorizations);
	for (size_t i = 0; i < t.n; i++) {
		const struct line *l = &t.lines[i];

		if (l->word == W_ALLOW)
			only = l->a;
		if (l->word != W_PERMIT || strcmp(l->a, port) != 0 ||
			strcmp(l->b, "none") == 0)
			continue;
		s->authorizations[s->n_authorizations++] = authz(l->b, l->c, a);
	}
	if (!find(W_PERMIT, port))
		s->authorizations[s->n_authorizations++] =
			authz(only ? "identity" : "all", only, a);
}

static void speak(Inbound__ProxyProtocol *p, const char *proto, struct arena *a)
{
	static const struct {
		const char *name;
		Inbound__ProxyProtocol__KindCase kind;
		const ProtobufCMessageDescriptor *message;
	} kinds[] = {
		{"opaque", INBOUND__PROXY_PROTOCOL__KIND_OPAQUE,
			&inbound__proxy_protocol__opaque__descriptor},
		{"tls", INBOUND__PROXY_PROTOCOL__KIND_TLS,
			&inbound__proxy_protocol__tls__descriptor},
		{"http1", INBOUND__PROXY_PROTOCOL__KIND_HTTP1,
			&inbound__proxy_protocol__http1__descriptor},
		{"http2", INBOUND__PROXY_PROTOCOL__KIND_HTTP2,
			&inbound__proxy_protocol__http2__descriptor},
		{"grpc", INBOUND__PROXY_PROTOCOL__KIND_GRPC,
			&inbound__proxy_protocol__grpc__descriptor},
	};

	for (size_t i = 0; i < countof(kinds); i++)
		if (strcmp(proto, kinds[i].name) == 0) {
			ProtobufCMessage *m =
				arena_array(a, 1, kinds[i].message->sizeof_message);

			protobuf_c_message_init(kinds[i].message, m);
			p->kind_case = kinds[i].kind;
			p->opaque = (Inbound__ProxyProtocol__Opaque *)m;
			return;
		}
	p->kind_case = INBOUND__PROXY_PROTOCOL__KIND_DETECT;
	p->detect = API_NEW(
		Inbound__ProxyProtocol__Detect, inbound__proxy_protocol__detect, a);
	p->detect->timeout = api_duration(10 * NS_PER_S, a);
}

static void answer_inbound(struct watcher *w)
{
	Inbound__Server s = INBOUND__SERVER__INIT;
	const struct line *port = find(W_PORT, w->what);
	struct arena a;

	if (push_text(w, W_INBOUND, &inbound__server__descriptor))
		return;
	arena_init(&a, 1 << 20);
	s.protocol = API_NEW(Inbound__ProxyProtocol, inbound__proxy_protocol, &a);
	speak(s.protocol, port ? port->b : "detect", &a);
	authorize(&s, w->what, &a);
	ONE(s.labels, s.n_labels, api_label("name", "default:all-unauthenticated", &a),
		&a);
	push(w, &s);
	arena_fini(&a);
}

static void inbound(struct grpc_request *r, struct slice message)
{
	Inbound__PortSpec *m;
	char port[8] = "";
	struct arena a;

	arena_init(&a, 1 << 20);
	m = API_READ(Inbound__PortSpec, inbound__port_spec, message, &a, NULL);
	if (m)
		snprintf(port, sizeof port, "%u", m->port & 0xffff);
	watch(r, "inbound", port, answer_inbound);
	arena_fini(&a);
}

/* ---- identity ---- */

/* An authority in `path`, NULL when it is not there. */
static bool load_ca(const char *path)
{
	char text[16384];
	FILE *f = fopen(path, "r");
	struct slice pem;
	struct err e;

	if (!f)
		return false;
	pem = (struct slice){text, fread(text, 1, sizeof text, f)};
	fclose(f);
	cert_free(t.ca);
	key_free(t.ca_key);
	t.ca = cert_read(pem, &e);
	t.ca_key = key_read(pem, &e);
	return t.ca && t.ca_key;
}

static struct key *key_of(enum word word)
{
	const struct line *l = first(word);
	struct err e;
	struct key *k = !l || strcmp(l->a, "p256") == 0
				? key_generate(&e)
				: key_read(slice_of(testca_key(l->a)), &e);

	if (!k)
		die(e.msg);
	return k;
}

/* Appends a certificate as PEM. */
static void add_pem(struct buf *pem, struct buf *der)
{
	pem_wrap("CERTIFICATE", buf_slice(der), pem);
	buf_fini(der);
}

static void write_pem(const char *path, struct buf *pem, const struct key *key)
{
	char part[600];
	struct err e;
	FILE *f;

	/* whole or not at all: the other pod's control plane reads it too */
	snprintf(part, sizeof part, "%s+%d", path, (int)getpid());
	f = fopen(part, "w");
	if (!f || key_write_pem(key, pem, &e) < 0)
		die("a certificate's file cannot be written");
	fwrite(buf_slice(pem).p, 1, buf_len(pem), f);
	fclose(f);
	if (rename(part, path) < 0)
		die("a certificate's file cannot be put in its place");
	buf_fini(pem);
}

static struct cert_spec ca_spec(const char *name)
{
	uint64_t now = clock_wall();

	return (struct cert_spec){.common_name = name,
		.not_before = now - 60 * NS_PER_S,
		.not_after = now + 86400 * NS_PER_S,
		.is_ca = true};
}

/* Between the root and what is signed: its key replaces the root's. */
static void make_intermediate(void)
{
	struct cert_spec spec = ca_spec("between.test");
	struct buf der = BUF_INIT;
	struct key *key;
	struct err e;

	buf_clear(&t.between);
	if (!first(W_INTERMEDIATE))
		return;
	key = key_of(W_INTERMEDIATE);
	if (cert_issue(key, &spec, t.ca, t.ca_key, &der, &e) < 0)
		die(e.msg);
	cert_free(t.ca);
	key_free(t.ca_key);
	t.ca_key = key;
	t.ca = cert_read(buf_slice(&der), &e);
	buf_adds(&t.between, buf_slice(&der));
	buf_fini(&der);
}

static void make_ca(void)
{
	const struct line *root = first(W_ROOT);
	struct cert_spec spec = ca_spec(root ? root->a : "identity.test");
	struct buf der = BUF_INIT, pem = BUF_INIT;
	struct key *key;
	char path[512];
	struct err e;

	snprintf(path, sizeof path, "%s%s%s", t.ca_file, root ? ".root." : "",
		root ? root->a : "");
	if (!load_ca(path)) {
		key = key_of(W_KEY);
		if (cert_issue(key, &spec, NULL, NULL, &der, &e) < 0)
			die(e.msg);
		add_pem(&pem, &der);
		write_pem(path, &pem, key);
		key_free(key);
		if (!load_ca(path))
			die("the authority's file cannot be read");
	}
	make_intermediate();
}

/* For clients and servers that the script's user plays himself. */
static void issue(const char *id, const char *how)
{
	bool expired = strcmp(how, "expired") == 0,
	     foreign = strcmp(how, "foreign") == 0;
	bool early = strcmp(how, "early") == 0;
	uint64_t now = clock_wall();
	const char *const dns[] = {id, NULL};
	struct cert_spec spec = {.common_name = id,
		.dns = dns,
		.not_before = early ? now + 600 * NS_PER_S : now - 3600 * NS_PER_S,
		.not_after = expired ? now - 60 * NS_PER_S : now + 3600 * NS_PER_S,
		.server = true,
		.client = true};
	struct buf der = BUF_INIT, pem = BUF_INIT;
	struct err e = {.code = ERR_NONE};
	struct key *key = key_generate(&e);
	char path[512];

	snprintf(path, sizeof path, "%s.%s", t.ca_file, id);
	if (!key || cert_issue(key, &spec, foreign ? NULL : t.ca,
			    foreign ? NULL : t.ca_key, &der, &e) < 0)
		die(e.msg);
	for (int i = strcmp(how, "huge") == 0 ? 300 : 1; i > 1; i--)
		pem_wrap("CERTIFICATE", buf_slice(&der), &pem);
	add_pem(&pem, &der);
	if (buf_len(&t.between))
		pem_wrap("CERTIFICATE", buf_slice(&t.between), &pem);
	write_pem(path, &pem, key);
	key_free(key);
}

static void issue_all(void)
{
	for (size_t i = 0; i < t.n; i++)
		if (t.lines[i].word == W_CERTIFICATE)
			issue(t.lines[i].a, t.lines[i].b);
}

static void certify(struct grpc_request *r, struct slice message)
{
	Identity__CertifyResponse answer = IDENTITY__CERTIFY_RESPONSE__INIT;
	const struct line *life = first(W_LIFE);
	int64_t s = life ? strtol(life->a, NULL, 10) : t.life;
	uint64_t now = clock_wall(), until = now + (uint64_t)s * NS_PER_S;
	struct cert_spec spec = {.not_before = now - 5 * NS_PER_S,
		.not_after = until,
		.server = true,
		.client = true};
	struct buf der = BUF_INIT, b = BUF_INIT;
	ProtobufCBinaryData between = {
		buf_len(&t.between), (uint8_t *)buf_slice(&t.between).p};
	const struct line *ill = find(W_BAD, "identity");
	Identity__CertifyRequest *m;
	const char *names[2] = {NULL, NULL};
	struct arena a;
	struct err e;

	if (ill) {
		if (strcmp(ill->b, "garbage") == 0)
			grpc_send(r, SLICE("\xff\xff\xff no message"));
		else if (strcmp(ill->b, "silent") != 0)
			grpc_end(
				r, (int)strtol(ill->b, NULL, 10), "the script says so");
		return;
	}
	arena_init(&a, 1 << 20);
	m = API_READ(
		Identity__CertifyRequest, identity__certify_request, message, &a, &e);
	if (m)
		names[0] = spec.common_name = m->identity;
	spec.dns = names;
	if (!m || cert_issue_csr(slice_bytes(m->certificate_signing_request.data,
					 m->certificate_signing_request.len),
			  &spec, t.ca, t.ca_key, &der, &e) < 0) {
		grpc_end(r, GRPC_INVALID_ARGUMENT, e.msg);
	} else {
		answer.leaf_certificate = (ProtobufCBinaryData){
			buf_len(&der), (uint8_t *)buf_slice(&der).p};
		answer.n_intermediate_certificates = buf_len(&t.between) ? 1 : 0;
		answer.intermediate_certificates = &between;
		answer.valid_until = API_NEW(Common__Timestamp, common__timestamp, &a);
		answer.valid_until->seconds = (int64_t)(until / NS_PER_S);
		if (api_write(&answer, &b) == 0)
			grpc_send(r, buf_slice(&b));
		grpc_end(r, GRPC_OK, NULL);
	}
	buf_fini(&der);
	buf_fini(&b);
	arena_fini(&a);
}

/* ---- all ---- */

static const struct grpc_method methods[] = {{API_CERTIFY, certify, NULL},
	{API_GET, get, NULL}, {API_GET_PROFILE, get_profile, NULL},
	{API_INBOUND, inbound, NULL}, {API_OUTBOUND, outbound, NULL}};

static const struct opt options[] = {
	{.flag = "listen", .kind = OPT_TEXT, .preset = "127.0.0.1:0"},
	{.flag = "ca", .kind = OPT_TEXT, .offset = 8, .needed = true},
	{.flag = "life",
		.kind = OPT_INT,
		.offset = 16,
		.preset = "86400",
		.min = 1,
		.max = 1000000},
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	die(what);
}

int main(int argc, char **argv)
{
	char text[ADDR_TEXT];
	struct grpc_server *s;
	struct loop *l;
	struct addr at;
	struct err e;
	int rest;

	opt_read(options, countof(options), &t, argc, argv, &rest, complain, NULL);
	if (rest != 1 || !addr_parse(slice_of(t.listen), &at))
		die("usage: scripted_control [-listen ADDR] [-life SECONDS] -ca FILE "
		    "SCRIPT");
	t.script = argv[1];
	list_init(&t.watchers);
	read_script();
	make_ca();
	issue_all();
	l = loop_new(&e);
	s = l ? grpc_server_new(l, &at, NULL, methods, countof(methods), NULL, &e)
	      : NULL;
	if (!s || loop_on_signal(l, SIGHUP, on_hup, NULL, &e) < 0)
		die(e.msg);
	printf("listening on %s\n", addr_text(grpc_server_addr(s), text));
	fflush(stdout);
	loop_run(l, &e);
	return 0;
}
