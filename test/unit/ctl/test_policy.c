/* SPDX-License-Identifier: Apache-2.0 */
/* Servers, authorizations, routes and profiles: objects in, messages out. */
#include "rig.h"
#include "textproto.h"

/* ---- the cluster ---- */

#define META(name)                                                                     \
	"'metadata':{'name':'" name "','namespace':'apps','labels':{'is':'" name       \
	"'},'creationTimestamp':'2026-01-01T00:00:00Z'}"

static void put_pod(void)
{
	put(VIEW_POD,
		"{'metadata':{'name':'a','namespace':'apps','labels':{'app':'web',"
		"'linkerd.io/control-plane-ns':'mesh'}},"
		"'spec':{'serviceAccountName':'sa','containers':[{'name':'web','ports':"
		"["
		"{'name':'web','containerPort':8080}],"
		"'livenessProbe':{'httpGet':{'path':'/live','port':'web'}}}]},"
		"'status':{'phase':'Running','podIPs':[{'ip':'10.1.0.1'}]}}");
}

static void put_server(const char *more)
{
	put(VIEW_SERVER,
		"{" META("web") ",'spec':{'podSelector':{'matchLabels':{'app':'web'}},"
				"'port':'web'%s}}",
		more);
}

static char said[16384];

/* The next message as text. */
static const char *hears(struct client *c, const ProtobufCMessageDescriptor *type)
{
	struct arena a = {.limit = 1 << 20};
	struct buf out = BUF_INIT;
	struct err e = {0};
	ProtobufCMessage *m = api_read(type, next(c), &a, &e);

	if (!m)
		T_FAIL("%s", e.msg);
	textproto_print(m, &out);
	snprintf(said, sizeof said, "%.*s", SLICE_FMT(buf_slice(&out)));
	buf_fini(&out);
	arena_fini(&a);
	return said;
}

#define HAS(text, want)                                                                \
	do {                                                                           \
		const char *text_ = (text), *want_ = (want);                           \
		if (!strstr(text_, want_))                                             \
			T_FAIL("no \"%s\" in\n# %s", want_, text_);                    \
	} while (0)
#define HAS_NOT(text, what)                                                            \
	do {                                                                           \
		const char *text_ = (text), *what_ = (what);                           \
		if (strstr(text_, what_))                                              \
			T_FAIL("\"%s\" in\n# %s", what_, text_);                       \
	} while (0)

static const char *server(struct client *c)
{
	return hears(c, &inbound__server__descriptor);
}

/* ---- who is let in ---- */

#define NAMED(kind, name)                                                              \
	"group=policy.linkerd.io labels:kind=" kind " labels:name=" name
#define ALL_NETS "{networks:{net:0.0.0.0/0} networks:{net:::/0} "
#define ACCOUNTS "serviceaccount.identity.mesh.trust.local"

/* Objects beside the Server, and the authorizations they come to. */
static const struct {
	const char *name;
	enum view_kind kind[3];
	const char *object[3];
	const char *authz; /* "": none */
} authorizations[] = {
	{"a Server lets nobody in by itself", {0}, {NULL}, ""},
	{"identities by an AuthorizationPolicy", {VIEW_AUTHORIZATION, VIEW_MESH_TLS},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[{'group':'policy."
			       "linkerd.io','kind':'MeshTLSAuthentication','name':'t'}]"
			       "}}",
			"{" META("t") ",'spec':{'identities':['*.x.y','me.z','*']}}"},
		"authorizations:" ALL_NETS
		"authentication:{mesh_tls:{identities:{identities:{name:\"me.z\"} "
		"suffixes:{parts:\"x\" parts:\"y\"} suffixes:{}}}} "
		"labels:" NAMED("authorizationpolicy", "p")},
	{"ServiceAccounts and namespaces", {VIEW_AUTHORIZATION, VIEW_MESH_TLS},
		{"{" META("p") ",'spec':{'targetRef':{'kind':'Namespace',"
			       "'name':'apps'},"
			       "'requiredAuthenticationRefs':[{'group':'policy."
			       "linkerd.io','kind':'MeshTLSAuthentication','name':'t'}]"
			       "}}",
			"{" META("t") ",'spec':{'identityRefs':["
				      "{'kind':'ServiceAccount','name':'sa'},"
				      "{'kind':'ServiceAccount','name':'sb',"
				      "'namespace':'other'},"
				      "{'kind':'Namespace','name':'ns'}]}}"},
		"identities:{identities:{name:\"sa.apps." ACCOUNTS
		"\"} identities:{name:\"sb.other." ACCOUNTS
		"\"} suffixes:{parts:\"ns\" parts:\"serviceaccount\" "
		"parts:\"identity\" parts:\"mesh\" parts:\"trust\" "
		"parts:\"local\"}}"},
	{"a ServiceAccount that is required itself, from some networks",
		{VIEW_AUTHORIZATION, VIEW_NETWORK},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[{'kind':"
			       "'ServiceAccount','name':'sa'},{'group':'policy."
			       "linkerd.io','kind':'NetworkAuthentication','name':'n'}]"
			       "}}",
			"{" META("n") ",'spec':{'networks':[{'cidr':'10.0.0.0/8',"
				      "'except':['10.9.0.0/16']},{'cidr':'bad'}]}}"},
		"authorizations:{networks:{net:10.0.0.0/8 except:10.9.0.0/16} "
		"authentication:{mesh_tls:{identities:{identities:{name:\"sa."
		"apps." ACCOUNTS "\"}}}}"},
	{"nothing required: everybody", {VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[]}}"},
		"authorizations:" ALL_NETS "authentication:{unauthenticated:{}}"},
	{"what is required is not there: nobody", {VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[{'group':'policy."
			       "linkerd.io','kind':'MeshTLSAuthentication','name':'t'}]"
			       "}}"},
		""},
	{"two of identities: nobody", {VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':["
			       "{'kind':'ServiceAccount','name':'a'},"
			       "{'kind':'ServiceAccount','name':'b'}]}}"},
		""},
	{"another Server's policy", {VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'wob'},"
			       "'requiredAuthenticationRefs':[]}}"},
		""},
	{"a ServerAuthorization by name", {VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'name':'web'},'client':{'meshTLS':"
			       "{'serviceAccounts':[{'name':'sa'}],"
			       "'identities':['*']}}}}"},
		"authorizations:" ALL_NETS "authentication:{mesh_tls:{identities:{"
		"identities:{name:\"sa.apps." ACCOUNTS
		"\"} suffixes:{}}}} labels:" NAMED("serverauthorization", "z")},
	{"a ServerAuthorization by selector, of the cluster's networks",
		{VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'selector':{'matchExpressions':["
			       "{'key':'is','operator':'In','values':['x','web']}]}},"
			       "'client':{'unauthenticated':true}}}"},
		"authorizations:{networks:{net:10.0.0.0/8} networks:{net:fd00::/8} "
		"authentication:{unauthenticated:{}}"},
	{"a ServerAuthorization for TLS without identity", {VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'name':'web'},'client':{"
			       "'networks':[{'cidr':'10.1.0.0/16'}],"
			       "'meshTLS':{'unauthenticatedTLS':true}}}}"},
		"authorizations:{networks:{net:10.1.0.0/16} "
		"authentication:{mesh_tls:{unauthenticated:{}}}"},
	{"a selector that cannot be understood selects nothing",
		{VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'selector':{'matchExpressions':["
			       "{'key':'is','operator':'Like','values':['w']}]}},"
			       "'client':{'unauthenticated':true}}}"},
		""},
};

TEST(authorizations_say_who_is_let_in)
{
	start();
	put_pod();
	put_server("");
	for (size_t i = 0; i < countof(authorizations); i++) {
		struct client c = {0};
		const char *text;

		for (size_t k = 0; k < 3 && authorizations[i].object[k]; k++)
			put(authorizations[i].kind[k], "%s",
				authorizations[i].object[k]);
		ask_in(&c, "apps:a", 8080);
		text = server(&c);
		printf("# %s\n", authorizations[i].name);
		HAS(text, "labels:" NAMED("server", "web"));
		if (*authorizations[i].authz)
			HAS(text, authorizations[i].authz);
		else
			HAS_NOT(text, " authorizations:{networks:{net:0.0.0.0/0} "
				      "networks");
		for (size_t k = 0; k < 3 && authorizations[i].object[k]; k++)
			gone(authorizations[i].kind[k], "%s",
				authorizations[i].object[k]);
		hang_up(&c);
	}
	stop();
}

#define POLICY                                                                         \
	"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"             \
		      "'kind':'Server','name':'web'},'requiredAuthenticationRefs':["   \
		      "{'group':'policy.linkerd.io','kind':'MeshTLSAuthentication',"   \
		      "'name':'t'}]}}"

TEST(a_change_reaches_who_watches_the_port_once)
{
	struct client c = {0}, other = {0};

	start();
	put_pod();
	ask_in(&c, "apps:a", 8080);
	ask_in(&other, "apps:a", 8081);
	HAS(server(&c), "labels:kind=default labels:name=all-unauthenticated");
	(void)server(&other);

	put_server("");
	HAS_NOT(server(&c), " authorizations:{networks:{net:0.0.0.0/0} networks");
	put(VIEW_AUTHORIZATION, "%s", POLICY);
	stays_silent(&c); /* what it requires is not there */
	put(VIEW_MESH_TLS, "{" META("t") ",'spec':{'identities':['me']}}");
	HAS(server(&c), "identities:{identities:{name:\"me\"}}");
	put(VIEW_MESH_TLS, "{" META("t") ",'spec':{'identities':['you']}}");
	HAS(server(&c), "identities:{identities:{name:\"you\"}}");
	put(VIEW_MESH_TLS, "{" META("t") ",'spec':{'identities':['you']}}");
	stays_silent(&c);

	/* many changes, one update */
	put(VIEW_MESH_TLS, "{" META("t") ",'spec':{'identities':['a']}}");
	put_server(",'proxyProtocol':'HTTP/2'");
	put(VIEW_MESH_TLS, "{" META("t") ",'spec':{'identities':['b']}}");
	HAS(server(&c), "protocol:{http2:{");
	HAS(said, "identities:{identities:{name:\"b\"}}");
	stays_silent(&c);

	gone(VIEW_SERVER, "{" META("web") "}");
	HAS(server(&c), "labels:kind=default labels:name=all-unauthenticated");
	stays_silent(&other);
	hang_up(&c);
	hang_up(&other);
	stop();
}

/* Fields of a Server's spec, and what the port is told. */
static const struct {
	const char *spec, *says;
} servers[] = {
	{"", "protocol:{detect:{timeout:10s "
	     "http_routes:{metadata:{default:\"default\"}"},
	{",'proxyProtocol':'unknown'", "protocol:{detect:{timeout:10s"},
	{",'proxyProtocol':'HTTP/1'", "protocol:{http1:{routes:{metadata:{default:"},
	{",'proxyProtocol':'gRPC'", "protocol:{grpc:{routes:{metadata:{default:"
				    "\"default\"} rules:{matches:{}}"},
	{",'proxyProtocol':'opaque'", "protocol:{opaque:{}}"},
	{",'proxyProtocol':'TLS'", "protocol:{tls:{}}"},
	{",'accessPolicy':'all-unauthenticated'",
		" authorizations:" ALL_NETS "authentication:{unauthenticated:{}} "
		"labels:group= labels:kind=default labels:name=all-unauthenticated"},
	{",'accessPolicy':'audit'", "labels:kind=default labels:name=audit"},
	{",'accessPolicy':'cluster-authenticated'",
		" authorizations:{networks:{net:10.0.0.0/8} networks:{net:fd00::/8} "
		"authentication:{mesh_tls:{identities:{suffixes:{}}}}"},
};

TEST(a_server_says_what_is_spoken_and_who_is_let_in_else)
{
	struct client c = {0};

	start();
	put_pod();
	for (size_t i = 0; i < countof(servers); i++) {
		c = (struct client){0};
		put_server(servers[i].spec);
		ask_in(&c, "apps:a", 8080);
		HAS(server(&c), servers[i].says);
		hang_up(&c);
	}
	stop();
}

TEST(the_oldest_server_is_in_charge)
{
	struct client c = {0};

	start();
	put_pod();
	put_server("");
	put(VIEW_SERVER,
		"{'metadata':{'name':'z','namespace':'apps','creationTimestamp':"
		"'2025-01-01T00:00:00Z'},'spec':{'podSelector':{},'port':8080}}");
	put(VIEW_SERVER, "{'metadata':{'name':'elsewhere','namespace':'other',"
			 "'creationTimestamp':'2024-01-01T00:00:00Z'},"
			 "'spec':{'podSelector':{},'port':8080}}");
	put(VIEW_SERVER, "{'metadata':{'name':'machines','namespace':'apps',"
			 "'creationTimestamp':'2024-01-01T00:00:00Z'},"
			 "'spec':{'externalWorkloadSelector':{},'port':8080}}");
	ask_in(&c, "apps:a", 8080);
	HAS(server(&c), "labels:" NAMED("server", "z"));
	hang_up(&c);
	stop();
}

TEST(a_server_makes_a_port_opaque_for_its_clients)
{
	struct client c = {0};

	start();
	put_pod();
	ask(&c, API_GET_PROFILE, "10.1.0.1:8080", "");
	HAS_NOT(hears(&c, &destination__destination_profile__descriptor), "opaque:{}");
	put_server(",'proxyProtocol':'opaque'");
	HAS(hears(&c, &destination__destination_profile__descriptor),
		"protocol_hint:{opaque:{}");
	HAS(said, "opaque_protocol:true");
	hang_up(&c);
	stop();
}

/* ---- ServiceProfiles ---- */

static void put_service(const char *annotations)
{
	put(VIEW_SERVICE,
		"{'metadata':{'name':'web','namespace':'apps','annotations':{%s}},"
		"'spec':{'clusterIPs':['10.96.0.1'],'ports':["
		"{'name':'http','port':80,'targetPort':'web'},"
		"{'name':'two','port':82,'appProtocol':'kubernetes.io/h2c'}]}}",
		annotations);
}

static void put_profile(const char *ns, const char *spec)
{
	put(VIEW_PROFILE,
		"{'metadata':{'name':'web.apps.svc.cluster.local','namespace':'%s'},"
		"'spec':{%s}}",
		ns, spec);
}

#define WEB "web.apps.svc.cluster.local:80"

static const char *profile(struct client *c)
{
	return hears(c, &destination__destination_profile__descriptor);
}

/* What a ServiceProfile says, and what comes of it. */
static const struct {
	const char *spec, *says;
} profiles[] = {
	{"'routes':[{'name':'GET /a','condition':{'method':'GET','pathRegex':'/a'}}]",
		"routes:{condition:{all:{matches:{path:{regex:\"/a\"}} "
		"matches:{method:{registered:GET}}}} "
		"metrics_labels:route=GET /a} retry_budget:{retry_ratio:0.2"},
	{"'routes':[{'name':'x','condition':{'any':[{'pathRegex':'/a'},{'not':"
	 "{'method':'PURGE'}}]},'isRetryable':true,'timeout':'1m500ms',"
	 "'responseClasses':[{'condition':{'status':{'min':500,'max':599}},"
	 "'isFailure':true},{'condition':{'not':{'status':{'min':429}}}}]}]",
		"routes:{condition:{any:{matches:{path:{regex:\"/a\"}} "
		"matches:{not:{method:{unregistered:\"PURGE\"}}}}} "
		"response_classes:{condition:{status:{min:500 max:599}} "
		"is_failure:true} "
		"response_classes:{condition:{not:{status:{min:429 max:429}}}} "
		"metrics_labels:route=x is_retryable:true timeout:60.5s}"},
	{"'routes':[{'name':'nothing','condition':{}},"
	 "{'name':'b','condition':{'method':'PUT'}}]",
		"\"\""},
	{"'retryBudget':{'retryRatio':0.5,'minRetriesPerSecond':3,'ttl':'20s'}",
		"retry_budget:{retry_ratio:0.5 min_retries_per_second:3 ttl:20s}"},
	{"'dstOverrides':[{'authority':'a.apps.svc.cluster.local','weight':'900m'},"
	 "{'authority':'b.apps.svc.cluster.local:81','weight':2}]",
		"dst_overrides:{authority:\"a.apps.svc.cluster.local:80\" weight:9000} "
		"dst_overrides:{authority:\"b.apps.svc.cluster.local:81\" "
		"weight:20000}"},
	{"'opaquePorts':['79','http']", "opaque_protocol:true"},
};

TEST(a_service_profile_says_routes_budget_and_overrides)
{
	struct client c = {0};

	start();
	put_service("");
	for (size_t i = 0; i < countof(profiles); i++) {
		c = (struct client){0};
		put_profile("apps", profiles[i].spec);
		ask(&c, API_GET_PROFILE, WEB, "");
		if (i != 2)
			HAS(profile(&c), profiles[i].says);
		else
			HAS_NOT(profile(&c), "route=nothing");
		HAS(said, "profile_ref:{resource:{group:\"linkerd.io\" "
			  "kind:\"ServiceProfile\"");
		hang_up(&c);
	}
	stop();
}

TEST(a_profile_of_the_clients_own_goes_before_the_services)
{
	struct client c[2] = {0};

	start();
	put_service("");
	put_profile("apps", "'retryBudget':{'retryRatio':0.5,'ttl':'20s'}");
	ask(&c[0], API_GET_PROFILE, WEB, "{\"ns\":\"shop\"}");
	ask(&c[1], API_GET_PROFILE, "10.96.0.1:80", "{\"ns\":\"bank\"}");
	HAS(profile(&c[0]), "ttl:20s");
	HAS(profile(&c[1]), "ttl:20s");
	put_profile("shop", "'retryBudget':{'retryRatio':0.5,'ttl':'30s'}");
	HAS(profile(&c[0]), "ttl:30s");
	stays_silent(&c[1]);
	put(VIEW_PROFILE, "{'metadata':{'name':'web.apps.svc.cluster.local',"
			  "'namespace':'apps'},'spec':{}}");
	HAS(profile(&c[1]), "ttl:10s");
	gone(VIEW_PROFILE, "{'metadata':{'name':'web.apps.svc.cluster.local',"
			   "'namespace':'shop'}}");
	HAS(profile(&c[0]), "ttl:10s");
	hang_up(&c[0]);
	hang_up(&c[1]);
	stop();
}

/* ---- routes ---- */

#define PARENT                                                                         \
	"'parentRefs':[{'group':'core','kind':'Service','name':'web',"                 \
	"'namespace':'apps','port':80}]"

static void put_route(enum view_kind kind, const char *ns, const char *name,
	const char *annotations, const char *spec)
{
	put(kind,
		"{'metadata':{'name':'%s','namespace':'%s','annotations':{%s},"
		"'creationTimestamp':'2026-01-01T00:00:00Z'},'spec':{%s}}",
		name, ns, annotations, spec);
}

static void drop_route(enum view_kind kind, const char *ns, const char *name)
{
	gone(kind, "{'metadata':{'name':'%s','namespace':'%s'}}", name, ns);
}

static const char *policy_out(struct client *c)
{
	return hears(c, &outbound__outbound_policy__descriptor);
}

#define BALANCE(name, port)                                                            \
	"balancer:{discovery:{dst:{path:\"" name ".apps.svc.cluster.local:" port "\"}" \
	"}"

/* Rules of a route to the Service, and parts of what comes of it, in order. */
static const struct {
	enum view_kind kind;
	const char *service, *route; /* annotations */
	const char *spec;
	const char *says[8];
} routes[] = {
	{VIEW_HTTPROUTE, "", "", "'hostnames':['a.b','*.c.d'],'rules':[{}]",
		{"protocol:{detect:{timeout:10s opaque:{routes:{metadata:{default:"
		 "\"opaque\"}",
			"http1:{routes:{metadata:{resource:{group:\"policy.linkerd."
			"io\" "
			"kind:\"HTTPRoute\" name:\"r\" namespace:\"apps\"}} "
			"hosts:{exact:\"a.b\"} hosts:{suffix:{reverse_labels:\"d\" "
			"reverse_labels:\"c\"}} "
			"rules:{matches:{path:{prefix:\"/\"}} "
			"backends:{first_available:{backends:{backend:{metadata:"
			"{resource:{group:\"core\" kind:\"Service\" name:\"web\" "
			"namespace:\"apps\" port:80}} " BALANCE("web", "80"),
			"http2:{routes:{metadata:{resource:"}},
	{VIEW_GATEWAY_HTTPROUTE, "", "",
		"'rules':[{'matches':[{'path':{'type':'Exact','value':'/x'},"
		"'method':'POST','headers':[{'name':'a','value':'b'},"
		"{'type':'RegularExpression','name':'c','value':'d.*'}],"
		"'queryParams':[{'name':'q','value':'1'}]},"
		"{'path':{'type':'RegularExpression','value':'/y.*'}}]}]",
		{"group:\"gateway.networking.k8s.io\"",
			"matches:{path:{exact:\"/x\"} headers:{name:\"a\" "
			"exact:\"b\"} headers:{name:\"c\" regex:\"d.*\"} "
			"query_params:{name:\"q\" exact:\"1\"} "
			"method:{registered:POST}} matches:{path:{regex:\"/y.*\"}}"}},
	{VIEW_HTTPROUTE, "", "",
		"'rules':[{'backendRefs':[{'name':'web','port':80,'weight':9},"
		"{'name':'other','port':81,'namespace':'apps','filters':[{'type':"
		"'RequestHeaderModifier','requestHeaderModifier':{'set':["
		"{'name':'x','value':'y'}],'remove':['z']}}]},"
		"{'name':'zero','port':1,'weight':0},"
		"{'name':'none','port':80},{'name':'web'},"
		"{'kind':'Bucket','group':'s3','name':'b'}]}]",
		{"backends:{random_available:{backends:{backend:{backend:{",
			BALANCE("web", "80"), "weight:9}", BALANCE("other", "81"),
			"filters:{request_header_modifier:{set:{headers:{name:\"x\" "
			"value:\"y\"}} remove:\"z\"}}} weight:1}",
			"metadata:{default:\"invalid\"} queue:{capacity:100 "
			"failfast_timeout:3s}} filters:{failure_injector:{status:500 "
			"message:\"Service not found none.apps\"}}} weight:1}",
			"message:\"backend web.apps has no port\"",
			"message:\"backends of kind Bucket are not known\""}},
	{VIEW_HTTPROUTE, "", "",
		"'rules':[{'filters':[{'type':'RequestRedirect','requestRedirect':{"
		"'scheme':'https','hostname':'h','port':8443,'statusCode':301,"
		"'path':{'type':'ReplacePrefixMatch','replacePrefixMatch':'/p'}}},"
		"{'type':'ResponseHeaderModifier','responseHeaderModifier':{'add':["
		"{'name':'n','value':'v'}]}},{'type':'Teleport'}],"
		"'timeouts':{'request':'10s','backendRequest':'500ms'}}]",
		{"rules:{matches:{path:{prefix:\"/\"}} "
		 "filters:{failure_injector:{status:500 message:\"filter Teleport is "
		 "not known\"}} "
		 "filters:{redirect:{scheme:{registered:HTTPS} host:\"h\" "
		 "path:{prefix:\"/p\"} port:8443 status:301}} "
		 "filters:{response_header_modifier:{add:{headers:{name:\"n\" "
		 "value:\"v\"}}}} backends:",
			"request_timeout:0.5s", "timeouts:{request:10s}"}},
	{VIEW_HTTPROUTE,
		"'timeout.linkerd.io/request':'5s','timeout.linkerd.io/idle':'9s',"
		"'retry.linkerd.io/http':'5xx'",
		"'timeout.linkerd.io/request':'4s','retry.linkerd.io/http':"
		"'gateway-error,429,410-412,bad','retry.linkerd.io/limit':'3',"
		"'retry.linkerd.io/timeout':'1s'",
		"'rules':[{}]",
		{"timeouts:{request:4s idle:9s} retry:{max_retries:3 "
		 "max_request_bytes:65536 conditions:{status_ranges:{start:502 "
		 "end:504} status_ranges:{start:429 end:429} status_ranges:{start:410 "
		 "end:412}} timeout:1s backoff:{min_backoff:0.025s max_backoff:0.25s "
		 "jitter_ratio:1}}"}},
	{VIEW_HTTPROUTE,
		"'retry.linkerd.io/http':'5xx',"
		"'balancer.linkerd.io/failure-accrual':'consecutive',"
		"'balancer.linkerd.io/failure-accrual-consecutive-max-failures':'3',"
		"'balancer.linkerd.io/failure-accrual-consecutive-jitter-ratio':'0.2'",
		"", "'rules':[{}]",
		{"retry:{max_retries:1 max_request_bytes:65536 "
		 "conditions:{status_ranges:{start:500 end:599}}",
			"failure_accrual:{consecutive_failures:{max_failures:3 "
			"backoff:{min_backoff:1s max_backoff:60s jitter_ratio:0.2}}}"}},
	{VIEW_GRPCROUTE, "'retry.linkerd.io/grpc':'cancelled,unavailable'", "",
		"'rules':[{'matches':[{'method':{'service':'s.S','method':'M'},"
		"'headers':[{'name':'a','value':'b'}]}],'backendRefs':["
		"{'name':'none','port':80}]}]",
		{"protocol:{grpc:{routes:{metadata:{resource:{group:"
		 "\"gateway.networking.k8s.io\" kind:\"GRPCRoute\"",
			"rules:{matches:{rpc:{service:\"s.S\" method:\"M\"} "
			"headers:{name:\"a\" exact:\"b\"}} backends:{random_available:",
			"filters:{failure_injector:{code:13 message:",
			"retry:{max_retries:1 max_request_bytes:65536 "
			"conditions:{cancelled:true unavailable:true}"}},
	{VIEW_HTTPROUTE, "'config.linkerd.io/opaque-ports':'80'", "", "'rules':[{}]",
		{"protocol:{opaque:{routes:{metadata:{default:\"opaque\"}"}},
};

TEST(routes_say_where_requests_go)
{
	start();
	put(VIEW_SERVICE, "{'metadata':{'name':'other','namespace':'apps'}}");
	for (size_t i = 0; i < countof(routes); i++) {
		struct client c = {0};
		const char *at;
		char spec[4096];

		snprintf(spec, sizeof spec, PARENT ",%s", routes[i].spec);
		put_service(routes[i].service);
		put_route(routes[i].kind, "apps", "r", routes[i].route, spec);
		ask_out(&c, WEB);
		at = policy_out(&c);
		for (size_t k = 0; k < 8 && routes[i].says[k]; k++) {
			HAS(at, routes[i].says[k]);
			at = strstr(at, routes[i].says[k]);
		}
		drop_route(routes[i].kind, "apps", "r");
		hang_up(&c);
	}
	stop();
}

TEST(routes_of_the_clients_namespace_replace_the_services_own)
{
	struct client c[2] = {0};

	start();
	put_service("");
	put_route(VIEW_HTTPROUTE, "apps", "producer", "", PARENT ",'rules':[{}]");
	ask_out(&c[0], WEB); /* from apps */
	HAS(policy_out(&c[0]), "name:\"producer\"");
	put_route(VIEW_HTTPROUTE, "shop", "consumer", "", PARENT ",'rules':[{}]");
	stays_silent(&c[0]);
	ask_out_of(&c[1], "shop:curl", WEB);
	HAS(policy_out(&c[1]), "name:\"consumer\"");
	HAS_NOT(said, "producer");
	drop_route(VIEW_HTTPROUTE, "shop", "consumer");
	HAS(policy_out(&c[1]), "name:\"producer\"");
	put_route(VIEW_HTTPROUTE, "bank", "other", "", PARENT ",'rules':[{}]");
	stays_silent(&c[1]);
	hang_up(&c[0]);
	hang_up(&c[1]);
	stop();
}

TEST(a_route_is_of_the_ports_it_names_and_of_every_port_else)
{
	struct client c[2] = {0};

	start();
	put_service("");
	put_route(VIEW_HTTPROUTE, "apps", "one", "", PARENT ",'rules':[{}]");
	ask_out(&c[0], "web.apps.svc.cluster.local:80");
	ask_out(&c[1], "web.apps.svc.cluster.local:82");
	HAS(policy_out(&c[0]), "name:\"one\"");
	HAS_NOT(policy_out(&c[1]), "name:\"one\"");
	put_route(VIEW_HTTPROUTE, "apps", "every", "",
		"'parentRefs':[{'group':'','kind':'Service','name':'web'}],'rules':[{}"
		"]");
	HAS(policy_out(&c[1]), "name:\"every\"");
	HAS(policy_out(&c[0]), "name:\"every\"");
	OK(strstr(said, "\"every\"") <
		strstr(said, "\"one\"")); /* of one age: by name */
	hang_up(&c[0]);
	hang_up(&c[1]);
	stop();
}

TEST(a_backend_that_comes_is_used)
{
	struct client c = {0};

	start();
	put_service("");
	put_route(VIEW_HTTPROUTE, "apps", "r", "",
		PARENT ",'rules':[{'backendRefs':[{'name':'new','port':80}]}]");
	ask_out(&c, WEB);
	HAS(policy_out(&c), "Service not found new.apps");
	put(VIEW_SERVICE, "{'metadata':{'name':'new','namespace':'apps'}}");
	HAS(policy_out(&c), BALANCE("new", "80"));
	HAS_NOT(said, "not found");
	hang_up(&c);
	stop();
}

/* ---- routes of Servers ---- */

#define OF_SERVER                                                                      \
	"'parentRefs':[{'name':'web','kind':'Server',"                                 \
	"'group':'policy.linkerd.io'}]"

TEST(routes_of_a_server_say_what_may_be_asked_and_by_whom)
{
	struct client c = {0};

	start();
	put_pod();
	put_server("");
	put_route(VIEW_HTTPROUTE, "apps", "r", "",
		OF_SERVER ",'rules':[{'matches':[{'path':{'value':'/a'}}],'filters':["
			  "{'type':'RequestHeaderModifier','requestHeaderModifier':"
			  "{'add':[{'name':'n','value':'v'}]}},"
			  "{'type':'ResponseHeaderModifier'}]}]");
	put_route(VIEW_HTTPROUTE, "other", "elsewhere", "", OF_SERVER ",'rules':[{}]");
	put(VIEW_AUTHORIZATION,
		"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			      "'kind':'HTTPRoute','name':'r'},"
			      "'requiredAuthenticationRefs':["
			      "{'kind':'ServiceAccount','name':'sa'}]}}");
	ask_in(&c, "apps:a", 8080);
	HAS(server(&c),
		"http_routes:{metadata:{resource:{group:\"policy.linkerd.io\" "
		"kind:\"HTTPRoute\" name:\"r\" namespace:\"apps\"}} "
		"authorizations:" ALL_NETS "authentication:{mesh_tls:{identities:"
		"{identities:{name:\"sa.apps." ACCOUNTS
		"\"}}}} labels:" NAMED("authorizationpolicy", "p"));
	HAS(said, "rules:{matches:{path:{prefix:\"/a\"}} "
		  "filters:{request_header_modifier:{add:{headers:{name:\"n\" "
		  "value:\"v\"}}}}}} http_routes:{metadata:{default:\"probe\"} ");
	HAS(said, "rules:{matches:{path:{exact:\"/live\"} method:{registered:GET}}}");
	HAS_NOT(said, "default:\"default\"");
	drop_route(VIEW_HTTPROUTE, "apps", "r");
	HAS(server(&c), "default:\"default\"");

	put_server(",'proxyProtocol':'gRPC'");
	(void)server(&c);
	put_route(VIEW_GRPCROUTE, "apps", "g", "",
		OF_SERVER ",'rules':[{'matches':[{'method':{'service':'S'}}],"
			  "'filters':[{'type':'RequestHeaderModifier',"
			  "'requestHeaderModifier':{'remove':['x']}}]}]");
	HAS(server(&c), "protocol:{grpc:{routes:{metadata:{resource:{group:"
			"\"gateway.networking.k8s.io\" kind:\"GRPCRoute\" name:\"g\"");
	HAS(said, "rules:{matches:{rpc:{service:\"S\"}} "
		  "filters:{request_header_modifier:{remove:\"x\"}}}");
	hang_up(&c);
	stop();
}
