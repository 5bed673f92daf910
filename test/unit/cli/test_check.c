/* SPDX-License-Identifier: Apache-2.0 */
/* `mesh check` against what `mesh install` makes, whole and broken in one place. */
#include "cli/check.h"
#include "cli/checkfiles.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/install.h"
#include "cli/uninstall.h"
#include "t.h"
#include "tls/init.h"
#include "wire/yaml.h"

#define NS      "/api/v1/namespaces/mesh"
#define PODS    NS "/pods"
#define ISSUER  NS "/secrets/mesh-identity-issuer"
#define ANCHORS NS "/configmaps/mesh-identity-trust-roots"
#define HOOK    NS "/secrets/mesh-injector-k8s-tls"
#define WEBHOOK                                                                        \
	"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/"         \
	"mesh-injector-webhook-config"
#define LEASES   "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
#define POLICIES "/apis/networking.k8s.io/v1/networkpolicies"
#define DAY      (86400 * NS_PER_S)

static struct json *cluster; /* objects by path */
static uint64_t later;       /* what the clock is ahead */
static int pauses;
static bool forbidden;

static const struct {
	const char *kind, *path;
} kinds[] = {
	{"Namespace", "/api/v1/namespaces"},
	{"ServiceAccount", NS "/serviceaccounts"},
	{"ConfigMap", NS "/configmaps"},
	{"Secret", NS "/secrets"},
	{"ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles"},
	{"ClusterRoleBinding",
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"},
	{"CustomResourceDefinition",
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions"},
	{"MutatingWebhookConfiguration",
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"},
};

#define DEPLOYMENTS "/apis/apps/v1/namespaces/mesh/deployments"

static void put(const char *path, const char *text)
{
	struct json *j = yaml_parse(slice_of(text), NULL);

	OK(j);
	json_set(cluster, path, j);
}

static void put_doc(const struct json *d)
{
	char path[400];

	for (size_t i = 0; i < countof(kinds); i++) {
		if (strcmp(json_text_or(d, "kind", ""), kinds[i].kind) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", kinds[i].path,
			json_text_or(d, "metadata.name", ""));
		json_set(cluster, path, json_copy(d));
	}
}

static const char pods[] =
	"items:\n"
	"- apiVersion: v1\n"
	"  kind: Pod\n"
	"  metadata: {name: mesh-identity-1, namespace: mesh,\n"
	"    annotations: {linkerd.io/proxy-version: " MESH_VERSION "},\n"
	"    labels: {linkerd.io/control-plane-ns: mesh, app: web}}\n"
	"  spec: {nodeName: n1}\n"
	"  status:\n"
	"    phase: Running\n"
	"    conditions: [{type: Ready, status: 'True'}, {type: PodScheduled, status: "
	"'True'}]\n"
	"    initContainerStatuses: [{name: mesh-proxy, ready: true}]\n";

static void make_cluster(void)
{
	static const struct install_config cfg = {.namespace = "mesh"};
	struct buf text = BUF_INIT;
	struct json *docs;

	tls_init();
	cluster = json_object();
	OK(install_render(&cfg, &text, NULL) == 0);
	OK(install_crds(&text, NULL) == 0);
	docs = yaml_parse_all(buf_slice(&text), NULL);
	json_each(d, docs)
	{
		put_doc(d);
	}
	put("/version", "{gitVersion: v1.34.4}");
	put(DEPLOYMENTS,
		"items: [{metadata: {name: mesh-identity}, spec: {replicas: 1}, "
		"status: {readyReplicas: 1}}]");
	put(POLICIES, "items: []");
	put("/api/v1/nodes",
		"items: [{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: "
		"{podCIDRs: [10.244.1.0/24]}}]");
	put("/api/v1/services",
		"items: [{apiVersion: v1, kind: Service, metadata: {name: s, "
		"namespace: "
		"mesh}, spec: {clusterIPs: [10.96.0.7], selector: {app: web}, ports: "
		"[{port: 80, targetPort: 8080}]}}]");
	put("/api/v1/namespaces",
		"items: [{metadata: {name: v, labels: {linkerd.io/extension: viz}}}]");
	put("/api/v1/namespaces/default",
		"metadata: {labels: {kubernetes.io/metadata.name: default}}");
	put(NS "/serviceaccounts/mesh-young",
		"metadata: {creationTimestamp: '2026-02-01T00:00:00Z'}");
	put(PODS, pods);
	put("/api/v1/pods", pods);
	json_free(docs);
	buf_fini(&text);
}

/* The same again: keys take their time to make. */
static void copy_cluster(void)
{
	static struct json *first;

	if (!first) {
		make_cluster();
		first = cluster;
	}
	cluster = json_copy(first);
}

static struct json *get(void *arg, const char *path, struct err *e)
{
	const struct json *j = json_get(cluster, path);

	(void)arg;
	if (!j) {
		err_set(e, ERR_MISSING, "the API server answers 404: not found");
		return NULL;
	}
	return json_copy(j);
}

static int may(void *arg, const char *verb, const char *group, const char *resource,
	const char *namespace, struct err *e)
{
	(void)arg, (void)verb, (void)group, (void)namespace;
	return forbidden && strcmp(resource, "clusterroles") == 0
		       ? err_set(e, ERR_DENIED, "it is not allowed to you")
		       : 0;
}

#define BARE  "spec: {containers: [{name: check}]}"
#define GIVEN "spec: {initContainers: [{name: mesh-proxy}]}"

static const char *becomes = GIVEN; /* a pod; or why it is refused */

static struct json *would(
	void *arg, const char *path, const struct json *object, struct err *e)
{
	(void)arg;
	EQ_STR(path, "/api/v1/namespaces/default/pods");
	EQ_STR(json_text_or(object, "kind", ""), "Pod");
	if (strncmp(becomes, "spec:", 5) == 0)
		return yaml_parse(slice_of(becomes), NULL);
	err_set(e, strcmp(becomes, "no answer") == 0 ? ERR_TIMEOUT : ERR_DENIED, "%s",
		becomes);
	return NULL;
}

static uint64_t now(void)
{
	return clock_wall() + later;
}

/* In the second try the Deployment is ready, if it has anything to wait for. */
static void pause_once(void)
{
	const struct json *first =
		json_first(json_get(json_get(cluster, DEPLOYMENTS), "items"));

	pauses++;
	if (json_int_at(first, "spec.replicas", 1) == 0)
		return;
	put(DEPLOYMENTS,
		"items: [{metadata: {name: mesh-identity}, status: {readyReplicas: "
		"1}}]");
}

struct seen {
	struct buf failed; /* "name: why\n" of each */
	size_t n;
};

static void on_result(void *arg, const struct check *c, const struct err *e)
{
	struct seen *s = arg;

	s->n++;
	if (e->code != ERR_NONE)
		buf_printf(&s->failed, "%s: %s\n", c->name, e->msg);
}

static bool run(enum check_when when, struct seen *s)
{
	static const struct check_source source = {get, may, would, NULL};
	struct check_config cfg = {.when = when,
		.namespace = "mesh",
		.version = MESH_VERSION,
		.cni_namespace = "mesh-cni",
		.source = &source,
		.now = now,
		.tries = 2,
		.pause = pause_once,
		.on_result = on_result,
		.arg = s};
	bool good;

	*s = (struct seen){.failed = BUF_INIT};
	good = check_all(&cfg);
	buf_char(&s->failed, '\0');
	return good;
}

TEST(what_was_installed_is_all_right)
{
	struct seen s;

	make_cluster();
	if (!run(CHECK_NORMAL, &s))
		T_FAIL("%s", s.failed.p);
	EQ_STR(s.failed.p, "");
	OK(s.n > 20);
	buf_fini(&s.failed);
}

/* Takes `key` away, or the whole object. */
static const struct {
	const char *path, *key, *value; /* value NULL: removed */
	enum check_when when;
	bool warns;
	const char *says;
} broken[] = {
	{"/version", "gitVersion", "v1.21.9", CHECK_NORMAL, false,
		"minimum Kubernetes API version: the cluster is v1.21.9"},
	{"/version", NULL, NULL, CHECK_NORMAL, false, "can query the Kubernetes API"},
	{NS, NULL, NULL, CHECK_NORMAL, false, "control plane Namespace exists"},
	{"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
	 "servers.policy.linkerd.io",
		NULL, NULL, CHECK_NORMAL, true, "servers.policy.linkerd.io"},
	{NS "/configmaps/mesh-config", NULL, NULL, CHECK_NORMAL, false,
		"'mesh-config' config map exists"},
	{"/apis/rbac.authorization.k8s.io/v1/clusterroles/mesh-mesh-injector", NULL,
		NULL, CHECK_NORMAL, false, "ClusterRoles exist: mesh-mesh-injector"},
	{"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/mesh-mesh-identity",
		NULL, NULL, CHECK_NORMAL, false, "Bindings exist: mesh-mesh-identity"},
	{NS "/serviceaccounts/mesh-destination", NULL, NULL, CHECK_NORMAL, false,
		"ServiceAccounts exist: mesh-destination"},
	{DEPLOYMENTS, NULL,
		"items: [{metadata: {name: mesh-identity}, spec: {replicas: 0}}]",
		CHECK_NORMAL, false, "mesh-identity: 0 of 0 replicas are ready"},
	{PODS, NULL,
		"items: [{metadata: {name: p, creationTimestamp: "
		"'2026-01-01T00:00:00Z'}, spec: {serviceAccountName: mesh-young}}]",
		CHECK_NORMAL, false, "p is older than ServiceAccount mesh-young"},
	{WEBHOOK, NULL, NULL, CHECK_NORMAL, false, "mesh-injector-webhook-config"},
	{ISSUER, NULL, NULL, CHECK_NORMAL, false, "Secret mesh-identity-issuer"},
	{ISSUER, "data", "{crt.pem: '!', key.pem: ''}", CHECK_NORMAL, false,
		"crt.pem: not base64"},
	{ANCHORS, "data", "{ca-bundle.crt: junk}", CHECK_NORMAL, false,
		"ConfigMap mesh-identity-trust-roots: ca-bundle.crt"},
	{HOOK, NULL, NULL, CHECK_NORMAL, false, "Secret mesh-injector-k8s-tls"},
	{PODS, NULL,
		"items: [{metadata: {name: p}, status: {conditions: [{type: Ready, "
		"status: 'False'}], containerStatuses: [{name: c, state: {waiting: "
		"{reason: ImagePullBackOff}}}]}}]",
		CHECK_NORMAL, false, "p: container c: ImagePullBackOff"},
	{PODS, NULL,
		"items: [{metadata: {name: p}, status: {conditions: [{type: "
		"PodScheduled, status: 'False', message: no node has room}]}}]",
		CHECK_NORMAL, false, "no unschedulable pods: p: no node has room"},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: app, labels: "
		"{linkerd.io/control-plane-ns: mesh}}, status: "
		"{initContainerStatuses: [{name: mesh-proxy, state: {waiting: {reason: "
		"CrashLoopBackOff}}}]}}]",
		CHECK_PROXY, false, "app/p: its proxy is not ready: CrashLoopBackOff"},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: app, annotations: "
		"{linkerd.io/inject: enabled}}}]",
		CHECK_PROXY, true, "app/p asks for a proxy and has none"},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: app, labels: "
		"{linkerd.io/control-plane-ns: mesh}}}]",
		CHECK_PROXY, false,
		"app/p: its trust anchors are not the present ones, and it follows no "
		"file"},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: app, labels: "
		"{linkerd.io/control-plane-ns: mesh}}, spec: {volumes: [{configMap: "
		"{name: mesh-identity-trust-roots}}]}}]",
		CHECK_PROXY, false,
		"app/p: ConfigMap app/mesh-identity-trust-roots has not the present"},
	{LEASES, NULL,
		"items: [{metadata: {name: n1}, spec: {renewTime: "
		"'2001-01-01T00:00:00Z'}}]",
		CHECK_NORMAL, true,
		"no clock skew detected: node n1 was last heard of "},
	{POLICIES, NULL,
		"items: [{metadata: {name: a, namespace: mesh}, spec: {podSelector: "
		"{}, "
		"ingress: [{ports: [{port: 4000, endPort: 4142}, {port: 4143, "
		"protocol: "
		"UDP}]}]}}]",
		CHECK_PROXY, true,
		"NetworkPolicy mesh/a does not let port 4143 through to "
		"mesh-identity-1"},
	{NS, NULL, "{}", CHECK_PRE, false, "namespace mesh is there already"},
	{"/api/v1/nodes", NULL,
		"items: [{metadata: {name: n1}, spec: {podCIDRs: [10.0.0.0/24, "
		"11.0.0.0/24]}}]",
		CHECK_NORMAL, false,
		"all node podCIDRs: Node n1 has 11.0.0.0/24, outside of "},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: a}, status: {podIPs: [{ip: "
		"8.8.8.8}]}}]",
		CHECK_NORMAL, false, "all pods: Pod a/p has 8.8.8.8, outside of "},
	{"/api/v1/services", NULL,
		"items: [{metadata: {name: s, namespace: a}, spec: {clusterIPs: "
		"[None]}}, "
		"{metadata: {name: t, namespace: a}, spec: {clusterIPs: [1.1.1.1]}}]",
		CHECK_NORMAL, false,
		"all services: Service a/t has 1.1.1.1, outside of "},
	{"/api/v1/namespaces", NULL,
		"items: [{metadata: {name: v, labels: {linkerd.io/extension: viz}}}, "
		"{metadata: {name: w, labels: {linkerd.io/extension: viz}}}]",
		CHECK_NORMAL, true, "extension viz is in the namespaces v and w"},
	{PODS, NULL,
		"items: [{metadata: {name: p, namespace: mesh, annotations: "
		"{linkerd.io/proxy-version: old}, labels: "
		"{linkerd.io/control-plane-ns: "
		"mesh}}, status: {conditions: [{type: Ready, status: 'True'}], "
		"initContainerStatuses: [{name: mesh-proxy, ready: true}]}}]",
		CHECK_NORMAL, true, "mesh/p: its proxy is old, cli " MESH_VERSION},
	{"/api/v1/pods", NULL,
		"items: [{metadata: {name: p, namespace: a, labels: "
		"{config.linkerd.io/opaque-ports: '1'}}}]",
		CHECK_PROXY, true,
		"Pod a/p: config.linkerd.io/opaque-ports should be an annotation"},
	{"/api/v1/services", NULL,
		"items: [{metadata: {name: s, namespace: a, labels: "
		"{config.linkerd.io/opaque-ports: '1'}}}]",
		CHECK_PROXY, true,
		"Service a/s: config.linkerd.io/opaque-ports should be an annotation"},
	{"/api/v1/services", NULL,
		"items: [{metadata: {name: s, namespace: a, annotations: "
		"{mirror.linkerd.io/exported: 'true'}}}]",
		CHECK_PROXY, true,
		"Service a/s: mirror.linkerd.io/exported should be a label"},
	{"/api/v1/services", NULL,
		"items: [{metadata: {name: s, namespace: mesh, annotations: "
		"{config.linkerd.io/opaque-ports: '80'}}, spec: {selector: {app: web}, "
		"ports: [{port: 80, targetPort: 8080}]}}]",
		CHECK_PROXY, true,
		"port 80 of Service mesh/s is opaque, port 8080 of its pod "
		"mesh-identity-1 is not"},
};

static void break_it(size_t i)
{
	struct json *j = json_get(cluster, broken[i].path);

	if (!broken[i].key && !broken[i].value)
		json_remove(cluster, broken[i].path);
	else if (!broken[i].key)
		put(broken[i].path, broken[i].value);
	else
		json_set(j, broken[i].key, yaml_parse(slice_of(broken[i].value), NULL));
}

TEST(each_thing_broken_is_named)
{
	for (size_t i = 0; i < countof(broken); i++) {
		struct seen s;
		bool good;

		copy_cluster();
		break_it(i);
		good = run(broken[i].when, &s);
		if (!strstr(s.failed.p, broken[i].says) || good != broken[i].warns)
			T_FAIL("%zu: \"%s\" does not say \"%s\"", i, s.failed.p,
				broken[i].says);
		json_free(cluster);
		buf_fini(&s.failed);
	}
}

/* The other cluster's half of a pair. */
static void exchange(const char *path, const char *key)
{
	struct json *other, *mine = cluster;

	make_cluster();
	other = json_copy(json_get(json_get(json_get(cluster, path), "data"), key));
	json_free(cluster);
	cluster = mine;
	OK(other);
	json_set(json_get(json_get(cluster, path), "data"), key, other);
}

TEST(certificates_that_do_not_fit_are_named)
{
	static const struct {
		const char *path, *key, *says;
	} pairs[] = {
		{ISSUER, "key.pem", "key.pem is not the key of crt.pem"},
		{ANCHORS, "ca-bundle.crt", "issued by the trust anchor: "},
		{HOOK, "tls.crt", "caBundle of mesh-injector-webhook-config"},
	};

	for (size_t i = 0; i < countof(pairs); i++) {
		struct seen s;

		make_cluster();
		exchange(pairs[i].path, pairs[i].key);
		OK(!run(CHECK_NORMAL, &s));
		if (!strstr(s.failed.p, pairs[i].says))
			T_FAIL("%s", s.failed.p);
		json_free(cluster);
		buf_fini(&s.failed);
	}
}

TEST(the_end_of_certificates_is_foreseen)
{
	struct seen s;

	make_cluster();
	later = 320 * DAY;
	OK(run(CHECK_NORMAL, &s));
	OK(strstr(s.failed.p, "issuer cert is valid for at least 60 days: "));
	OK(strstr(s.failed.p, "proxy-injector cert is valid for at least 60 days: "));
	buf_fini(&s.failed);
	later = 400 * DAY;
	OK(!run(CHECK_NORMAL, &s));
	OK(strstr(s.failed.p, "within their validity period: a trust anchor expired "));
	OK(strstr(s.failed.p, "the webhook's certificate expired on "));
	buf_fini(&s.failed);
}

TEST(policies_that_let_proxies_in_are_none_to_name)
{
	static const char *const good[] = {
		"{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 4143}]}]}",
		"{podSelector: {}, ingress: [{ports: [{port: 4000, endPort: 5000}]}]}",
		"{podSelector: {}, ingress: [{ports: [{port: 80}]}, {}]}",
		"{podSelector: {}, ingress: []}",
		"{podSelector: {}}",
		"{podSelector: {matchLabels: {app: x}}, ingress: [{ports: [{port: "
		"80}]}]}",
	};
	char text[300];

	for (size_t i = 0; i < countof(good); i++) {
		struct seen s;

		copy_cluster();
		snprintf(text, sizeof text,
			"items: [{metadata: {name: a, namespace: mesh}, spec: %s}]",
			good[i]);
		put(POLICIES, text);
		(void)run(CHECK_PROXY, &s);
		if (strstr(s.failed.p, "NetworkPolicy"))
			T_FAIL("%zu: %s", i, s.failed.p);
		json_free(cluster);
		buf_fini(&s.failed);
	}
}

TEST(what_may_become_true_is_waited_for)
{
	struct seen s;

	make_cluster();
	put(DEPLOYMENTS, "items: [{metadata: {name: mesh-identity}, status: {}}]");
	if (!run(CHECK_NORMAL, &s))
		T_FAIL("%s", s.failed.p);
	EQ_INT(pauses, 1);
	buf_fini(&s.failed);
}

TEST(before_an_installation_rights_are_asked_for)
{
	struct seen s;

	make_cluster();
	json_remove(cluster, NS);
	OK(run(CHECK_PRE, &s));
	buf_fini(&s.failed);
	forbidden = true;
	OK(!run(CHECK_PRE, &s));
	OK(strstr(s.failed.p, "create clusterroles: it is not allowed to you"));
	buf_fini(&s.failed);
}

/* ---- the CNI plugin ---- */

#define CNI_NS "/api/v1/namespaces/mesh-cni"
#define RBAC   "/apis/rbac.authorization.k8s.io/v1"

static void add_cni(void)
{
	static const char *const paths[] = {CNI_NS "/configmaps/mesh-cni-config",
		RBAC "/clusterroles/mesh-cni", RBAC "/clusterrolebindings/mesh-cni",
		CNI_NS "/serviceaccounts/mesh-cni",
		"/apis/apps/v1/namespaces/mesh-cni/daemonsets/mesh-cni"};
	struct json *map = json_get(cluster, NS "/configmaps/mesh-config");

	for (size_t i = 0; i < countof(paths); i++)
		put(paths[i], "{}");
	put(CNI_NS "/pods",
		"items: [{metadata: {name: cni-1, labels: {k8s-app: mesh-cni}}, spec: "
		"{nodeName: n1}, status: {conditions: [{type: Ready, status: "
		"'True'}]}}]");
	json_set_text(json_get(map, "data"), "values",
		"cniEnabled: true\nclusterNetworks: "
		"10.0.0.0/8\nlinkerdVersion: " MESH_VERSION "\n");
}

TEST(where_the_plugin_is_used_it_is_looked_at)
{
	struct seen s;

	make_cluster();
	add_cni();
	if (!run(CHECK_NORMAL, &s))
		T_FAIL("%s", s.failed.p);
	EQ_STR(s.failed.p, "");
	buf_fini(&s.failed);
	put("/api/v1/nodes", "items: [{metadata: {name: n1}}, {metadata: {name: n2}}]");
	OK(!run(CHECK_NORMAL, &s));
	OK(strstr(s.failed.p, "node n2 has no pod of DaemonSet mesh-cni/mesh-cni"));
	buf_fini(&s.failed);
	json_remove(cluster, RBAC "/clusterroles/mesh-cni");
	OK(!run(CHECK_NORMAL, &s));
	OK(strstr(s.failed.p, "cni plugin ClusterRole exists: mesh-cni: "));
	buf_fini(&s.failed);
}

/* ---- files ---- */

static char dir[] = "/tmp/mesh-check-XXXXXX";

static void dump(const char *name, const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	OK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void dump_installed(void)
{
	static const struct install_config cfg = {.namespace = "mesh"};
	struct buf text = BUF_INIT;

	tls_init();
	OK(mkdtemp(dir));
	OK(install_render(&cfg, &text, NULL) == 0);
	buf_char(&text, '\0');
	dump("mesh.yaml", text.p);
	dump("pods.json", "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": "
			  "[{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": "
			  "{\"name\": \"p\", \"namespace\": \"shop\", "
			  "\"annotations\": {\"linkerd.io/inject\": \"enabled\"}}}]}");
	dump("notes.txt", "{{{");
	buf_fini(&text);
}

static void on_file_result(void *arg, const struct check *c, const struct err *e)
{
	struct seen *s = arg;

	s->n += e->code == ERR_UNKNOWN;
	buf_printf(&s->failed, "%s %s: %s\n",
		e->code == ERR_NONE      ? "good"
		: e->code == ERR_UNKNOWN ? "skipped"
					 : "bad",
		c->name, e->code ? e->msg : "");
}

static const char *const of_files[] = {
	"skipped can query the Kubernetes API: not among the files",
	"good control plane Namespace exists",
	"good control plane ClusterRoles exist",
	"good issuer cert is issued by the trust anchor",
	"good proxy-injector webhook has valid cert",
	"skipped cluster networks contains all node podCIDRs: none is among the files: "
	"kubectl get nodes -A -o yaml",
	"skipped control plane CustomResourceDefinitions exist: "
	"servers.policy.linkerd.io: none is among the "
	"files: "
	"kubectl get customresourcedefinitions.apiextensions.k8s.io -A -o yaml",
	"skipped no clock skew detected",
	"skipped NetworkPolicies let the proxies in",
	"bad every pod that should have a proxy has one: shop/p asks for a proxy and "
	"has "
	"none",
};

TEST(files_are_looked_at_as_far_as_they_tell)
{
	struct seen s = {.failed = BUF_INIT};
	struct err e = {0};
	struct check_files *f;
	struct check_source source;
	char command[100];
	struct check_config cfg = {.when = CHECK_PROXY,
		.namespace = "mesh",
		.version = MESH_VERSION,
		.offline = true,
		.now = clock_wall,
		.tries = 1,
		.on_result = on_file_result,
		.arg = &s};

	dump_installed();
	f = check_files_new(dir, &e);
	if (!f)
		T_FAIL("%s", e.msg);
	source = check_files_source(f);
	cfg.source = &source;
	(void)check_all(&cfg);
	buf_char(&s.failed, '\0');
	for (size_t i = 0; i < countof(of_files); i++)
		if (!strstr(s.failed.p, of_files[i]))
			T_FAIL("no \"%s\" in\n%s", of_files[i], s.failed.p);
	check_files_free(f);
	dump("broken.yaml", "a: [\n");
	OK(!check_files_new(dir, &e));
	OK(strstr(e.msg, "/broken.yaml: YAML line"));
	buf_fini(&s.failed);
	snprintf(command, sizeof command, "rm -r %s", dir);
	OK(system(command) == 0);
	OK(!check_files_new(dir, &e));
}

TEST(the_webhook_is_asked_for_a_proxy)
{
	static const struct {
		const char *becomes, *ns, *says;
		bool good;
	} v[] = {
		{GIVEN, "default", "", true},
		{"spec: {containers: [{name: mesh-proxy}]}", "default", "", true},
		{BARE, "default", "(dry run): the API server makes a pod without",
			false},
		{"failed calling webhook \"mesh-injector.linkerd.io\"", "default",
			"(dry run): failed calling webhook", false},
		{"exceeded quota", "default",
			"(dry run): a pod in the namespace default: exceeded", true},
		{"no answer", "default", "(dry run): no answer", false},
		{BARE, "kube-system", "default is not for the webhook", true},
	};
	struct json *labels;
	struct seen s;

	for (size_t i = 0; i < countof(v); i++) {
		copy_cluster();
		labels = json_path(json_get(cluster, "/api/v1/namespaces/default"),
			"metadata.labels");
		json_set_text(labels, "kubernetes.io/metadata.name", v[i].ns);
		becomes = v[i].becomes;
		EQ_INT(run(CHECK_NORMAL, &s), v[i].good);
		if (!strstr(s.failed.p, v[i].says) || (!*v[i].says && *s.failed.p))
			T_FAIL("no \"%s\" in\n%s", v[i].says, s.failed.p);
		buf_fini(&s.failed);
		json_free(cluster);
	}
	cluster = NULL;
	becomes = GIVEN;
}

static struct json *get_nothing(void *arg, const char *path, struct err *e)
{
	(void)arg;
	if (strcmp(path, "/version") == 0)
		return json_copy(json_get(cluster, path));
	err_set(e, ERR_DENIED, "the API server answers 403: not yours");
	return NULL;
}

static void on_cure(void *arg, const struct check *c, const struct err *e)
{
	if (e->code == ERR_DENIED)
		buf_printf(arg, "%s: %s\n", c->name, c->cure);
}

TEST(what_may_not_be_seen_is_not_mended_by_installing)
{
	static const struct check_source source = {get_nothing, may, would, NULL};
	struct buf cures = BUF_INIT;
	struct check_config cfg = {.when = CHECK_NORMAL,
		.namespace = "mesh",
		.version = MESH_VERSION,
		.source = &source,
		.now = now,
		.tries = 1,
		.on_result = on_cure,
		.arg = &cures};

	make_cluster();
	OK(!check_all(&cfg));
	buf_char(&cures, '\0');
	OK(strstr(cures.p,
		"control plane Namespace exists: ask for the right to read it"));
	buf_fini(&cures);
}

TEST(results_are_written_as_a_table_or_as_json)
{
	static const struct check good = {"a", "is so", CHECK_NORMAL, 0, NULL, "-"};
	static const struct check bad = {
		"b", "is so too", CHECK_NORMAL, CHECK_WARN, NULL, "do it"};
	struct check_writer w = {.form = "table"};
	struct buf out = BUF_INIT;
	struct err none = {0}, e = {0};
	struct json *j;

	err_set(&e, ERR_BUSY, "it is not");
	check_write(&w, &good, &none, &out);
	check_write(&w, &bad, &e, &out);
	check_write_end(&w, true, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p, "a\n-\n√ is so\n\nb\n-\n‼ is so too\n    it is not\n    do it\n\n"
		      "Status check results are √\n");
	buf_fini(&out);
	w = (struct check_writer){.form = "json"};
	check_write(&w, &good, &none, &out);
	check_write(&w, &bad, &e, &out);
	check_write_end(&w, false, &out);
	j = json_parse(buf_slice(&out), NULL);
	EQ_STR(json_text_or(j, "categories.1.checks.0.result", ""), "warning");
	EQ_STR(json_text_or(j, "categories.1.checks.0.hint", ""), "do it");
	OK(!json_bool_at(j, "success", true));
	json_free(j);
	buf_fini(&out);
}
