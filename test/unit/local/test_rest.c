/* SPDX-License-Identifier: Apache-2.0 */
#include "local/rest.h"

#include "base/clock.h"
#include "base/obj.h"
#include "kube/selector.h"
#include "local/meta.h"
#include "local/token.h"
#include "t.h"

struct server {
	struct rest rest;
	struct kinds *kinds;
	struct arena arena;
	struct rest_call call;
	struct json *body; /* of the last answer */
	const char *accept;
};

static void init(struct server *s)
{
	struct store_config cfg = {0};
	struct err e = {0};

	memset(s, 0, sizeof(*s));
	s->kinds = kinds_new();
	s->rest.env.store = store_new(&cfg, NULL);
	s->rest.env.kinds = s->kinds;
	s->rest.token_key = key_generate(&e);
	OK(s->rest.token_key);
	OK(cidr_parse(SLICE("10.96.0.0/16"), &s->rest.env.services));
	store_create(s->rest.env.store, "namespaces",
		meta_new("v1", "Namespace", "", "default"), NULL, NULL);
}

static void fini(struct server *s)
{
	rest_call_fini(&s->call);
	arena_fini(&s->arena);
	json_free(s->body);
	store_free(s->rest.env.store);
	kinds_free(s->kinds);
	key_free((struct key *)s->rest.token_key);
}

static int ask(struct server *s, const char *method, const char *target,
	const char *type, const char *body)
{
	struct rest_call *c = &s->call;
	struct err e = {0};
	const char *q = strchr(target, '?');

	rest_call_fini(c);
	arena_fini(&s->arena);
	arena_init(&s->arena, 1 << 20);
	json_free(s->body);
	*c = (struct rest_call){
		.method = slice_of(method),
		.path = slice_bytes(target, q ? (size_t)(q - target) : strlen(target)),
		.query = slice_of(q ? q + 1 : ""),
		.body = slice_of(body ? body : ""),
		.content_type = slice_of(type),
		.accept = slice_of(s->accept ? s->accept : ""),
		.user = "system:admin",
		.arena = &s->arena,
	};
	rest_handle(&s->rest, c);
	if (c->then == REST_ADMIT)
		rest_commit(&s->rest, c, NULL);
	s->body = c->then == REST_ANSWER ? json_parse(buf_slice(&c->out), &e) : NULL;
	return c->status;
}

#define JSON "application/json"

static const char *text(const struct server *s, const char *path)
{
	return json_text_or(s->body, path, "");
}

static int64_t number(const struct server *s, const char *path)
{
	return json_int_at(s->body, path, -1);
}

#define PODS "/api/v1/namespaces/default/pods"
#define POD(name)                                                                      \
	"{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"" name       \
	"\",\"labels\":{\"app\":\"" name                                               \
	"\"}},\"spec\":{\"containers\":[{\"name\":\"c\","                              \
	"\"image\":\"busybox\"}]}}"

TEST(a_pod_is_created_with_defaults)
{
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "POST", PODS, JSON, POD("a")), 201);
	EQ_STR(text(&s, "spec.restartPolicy"), "Always");
	EQ_INT(number(&s, "spec.terminationGracePeriodSeconds"), 30);
	EQ_STR(text(&s, "spec.serviceAccountName"), "default");
	EQ_STR(text(&s, "status.phase"), "Pending");
	EQ_STR(text(&s, "spec.containers.0.volumeMounts.0.mountPath"),
		"/var/run/secrets/kubernetes.io/serviceaccount");
	EQ_INT(ask(&s, "POST", PODS, JSON, POD("a")), 409);
	EQ_STR(text(&s, "reason"), "AlreadyExists");
	EQ_INT(ask(&s, "GET", PODS "/a", "", NULL), 200);
	EQ_STR(text(&s, "metadata.namespace"), "default");
	fini(&s);
}

TEST(mistakes_are_told_by_field_all_at_once)
{
	struct server s;
	const struct json *causes;

	init(&s);
	EQ_INT(ask(&s, "POST", PODS, JSON,
		       "{\"metadata\":{\"name\":\"Bad_Name\"},\"spec\":{\"containers\":"
		       "[{"
		       "\"name\":\"c\",\"ports\":[{\"containerPort\":70000}],\"env\":[{"
		       "\"name\":\"A\",\"valueFrom\":{}}]},{\"name\":\"c\",\"image\":"
		       "\"x\"}]}}"),
		422);
	EQ_STR(text(&s, "reason"), "Invalid");
	causes = json_path(s.body, "details.causes");
	EQ_INT(json_count(causes), 5);
	EQ_STR(json_text_or(causes, "0.field", ""), "metadata.name");
	EQ_STR(json_text_or(causes, "1.field", ""), "spec.containers[0].image");
	EQ_STR(json_text_or(causes, "2.field", ""),
		"spec.containers[0].ports[0].containerPort");
	EQ_STR(json_text_or(causes, "3.field", ""),
		"spec.containers[0].env[0].valueFrom");
	EQ_STR(json_text_or(causes, "4.reason", ""), "FieldValueDuplicate");
	fini(&s);
}

TEST(a_value_of_another_type_and_an_unknown_field_are_told)
{
	static const char typo[] =
		"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":["
		"{\"name\":\"c\",\"image\":\"i\",\"comand\":[\"x\"]}]}}";
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "POST", PODS, JSON,
		       "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"containers\":[{"
		       "\"name\":\"c\",\"image\":\"i\",\"ports\":[{\"containerPort\":"
		       "\"80\"}]}]}}"),
		400);
	EQ_STR(text(&s, "message"),
		"the object provided cannot be decoded: json: cannot unmarshal string "
		"into "
		"field spec.containers[0].ports[0].containerPort of type integer");
	EQ_INT(ask(&s, "POST", PODS "?fieldValidation=Strict", JSON, typo), 400);
	EQ_STR(text(&s, "message"),
		"strict decoding error: unknown field \"spec.containers[0].comand\"");
	EQ_INT(ask(&s, "POST", PODS, JSON, typo), 201);
	fini(&s);
}

TEST(a_deployment_whose_selector_misses_its_template_is_invalid)
{
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "POST", "/apis/apps/v1/namespaces/default/deployments", JSON,
		       "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{"
		       "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{"
		       "\"labels\":{\"a\":\"c\"}},\"spec\":{\"containers\":[{\"name\":"
		       "\"c\","
		       "\"image\":\"i\"}]}}}}"),
		422);
	EQ_STR(text(&s, "details.causes.0.field"), "spec.template.metadata.labels");
	EQ_STR(text(&s, "details.kind"), "Deployment");
	EQ_STR(text(&s, "details.group"), "apps");
	fini(&s);
}

TEST(errors_have_the_codes_of_the_api)
{
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "GET", PODS "/none", "", NULL), 404);
	EQ_STR(text(&s, "message"), "pods \"none\" not found");
	EQ_INT(ask(&s, "GET", "/api/v1/nothing", "", NULL), 404);
	EQ_INT(ask(&s, "GET", "/apis/no/v1", "", NULL), 404);
	EQ_INT(ask(&s, "POST", PODS, JSON, "{"), 400);
	EQ_INT(ask(&s, "POST", PODS, "application/vnd.kubernetes.protobuf", "x"), 415);
	EQ_INT(ask(&s, "POST", "/api/v1/namespaces/none/pods", JSON, POD("a")), 404);
	EQ_INT(ask(&s, "TRACE", PODS, JSON, ""), 405);
	EQ_INT(ask(&s, "POST", PODS, JSON, "{\"kind\":\"Service\"}"), 400);
	EQ_INT(ask(&s, "GET", PODS "?labelSelector=a%20b", "", NULL), 400);
	fini(&s);
}

TEST(lists_select_by_labels_and_fields)
{
	struct server s;

	init(&s);
	ask(&s, "POST", PODS, JSON, POD("a"));
	ask(&s, "POST", PODS, JSON, POD("b"));
	EQ_INT(ask(&s, "GET", "/api/v1/pods?labelSelector=app%20in%20(a,c)", "", NULL),
		200);
	EQ_INT(json_count(json_get(s.body, "items")), 1);
	EQ_STR(text(&s, "kind"), "PodList");
	ask(&s, "GET", PODS "?fieldSelector=metadata.name!%3Da", "", NULL);
	EQ_STR(text(&s, "items.0.metadata.name"), "b");
	ask(&s, "GET", PODS "?fieldSelector=status.phase%3DPending", "", NULL);
	EQ_INT(json_count(json_get(s.body, "items")), 2);
	ask(&s, "GET", PODS "?labelSelector=!app", "", NULL);
	EQ_INT(json_count(json_get(s.body, "items")), 0);
	fini(&s);
}

TEST(each_kind_of_patch_is_applied_and_server_side_apply_refused)
{
	struct server s;

	init(&s);
	ask(&s, "POST", PODS, JSON, POD("a"));
	EQ_INT(ask(&s, "PATCH", PODS "/a", "application/merge-patch+json",
		       "{\"metadata\":{\"labels\":{\"x\":\"1\"}}}"),
		200);
	EQ_STR(text(&s, "metadata.labels.x"), "1");
	EQ_STR(text(&s, "metadata.labels.app"), "a");
	EQ_INT(ask(&s, "PATCH", PODS "/a", "application/json-patch+json",
		       "[{\"op\":\"remove\",\"path\":\"/metadata/labels/x\"}]"),
		200);
	EQ_STR(text(&s, "metadata.labels.x"), "");
	EQ_INT(ask(&s, "PATCH", PODS "/a", "application/strategic-merge-patch+json",
		       "{\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"other\"}"
		       "]}}"),
		200);
	EQ_STR(text(&s, "spec.containers.0.image"), "other");
	EQ_STR(text(&s, "spec.containers.0.terminationMessagePolicy"), "File");
	EQ_INT(ask(&s, "PATCH", PODS "/a", "application/apply-patch+yaml", "{}"), 415);
	EQ_INT(ask(&s, "PATCH", PODS "/a", "text/plain", "{}"), 415);
	EQ_INT(ask(&s, "PATCH", PODS "/a", "application/merge-patch+json",
		       "{\"metadata\":{\"resourceVersion\":\"1\"}}"),
		409);
	fini(&s);
}

TEST(status_and_spec_are_written_apart)
{
	struct server s;

	init(&s);
	ask(&s, "POST", PODS, JSON, POD("a"));
	ask(&s, "PATCH", PODS "/a", "application/merge-patch+json",
		"{\"status\":{\"phase\":\"Running\"}}");
	EQ_STR(text(&s, "status.phase"), "Pending");
	ask(&s, "PATCH", PODS "/a/status", "application/merge-patch+json",
		"{\"status\":{\"phase\":\"Running\"},\"metadata\":{\"labels\":{\"y\":"
		"\"1\"}}}");
	EQ_STR(text(&s, "status.phase"), "Running");
	EQ_STR(text(&s, "metadata.labels.y"), "");
	fini(&s);
}

TEST(services_get_addresses_of_their_own)
{
	struct server s;
	char first[64];

	init(&s);
	EQ_INT(ask(&s, "POST", "/api/v1/namespaces/default/services", JSON,
		       "{\"metadata\":{\"name\":\"a\"},\"spec\":{\"ports\":[{\"port\":"
		       "80}]}}"),
		201);
	snprintf(first, sizeof(first), "%s", text(&s, "spec.clusterIP"));
	EQ_STR(first, "10.96.0.11");
	EQ_INT(number(&s, "spec.ports.0.targetPort"), 80);
	ask(&s, "POST", "/api/v1/namespaces/default/services", JSON,
		"{\"metadata\":{\"name\":\"b\"},\"spec\":{\"ports\":[{\"port\":80}]}}");
	EQ_STR(text(&s, "spec.clusterIPs.0"), "10.96.0.12");
	ask(&s, "POST", "/api/v1/namespaces/default/services", JSON,
		"{\"metadata\":{\"name\":\"h\"},\"spec\":{\"clusterIP\":\"None\"}}");
	EQ_STR(text(&s, "spec.clusterIP"), "None");
	EQ_INT(ask(&s, "POST", "/api/v1/namespaces/default/services", JSON,
		       "{\"metadata\":{\"name\":\"c\"},\"spec\":{\"clusterIP\":\"10.96."
		       "0.11\","
		       "\"ports\":[{\"port\":80}]}}"),
		422);
	EQ_INT(ask(&s, "PATCH", "/api/v1/namespaces/default/services/a",
		       "application/merge-patch+json",
		       "{\"spec\":{\"clusterIP\":\"10.96.0.99\"}}"),
		422);
	fini(&s);
}

TEST(tables_have_the_columns_of_kubectl)
{
	struct server s;

	init(&s);
	ask(&s, "POST", PODS, JSON, POD("a"));
	s.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
	EQ_INT(ask(&s, "GET", PODS, "", NULL), 200);
	EQ_STR(text(&s, "kind"), "Table");
	EQ_STR(text(&s, "columnDefinitions.0.name"), "Name");
	EQ_STR(text(&s, "columnDefinitions.2.name"), "Status");
	EQ_INT(number(&s, "columnDefinitions.5.priority"), 1);
	EQ_STR(text(&s, "rows.0.cells.0"), "a");
	EQ_STR(text(&s, "rows.0.cells.1"), "0/1");
	EQ_STR(text(&s, "rows.0.cells.2"), "Pending");
	EQ_STR(text(&s, "rows.0.object.metadata.name"), "a");
	fini(&s);
}

TEST(scale_reads_and_writes_replicas)
{
	static const char at[] = "/apis/apps/v1/namespaces/default/deployments/d/scale";
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "POST", "/apis/apps/v1/namespaces/default/deployments", JSON,
		       "{\"metadata\":{\"name\":\"d\"},\"spec\":{\"selector\":{"
		       "\"matchLabels\":{\"a\":\"b\"}},\"template\":{\"metadata\":{"
		       "\"labels\":{\"a\":\"b\"}},\"spec\":{\"containers\":[{\"name\":"
		       "\"c\","
		       "\"image\":\"i\"}]}}}}"),
		201);
	EQ_INT(number(&s, "spec.replicas"), 1);
	EQ_STR(text(&s, "spec.strategy.rollingUpdate.maxSurge"), "25%");
	EQ_INT(ask(&s, "PATCH", at, "application/merge-patch+json",
		       "{\"spec\":{\"replicas\":4}}"),
		200);
	EQ_STR(text(&s, "kind"), "Scale");
	EQ_INT(number(&s, "spec.replicas"), 4);
	EQ_STR(text(&s, "status.selector"), "a=b");
	EQ_INT(ask(&s, "PATCH", at, "application/merge-patch+json",
		       "{\"spec\":{\"replicas\":-1}}"),
		422);
	fini(&s);
}

#define SERVERS "/apis/policy.linkerd.io/v1beta3/namespaces/default/servers"

TEST(a_definition_makes_a_new_kind)
{
	struct server s;
	const struct json *crd;

	init(&s);
	EQ_INT(ask(&s, "POST",
		       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", JSON,
		       "{\"metadata\":{\"name\":\"servers.policy.linkerd.io\"},"
		       "\"spec\":{"
		       "\"group\":\"policy.linkerd.io\",\"scope\":\"Namespaced\","
		       "\"names\":{"
		       "\"plural\":\"servers\",\"kind\":\"Server\",\"shortNames\":["
		       "\"srv\"]},"
		       "\"versions\":[{\"name\":\"v1beta3\",\"served\":true,"
		       "\"storage\":true,"
		       "\"additionalPrinterColumns\":[{\"name\":\"Port\",\"type\":"
		       "\"string\","
		       "\"jsonPath\":\".spec.port\"}]}]}}"),
		201);
	EQ_INT(ask(&s, "GET", SERVERS, "", NULL), 404);
	crd = store_get(s.rest.env.store,
		"customresourcedefinitions.apiextensions.k8s.io", "",
		"servers.policy.linkerd.io");
	OK(condition_is(crd, "Established", "True"));
	kinds_add_crd(s.kinds, crd);
	EQ_INT(ask(&s, "POST", SERVERS, JSON,
		       "{\"metadata\":{\"name\":\"x\"},\"spec\":{\"port\":\"http\"}}"),
		201);
	EQ_STR(text(&s, "apiVersion"), "policy.linkerd.io/v1beta3");
	s.accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
	ask(&s, "GET", SERVERS, "", NULL);
	EQ_STR(text(&s, "rows.0.cells.1"), "http");
	s.accept = NULL;
	EQ_INT(ask(&s, "GET", "/apis/policy.linkerd.io/v1beta3", "", NULL), 200);
	EQ_STR(text(&s, "resources.0.shortNames.0"), "srv");
	EQ_INT(ask(&s, "PATCH", SERVERS "/x", "application/strategic-merge-patch+json",
		       "{}"),
		415);
	fini(&s);
}

static void review(struct server *s, const char *token, const char *audience)
{
	char body[4096];

	snprintf(body, sizeof(body),
		"{\"spec\":{\"token\":\"%s\",\"audiences\":[\"%s\"]}}", token,
		audience);
	EQ_INT(ask(s, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", JSON,
		       body),
		201);
}

TEST(a_requested_token_is_known_again_for_its_audience_only)
{
	struct server s;
	char token[2048];

	init(&s);
	store_create(s.rest.env.store, "serviceaccounts",
		meta_new("v1", "ServiceAccount", "default", "web"), NULL, NULL);
	EQ_INT(ask(&s, "POST", "/api/v1/namespaces/default/serviceaccounts/web/token",
		       JSON,
		       "{\"spec\":{\"audiences\":[\"identity.l5d.io\"],"
		       "\"expirationSeconds\":3600}}"),
		201);
	snprintf(token, sizeof(token), "%s", text(&s, "status.token"));
	OK(strlen(token) > 100);
	review(&s, token, "identity.l5d.io");
	OK(json_bool_at(s.body, "status.authenticated", false));
	EQ_STR(text(&s, "status.user.username"), "system:serviceaccount:default:web");
	review(&s, token, "other");
	OK(!json_bool_at(s.body, "status.authenticated", true));
	token[strlen(token) - 2] ^= 1;
	review(&s, token, "identity.l5d.io");
	OK(!json_bool_at(s.body, "status.authenticated", true));
	store_delete(s.rest.env.store, "serviceaccounts", "default", "web", NULL, NULL,
		NULL);
	review(&s, token, "identity.l5d.io");
	OK(!json_bool_at(s.body, "status.authenticated", true));
	fini(&s);
}

static int lines(struct slice s)
{
	int n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

TEST(a_watch_follows_what_its_selector_says)
{
	struct server s;
	struct store_event ev;
	struct store_watch w;
	struct buf out = BUF_INIT;
	struct rest_call watch;
	struct arena a;

	init(&s);
	ask(&s, "POST", PODS, JSON, POD("a"));
	arena_init(&a, 1 << 16);
	watch = (struct rest_call){.method = SLICE("GET"),
		.path = SLICE(PODS),
		.query = SLICE("watch=1&labelSelector=on%3D1"),
		.arena = &a};
	rest_handle(&s.rest, &watch);
	EQ_INT(watch.then, REST_WATCH);
	rest_watch_begin(&s.rest, &watch, &out);
	EQ_INT(buf_len(&out), 0);
	store_watch_begin(&w, s.rest.env.store, "pods", watch.since, NULL);
	w.awake = true;
	ask(&s, "PATCH", PODS "/a", "application/merge-patch+json",
		"{\"metadata\":{\"labels\":{\"on\":\"1\"}}}");
	ask(&s, "PATCH", PODS "/a", "application/merge-patch+json",
		"{\"metadata\":{\"labels\":{\"on\":\"0\"}}}");
	ask(&s, "DELETE", PODS "/a", "", NULL);
	while (store_watch_next(&w, &ev) == STORE_MORE)
		rest_watch_event(&s.rest, &watch, &ev, &out);
	EQ_INT(lines(buf_slice(&out)), 2);
	OK(slice_starts(buf_slice(&out), SLICE("{\"type\":\"ADDED\"")));
	OK(memmem(out.p, out.end, "\"DELETED\"", 9));
	buf_fini(&out);
	store_watch_end(&w);
	rest_call_fini(&watch);
	arena_fini(&a);
	fini(&s);
}

TEST(a_dry_run_changes_nothing)
{
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "POST", PODS "?dryRun=All", JSON, POD("a")), 201);
	EQ_STR(text(&s, "spec.restartPolicy"), "Always");
	EQ_INT(ask(&s, "GET", PODS "/a", "", NULL), 404);
	fini(&s);
}

TEST(discovery_names_every_kind)
{
	struct server s;

	init(&s);
	EQ_INT(ask(&s, "GET", "/api", "", NULL), 200);
	EQ_INT(ask(&s, "GET", "/apis", "", NULL), 200);
	OK(json_count(json_get(s.body, "groups")) > 8);
	EQ_INT(ask(&s, "GET", "/api/v1", "", NULL), 200);
	EQ_STR(text(&s, "resources.0.name"), "pods");
	EQ_INT(ask(&s, "GET", "/openapi/v3/apis/apps/v1", "", NULL), 200);
	EQ_INT(ask(&s, "GET", "/readyz", "", NULL), 200);
	s.accept =
		"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
	EQ_INT(ask(&s, "GET", "/apis", "", NULL), 200);
	EQ_STR(text(&s, "kind"), "APIGroupDiscoveryList");
	fini(&s);
}

TEST(selectors_that_are_malformed_are_refused)
{
	static const char *const bad[] = {"a b", "a in b", "=x", "a in (b", "!"};
	struct err e;

	for (size_t i = 0; i < countof(bad); i++) {
		struct json *j = selector_parse(slice_of(bad[i]), &e);

		if (j)
			T_FAIL("%s was taken", bad[i]);
		json_free(j);
	}
}

static void make_maps(struct server *s, int n)
{
	char name[32];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		store_create(s->rest.env.store, "configmaps",
			meta_new("v1", "ConfigMap", "default", name), NULL, NULL);
	}
}

#define MAPS "/api/v1/namespaces/default/configmaps"

static int next_page(struct server *s, const char *more)
{
	char target[400];

	snprintf(target, sizeof(target), MAPS "?limit=2&continue=%s%s",
		text(s, "metadata.continue"), more);
	return ask(s, "GET", target, "", NULL);
}

TEST(pages_of_a_list_are_of_one_version)
{
	struct store_delete now = {.grace = 0};
	struct server s;
	char version[32];

	init(&s);
	make_maps(&s, 5);
	EQ_INT(ask(&s, "GET", MAPS "?limit=2", "", NULL), 200);
	EQ_INT(json_count(json_get(s.body, "items")), 2);
	EQ_INT(json_int_at(s.body, "metadata.remainingItemCount", 0), 3);
	snprintf(version, sizeof(version), "%s", text(&s, "metadata.resourceVersion"));
	store_delete(s.rest.env.store, "configmaps", "default", "m3", &now, NULL, NULL);
	store_create(s.rest.env.store, "configmaps",
		meta_new("v1", "ConfigMap", "default", "m9"), NULL, NULL);
	EQ_INT(next_page(&s, ""), 200);
	EQ_STR(text(&s, "items.1.metadata.name"), "m3");
	EQ_STR(text(&s, "metadata.resourceVersion"), version);
	EQ_INT(next_page(&s, ""), 200);
	EQ_INT(json_count(json_get(s.body, "items")), 1);
	EQ_STR(text(&s, "items.0.metadata.name"), "m4");
	EQ_STR(text(&s, "metadata.continue"), "");
	fini(&s);
}

TEST(a_list_goes_on_only_with_a_token_that_holds)
{
	struct server s;

	init(&s);
	make_maps(&s, 5);
	ask(&s, "GET", MAPS "?limit=2", "", NULL);
	EQ_INT(next_page(&s, "&resourceVersion=1"), 400);
	EQ_INT(ask(&s, "GET", MAPS "?continue=zzz", "", NULL), 400);
	EQ_INT(ask(&s, "GET", MAPS "?limit=x", "", NULL), 400);
	ask(&s, "GET", MAPS "?limit=2&labelSelector=a!=b", "", NULL);
	OK(*text(&s, "metadata.continue"));
	OK(!json_path(s.body, "metadata.remainingItemCount"));
	for (int i = 0; i < 2001; i++)
		store_tell(s.rest.env.store, "test",
			store_get(s.rest.env.store, "configmaps", "default", "m1"),
			"Normal", "Counted", "again");
	EQ_INT(next_page(&s, ""), 410);
	EQ_STR(text(&s, "reason"), "Expired");
	fini(&s);
}
