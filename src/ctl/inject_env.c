/* SPDX-License-Identifier: Apache-2.0 */
/* The environment of the injected proxy (spec proxy.md §2). */
#include "base/obj.h"
#include "ctl/inject_int.h"

#define P "LINKERD2_PROXY_"

struct row {
	const char *name;
	const char *text;  /* with <paths> of the values */
	const char *field; /* of the pod, instead of a text */
	const char *when;  /* the value at this path is set; "!path": is not */
};

#define TEXT(name, text)                                                               \
	{                                                                              \
		name, text, NULL, NULL                                                 \
	}
#define FIELD(name, field)                                                             \
	{                                                                              \
		name, NULL, field, NULL                                                \
	}
#define WHEN(name, text, when)                                                         \
	{                                                                              \
		name, text, NULL, when                                                 \
	}
#define ACCOUNT(of)                                                                    \
	"mesh-" of ".<namespace>.serviceaccount.identity.<namespace>."                 \
	"<identityTrustDomain>"

/* A text may use $(NAME) of those before it only. */
static const struct row rows[] = {
	FIELD("_pod_name", "metadata.name"),
	FIELD("_pod_ns", "metadata.namespace"),
	FIELD("_pod_uid", "metadata.uid"),
	FIELD("_pod_ip", "status.podIP"),
	FIELD("_pod_nodeName", "spec.nodeName"),
	TEXT("_pod_containerName", INJECT_PROXY),
	WHEN(P "CORES", "<proxy.cores>", "proxy.cores"),
	TEXT(P "CORES_MIN", "<proxy.runtime.workers.minimum>"),
	WHEN(P "CORES_MAX", "<proxy.runtime.workers.maximum>",
		"proxy.runtime.workers.maximum"),
	WHEN(P "CORES_MAX_RATIO", "<proxy.runtime.workers.maximumCPURatio>",
		"proxy.runtime.workers.maximumCPURatio"),
	TEXT(P "SHUTDOWN_ENDPOINT_ENABLED", "<proxy.enableShutdownEndpoint>"),
	WHEN(P "SHUTDOWN_GRACE_PERIOD", "<proxy.shutdownGracePeriod>",
		"proxy.shutdownGracePeriod"),
	WHEN(P "INBOUND_PORTS_REQUIRE_IDENTITY",
		"<proxy.requireIdentityOnInboundPorts>",
		"proxy.requireIdentityOnInboundPorts"),
	WHEN(P "INBOUND_PORTS_REQUIRE_TLS", "<proxy.requireTLSOnInboundPorts>",
		"proxy.requireTLSOnInboundPorts"),
	TEXT(P "LOG", "<proxy.logLevel>"),
	TEXT(P "LOG_FORMAT", "<proxy.logFormat>"),
	TEXT(P "DESTINATION_SVC_ADDR", "<derived.destination>:8086"),
	TEXT(P "DESTINATION_PROFILE_NETWORKS", "<clusterNetworks>"),
	TEXT(P "POLICY_SVC_ADDR", "<derived.policy>:8090"),
	TEXT(P "POLICY_WORKLOAD", "{\"ns\":\"$(_pod_ns)\", \"pod\":\"$(_pod_name)\"}"),
	TEXT(P "INBOUND_DEFAULT_POLICY", "<proxy.defaultInboundPolicy>"),
	TEXT(P "POLICY_CLUSTER_NETWORKS", "<clusterNetworks>"),
	TEXT(P "CONTROL_STREAM_INITIAL_TIMEOUT",
		"<proxy.control.streams.initialTimeout>"),
	TEXT(P "CONTROL_STREAM_IDLE_TIMEOUT", "<proxy.control.streams.idleTimeout>"),
	TEXT(P "CONTROL_STREAM_LIFETIME", "<proxy.control.streams.lifetime>"),
	TEXT(P "INBOUND_CONNECT_TIMEOUT", "<proxy.inboundConnectTimeout>"),
	TEXT(P "OUTBOUND_CONNECT_TIMEOUT", "<proxy.outboundConnectTimeout>"),
	TEXT(P "OUTBOUND_DISCOVERY_IDLE_TIMEOUT",
		"<proxy.outboundDiscoveryCacheUnusedTimeout>"),
	TEXT(P "INBOUND_DISCOVERY_IDLE_TIMEOUT",
		"<proxy.inboundDiscoveryCacheUnusedTimeout>"),
	WHEN(P "INBOUND_DETECT_TIMEOUT", "365d",
		"proxy.disableInboundProtocolDetectTimeout"),
	WHEN(P "OUTBOUND_DETECT_TIMEOUT", "365d",
		"proxy.disableOutboundProtocolDetectTimeout"),
	TEXT(P "CONTROL_LISTEN_ADDR", "<derived.any>:<proxy.ports.control>"),
	TEXT(P "ADMIN_LISTEN_ADDR", "<derived.any>:<proxy.ports.admin>"),
	TEXT(P "OUTBOUND_LISTEN_ADDR", "127.0.0.1:<proxy.ports.outbound>"),
	WHEN(P "OUTBOUND_LISTEN_ADDRS",
		"127.0.0.1:<proxy.ports.outbound>,[::1]:<proxy.ports.outbound>",
		"!disableIPv6"),
	WHEN(P "OUTBOUND_LISTEN_ADDRS", "127.0.0.1:<proxy.ports.outbound>",
		"disableIPv6"),
	TEXT(P "INBOUND_LISTEN_ADDR", "<derived.any>:<proxy.ports.inbound>"),
	FIELD(P "INBOUND_IPS", "status.podIPs"),
	TEXT(P "INBOUND_PORTS", "<proxy.podInboundPorts>"),
	WHEN(P "INGRESS_MODE", "true", "proxy.isIngress"),
	WHEN(P "INBOUND_GATEWAY_SUFFIXES", "svc.<clusterDomain>.", "proxy.isGateway"),
	TEXT(P "DESTINATION_PROFILE_SUFFIXES", "<derived.suffixes>"),
	TEXT(P "INBOUND_ACCEPT_KEEPALIVE", "10000ms"),
	TEXT(P "OUTBOUND_CONNECT_KEEPALIVE", "10000ms"),
	TEXT(P "INBOUND_ACCEPT_USER_TIMEOUT", "30s"),
	TEXT(P "OUTBOUND_CONNECT_USER_TIMEOUT", "30s"),
	TEXT(P "INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL",
		"<proxy.inbound.server.http2.keepAliveInterval>"),
	TEXT(P "INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT",
		"<proxy.inbound.server.http2.keepAliveTimeout>"),
	TEXT(P "OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL",
		"<proxy.outbound.server.http2.keepAliveInterval>"),
	TEXT(P "OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT",
		"<proxy.outbound.server.http2.keepAliveTimeout>"),
	WHEN(P "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "<proxy.opaquePorts>",
		"proxy.opaquePorts"),
	TEXT(P "DESTINATION_CONTEXT",
		"{\"ns\":\"$(_pod_ns)\", \"nodeName\":\"$(_pod_nodeName)\", "
		"\"pod\":\"$(_pod_name)\"}"),
	WHEN(P "OUTBOUND_METRICS_HOSTNAME_LABELS", "true",
		"proxy.metrics.hostnameLabels"),
	WHEN(P "ACCESS_LOG", "<proxy.accessLog>", "proxy.accessLog"),
	FIELD("_pod_sa", "spec.serviceAccountName"),
	TEXT("_l5d_ns", "<namespace>"),
	TEXT("_l5d_trustdomain", "<identityTrustDomain>"),
	TEXT(P "IDENTITY_DIR", PATH_ID),
	TEXT(P "IDENTITY_TOKEN_FILE", "<derived.token>"),
	TEXT(P "IDENTITY_TRUST_ANCHORS_FILE", PATH_ROOTS "/" INJECT_ROOTS_KEY),
	TEXT(P "IDENTITY_SVC_ADDR", "<derived.identity>:8080"),
	TEXT(P "IDENTITY_LOCAL_NAME",
		"$(_pod_sa).$(_pod_ns).serviceaccount.identity.<namespace>."
		"<identityTrustDomain>"),
	/* Without a name the proxy speaks plainly, to its own pod only. */
	WHEN(P "IDENTITY_SVC_NAME", ACCOUNT("identity"), "!derived.isIdentity"),
	WHEN(P "DESTINATION_SVC_NAME", ACCOUNT("destination"),
		"!derived.isDestination"),
	WHEN(P "POLICY_SVC_NAME", ACCOUNT("destination"), "!derived.isDestination"),
};

static bool applies(const struct row *r, const struct json *values)
{
	if (!r->when)
		return true;
	if (*r->when == '!')
		return !value_is_set(values, r->when + 1);
	return value_is_set(values, r->when);
}

static struct json *entry(struct json *list, const char *name)
{
	struct json *j = json_push(list, json_object());

	json_set_text(j, "name", name);
	return j;
}

static void add_row(struct json *list, const struct row *r, const struct json *values)
{
	struct json *j = entry(list, r->name), *from;

	if (r->text) {
		json_set(j, "value", value_string(values, r->text));
		return;
	}
	from = json_need_object(json_need_object(j, "valueFrom"), "fieldRef");
	json_set_text(from, "fieldPath", r->field);
}

/*
 * The anchors as they are now, for a start without the file and for proxies that know
 * no file; what they become later is in the file.  A pod of the control plane may be
 * older than its ConfigMap's text, and refers to it.
 */
static void add_anchors(struct json *list, const struct plan *p)
{
	struct json *j = entry(list, P "IDENTITY_TRUST_ANCHORS"), *from;

	if (!p->component) {
		json_set(j, "value",
			value_string(p->values, "<identityTrustAnchorsPEM>"));
		return;
	}
	from = json_need_object(json_need_object(j, "valueFrom"), "configMapKeyRef");
	json_set_text(from, "name", INJECT_ROOTS);
	json_set_text(from, "key", INJECT_ROOTS_KEY);
}

struct json *env_proxy(const struct plan *p)
{
	struct json *list = json_list();

	for (size_t i = 0; i < countof(rows); i++)
		if (applies(&rows[i], p->values))
			add_row(list, &rows[i], p->values);
	add_anchors(list, p);
	json_each(it, json_path(p->values, "proxy.additionalEnv"))
	{
		json_push(list, json_copy(it));
	}
	return list;
}
