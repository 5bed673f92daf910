/* SPDX-License-Identifier: Apache-2.0 */
/* The two services, and a cluster without any policy. */
#include "api/http_route.pb-c.h"
#include "rig.h"

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

/* Pod b, of which the kubelet said that; `more` of its metadata or its spec. */
static void put_b(const char *metadata, const char *spec, const char *conditions)
{
	put(VIEW_POD,
		"{'metadata':{'name':'b','namespace':'apps'%s},'spec':{'nodeName':'n1'"
		"%s},'status':{'phase':'Running','podIPs':[{'ip':'10.1.0.2'}],"
		"'conditions':[{'type':'Ready','status':'False'}%s]}}",
		metadata, spec, conditions);
}

#define UNREADY  ",'conditions':{'ready':false}"
#define IS(type) ",{'type':'" type "','status':'True'}"
#define B_ALONE  " 10.1.0.2:8080,b,unknown"

/* The node's controller takes "Ready" away from all pods of a node that is silent. */
TEST(pods_of_a_silent_node_are_told_when_nobody_else_is_ready)
{
	static const struct {
		const char *metadata, *spec, *conditions;
		bool told;
	} rows[] = {
		{"", "", IS("ContainersReady"), true},
		{"", "", "", false},
		{"", "", ",{'type':'ContainersReady','status':'False'}", false},
		{",'deletionTimestamp':'2026-01-01T00:00:00Z'", "",
			IS("ContainersReady"), false},
		{"", ",'readinessGates':[{'conditionType':'in/lb'}]",
			IS("ContainersReady"), false},
		{"", ",'readinessGates':[{'conditionType':'in/lb'}]",
			IS("ContainersReady") IS("in/lb"), true},
	};
	struct client c = {0};

	start();
	put_web();
	put_b("", "", "");
	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.1", "a", UNREADY) "," ENDPOINT(
			"10.1.0.2", "b", UNREADY));
	ask(&c, API_GET, WEB, "");
	EQ_STR(update(&c), "none 1");
	for (size_t i = 0; i < countof(rows); i++) {
		put_b(rows[i].metadata, rows[i].spec, rows[i].conditions);
		if (rows[i].told)
			EQ_STR(update(&c), "add" B_ALONE);
		put_b("", "", "");
		if (rows[i].told)
			EQ_STR(update(&c), "remove 10.1.0.2:8080");
		stays_silent(&c);
	}

	/* who is ready is told alone */
	put_b("", "", IS("ContainersReady"));
	EQ_STR(update(&c), "add" B_ALONE);
	put_slice("s", "IPv4",
		ENDPOINT("10.1.0.1", "a", "") "," ENDPOINT("10.1.0.2", "b", UNREADY));
	EQ_STR(update(&c), "add" A("unknown"));
	EQ_STR(update(&c), "remove 10.1.0.2:8080");
	hang_up(&c);
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
