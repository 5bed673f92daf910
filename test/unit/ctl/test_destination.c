/* SPDX-License-Identifier: Apache-2.0 */
/* The two services over gRPC, with a cluster that the test makes of JSON. */
#include "ctl/destination.h"

#include <stdarg.h>
#include <stdlib.h>

#include "api/api.h"
#include "api/destination.pb-c.h"
#include "api/http_route.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "http/grpc.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct destination *d;
static struct channel *destination, *policy;
static struct destination_config cfg = {
	.namespace = "mesh",
	.trust_domain = "trust.local",
	.cluster_domain = "cluster.local",
	.opaque_ports = "25,3306",
	.default_policy = "all-unauthenticated",
	.h2_upgrade = true,
	.ipv6 = true,
	.queue = 100,
};

static struct channel *channel_to(const struct addr *at)
{
	struct channel_config to = {
		.host = "127.0.0.1", .kind = HTTP_KIND_2, .port = at->port};
	struct channel *c = channel_new(loop, dns, &to, NULL);

	OK(c);
	return c;
}

static void start(void)
{
	struct err e = {0};

	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	OK(addr_parse(SLICE("127.0.0.1:0"), &cfg.at));
	cfg.policy_at = cfg.at;
	OK(cidr_list_parse("10.0.0.0/8,fd00::/8", &cfg.cluster_networks, &e) == 0);
	OK(cidr_list_parse("0.0.0.0/0", &cfg.probe_networks, &e) == 0);
	d = destination_new(loop, NULL, &cfg, &e);
	if (!d)
		T_FAIL("%s", e.msg);
	destination = channel_to(destination_addr(d));
	policy = channel_to(destination_policy_addr(d));
}

/* ---- the cluster; ' stands for " ---- */

static struct json *object(const char *fmt, va_list ap)
{
	struct buf b = BUF_INIT;
	struct json *j;
	struct err e = {0};

	OK(buf_vprintf(&b, fmt, ap) == 0);
	for (size_t i = b.at; i < b.end; i++)
		if (b.p[i] == '\'')
			b.p[i] = '"';
	j = json_parse(buf_slice(&b), &e);
	if (!j)
		T_FAIL("%s", e.msg);
	buf_fini(&b);
	return j;
}

static void PRINTF_LIKE(2, 3) put(enum view_kind kind, const char *fmt, ...)
{
	struct json *j;
	va_list ap;

	va_start(ap, fmt);
	j = object(fmt, ap);
	va_end(ap);
	index_put(destination_index(d), kind, j);
	json_free(j);
}

static void PRINTF_LIKE(2, 3) gone(enum view_kind kind, const char *fmt, ...)
{
	struct json *j;
	va_list ap;

	va_start(ap, fmt);
	j = object(fmt, ap);
	va_end(ap);
	index_gone(destination_index(d), kind, j);
	json_free(j);
}

#define META(name) "'metadata':{'name':'" name "','namespace':'apps'}"

static void put_service(const char *annotations, const char *more)
{
	put(VIEW_SERVICE,
		"{'metadata':{'name':'web','namespace':'apps','annotations':{%s}},"
		"'spec':{'clusterIPs':['10.96.0.1'],'ports':["
		"{'name':'http','port':80,'targetPort':'web'},"
		"{'name':'raw','port':81,'targetPort':8081,'appProtocol':'linkerd.io/"
		"tcp'},"
		"{'name':'one','port':82,'targetPort':8082,'appProtocol':'HTTP'},"
		"{'name':'two','port':83,'targetPort':8083,"
		"'appProtocol':'kubernetes.io/h2c'}]%s}}",
		annotations, more);
}

/* A pod with a proxy, on node n1 or n2. */
static void put_pod(const char *name, const char *ip, const char *annotations,
	const char *control_ns)
{
	put(VIEW_POD,
		"{'metadata':{'name':'%s','namespace':'apps','annotations':{%s},"
		"'labels':{'linkerd.io/control-plane-ns':'%s','pod-template-hash':'h'},"
		"'ownerReferences':[{'controller':true,'kind':'ReplicaSet','name':'web-"
		"h'}]},"
		"'spec':{'nodeName':'n1','serviceAccountName':'sa','containers':["
		"{'name':'mesh-proxy','env':[{'name':'LINKERD2_PROXY_INBOUND_LISTEN_"
		"ADDR',"
		"'value':'0.0.0.0:4143'}]},"
		"{'name':'web','ports':[{'name':'web','containerPort':8080,'hostPort':"
		"777}],"
		"'readinessProbe':{'httpGet':{'path':'/ready','port':'web'}}}]},"
		"'status':{'hostIP':'192.168.0.1','phase':'Running',"
		"'podIPs':[{'ip':'%s'},{'ip':'fd00::%s'}]}}",
		name, annotations, control_ns, ip, strrchr(ip, '.') + 1);
}

static void put_slice(const char *name, const char *family, const char *endpoints)
{
	put(VIEW_SLICE,
		"{'metadata':{'name':'%s','namespace':'apps','labels':{"
		"'kubernetes.io/service-name':'web'}},'addressType':'%s',"
		"'ports':[{'name':'http','port':8080},{'name':'raw','port':8081}],"
		"'endpoints':[%s]}",
		name, family, endpoints);
}

#define ENDPOINT(ip, pod, more)                                                        \
	"{'addresses':['" ip                                                           \
	"'],'nodeName':'n1','targetRef':{'kind':'Pod','name':'" pod                    \
	"','namespace':'apps'}" more "}"

/* ---- a client ---- */

#define MESSAGES 16
struct client {
	struct buf messages[MESSAGES];
	size_t n, seen;
	int status; /* -1: goes on */
	char text[256];
	struct grpc_call *call;
};

static void on_message(void *arg, struct grpc_call *c, struct slice m)
{
	struct client *cl = arg;

	(void)c;
	OK(cl->n < MESSAGES);
	buf_adds(&cl->messages[cl->n++], m);
}

static void on_over(void *arg, struct grpc_call *c, int status, const char *text)
{
	struct client *cl = arg;

	(void)c;
	cl->status = status;
	cl->call = NULL;
	snprintf(cl->text, sizeof cl->text, "%s", text ? text : "");
}

static const struct grpc_user user = {on_message, on_over};

static void call(struct client *c, struct channel *to, const char *path, const void *m)
{
	struct buf b = BUF_INIT;

	OK(api_write(m, &b) == 0);
	c->status = -1;
	c->call = grpc_call_begin(to, path, buf_slice(&b), false, &user, c, NULL);
	OK(c->call);
	buf_fini(&b);
}

static void ask(struct client *c, const char *path, const char *name, const char *token)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;

	m.path = (char *)(uintptr_t)name;
	m.context_token = (char *)(uintptr_t)token;
	call(c, destination, path, &m);
}

static void ask_in(struct client *c, const char *workload, unsigned port)
{
	Inbound__PortSpec m = INBOUND__PORT_SPEC__INIT;

	m.workload = (char *)(uintptr_t)workload;
	m.port = port;
	call(c, policy, API_INBOUND, &m);
}

static void ask_out(struct client *c, const char *to)
{
	Outbound__TrafficSpec m = OUTBOUND__TRAFFIC_SPEC__INIT;
	struct arena a = {.limit = 4096};
	struct addr at;

	m.source_workload = (char *)(uintptr_t) "apps:curl";
	if (addr_parse(slice_of(to), &at)) {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR;
		m.addr = api_addr(&at, &a);
	} else {
		m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_AUTHORITY;
		m.authority = (char *)(uintptr_t)to;
	}
	call(c, policy, API_OUTBOUND, &m);
	arena_fini(&a);
}

static struct client *waiting;
static void on_tick(struct timer *t)
{
	if (waiting->n > waiting->seen || waiting->status >= 0)
		loop_stop(loop);
	else
		timer_set(t, NS_PER_MS);
}

static void wait_for(struct client *c)
{
	struct timer t = {0};

	waiting = c;
	timer_init(&t, loop, on_tick);
	timer_set(&t, 0);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
}

/* The next message. */
static struct slice next(struct client *c)
{
	wait_for(c);
	if (c->n == c->seen)
		T_FAIL("ended with %d %s", c->status, c->text);
	return buf_slice(&c->messages[c->seen++]);
}

static void ends(struct client *c, int status, const char *says)
{
	wait_for(c);
	if (c->status != status || !strstr(c->text, says))
		T_FAIL("%d \"%s\", want %d %s", c->status, c->text, status, says);
}

static void on_pause(struct timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Nothing is said for a while. */
static void stays_silent(struct client *c)
{
	struct timer t = {0};

	timer_init(&t, loop, on_pause);
	timer_set(&t, 40 * NS_PER_MS);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
	OK(c->n == c->seen && c->status < 0);
}

static void hang_up(struct client *c)
{
	if (c->call)
		grpc_call_end(c->call);
	for (size_t i = 0; i < c->n; i++)
		buf_fini(&c->messages[i]);
}

static void stop(void)
{
	channel_free(destination);
	channel_free(policy);
	destination_free(d);
	{
		struct timer t = {0};

		timer_init(&t, loop, on_pause);
		timer_set(&t, 0);
		OK(loop_run(loop, NULL) == 0);
		timer_clear(&t);
	}
	dns_free(dns);
	loop_free(loop);
	free(cfg.cluster_networks.v);
	free(cfg.probe_networks.v);
}

/* ---- messages as text ---- */

static char line[4096];
static struct buf out;

static const char *done(void)
{
	snprintf(line, sizeof line, "%.*s", SLICE_FMT(buf_slice(&out)));
	buf_fini(&out);
	return line;
}

static void say_addr(const Net__TcpAddress *m)
{
	char text[ADDR_TEXT];
	struct addr at;

	OK(api_to_addr(m, &at));
	buf_printf(&out, " %s", addr_text(&at, text));
}

static void say_weighted(const Destination__WeightedAddr *m)
{
	static const char *const keys[] = {"deployment", "pod", "zone_locality"};

	say_addr(m->addr);
	for (size_t i = 0; i < countof(keys); i++) {
		const char *v =
			api_label_get(m->metric_labels, m->n_metric_labels, keys[i]);

		if (v)
			buf_printf(&out, ",%s", v);
	}
	if (m->tls_identity)
		buf_printf(&out, ",%s", m->tls_identity->dns_like_identity->name);
	if (m->protocol_hint && m->protocol_hint->protocol_case ==
					DESTINATION__PROTOCOL_HINT__PROTOCOL_H2)
		buf_text(&out, ",h2");
	if (m->protocol_hint && m->protocol_hint->protocol_case ==
					DESTINATION__PROTOCOL_HINT__PROTOCOL_OPAQUE)
		buf_text(&out, ",opaque");
	if (m->protocol_hint && m->protocol_hint->opaque_transport)
		buf_printf(&out, ",via%u",
			m->protocol_hint->opaque_transport->inbound_port);
}

static const char *update(struct client *c)
{
	struct arena a = {.limit = 1 << 20};
	Destination__Update *m =
		API_READ(Destination__Update, destination__update, next(c), &a, NULL);

	OK(m);
	switch (m->update_case) {
	case DESTINATION__UPDATE__UPDATE_ADD:
		EQ_STR(api_label_get(m->add->metric_labels, m->add->n_metric_labels,
			       "service"),
			"web");
		buf_text(&out, "add");
		for (size_t i = 0; i < m->add->n_addrs; i++)
			say_weighted(m->add->addrs[i]);
		break;
	case DESTINATION__UPDATE__UPDATE_REMOVE:
		buf_text(&out, "remove");
		for (size_t i = 0; i < m->remove->n_addrs; i++)
			say_addr(m->remove->addrs[i]);
		break;
	default:
		buf_printf(&out, "none %d", m->no_endpoints->exists);
	}
	arena_fini(&a);
	return done();
}

static const char *profile(struct client *c)
{
	struct arena a = {.limit = 1 << 20};
	Destination__DestinationProfile *m = API_READ(Destination__DestinationProfile,
		destination__destination_profile, next(c), &a, NULL);

	OK(m);
	buf_printf(&out, "%s%s", m->fully_qualified_name,
		m->opaque_protocol ? " opaque" : "");
	if (m->endpoint)
		say_weighted(m->endpoint);
	if (m->parent_ref)
		buf_printf(&out, " %s/%s:%u", m->parent_ref->resource->kind,
			m->parent_ref->resource->name, m->parent_ref->resource->port);
	arena_fini(&a);
	return done();
}

static void say_authz(const Inbound__Authz *z)
{
	buf_printf(&out, " %s", api_label_get(z->labels, z->n_labels, "name"));
	buf_printf(&out, "(%zu nets", z->n_networks);
	if (z->authentication->permit_case == INBOUND__AUTHN__PERMIT_MESH_TLS)
		buf_text(&out,
			z->authentication->mesh_tls->clients_case ==
					INBOUND__AUTHN__PERMIT_MESH_TLS__CLIENTS_IDENTITIES
				? " id"
				: " tls");
	buf_char(&out, ')');
}

static const char *server(struct client *c)
{
	struct arena a = {.limit = 1 << 20};
	Inbound__Server *m =
		API_READ(Inbound__Server, inbound__server, next(c), &a, NULL);
	const Inbound__ProxyProtocol__Detect *detect;

	OK(m);
	buf_printf(&out, "%s", api_label_get(m->labels, m->n_labels, "name"));
	for (size_t i = 0; i < m->n_authorizations; i++)
		say_authz(m->authorizations[i]);
	if (m->protocol->kind_case == INBOUND__PROXY_PROTOCOL__KIND_OPAQUE) {
		buf_text(&out, " opaque");
	} else {
		detect = m->protocol->detect;
		EQ_INT(detect->timeout->seconds, 10);
		for (size_t i = 0; i < detect->n_http_routes; i++) {
			const Inbound__HttpRoute *r = detect->http_routes[i];

			buf_printf(&out, " [%s %s", r->metadata->default_,
				r->rules[0]->matches[0]->path->exact);
			for (size_t k = 0; k < r->n_authorizations; k++)
				say_authz(r->authorizations[k]);
			buf_char(&out, ']');
		}
	}
	arena_fini(&a);
	return done();
}

static const char *opaque_route(const Outbound__ProxyProtocol__Opaque *m)
{
	const Outbound__OpaqueRoute__Rule *r = m->routes[0]->rules[0];

	if (r->n_filters)
		return "forbidden";
	return r->backends->first_available->backends[0]
		->backend->balancer->discovery->dst->path;
}

static const char *http_route(Outbound__HttpRoute *const *routes, size_t n)
{
	const Outbound__Backend *b;
	static char text[ADDR_TEXT];
	struct addr at;

	OK(n == 1);
	b = routes[0]->rules[0]->backends->first_available->backends[0]->backend;
	OK(b->queue);
	if (b->kind_case == OUTBOUND__BACKEND__KIND_BALANCER)
		return b->balancer->discovery->dst->path;
	OK(api_to_addr(b->forward->addr, &at));
	return addr_text(&at, text);
}

static const char *outbound(struct client *c)
{
	static struct arena a = {.limit = 1 << 20};
	Outbound__OutboundPolicy *m = API_READ(
		Outbound__OutboundPolicy, outbound__outbound_policy, next(c), &a, NULL);
	const Outbound__ProxyProtocol *p;

	OK(m);
	p = m->protocol;
	if (m->metadata->kind_case == META__METADATA__KIND_RESOURCE)
		buf_printf(&out, "%s/%s ", m->metadata->resource->group,
			m->metadata->resource->name);
	switch (p->kind_case) {
	case OUTBOUND__PROXY_PROTOCOL__KIND_DETECT:
		buf_printf(&out, "detect %s",
			http_route(
				p->detect->http1->routes, p->detect->http1->n_routes));
		OK(p->detect->opaque && p->detect->http2->n_routes == 1);
		break;
	case OUTBOUND__PROXY_PROTOCOL__KIND_HTTP1:
		buf_printf(&out, "http1 %s",
			http_route(p->http1->routes, p->http1->n_routes));
		break;
	case OUTBOUND__PROXY_PROTOCOL__KIND_HTTP2:
		buf_printf(&out, "http2 %s",
			http_route(p->http2->routes, p->http2->n_routes));
		break;
	default:
		buf_printf(&out, "opaque %s", opaque_route(p->opaque));
	}
	arena_fini(&a);
	return done();
}

/* ---- Get ---- */

#define WEB     "web.apps.svc.cluster.local:80"
#define ID      ",sa.apps.serviceaccount.identity.mesh.trust.local"
#define A(loc)  " 10.1.0.1:8080,web,a," loc ID ",h2"
#define B_(loc) " 10.1.0.2:8080,web,b," loc ID ",h2"

static void put_web(void)
{
	put_service("", "");
	put(VIEW_REPLICASET,
		"{'metadata':{'name':'web-h','namespace':'apps','ownerReferences':["
		"{'controller':true,'kind':'Deployment','name':'web'}]}}");
	put_pod("a", "10.1.0.1", "", "mesh");
	put_pod("b", "10.1.0.2", "", "mesh");
	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.2", "b", "") "," ENDPOINT("10.1.0.1", "a", ""));
}

TEST(endpoints_are_added_and_removed_as_the_cluster_changes)
{
	struct client c = {0}, late = {0};

	start();
	put_web();
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "add" A("unknown") B_("unknown"));

	put_slice("s", "IPv4", ENDPOINT("10.1.0.2", "b", ""));
	EQ_STR(update(&c), "remove 10.1.0.1:8080");

	/* a pod that loses its proxy */
	put_pod("b", "10.1.0.2", "", "");
	EQ_STR(update(&c), "add 10.1.0.2:8080,web,b,unknown");

	/* who comes later hears all of it, and only that */
	ask(&late, API_GET, WEB, "");
	EQ_STR(update(&late), "add 10.1.0.2:8080,web,b,unknown");

	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.2", "b", ",'conditions':{'ready':false}"));
	EQ_STR(update(&c), "remove 10.1.0.2:8080");
	EQ_STR(update(&late), "remove 10.1.0.2:8080");

	put_slice(
		"s", "IPv4", ENDPOINT("10.1.0.1", "a", ",'conditions':{'ready':true}"));
	EQ_STR(update(&c), "add" A("unknown"));
	gone(VIEW_SERVICE, "{" META("web") "}");
	EQ_STR(update(&c), "remove 10.1.0.1:8080");
	put_service("", "");
	EQ_STR(update(&c), "add" A("unknown"));
	hang_up(&c);
	hang_up(&late);
	stop();
}

TEST(what_changes_nothing_is_not_told)
{
	struct client c = {0};

	start();
	put_web();
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "add" A("unknown") B_("unknown"));
	put_web();
	put(VIEW_NODE, "{'metadata':{'name':'n9'}}");
	stays_silent(&c);
	hang_up(&c);
	stop();
}

TEST(a_service_without_endpoints_says_so_to_who_comes)
{
	struct client c = {0};

	start();
	put_service("", "");
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "none 1");
	put_web();
	EQ_STR(update(&c), "add" A("unknown") B_("unknown"));
	hang_up(&c);
	stop();
}

TEST(what_cannot_be_asked_for_is_refused)
{
	struct client c[5] = {0};

	start();
	ask(&c[0], API_GET, WEB, "");
	ends(&c[0], GRPC_NOT_FOUND, "no such Service");
	ask(&c[1], API_GET, "10.0.0.1:80", "");
	ends(&c[1], GRPC_INVALID_ARGUMENT, "IP address");
	ask(&c[2], API_GET, "example.com:80", "");
	ends(&c[2], GRPC_INVALID_ARGUMENT, "example.com");
	put_service("", ",'type':'ExternalName'");
	ask(&c[3], API_GET, WEB, "");
	ends(&c[3], GRPC_INVALID_ARGUMENT, "ExternalName");
	ask(&c[4], API_GET_PROFILE, WEB, "");
	ends(&c[4], GRPC_INVALID_ARGUMENT, "ExternalName");
	stop();
}

TEST(numbers_of_ports_come_from_the_slice_and_else_from_the_service)
{
	struct client c[3] = {0};

	start();
	put_web();
	ask(&c[0], API_GET, "web.apps.svc.cluster.local:81", "");
	OK(strstr(update(&c[0]), "add 10.1.0.1:8081,"));
	ask(&c[1], API_GET, "web.apps.svc.cluster.local:82", "");
	OK(strstr(update(&c[1]), "add 10.1.0.1:8082,")); /* not in the slice */
	ask(&c[2], API_GET, "web.apps.svc.cluster.local:4321", "");
	OK(strstr(update(&c[2]), "add 10.1.0.1:4321,")); /* not in the Service */
	for (size_t i = 0; i < 3; i++)
		hang_up(&c[i]);
	stop();
}

TEST(annotations_of_pods_decide_what_their_proxies_do)
{
	struct client c = {0};

	start();
	put_web();
	gone(VIEW_POD, "{" META("b") "}");
	put_slice("s", "IPv4", ENDPOINT("10.1.0.1", "a", ""));
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "add" A("unknown"));
	put_pod("a", "10.1.0.1", "'config.linkerd.io/opaque-ports':'web'", "mesh");
	EQ_STR(update(&c), "add 10.1.0.1:8080,web,a,unknown" ID ",opaque,via4143");
	put_pod("a", "10.1.0.1", "'config.linkerd.io/skip-inbound-ports':'8000-9000'",
		"mesh");
	EQ_STR(update(&c), "add 10.1.0.1:8080,web,a,unknown");
	put_pod("a", "10.1.0.1", "", "other"); /* another mesh's */
	EQ_STR(update(&c), "add 10.1.0.1:8080,web,a,unknown,h2");
	hang_up(&c);
	stop();
}

TEST(clients_are_told_what_is_near)
{
	struct client c[4] = {0};

	start();
	put_web();
	put(VIEW_NODE, "{'metadata':{'name':'n1','labels':{"
		       "'topology.kubernetes.io/zone':'east'}}}");
	put(VIEW_NODE, "{'metadata':{'name':'n2','labels':{"
		       "'topology.kubernetes.io/zone':'west'}}}");
	ask(&c[0], API_GET, WEB, "{\"ns\":\"apps\",\"nodeName\":\"n1\"}");
	EQ_STR(update(&c[0]), "add" A("local") B_("local"));
	ask(&c[1], API_GET, WEB, "{\"ns\":\"apps\",\"nodeName\":\"n2\"}");
	EQ_STR(update(&c[1]), "add" A("remote") B_("remote"));

	/* hints count once every endpoint has them */
	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.1", "a",
			",'hints':{'forZones':[{'name':'east'}]}") "," ENDPOINT("10.1."
										"0.2",
			"b", ",'hints':{'forZones':[{'name':'west'}]}"));
	EQ_STR(update(&c[0]), "remove 10.1.0.2:8080");
	EQ_STR(update(&c[1]), "remove 10.1.0.1:8080");

	/* the node's own only */
	put_slice("s", "IPv4", ENDPOINT("10.1.0.1", "a", ""));
	OK(strstr(update(&c[1]), "add 10.1.0.1"));
	OK(strstr(update(&c[1]), "remove 10.1.0.2"));
	put_service("", ",'internalTrafficPolicy':'Local'");
	EQ_STR(update(&c[1]), "remove 10.1.0.1:8080");
	stays_silent(&c[0]);
	for (size_t i = 0; i < 2; i++)
		hang_up(&c[i]);
	stop();
}

TEST(a_pod_of_both_families_is_told_once)
{
	struct client c = {0};

	start();
	put_web();
	put_slice("s6", "IPv6",
		ENDPOINT("fd00::1", "a", "") "," ENDPOINT("fd00::2", "b", ""));
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "add [fd00::1]:8080,web,a,unknown" ID ",h2"
			   " [fd00::2]:8080,web,b,unknown" ID ",h2");
	gone(VIEW_SLICE, "{" META("s6") "}");
	OK(strstr(update(&c), "add 10.1.0.1"));
	hang_up(&c);
	stop();
}

TEST(an_instance_is_one_endpoint)
{
	struct client c[2] = {0};

	start();
	put_web();
	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.1", "a", ",'hostname':'web-0'") "," ENDPOINT(
			"10.1.0.2", "b", ",'hostname':'web-1'"));
	ask(&c[0], API_GET, "web-1.web.apps.svc.cluster.local:80", "");
	EQ_STR(update(&c[0]), "add" B_("unknown"));
	ask(&c[1], API_GET_PROFILE, "web-1.web.apps.svc.cluster.local:8080", "");
	EQ_STR(profile(&c[1]), " 10.1.0.2:8080,web,b" ID ",h2");
	hang_up(&c[0]);
	hang_up(&c[1]);
	stop();
}

/* ---- profiles ---- */

TEST(a_profile_says_what_an_address_is)
{
	struct client c[6] = {0};

	start();
	put_web();
	ask(&c[0], API_GET_PROFILE, WEB, "");
	EQ_STR(profile(&c[0]), "web.apps.svc.cluster.local Service/web:80");
	ask(&c[1], API_GET_PROFILE, "10.96.0.1:80", "");
	EQ_STR(profile(&c[1]), "web.apps.svc.cluster.local Service/web:80");
	ask(&c[2], API_GET_PROFILE, "10.1.0.1:8080", "");
	EQ_STR(profile(&c[2]), " 10.1.0.1:8080,web,a" ID ",h2");
	ask(&c[3], API_GET_PROFILE, "8.8.8.8:3306", "");
	EQ_STR(profile(&c[3]), " opaque 8.8.8.8:3306");
	ask(&c[4], API_GET_PROFILE, "10.96.0.1:1", "");
	EQ_STR(profile(&c[4]), ""); /* no such port */
	gone(VIEW_POD, "{" META("b") "}");
	ask(&c[5], API_GET_PROFILE, "192.168.0.1:777", "");
	EQ_STR(profile(&c[5]), " 10.1.0.1:8080,web,a" ID ",h2");

	put_service("'config.linkerd.io/opaque-ports':'http'", "");
	EQ_STR(profile(&c[0]), "web.apps.svc.cluster.local opaque Service/web:80");
	EQ_STR(profile(&c[1]), "web.apps.svc.cluster.local opaque Service/web:80");
	put_service("", "");
	EQ_STR(profile(&c[0]), "web.apps.svc.cluster.local Service/web:80");
	put(VIEW_NAMESPACE, "{'metadata':{'name':'apps','annotations':{"
			    "'config.linkerd.io/opaque-ports':'70-90'}}}");
	EQ_STR(profile(&c[0]), "web.apps.svc.cluster.local opaque Service/web:80");
	gone(VIEW_SERVICE, "{" META("web") "}");
	ends(&c[0], GRPC_NOT_FOUND, "no such Service");
	for (size_t i = 0; i < 6; i++)
		hang_up(&c[i]);
	stop();
}

TEST(an_address_of_two_is_refused)
{
	struct client c[2] = {0};

	start();
	put_pod("a", "10.1.0.1", "", "mesh");
	put_pod("b", "10.1.0.1", "", "mesh");
	ask(&c[0], API_GET_PROFILE, "10.1.0.1:8080", "");
	ends(&c[0], GRPC_FAILED_PRECONDITION, "more than one pod");
	put(VIEW_POD, "{" META("b") ",'status':{'phase':'Succeeded',"
				    "'podIPs':[{'ip':'10.1.0.1'}]}}");
	ask(&c[1], API_GET_PROFILE, "10.1.0.1:8080", "");
	OK(strstr(profile(&c[1]), ",a"));
	hang_up(&c[1]);
	stop();
}

/* ---- policies ---- */

TEST(a_port_has_its_pods_default_policy)
{
	struct client c[3] = {0};

	start();
	put_pod("a", "10.1.0.1", "", "mesh");
	ask_in(&c[0], "{\"ns\":\"apps\",\"pod\":\"a\"}", 8080);
	EQ_STR(server(&c[0]), "all-unauthenticated all-unauthenticated(2 nets)"
			      " [default /] [probe /ready probe(1 nets)]");
	ask_in(&c[1], "apps:a", 8081);
	EQ_STR(server(&c[1]),
		"all-unauthenticated all-unauthenticated(2 nets) [default /]");
	ask_in(&c[2], "apps:a", 3306);
	EQ_STR(server(&c[2]), "all-unauthenticated all-unauthenticated(2 nets) opaque");

#define POLICY(name)                                                                   \
	put_pod("a", "10.1.0.1",                                                       \
		"'config.linkerd.io/default-inbound-policy':'" name "'", "mesh")
	POLICY("cluster-authenticated");
	EQ_STR(server(&c[1]),
		"cluster-authenticated cluster-authenticated(2 nets id) [default /]");
	POLICY("all-tls-unauthenticated");
	EQ_STR(server(&c[1]), "all-tls-unauthenticated "
			      "all-tls-unauthenticated(2 nets tls) [default /]");
	POLICY("deny");
	EQ_STR(server(&c[1]), "deny [default /]");
	POLICY("audit");
	EQ_STR(server(&c[1]), "audit audit(2 nets) [default /]");
	POLICY("alll-open"); /* opens nothing */
	EQ_STR(server(&c[1]), "deny [default /]");
	c[1].seen = c[1].n;
	gone(VIEW_POD, "{" META("a") "}");
	stays_silent(&c[1]);
	for (size_t i = 0; i < 3; i++)
		hang_up(&c[i]);
	stop();
}

TEST(policies_of_nothing_are_refused)
{
	struct client c[5] = {0};

	start();
	ask_in(&c[0], "apps:a", 80);
	ends(&c[0], GRPC_NOT_FOUND, "no such pod");
	ask_in(&c[1], "apps", 80);
	ends(&c[1], GRPC_INVALID_ARGUMENT, "workload");
	ask_in(&c[2], "apps:a", 0);
	ends(&c[2], GRPC_INVALID_ARGUMENT, "port");
	ask_out(&c[3], "10.3.2.1:80");
	ends(&c[3], GRPC_NOT_FOUND, "No such service");
	ask_out(&c[4], "no.apps.svc.cluster.local:80");
	ends(&c[4], GRPC_NOT_FOUND, "No such service");
	stop();
}

TEST(a_route_leads_to_the_service_or_out_of_the_cluster)
{
	struct client c[8] = {0};

	start();
	put_service("", "");
	ask_out(&c[0], "10.96.0.1:80");
	EQ_STR(outbound(&c[0]), "core/web detect web.apps.svc.cluster.local:80");
	ask_out(&c[1], "10.96.0.1:81");
	EQ_STR(outbound(&c[1]), "core/web opaque web.apps.svc.cluster.local:81");
	ask_out(&c[2], "10.96.0.1:82");
	EQ_STR(outbound(&c[2]), "core/web http1 web.apps.svc.cluster.local:82");
	ask_out(&c[3], "web.apps.svc.cluster.local:83");
	EQ_STR(outbound(&c[3]), "core/web http2 web.apps.svc.cluster.local:83");
	ask_out(&c[4], "10.96.0.1:84");
	EQ_STR(outbound(&c[4]), "core/web opaque forbidden");
	ask_out(&c[5], "8.8.8.8:443");
	EQ_STR(outbound(&c[5]), "detect 8.8.8.8:443");
	put_service("'config.linkerd.io/opaque-ports':'80'", "");
	EQ_STR(outbound(&c[0]), "core/web opaque web.apps.svc.cluster.local:80");
	gone(VIEW_SERVICE, "{" META("web") "}");
	ends(&c[0], GRPC_NOT_FOUND, "No such service");
	for (size_t i = 0; i < 8; i++)
		hang_up(&c[i]);
	stop();
}

static bool drained;
static void on_drained(void *arg)
{
	(void)arg;
	drained = true;
}

TEST(draining_ends_every_call)
{
	struct client c[2] = {0};

	start();
	put_web();
	ask(&c[0], API_GET, WEB, "");
	(void)update(&c[0]);
	ask_out(&c[1], "10.96.0.1:80");
	(void)outbound(&c[1]);
	destination_drain(d, on_drained, NULL);
	ends(&c[0], GRPC_UNAVAILABLE, "goes away");
	ends(&c[1], GRPC_UNAVAILABLE, "goes away");
	for (int i = 0; i < 200 && !drained; i++) {
		struct timer t = {0};

		timer_init(&t, loop, on_pause);
		timer_set(&t, NS_PER_MS);
		OK(loop_run(loop, NULL) == 0);
		timer_clear(&t);
	}
	OK(drained);
	hang_up(&c[0]);
	hang_up(&c[1]);
	stop();
}

TEST(metrics_say_who_listens)
{
	struct client c = {0};
	struct buf b = BUF_INIT;

	start();
	put_web();
	ask(&c, API_GET, WEB, "");
	(void)update(&c);
	destination_metrics(d, &b);
	buf_char(&b, '\0');
	OK(strstr(b.p, "endpoints_subscribers{cluster=\"local\",namespace=\"apps\","
		       "service=\"web\",port=\"80\",hostname=\"\",node=\"\"} 1\n"));
	OK(strstr(b.p, "endpoints_pods{cluster=\"local\",namespace=\"apps\","
		       "service=\"web\",port=\"80\",hostname=\"\",node=\"\"} 2\n"));
	OK(strstr(b.p, "pod_cache_size{cluster=\"local\"} 2\n"));
	buf_fini(&b);
	hang_up(&c);
	stop();
}
