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
		"'spec':{'serviceAccountName':'sa','containers':[{'name':'web','ports':["
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
			T_FAIL("no \"%s\" in\n# %s", want_, text_);                     \
	} while (0)
#define HAS_NOT(text, what)                                                            \
	do {                                                                           \
		const char *text_ = (text), *what_ = (what);                           \
		if (strstr(text_, what_))                                              \
			T_FAIL("\"%s\" in\n# %s", what_, text_);                        \
	} while (0)

static const char *server(struct client *c)
{
	return hears(c, &inbound__server__descriptor);
}

/* ---- who is let in ---- */

#define NAMED(kind, name) "group=policy.linkerd.io labels:kind=" kind " labels:name=" name
#define ALL_NETS          "{networks:{net:0.0.0.0/0} networks:{net:::/0} "
#define ACCOUNTS          "serviceaccount.identity.mesh.trust.local"

/* Objects beside the Server, and the authorizations they come to. */
static const struct {
	const char *name;
	enum view_kind kind[3];
	const char *object[3];
	const char *authz; /* "": none */
} authorizations[] = {
	{"a Server lets nobody in by itself", {0}, {NULL}, ""},
	{"identities by an AuthorizationPolicy",
		{VIEW_AUTHORIZATION, VIEW_MESH_TLS},
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
	{"ServiceAccounts and namespaces",
		{VIEW_AUTHORIZATION, VIEW_MESH_TLS},
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
		"authentication:{mesh_tls:{identities:{identities:{name:\"sa.apps." ACCOUNTS
		"\"}}}}"},
	{"nothing required: everybody",
		{VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[]}}"},
		"authorizations:" ALL_NETS "authentication:{unauthenticated:{}}"},
	{"what is required is not there: nobody",
		{VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':[{'group':'policy."
			       "linkerd.io','kind':'MeshTLSAuthentication','name':'t'}]"
			       "}}"},
		""},
	{"two of identities: nobody",
		{VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'web'},"
			       "'requiredAuthenticationRefs':["
			       "{'kind':'ServiceAccount','name':'a'},"
			       "{'kind':'ServiceAccount','name':'b'}]}}"},
		""},
	{"another Server's policy",
		{VIEW_AUTHORIZATION},
		{"{" META("p") ",'spec':{'targetRef':{'group':'policy.linkerd.io',"
			       "'kind':'Server','name':'wob'},"
			       "'requiredAuthenticationRefs':[]}}"},
		""},
	{"a ServerAuthorization by name",
		{VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'name':'web'},'client':{'meshTLS':"
			       "{'serviceAccounts':[{'name':'sa'}],"
			       "'identities':['*']}}}}"},
		"authorizations:" ALL_NETS
		"authentication:{mesh_tls:{identities:{identities:{name:\"sa.apps." ACCOUNTS
		"\"} suffixes:{}}}} labels:" NAMED("serverauthorization", "z")},
	{"a ServerAuthorization by selector, of the cluster's networks",
		{VIEW_SERVER_AUTHORIZATION},
		{"{" META("z") ",'spec':{'server':{'selector':{'matchExpressions':["
			       "{'key':'is','operator':'In','values':['x','web']}]}},"
			       "'client':{'unauthenticated':true}}}"},
		"authorizations:{networks:{net:10.0.0.0/8} networks:{net:fd00::/8} "
		"authentication:{unauthenticated:{}}"},
	{"a ServerAuthorization for TLS without identity",
		{VIEW_SERVER_AUTHORIZATION},
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
	{"", "protocol:{detect:{timeout:10s http_routes:{metadata:{default:\"default\"}"},
	{",'proxyProtocol':'unknown'", "protocol:{detect:{timeout:10s"},
	{",'proxyProtocol':'HTTP/1'", "protocol:{http1:{routes:{metadata:{default:"},
	{",'proxyProtocol':'gRPC'",
		"protocol:{grpc:{routes:{metadata:{default:\"default\"} rules:{matches:{}}"},
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
	put(VIEW_SERVER,
		"{'metadata':{'name':'elsewhere','namespace':'other',"
		"'creationTimestamp':'2024-01-01T00:00:00Z'},"
		"'spec':{'podSelector':{},'port':8080}}");
	put(VIEW_SERVER,
		"{'metadata':{'name':'machines','namespace':'apps',"
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
		"dst_overrides:{authority:\"b.apps.svc.cluster.local:81\" weight:20000}"},
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
