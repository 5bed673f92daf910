/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/inject.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"
#include "wire/patch.h"
#include "wire/yaml.h"

#define VALUES  "identityTrustAnchorsPEM: anchors\n"
#define POD     "kind: Pod\nmetadata: {name: web, namespace: shop, annotations: {"
#define SPEC    "}}\nspec: {containers: [{name: app, image: shop/web:1"
#define END     "}]}\n"
#define ENABLED "linkerd.io/inject: enabled"

static struct json *yaml(const char *text)
{
	struct err e = {0};
	struct json *j = yaml_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

struct run {
	struct json *values, *object, *ns;
	struct inject_in in;
	struct inject_out out;
	struct err err;
	int r;
};

static void run_with(
	struct run *r, const char *values, const char *object, const char *ns)
{
	r->values = inject_values_read(slice_of(values), &r->err);
	if (!r->values)
		T_FAIL("%s", r->err.msg);
	r->object = yaml(object);
	r->ns = ns ? yaml(ns) : NULL;
	r->in.values = r->values;
	r->in.object = r->object;
	r->in.ns_annotations = r->ns;
	if (!r->in.namespace)
		r->in.namespace = "shop";
	r->r = inject(&r->in, &r->out, &r->err);
	if (r->r == 0 && patch_json(&r->object, r->out.patch, &r->err))
		T_FAIL("the patch does not apply: %s", r->err.msg);
}

static void run(struct run *r, const char *object, const char *ns)
{
	run_with(r, VALUES, object, ns);
}

static void run_fini(struct run *r)
{
	inject_out_fini(&r->out);
	json_free(r->values);
	json_free(r->object);
	json_free(r->ns);
}

static const struct json *named(const struct json *list, const char *name)
{
	json_each(it, list)
	{
		if (strcmp(json_text_or(it, "name", ""), name) == 0)
			return it;
	}
	return NULL;
}

static const struct json *proxy_of(const struct run *r)
{
	const struct json *spec = json_get(r->object, "spec");
	const struct json *c = named(json_get(spec, "initContainers"), INJECT_PROXY);

	return c ? c : named(json_get(spec, "containers"), INJECT_PROXY);
}

static const char *env_of(const struct run *r, const char *name)
{
	char full[128];

	snprintf(full, sizeof full, "LINKERD2_PROXY_%s", name);
	return json_text_or(named(json_get(proxy_of(r), "env"), full), "value", "");
}

static const char *note(const struct run *r, const char *map, const char *key)
{
	const struct json *m = json_get(json_get(r->object, "metadata"), map);
	const char *text = json_text(json_get(m, key));

	return text ? text : "";
}

static const char *args_of(const struct run *r)
{
	static char text[2048];
	const struct json *list = json_path(r->object, "spec.initContainers");
	const struct json *c = named(list, INJECT_INIT);
	size_t n = 0;

	if (!c)
		c = named(list, INJECT_VALIDATOR);

	text[0] = '\0';
	json_each(it, json_get(c, "args"))
	{
		n += (size_t)snprintf(
			text + n, sizeof text - n, "%s%s", n ? " " : "", json_text(it));
	}
	return text;
}

/* ---- the decision ---- */

static const struct {
	const char *object, *ns;
	bool injected;
	const char *reason, *at;
} decisions[] = {
	{POD ENABLED SPEC END, NULL, true, "", "workload"},
	{POD SPEC END, "{" ENABLED "}", true, "", "namespace"},
	{POD SPEC END, "{linkerd.io/inject: ingress}", true, "", "namespace"},
	{POD ENABLED SPEC END, "{linkerd.io/inject: disabled}", true, "", "workload"},
	{POD "linkerd.io/inject: ingress" SPEC END, NULL, true, "", "workload"},
	{POD SPEC END, NULL, false, "injection_enable_annotation_absent", ""},
	{POD SPEC END, "{linkerd.io/inject: disabled}", false,
		"injection_enable_annotation_absent", ""},
	{POD "linkerd.io/inject: disabled" SPEC END, "{" ENABLED "}", false,
		"injection_disable_annotation_present", "workload"},
	{POD "linkerd.io/inject: yes please" SPEC END, "{" ENABLED "}", false,
		"invalid_inject_annotation_at_workload", "workload"},
	{POD ENABLED SPEC END, "{linkerd.io/inject: perhaps}", false,
		"invalid_inject_annotation_at_ns", "namespace"},
	{POD ENABLED SPEC "}], hostNetwork: true}", NULL, false, "host_network_enabled",
		"workload"},
	{POD ENABLED SPEC "}, {name: mesh-proxy, image: a}]}", NULL, false,
		"sidecar_already_exists", "workload"},
	{POD ENABLED SPEC "}], initContainers: [{name: mesh-init, image: a}]}", NULL,
		false, "sidecar_already_exists", "workload"},
	{POD ENABLED SPEC "}], initContainers: [{name: linkerd-proxy, image: a}]}",
		NULL, false, "sidecar_already_exists", "workload"},
	{POD ENABLED SPEC "}, {name: a, image: 'm.io:5000/istio-release/proxyv2:1'}]}",
		NULL, false, "sidecar_already_exists", "workload"},
	{POD ENABLED SPEC "}, {name: a, image: 'my/istio-release/proxyv2:1'}]}", NULL,
		true, "", "workload"},
	{"kind: ConfigMap\nmetadata: {name: a}", NULL, false, "unsupported_resource",
		""},
	{"kind: Pod\nmetadata: {annotations: {" ENABLED "}}", NULL, false,
		"unsupported_resource", ""},
};

TEST(annotations_and_the_pod_itself_decide)
{
	for (size_t i = 0; i < countof(decisions); i++) {
		struct run r = {0};
		const char *reason = "";

		run(&r, decisions[i].object, decisions[i].ns);
		for (unsigned n = 0; n < INJECT_REASON_COUNT; n++)
			if (r.out.reasons & 1u << n)
				reason = inject_reason_label(n);
		if (r.out.injected != decisions[i].injected ||
			strcmp(reason, decisions[i].reason) != 0 ||
			strcmp(r.out.annotation_at, decisions[i].at) != 0)
			T_FAIL("%s with %s: %d %s at \"%s\"", decisions[i].object,
				decisions[i].ns, r.out.injected, reason,
				r.out.annotation_at);
		EQ_INT(proxy_of(&r) && strstr(args_of(&r), "--proxy-uid 2102"),
			decisions[i].injected);
		run_fini(&r);
	}
}

TEST(without_token_projection_the_account_token_must_be_there)
{
	static const char values[] =
		VALUES "identity: {serviceAccountTokenProjection: false}";
	struct run r = {0}, yes = {0};

	run_with(&r, values,
		POD ENABLED SPEC "}], automountServiceAccountToken: false}", NULL);
	EQ_INT(r.out.injected, false);
	EQ_INT(r.out.reasons, 1 << INJECT_REASON_NO_TOKEN);
	run_with(&yes, values, POD ENABLED SPEC END, NULL);
	EQ_STR(env_of(&yes, "IDENTITY_TOKEN_FILE"),
		"/var/run/secrets/kubernetes.io/serviceaccount/token");
	EQ_INT(json_count(json_path(yes.object, "spec.volumes")), 2);
	run_fini(&r);
	run_fini(&yes);
}

TEST(udp_ports_are_told_and_injected_all_the_same)
{
	struct run r = {0};

	run(&r, POD ENABLED SPEC ", ports: [{containerPort: 53, protocol: UDP}]" END,
		NULL);
	EQ_INT(r.out.injected, true);
	EQ_INT(r.out.reasons, 1 << INJECT_REASON_UDP);
	run_fini(&r);
}

/* ---- what is injected ---- */

static const struct {
	const char *name, *value;
} env[] = {
	{"DESTINATION_SVC_ADDR", "mesh-dst-headless.mesh.svc.cluster.local.:8086"},
	{"POLICY_SVC_ADDR", "mesh-policy.mesh.svc.cluster.local.:8090"},
	{"IDENTITY_SVC_ADDR", "mesh-identity-headless.mesh.svc.cluster.local.:8080"},
	{"IDENTITY_SVC_NAME",
		"mesh-identity.mesh.serviceaccount.identity.mesh.cluster.local"},
	{"DESTINATION_SVC_NAME",
		"mesh-destination.mesh.serviceaccount.identity.mesh.cluster.local"},
	{"POLICY_SVC_NAME",
		"mesh-destination.mesh.serviceaccount.identity.mesh.cluster.local"},
	{"IDENTITY_LOCAL_NAME",
		"$(_pod_sa).$(_pod_ns).serviceaccount.identity.mesh.cluster.local"},
	{"IDENTITY_TRUST_ANCHORS", "anchors"},
	{"IDENTITY_TRUST_ANCHORS_FILE",
		"/var/run/linkerd/identity/trust-roots/ca-bundle.crt"},
	{"IDENTITY_DIR", "/var/run/linkerd/identity/end-entity"},
	{"IDENTITY_TOKEN_FILE", "/var/run/secrets/tokens/mesh-identity-token"},
	{"POLICY_WORKLOAD", "{\"ns\":\"$(_pod_ns)\", \"pod\":\"$(_pod_name)\"}"},
	{"DESTINATION_CONTEXT",
		"{\"ns\":\"$(_pod_ns)\", \"nodeName\":\"$(_pod_nodeName)\", "
		"\"pod\":\"$(_pod_name)\"}"},
	{"INBOUND_LISTEN_ADDR", "[::]:4143"},
	{"OUTBOUND_LISTEN_ADDRS", "127.0.0.1:4140,[::1]:4140"},
	{"ADMIN_LISTEN_ADDR", "[::]:4191"},
	{"CONTROL_LISTEN_ADDR", "[::]:4190"},
	{"INBOUND_DEFAULT_POLICY", "all-unauthenticated"},
	{"INBOUND_PORTS", "8080,9000"},
	{"INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION",
		"25,587,3306,4444,5432,6379,9300,11211"},
	{"DESTINATION_PROFILE_SUFFIXES", "svc.cluster.local."},
	{"INGRESS_MODE", ""},
	{"CORES", ""},
};

TEST(a_pod_gets_redirection_and_a_proxy_before_all_else_of_it)
{
	struct run r = {0};
	const struct json *init, *token;

	r.in.owner_kind = "Deployment";
	r.in.owner_name = "web";
	run(&r,
		POD ENABLED SPEC
		", ports: [{containerPort: 8080}, {containerPort: 53, protocol: UDP}], "
		"livenessProbe: {httpGet: {port: 9000}}" END,
		NULL);
	init = json_path(r.object, "spec.initContainers");
	EQ_STR(json_text_or(init, "0.name", ""), "mesh-init");
	EQ_STR(json_text_or(init, "1.name", ""), "mesh-proxy");
	EQ_STR(json_text_or(init, "1.restartPolicy", ""), "Always");
	EQ_INT(json_count(json_path(r.object, "spec.containers")), 1);
	for (size_t i = 0; i < countof(env); i++)
		EQ_STR(env_of(&r, env[i].name), env[i].value);
	EQ_STR(args_of(&r), "init --ipv6=true --incoming-proxy-port 4143 "
			    "--outgoing-proxy-port 4140 "
			    "--proxy-uid 2102 --log-level info --log-format plain "
			    "--inbound-ports-to-ignore 4190,4191,4567,4568 "
			    "--outbound-ports-to-ignore 4567,4568");
	EQ_STR(note(&r, "labels", "linkerd.io/control-plane-ns"), "mesh");
	EQ_STR(note(&r, "labels", "linkerd.io/proxy-deployment"), "web");
	EQ_STR(note(&r, "labels", "linkerd.io/workload-ns"), "shop");
	EQ_STR(note(&r, "annotations", "linkerd.io/trust-root-sha256"),
		"197129aec34bcd1814b9f325984f4fc47efee8a39bafc0f6d2f8e304a0f2699e");
	EQ_STR(note(&r, "annotations", "linkerd.io/proxy-version"), MESH_VERSION);
	token = json_path(
		r.object, "spec.volumes.2.projected.sources.0.serviceAccountToken");
	EQ_STR(json_text_or(token, "audience", ""), "identity.l5d.io");
	EQ_STR(json_text_or(r.object, "spec.volumes.0.emptyDir.medium", ""), "Memory");
	EQ_INT(json_int_at(proxy_of(&r), "securityContext.runAsUser", 0), 2102);
	EQ_INT(json_int_at(proxy_of(&r), "readinessProbe.httpGet.port", 0), 4191);
	EQ_INT(json_int_at(proxy_of(&r), "startupProbe.failureThreshold", 0), 120);
	OK(!json_get(proxy_of(&r), "resources"));
	run_fini(&r);
}

TEST(a_variable_uses_only_those_before_it)
{
	struct run r = {0};
	char seen[4096] = "";

	run(&r, POD ENABLED SPEC END, NULL);
	json_each(it, json_get(proxy_of(&r), "env"))
	{
		const char *value = json_text_or(it, "value", "");

		while ((value = strstr(value, "$("))) {
			char name[64];
			size_t n = strcspn(value, ")");

			snprintf(name, sizeof name, " %.*s ", (int)n - 2, value + 2);
			if (!strstr(seen, name))
				T_FAIL("%s uses%s", json_text_or(it, "name", ""), name);
			value += n;
		}
		strncat(seen, " ", sizeof seen - strlen(seen) - 1);
		strncat(seen, json_text_or(it, "name", ""),
			sizeof seen - strlen(seen) - 1);
		strncat(seen, " ", sizeof seen - strlen(seen) - 1);
	}
	run_fini(&r);
}

TEST(without_native_sidecars_the_proxy_is_the_first_container_and_awaited)
{
	struct run r = {0}, late = {0};

	run(&r,
		POD ENABLED
		", config.linkerd.io/proxy-enable-native-sidecar: 'false'" SPEC
		"}], initContainers: [{name: own, image: a}]}",
		NULL);
	EQ_STR(json_text_or(r.object, "spec.initContainers.1.name", ""), "mesh-init");
	EQ_STR(json_text_or(r.object, "spec.containers.0.name", ""), "mesh-proxy");
	EQ_STR(json_text_or(proxy_of(&r), "lifecycle.postStart.exec.command.0", ""),
		"mesh-await");
	OK(!json_get(proxy_of(&r), "restartPolicy"));
	run(&late,
		POD ENABLED ", config.alpha.linkerd.io/proxy-enable-native-sidecar: "
			    "'false', config.linkerd.io/proxy-await: disabled" SPEC END,
		NULL);
	EQ_STR(json_text_or(late.object, "spec.containers.1.name", ""), "mesh-proxy");
	OK(!json_get(proxy_of(&late), "lifecycle"));
	run_fini(&r);
	run_fini(&late);
}

static const struct {
	const char *version;
	bool native;
} clusters[] = {
	{"{major: '1', minor: '34'}", true},
	{"{major: '1', minor: 29+}", true},
	{"{major: '1', minor: 28+}", false},
	{"{major: '1', minor: '21'}", false},
	{"{major: '2', minor: '0'}", true},
	{"{major: '1', minor: ''}", true},
	{"{}", true},
};

TEST(clusters_before_1_29_have_no_native_sidecars)
{
	for (size_t i = 0; i < countof(clusters); i++) {
		struct json *j = yaml(clusters[i].version);

		EQ_INT(inject_cluster_has_native(j), clusters[i].native);
		json_free(j);
	}
}

TEST(where_the_cluster_has_no_native_sidecars_the_proxy_is_an_ordinary_one)
{
	struct run r = {.in.no_native = true}, asked = {.in.no_native = true};
	const struct json *proxy;

	run(&r, POD ENABLED SPEC END, NULL);
	proxy = json_path(r.object, "spec.containers.0");
	EQ_STR(json_text_or(proxy, "name", ""), "mesh-proxy");
	OK(!json_get(proxy, "restartPolicy"));
	EQ_STR(json_text_or(proxy, "lifecycle.postStart.exec.command.0", ""),
		"mesh-await");
	EQ_INT(json_count(r.out.warnings), 0);
	run(&asked,
		POD ENABLED
		", config.linkerd.io/proxy-enable-native-sidecar: 'true'" SPEC END,
		NULL);
	EQ_STR(json_text_or(asked.object, "spec.containers.0.name", ""), "mesh-proxy");
	EQ_INT(json_count(asked.out.warnings), 1);
	run_fini(&r);
	run_fini(&asked);
}

TEST(pods_of_the_control_plane_find_themselves_and_the_installed_anchors)
{
	struct run r = {0};
	const struct json *anchors;

	run_with(&r, "",
		"kind: Pod\n"
		"metadata: {annotations: {" ENABLED
		"}, labels: {linkerd.io/control-plane-component: destination}}\n"
		"spec: {containers: [{name: a, image: b}]}",
		NULL);
	EQ_STR(env_of(&r, "DESTINATION_SVC_ADDR"), "localhost.:8086");
	EQ_STR(env_of(&r, "POLICY_SVC_ADDR"), "localhost.:8090");
	EQ_STR(env_of(&r, "DESTINATION_SVC_NAME"), "");
	EQ_STR(env_of(&r, "IDENTITY_SVC_ADDR"),
		"mesh-identity-headless.mesh.svc.cluster.local.:8080");
	anchors = named(
		json_get(proxy_of(&r), "env"), "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS");
	EQ_STR(json_text_or(anchors, "valueFrom.configMapKeyRef.name", ""),
		"mesh-identity-trust-roots");
	OK(strstr(args_of(&r), "--outbound-ports-to-ignore 4567,4568,443,6443"));
	run_fini(&r);
}

TEST(trust_anchors_are_a_text_for_the_start_and_a_file_that_follows)
{
	struct run r = {0};
	const struct json *roots;

	run(&r, POD ENABLED SPEC END, NULL);
	roots = named(json_path(r.object, "spec.volumes"), "mesh-identity-trust-roots");
	EQ_STR(env_of(&r, "IDENTITY_TRUST_ANCHORS"), "anchors");
	EQ_STR(env_of(&r, "IDENTITY_TRUST_ANCHORS_FILE"),
		"/var/run/linkerd/identity/trust-roots/ca-bundle.crt");
	EQ_STR(json_text_or(roots, "configMap.name", ""), "mesh-identity-trust-roots");
	OK(json_bool_at(roots, "configMap.optional", false));
	EQ_STR(json_text_or(named(json_get(proxy_of(&r), "volumeMounts"),
				    "mesh-identity-trust-roots"),
		       "mountPath", ""),
		"/var/run/linkerd/identity/trust-roots");
	run_fini(&r);
}

TEST(the_identity_services_proxy_does_not_hold_up_what_it_waits_for)
{
	struct run r = {0};

	run_with(&r, "",
		"kind: Pod\n"
		"metadata: {annotations: {" ENABLED
		"}, labels: {linkerd.io/control-plane-component: identity}}\n"
		"spec: {containers: [{name: a, image: b}]}",
		NULL);
	EQ_STR(env_of(&r, "IDENTITY_SVC_ADDR"), "localhost.:8080");
	EQ_STR(json_text_or(r.object, "spec.containers.1.name", ""), "mesh-proxy");
	OK(!json_get(proxy_of(&r), "lifecycle"));
	OK(!json_get(proxy_of(&r), "startupProbe"));
	run_fini(&r);
}

/* ---- annotations ---- */

static const struct {
	const char *annotation, *env, *value;
} settings[] = {
	{"control-port: '14190'", "CONTROL_LISTEN_ADDR", "[::]:14190"},
	{"admin-port: '14191'", "ADMIN_LISTEN_ADDR", "[::]:14191"},
	{"inbound-port: '14143'", "INBOUND_LISTEN_ADDR", "[::]:14143"},
	{"outbound-port: '14140'", "OUTBOUND_LISTEN_ADDR", "127.0.0.1:14140"},
	{"pod-inbound-ports: '1,2-3'", "INBOUND_PORTS", "1,2-3"},
	{"opaque-ports: '7000,db,8000-8010'",
		"INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION", "7000,5433,8000-8010"},
	{"proxy-cpu-limit: 1500m", "CORES", "2"},
	{"proxy-cpu-request: '3'", "CORES_MIN", "3"},
	{"proxy-cpu-ratio-limit: '0.5'", "CORES_MAX_RATIO", "0.5"},
	{"proxy-log-level: debug", "LOG", "debug"},
	{"proxy-log-format: json", "LOG_FORMAT", "json"},
	{"access-log: apache", "ACCESS_LOG", "apache"},
	{"enable-external-profiles: 'true'", "DESTINATION_PROFILE_SUFFIXES", "."},
	{"proxy-require-identity-inbound-ports: '80'", "INBOUND_PORTS_REQUIRE_IDENTITY",
		"80"},
	{"proxy-outbound-connect-timeout: 1.5s", "OUTBOUND_CONNECT_TIMEOUT", "1500ms"},
	{"proxy-inbound-connect-timeout: 20ms", "INBOUND_CONNECT_TIMEOUT", "20ms"},
	{"proxy-outbound-discovery-cache-unused-timeout: 1m",
		"OUTBOUND_DISCOVERY_IDLE_TIMEOUT", "60000ms"},
	{"proxy-inbound-discovery-cache-unused-timeout: 1m",
		"INBOUND_DISCOVERY_IDLE_TIMEOUT", "60000ms"},
	{"proxy-disable-outbound-protocol-detect-timeout: 'true'",
		"OUTBOUND_DETECT_TIMEOUT", "365d"},
	{"proxy-disable-inbound-protocol-detect-timeout: 'true'",
		"INBOUND_DETECT_TIMEOUT", "365d"},
	{"enable-gateway: 'true'", "INBOUND_GATEWAY_SUFFIXES", "svc.cluster.local."},
	{"default-inbound-policy: deny", "INBOUND_DEFAULT_POLICY", "deny"},
	{"shutdown-grace-period: 1m30s", "SHUTDOWN_GRACE_PERIOD", "90000ms"},
	{"proxy-admin-shutdown: enabled", "SHUTDOWN_ENDPOINT_ENABLED", "true"},
	{"proxy-metrics-hostname-labels: 'true'", "OUTBOUND_METRICS_HOSTNAME_LABELS",
		"true"},
	{"proxy-additional-env: '[{\"name\": \"LINKERD2_PROXY_X\", \"value\": \"y\"}]'",
		"X", "y"},
};

TEST(an_annotation_reaches_the_proxys_environment)
{
	for (size_t i = 0; i < countof(settings); i++) {
		struct run r = {0};
		char text[600];

		snprintf(text, sizeof text,
			POD ENABLED ", config.linkerd.io/%s" SPEC
				    ", ports: [{name: db, containerPort: 5433}]" END,
			settings[i].annotation);
		run(&r, text, NULL);
		if (strcmp(env_of(&r, settings[i].env), settings[i].value) != 0)
			T_FAIL("%s: %s is %s", settings[i].annotation, settings[i].env,
				env_of(&r, settings[i].env));
		EQ_INT(json_count(r.out.warnings), 0);
		EQ_INT(json_count(r.out.config), 1);
		run_fini(&r);
	}
}

TEST(an_annotation_reaches_the_containers)
{
	struct run r = {0};
	const struct json *init;

	run(&r,
		POD ENABLED
		", config.linkerd.io/proxy-image: my/proxy, "
		"config.linkerd.io/proxy-version: v9, "
		"config.linkerd.io/image-pull-policy: Always, "
		"config.linkerd.io/proxy-memory-limit: 64Mi, "
		"config.linkerd.io/proxy-cpu-request: 10m, "
		"config.linkerd.io/proxy-uid: '77', config.linkerd.io/proxy-gid: '78', "
		"config.linkerd.io/skip-inbound-ports: '22', "
		"config.linkerd.io/skip-outbound-ports: '3306,9000-9010', "
		"config.linkerd.io/skip-subnets: 10.1.0.0/16, "
		"config.linkerd.io/close-wait-timeout: 90s, "
		"config.alpha.linkerd.io/proxy-wait-before-exit-seconds: '30', "
		"config.linkerd.io/enable-debug-sidecar: 'true'" SPEC END,
		NULL);
	EQ_INT(json_count(r.out.warnings), 0);
	init = json_path(r.object, "spec.initContainers.0");
	EQ_STR(json_text_or(proxy_of(&r), "image", ""), "my/proxy:v9");
	EQ_STR(json_text_or(init, "image", ""), "my/proxy:v9");
	EQ_STR(json_text_or(proxy_of(&r), "imagePullPolicy", ""), "Always");
	EQ_STR(json_text_or(proxy_of(&r), "resources.limits.memory", ""), "64Mi");
	EQ_STR(json_text_or(proxy_of(&r), "resources.requests.cpu", ""), "10m");
	EQ_INT(json_int_at(proxy_of(&r), "securityContext.runAsUser", 0), 77);
	EQ_INT(json_int_at(proxy_of(&r), "lifecycle.preStop.sleep.seconds", 0), 30);
	OK(strstr(args_of(&r), "--proxy-uid 77"));
	OK(strstr(args_of(&r), "--proxy-gid 78"));
	OK(strstr(args_of(&r), "--inbound-ports-to-ignore 4190,4191,22 "));
	OK(strstr(args_of(&r), "--outbound-ports-to-ignore 3306,9000-9010 "));
	OK(strstr(args_of(&r), "--subnets-to-ignore 10.1.0.0/16"));
	OK(strstr(args_of(&r), "--timeout-close-wait-secs 90"));
	EQ_INT(json_int_at(init, "securityContext.runAsUser", -1), 0);
	EQ_INT(json_bool_at(init, "securityContext.privileged", false), true);
	OK(named(json_path(r.object, "spec.containers"), "mesh-debug"));
	run_fini(&r);
}

static const struct {
	const char *text, *allowed;
} wrong[] = {
	{"control-port: '0'", "\"0\" is not a port from 1 to 65535"},
	{"admin-port: '65536'", "\"65536\" is not a port from 1 to 65535"},
	{"inbound-port: http", "\"http\" is not a port from 1 to 65535"},
	{"outbound-port: ''", "\"\" is not a port from 1 to 65535"},
	{"pod-inbound-ports: a", "\"a\" is not ports such as 80,8000-8010"},
	{"skip-inbound-ports: '80;90'", "\"80;90\" is not ports such as"},
	{"skip-outbound-ports: 90-80", "\"90-80\" is not ports such as"},
	{"skip-subnets: 10.0.0.0/33", "is not subnets such as 10.0.0.0/8"},
	{"opaque-ports: 'not a port'", "is not ports, ranges or names of ports"},
	{"proxy-cpu-limit: lots", "is not a quantity such as 100m or 64Mi"},
	{"proxy-cpu-request: -1", "is not a quantity"},
	{"proxy-memory-limit: -1Mi", "is not a quantity"},
	{"proxy-memory-request: 1MiB", "is not a quantity"},
	{"proxy-ephemeral-storage-limit: 1 Gi", "is not a quantity"},
	{"proxy-ephemeral-storage-request: x", "is not a quantity"},
	{"proxy-cpu-ratio-limit: '2'", "is not a ratio between 0 and 1"},
	{"proxy-uid: root", "is not a whole number"},
	{"proxy-gid: wheel", "is not a whole number"},
	{"proxy-log-format: xml", "\"xml\" is not one of plain json"},
	{"proxy-log-http-headers: 'yes'", "is not one of off insecure"},
	{"proxy-log-level: \"a\\nb\"", "is not a line of text"},
	{"access-log: 'yes'", "is not one of apache json"},
	{"enable-external-profiles: sure", "is not true or false"},
	{"enable-gateway: 'yes'", "is not true or false"},
	{"enable-debug-sidecar: '1'", "is not true or false"},
	{"proxy-require-identity-inbound-ports: all", "is not ports such as"},
	{"proxy-inbound-connect-timeout: 1", "is not a duration such as 500ms"},
	{"proxy-outbound-connect-timeout: '10'", "is not a duration such as 500ms"},
	{"proxy-inbound-discovery-cache-unused-timeout: x", "is not a duration"},
	{"proxy-outbound-discovery-cache-unused-timeout: x", "is not a duration"},
	{"proxy-disable-inbound-protocol-detect-timeout: x", "is not true or false"},
	{"proxy-disable-outbound-protocol-detect-timeout: x", "is not true or false"},
	{"proxy-await: 'true'", "\"true\" is not enabled or disabled"},
	{"proxy-admin-shutdown: 'true'", "is not enabled or disabled"},
	{"close-wait-timeout: soon", "\"soon\" is not a duration such as 60s"},
	{"image-pull-policy: Sometimes", "is not one of Always IfNotPresent Never"},
	{"debug-image-pull-policy: x", "is not one of Always IfNotPresent Never"},
	{"proxy-additional-env: '{}'", "is not a JSON list of environment variables"},
	{"proxy-additional-env: '[{\"value\": \"x\"}]'", "is not a JSON list"},
	{"shutdown-grace-period: -1s", "is not a duration such as 500ms"},
	{"proxy-metrics-hostname-labels: x", "is not true or false"},
	{"proxy-enable-native-sidecar: native", "is not true or false"},
	{"proxy-wait-before-exit-seconds: 5s", "is not a whole number"},
	{"default-inbound-policy: all-authentcated",
		"\"all-authentcated\" is not one of all-unauthenticated "
		"all-authenticated cluster-unauthenticated cluster-authenticated deny "
		"audit"},
};

/* The message names the annotation, its value and what it may be. */
TEST(a_wrong_annotation_is_refused_and_told)
{
	for (size_t i = 0; i < countof(wrong); i++) {
		struct run r = {0};
		char text[512];

		snprintf(text, sizeof text,
			POD ENABLED ", config.linkerd.io/%s" SPEC END, wrong[i].text);
		run(&r, text, NULL);
		EQ_INT(r.r, -1);
		EQ_INT(r.err.code, ERR_DENIED);
		EQ_INT(json_count(r.out.patch), 0);
		EQ_INT(r.out.injected, false);
		if (strncmp(r.err.msg, "annotation config.linkerd.io/", 29) != 0 ||
			strncmp(r.err.msg + 29, wrong[i].text,
				strcspn(wrong[i].text, ":")) != 0 ||
			!strstr(r.err.msg, wrong[i].allowed))
			T_FAIL("%s: %s", wrong[i].text, r.err.msg);
		run_fini(&r);
	}
}

TEST(what_is_wrong_of_a_namespace_is_refused_by_its_name)
{
	struct run r = {0};

	run(&r, POD SPEC END,
		"{" ENABLED ", config.linkerd.io/skip-outbound-ports: mysql}");
	EQ_INT(r.r, -1);
	EQ_STR(r.err.msg,
		"annotation config.linkerd.io/skip-outbound-ports of namespace shop: "
		"\"mysql\" is not ports such as 80,8000-8010");
	run_fini(&r);
}

TEST(what_is_wrong_of_a_pod_without_a_proxy_is_nobodys_business)
{
	struct run r = {0};

	run(&r, POD "config.linkerd.io/control-port: none" SPEC END, NULL);
	EQ_INT(r.r, 0);
	EQ_INT(json_count(r.out.patch), 0);
	run_fini(&r);
}

TEST(a_service_with_wrong_opaque_ports_is_refused)
{
	struct run r = {0};

	run(&r,
		"kind: Service\n"
		"metadata: {annotations: {config.linkerd.io/opaque-ports: '80;90'}}\n"
		"spec: {ports: [{port: 80}]}",
		NULL);
	EQ_INT(r.r, -1);
	EQ_STR(r.err.msg,
		"annotation config.linkerd.io/opaque-ports: \"80;90\" is not ports, "
		"ranges or names of ports");
	run_fini(&r);
}

TEST(an_annotation_that_nobody_knows_is_warned_of)
{
	struct run r = {0};

	run(&r,
		POD ENABLED ", config.linkerd.io/skip-outbond-ports: '80', "
			    "config.linkerd.io/admission-webhooks: x, "
			    "example.com/any: y" SPEC END,
		NULL);
	EQ_INT(r.r, 0);
	EQ_INT(json_count(r.out.warnings), 1);
	EQ_STR(json_text(json_at(r.out.warnings, 0)),
		"annotation config.linkerd.io/skip-outbond-ports is not known and has "
		"no effect");
	run_fini(&r);
}

TEST(a_namespace_hands_its_annotations_down)
{
	struct run r = {0};

	run(&r, POD "config.linkerd.io/proxy-log-level: debug" SPEC END,
		"{linkerd.io/inject: ingress, other: thing, "
		"config.linkerd.io/proxy-log-level: trace, "
		"config.linkerd.io/proxy-cpu-limit: '2'}");
	EQ_STR(env_of(&r, "LOG"), "debug");
	EQ_STR(env_of(&r, "CORES"), "2");
	EQ_STR(env_of(&r, "INGRESS_MODE"), "true");
	EQ_STR(note(&r, "annotations", "config.linkerd.io/proxy-cpu-limit"), "2");
	EQ_STR(note(&r, "annotations", "linkerd.io/inject"), "ingress");
	EQ_STR(note(&r, "annotations", "other"), "");
	run_fini(&r);
}

/* ---- opaque ports ---- */

static const struct {
	const char *object, *ns, *want;
} opaque[] = {
	{POD SPEC ", ports: [{containerPort: 3306}, {containerPort: 80}]" END, NULL,
		"3306"},
	{POD SPEC ", ports: [{containerPort: 80}]" END, NULL, ""},
	{POD SPEC END, "{config.linkerd.io/opaque-ports: '9'}", "9"},
	{POD ENABLED SPEC ", ports: [{containerPort: 6379}]" END, NULL, "6379"},
	{POD ENABLED SPEC END, "{config.linkerd.io/opaque-ports: '9'}", "9"},
	{POD "config.linkerd.io/opaque-ports: '8'" SPEC END,
		"{config.linkerd.io/opaque-ports: '9'}", "8"},
	{"{kind: Service, spec: {ports: [{port: 3306}, {port: 80}]}}", NULL, "3306"},
	{"{kind: Service, spec: {ports: [{port: 80, targetPort: 5432}]}}", NULL, "80"},
	{"{kind: Service, spec: {ports: [{port: 3306, targetPort: 80}]}}", NULL, ""},
	{"{kind: Service, spec: {ports: [{port: 3306, targetPort: web}]}}", NULL, ""},
	{"{kind: Service, metadata: {name: a}, spec: {}}",
		"{config.linkerd.io/opaque-ports: '9'}", "9"},
};

TEST(opaque_ports_are_written_on_pods_and_services)
{
	for (size_t i = 0; i < countof(opaque); i++) {
		struct run r = {0};

		run(&r, opaque[i].object, opaque[i].ns);
		if (strcmp(note(&r, "annotations", "config.linkerd.io/opaque-ports"),
			    opaque[i].want) != 0)
			T_FAIL("%s in %s", opaque[i].object, opaque[i].ns);
		run_fini(&r);
	}
}

/* ---- other kinds, by the command line ---- */

TEST(the_command_line_injects_templates_without_an_annotation)
{
	struct run r = {0};
	const struct json *t;

	r.in.origin = INJECT_BY_CLI;
	run(&r,
		"kind: CronJob\nmetadata: {name: nightly}\n"
		"spec: {jobTemplate: {spec: {template: {spec: {containers: []}}}}}",
		NULL);
	EQ_INT(r.out.injected, true);
	t = json_path(r.object, "spec.jobTemplate.spec.template");
	EQ_STR(json_text_or(t, "spec.initContainers.1.name", ""), "mesh-proxy");
	EQ_STR(json_text(json_get(
		       json_path(t, "metadata.labels"), "linkerd.io/proxy-cronjob")),
		"nightly");
	run_fini(&r);
}

/* ---- values ---- */

TEST(values_are_the_charts_and_wrong_ones_are_named)
{
	struct err e = {0};
	struct run r = {0};

	run_with(&r,
		VALUES "namespace: linkerd\nclusterDomain: example.org\n"
		       "proxy: {image: {name: a/b, version: c}, uid: 5, "
		       "outboundConnectTimeout: 2s}\n"
		       "disableIPv6: true\n",
		POD ENABLED SPEC END, NULL);
	EQ_STR(env_of(&r, "IDENTITY_SVC_ADDR"),
		"mesh-identity-headless.linkerd.svc.example.org.:8080");
	EQ_STR(env_of(&r, "IDENTITY_SVC_NAME"),
		"mesh-identity.linkerd.serviceaccount.identity.linkerd.example.org");
	EQ_STR(env_of(&r, "OUTBOUND_LISTEN_ADDRS"), "127.0.0.1:4140");
	EQ_STR(env_of(&r, "INBOUND_LISTEN_ADDR"), "0.0.0.0:4143");
	EQ_STR(env_of(&r, "OUTBOUND_CONNECT_TIMEOUT"), "2s");
	EQ_STR(json_text_or(proxy_of(&r), "image", ""), "a/b:c");
	run_fini(&r);

	OK(!inject_values_read(
		SLICE("proxy: {logFormat: xml, ports: {admin: no}}"), &e));
	OK(strstr(e.msg, "proxy.logFormat"));
	OK(strstr(e.msg, "proxy.ports.admin"));
	OK(!inject_values_read(SLICE("- 1"), &e));
	OK(!inject_values_read(SLICE("a: ["), &e));
}

static const struct {
	const char *values, *want;
} validators[] = {
	{"", "validator --connect-addr 1.1.1.1:20001,[fd00::1]:20001 --listen-addr "
	     "[::]:4140 --timeout 10s --log-level info --log-format plain"},
	{"disableIPv6: true\n"
	 "proxy: {ports: {outbound: 5140}}\n",
		"validator --connect-addr 1.1.1.1:20001 --listen-addr 0.0.0.0:5140 "
		"--timeout 10s --log-level info --log-format plain"},
	{"networkValidator: {connectAddr: '9.9.9.9:9', listenAddr: '1.2.3.4:5', "
	 "timeout: 3s, logLevel: debug}\n",
		"validator --connect-addr 9.9.9.9:9 --listen-addr 1.2.3.4:5 --timeout "
		"3s "
		"--log-level debug --log-format plain"},
};

TEST(with_the_cni_plugin_a_validator_is_first_and_has_no_right)
{
	for (size_t i = 0; i < countof(validators); i++) {
		struct buf values = BUF_INIT;
		struct run r = {0};
		const struct json *c;

		buf_printf(
			&values, VALUES "cniEnabled: true\n%s", validators[i].values);
		buf_char(&values, '\0');
		run_with(&r, values.p, POD ENABLED SPEC END, NULL);
		c = json_path(r.object, "spec.initContainers.0");
		EQ_STR(json_text_or(c, "name", ""), "mesh-network-validator");
		EQ_STR(args_of(&r), validators[i].want);
		OK(!json_path(c, "securityContext.capabilities.add"));
		EQ_STR(json_text_or(json_path(r.object, "spec.initContainers.1"),
			       "name", ""),
			"mesh-proxy");
		run_fini(&r);
		buf_fini(&values);
	}
}

TEST(without_anchors_nothing_is_injected)
{
	struct run r = {0};

	run_with(&r, "", POD ENABLED SPEC END, NULL);
	EQ_INT(r.r, -1);
	EQ_INT(r.err.code, ERR_MISSING);
	run_fini(&r);
}

/* ---- what strangers send ---- */

/* Every node of an object is replaced by something else: nothing may break. */
static void spoil(struct json *at, size_t *left, size_t how)
{
	json_each(it, at)
	{
		if ((*left)-- == 0) {
			json_replace(at, it,
				how == 0   ? json_null()
				: how == 1 ? json_integer(-1)
				: how == 2 ? json_string("~/")
				: how == 3 ? json_list()
					   : json_object());
			return;
		}
		spoil(it, left, how);
		if (*left == (size_t)-1)
			return;
	}
}

TEST(any_object_is_patched_or_left_alone)
{
	static const char text[] =
		"kind: Pod\nmetadata: {name: a, annotations: {" ENABLED
		", config.linkerd.io/opaque-ports: 'x,1'}, labels: {a: b}}\n"
		"spec: {containers: [{name: a, image: b, ports: [{name: x, "
		"containerPort: 80, protocol: TCP}], livenessProbe: {httpGet: {port: "
		"1}}"
		"}], initContainers: [{name: c, image: d}], volumes: [{name: e}]}\n";

	for (size_t how = 0; how < 5; how++)
		for (size_t i = 0;; i++) {
			struct run r = {0};
			struct json *j = yaml(text);
			size_t left = i;
			struct buf b = BUF_INIT;

			spoil(j, &left, how);
			json_write(j, 0, &b);
			buf_char(&b, '\0');
			json_free(j);
			if (left != (size_t)-1) {
				buf_fini(&b);
				break;
			}
			run(&r, b.p + b.at, NULL);
			run_fini(&r);
			buf_fini(&b);
		}
}
