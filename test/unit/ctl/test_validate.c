/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/validate.h"

#include "base/obj.h"
#include "t.h"

#define POLICY(kind, spec)                                                             \
	"{'apiVersion':'policy.linkerd.io/v1beta3','kind':'" kind                      \
	"','metadata':{'name':'o','namespace':'apps'},'spec':{" spec "}}"
#define PROFILE(spec)                                                                  \
	"{'apiVersion':'linkerd.io/v1alpha2','kind':'ServiceProfile','metadata':{"     \
	"'name':'web.apps.svc.cluster.local','namespace':'apps'},'spec':{" spec "}}"
#define HTTP(rules)                                                                    \
	POLICY("HTTPRoute", "'parentRefs':[{'kind':'Service','group':'core','name':'"  \
			    "w'}],'rules':[" rules "]")
#define GRPC(rules)                                                                    \
	"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'GRPCRoute','spec':{"     \
	"'parentRefs':[{'kind':'Service','group':'','name':'w'}],'rules':[" rules      \
	"]}}"
#define TARGET    "'targetRef':{'group':'policy.linkerd.io','kind':'Server','name':'s'}"
#define REF(kind) "{'group':'policy.linkerd.io','kind':'" kind "','name':'n'}"

/* ' stands for "; `says` NULL: it is fine. */
static const struct {
	const char *object, *says;
} objects[] = {
	{"{'apiVersion':'v1','kind':'Pod'}", NULL},
	{"{'apiVersion':'x.io/v1','kind':'Server','spec':{}}", NULL},

	{POLICY("Server", "'podSelector':{},'port':80"), NULL},
	{POLICY("Server", "'podSelector':{},'port':'http','proxyProtocol':'gRPC',"
			  "'accessPolicy':'audit'"),
		NULL},
	{POLICY("Server", "'port':80"), "spec: one of podSelector"},
	{POLICY("Server", "'podSelector':{},'externalWorkloadSelector':{},'port':80"),
		"spec: one of podSelector"},
	{POLICY("Server", "'podSelector':{},'port':0"), "spec.port: neither"},
	{POLICY("Server", "'podSelector':{},'port':'80'"), "spec.port: neither"},
	{POLICY("Server", "'podSelector':{},'port':'name-much-too-long'"),
		"spec.port:"},
	{POLICY("Server", "'podSelector':{},'port':1,'proxyProtocol':'SPDY'"),
		"spec.proxyProtocol: \"SPDY\""},
	{POLICY("Server", "'podSelector':{},'port':1,'accessPolicy':'open'"),
		"spec.accessPolicy: \"open\""},
	{POLICY("Server", "'port':1,'podSelector':{'matchExpressions':[{'key':'a',"
			  "'operator':'Exists'},{'key':'b','operator':'In'}]}"),
		"spec.podSelector.matchExpressions[1]: operator In needs values"},

	{POLICY("AuthorizationPolicy",
		 TARGET ",'requiredAuthenticationRefs':[" REF(
			 "MeshTLSAuthentication") "," REF("NetworkAuthentication") "]"),
		NULL},
	{POLICY("AuthorizationPolicy", "'targetRef':{'kind':'Namespace','name':'apps'},"
				       "'requiredAuthenticationRefs':[]"),
		NULL},
	{POLICY("AuthorizationPolicy",
		 "'targetRef':{'kind':'Namespace','name':'other'}"),
		"spec.targetRef: name"},
	{POLICY("AuthorizationPolicy",
		 "'targetRef':{'group':'policy.linkerd.io','kind':'Server','name':'s',"
		 "'namespace':'other'}"),
		"spec.targetRef: namespace"},
	{POLICY("AuthorizationPolicy", "'targetRef':{'kind':'Pod','name':'p'}"),
		"spec.targetRef: kind \"Pod\""},
	{POLICY("AuthorizationPolicy",
		 TARGET ",'requiredAuthenticationRefs':[" REF(
			 "MeshTLSAuthentication") ",{'kind':'ServiceAccount','name':'a'"
						  "}]"),
		"spec.requiredAuthenticationRefs: only one MeshTLSAuthentication or"},
	{POLICY("AuthorizationPolicy",
		 TARGET ",'requiredAuthenticationRefs':[" REF(
			 "NetworkAuthentication") "," REF("NetworkAuthentication") "]"),
		"spec.requiredAuthenticationRefs: only one NetworkAuthentication"},
	{POLICY("AuthorizationPolicy",
		 TARGET ",'requiredAuthenticationRefs':[{'kind':'Group','name':'g'}]"),
		"spec.requiredAuthenticationRefs[0]: kind \"Group\""},

	{POLICY("MeshTLSAuthentication",
		 "'identities':['*','*.a.b','c.d','spiffe://t/x']"),
		NULL},
	{POLICY("MeshTLSAuthentication", ""), "spec: identities or identityRefs"},
	{POLICY("MeshTLSAuthentication", "'identities':['a','b*.c']"),
		"spec.identities[1]: \"b*.c\""},
	{POLICY("MeshTLSAuthentication", "'identities':['spiffe:///x']"),
		"spec.identities[0]:"},
	{POLICY("MeshTLSAuthentication",
		 "'identityRefs':[{'kind':'Namespace','name':'n'},{'kind':'User'}]"),
		"spec.identityRefs[1]: kind \"User\""},

	{POLICY("NetworkAuthentication",
		 "'networks':[{'cidr':'10.0.0.0/8','except':['10.1.0.0/16']}]"),
		NULL},
	{POLICY("NetworkAuthentication", "'networks':[]"), "spec.networks: at least"},
	{POLICY("NetworkAuthentication", "'networks':[{'cidr':'10.0.0/8'}]"),
		"spec.networks[0]: cidr"},
	{POLICY("NetworkAuthentication",
		 "'networks':[{'cidr':'10.0.0.0/8','except':['11.0.0.0/16']}]"),
		"spec.networks[0]: except: 11.0.0.0/16 is not within"},
	{POLICY("NetworkAuthentication",
		 "'networks':[{'cidr':'10.0.0.0/8','except':['10.0.0.0/7']}]"),
		"not within"},

	{POLICY("ServerAuthorization",
		 "'server':{'name':'s'},'client':{'unauthenticated':true,"
		 "'networks':[{'cidr':'::/0'}]}"),
		NULL},
	{POLICY("ServerAuthorization",
		 "'server':{'selector':{}},'client':{'meshTLS':{'serviceAccounts':["
		 "{'name':'a'}]}}"),
		NULL},
	{POLICY("ServerAuthorization", "'server':{},'client':{'unauthenticated':true}"),
		"spec.server: one of"},
	{POLICY("ServerAuthorization", "'server':{'name':'s'},'client':{}"),
		"spec.client: one of"},
	{POLICY("ServerAuthorization", "'server':{'name':'s'},'client':{'"
				       "unauthenticated':true,'meshTLS':{}}"),
		"spec.client: one of"},
	{POLICY("ServerAuthorization",
		 "'server':{'name':'s'},'client':{'meshTLS':{'unauthenticatedTLS':true,"
		 "'identities':['*']}}"),
		"spec.client.meshTLS: unauthenticatedTLS does not go"},
	{POLICY("ServerAuthorization", "'server':{'name':'s'},'client':{'meshTLS':{}}"),
		"spec.client.meshTLS: one of"},

	{HTTP("{'matches':[{'path':{'value':'/a'}}],'backendRefs':[{'name':'b',"
	      "'port':1}],'timeouts':{'request':'10s','backendRequest':'1s'}}"),
		NULL},
	{HTTP("{},{'matches':[{},{'path':{'value':'a'}}]}"),
		"spec.rules[1].matches[1].path.value: path \"a\" does not begin"},
	{HTTP("{'matches':[{'path':{'type':'RegularExpression','value':'(a'}}]}"),
		"spec.rules[0].matches[0].path.value: \"(a\" is no regular"},
	{HTTP("{'matches':[{'headers':[{'type':'RegularExpression','name':'x',"
	      "'value':'['}]}]}"),
		"spec.rules[0].matches[0].headers[0]:"},
	{HTTP("{'filters':[{'type':'RequestMirror'}]}"),
		"spec.rules[0].filters[0]: filter \"RequestMirror\""},
	{HTTP("{'filters':[{'type':'RequestRedirect'}]}"),
		"spec.rules[0].filters[0]: requestRedirect is absent"},
	{HTTP("{'filters':[{'type':'RequestRedirect','requestRedirect':{"
	      "'statusCode':200}}]}"),
		"requestRedirect.statusCode"},
	{HTTP("{'filters':[{'type':'RequestRedirect','requestRedirect':{'path':{"
	      "'type':'ReplaceFullPath','replaceFullPath':'x'}}}]}"),
		"requestRedirect.path"},
	{HTTP("{'backendRefs':[{'name':'b'}]}"),
		"spec.rules[0].backendRefs[0]: port is absent"},
	{HTTP("{'timeouts':{'request':'1s','backendRequest':'2s'}}"),
		"spec.rules[0].timeouts: backendRequest: longer"},
	{HTTP("{'timeouts':{'request':'soon'}}"),
		"spec.rules[0].timeouts: request: \"soon\""},
	{POLICY("HTTPRoute", "'parentRefs':[{'name':'s'}],'rules':[{'filters':[{"
			     "'type':'ResponseHeaderModifier'}]}]"),
		"is not supported for a Server"},
	{GRPC("{'matches':[{'method':{'service':'s'}}],'backendRefs':[{'name':'b',"
	      "'port':1}]}"),
		NULL},
	{GRPC("{'matches':[{'method':{'type':'RegularExpression','service':'s'}}]}"),
		"spec.rules[0].matches[0]: method.type"},
	{GRPC("{'matches':[{'method':{}}]}"), "neither service nor method"},
	{GRPC("{'filters':[{'type':'RequestRedirect'}]}"), "not supported for gRPC"},
	{"{'apiVersion':'gateway.networking.k8s.io/v1','kind':'HTTPRoute','spec':{"
	 "'parentRefs':[{'name':'gw'}],'rules':[{'filters':[{'type':'ExtensionRef'}]}]}"
	 "}",
		NULL}, /* a Gateway's */

	{PROFILE("'routes':[{'name':'a','condition':{'pathRegex':'/a/[^/]*',"
		 "'method':'GET'},'timeout':'300ms','responseClasses':[{'condition':{"
		 "'status':{'min':500,'max':599}},'isFailure':true}]}],"
		 "'retryBudget':{'retryRatio':0.2,'minRetriesPerSecond':10,'ttl':'10s'}"
		 ","
		 "'dstOverrides':[{'authority':'b','weight':'500m'}]"),
		NULL},
	{PROFILE("'route':[]"), "spec: field \"route\""},
	{PROFILE("'routes':[{'condition':{'method':'GET'}}]"),
		"spec.routes[0]: name is absent"},
	{PROFILE("'routes':[{'name':'a'}]"), "spec.routes[0].condition: an empty"},
	{PROFILE("'routes':[{'name':'a','condition':{'all':[]}}]"),
		"spec.routes[0].condition: all: no conditions"},
	{PROFILE("'routes':[{'name':'a','condition':{'any':[{'method':'GET'},{'not':{"
		 "'method':'FETCH'}}]}}]"),
		"spec.routes[0].condition.any[1].not: method: \"FETCH\""},
	{PROFILE("'routes':[{'name':'a','condition':{'pathRegex':'['}}]"),
		"spec.routes[0].condition.pathRegex:"},
	{PROFILE("'routes':[{'name':'a','condition':{'method':'GET'},'timeout':'1'}]"),
		"spec.routes[0]: timeout: \"1\""},
	{PROFILE("'routes':[{'name':'a','condition':{'method':'GET'},"
		 "'responseClasses':[{'condition':{'status':{'min':99}}}]}]"),
		"spec.routes[0].responseClasses[0].condition: status: not from"},
	{PROFILE("'routes':[{'name':'a','condition':{'method':'GET'},"
		 "'responseClasses':[{'condition':{'status':{'min':500,'max':400}}}]}"
		 "]"),
		"min is above max"},
	{PROFILE("'retryBudget':{'retryRatio':-1,'ttl':'1s'}"),
		"spec.retryBudget: retryRatio"},
	{PROFILE("'retryBudget':{'retryRatio':1}"), "spec.retryBudget: ttl is absent"},
	{PROFILE("'dstOverrides':[{'authority':'a'}]"),
		"spec.dstOverrides[0]: weight is absent"},
	{"{'apiVersion':'linkerd.io/v1alpha2','kind':'ServiceProfile','metadata':{"
	 "'name':'Web'},'spec':{}}",
		"metadata.name:"},
};

TEST(wrong_objects_are_refused_with_the_fields_name)
{
	for (size_t i = 0; i < countof(objects); i++) {
		struct buf b = BUF_INIT;
		struct err e = {0};
		struct json *j;
		int r;

		buf_text(&b, objects[i].object);
		for (size_t k = b.at; k < b.end; k++)
			if (b.p[k] == '\'')
				b.p[k] = '"';
		j = json_parse(buf_slice(&b), &e);
		if (!j)
			T_FAIL("%zu: %s", i, e.msg);
		r = validate(j, &e);
		if (!objects[i].says ? r != 0
				     : r == 0 || !strstr(e.msg, objects[i].says))
			T_FAIL("%s\n# is %s\n# want %s", objects[i].object,
				r ? e.msg : "fine",
				objects[i].says ? objects[i].says : "fine");
		json_free(j);
		buf_fini(&b);
	}
}

TEST(conditions_within_conditions_have_an_end)
{
	struct buf b = BUF_INIT;
	struct err e = {0};
	struct json *j;

	buf_text(&b,
		"{\"apiVersion\":\"linkerd.io/v1alpha2\",\"kind\":\"ServiceProfile\","
		"\"metadata\":{\"name\":\"a\"},\"spec\":{\"routes\":[{\"name\":\"r\","
		"\"condition\":");
	for (int i = 0; i < 40; i++)
		buf_text(&b, "{\"not\":");
	buf_text(&b, "{\"method\":\"GET\"}");
	for (int i = 0; i < 40; i++)
		buf_text(&b, "}");
	buf_text(&b, "}]}}");
	j = json_parse(buf_slice(&b), &e);
	OK(j && validate(j, &e) < 0 && strstr(e.msg, "too deep"));
	json_free(j);
	buf_fini(&b);
}
