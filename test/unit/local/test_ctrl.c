/* SPDX-License-Identifier: Apache-2.0 */
#include "local/ctrl.h"

#include "base/clock.h"
#include "base/obj.h"
#include "local/defaults.h"
#include "local/meta.h"
#include "t.h"

static uint64_t fake_now = UINT64_C(1800000000) * NS_PER_S;

static uint64_t now_of(void *arg)
{
	(void)arg;
	return fake_now;
}

struct world {
	struct store *store;
	struct kinds *kinds;
	struct ctrls *ctrls;
	int next_ip;
	const char *refuse; /* creations fail with this */
};

static struct json *parse(const char *text)
{
	struct err e = {0};
	struct json *j = json_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

static void create(
	void *arg, const char *res, struct json *obj, ctrl_created *done, void *ctx)
{
	struct world *w = arg;
	const struct kind *k = kind_of_store(w->kinds, res);
	struct err e = {0};

	if (w->refuse && strcmp(res, "pods") == 0) {
		json_free(obj);
		err_set(&e, ERR_DENIED, "%s", w->refuse);
		done(ctx, &e);
		return;
	}
	defaults_set(k, obj);
	defaults_set_new(k, obj);
	done(ctx, store_create(w->store, res, obj, NULL, &e) == STORE_OK ? NULL : &e);
}

static void no_wake(void *arg)
{
	(void)arg;
}

static void world_init(struct world *w)
{
	struct store_config cfg = {.now = now_of};
	struct ctrls_config cc = {
		.create = create, .wake = no_wake, .arg = w, .ca_pem = "PEM"};

	*w = (struct world){.store = store_new(&cfg, NULL), .kinds = kinds_new()};
	cc.store = w->store;
	cc.kinds = w->kinds;
	w->ctrls = ctrls_new(&cc);
	store_create(w->store, "nodes", meta_new("v1", "Node", "", "here"), NULL, NULL);
}

static void world_fini(struct world *w)
{
	ctrls_free(w->ctrls);
	store_free(w->store);
	kinds_free(w->kinds);
}

static void put(struct world *w, const char *res, const char *text)
{
	struct json *obj = parse(text);
	const struct kind *k = kind_of_store(w->kinds, res);

	defaults_set(k, obj);
	defaults_set_new(k, obj);
	EQ_INT(store_create(w->store, res, obj, NULL, NULL), STORE_OK);
}

static size_t count(struct world *w, const char *res)
{
	struct store_list all;
	size_t n;

	store_list(w->store, res, NULL, &all);
	n = all.n;
	store_list_end(&all);
	return n;
}

/* Runs pods as a kubelet would: marked ones go, bound ones get an address and are ready
 * (or end with `phase`). */
static bool kubelet(struct world *w, const char *phase)
{
	struct store_delete at_once = {.grace = 0};
	struct store_list all;
	bool did = false;

	store_list(w->store, "pods", NULL, &all);
	for (size_t i = 0; i < all.n; i++) {
		const struct object *o = all.v[i];
		struct json *s;
		char ip[32];

		if (meta_is_deleted(o->json)) {
			store_delete(
				w->store, "pods", o->ns, o->name, &at_once, NULL, NULL);
			did = true;
			continue;
		}
		if (!*json_text_or(o->json, "spec.nodeName", "") ||
			*json_text_or(o->json, "status.podIP", ""))
			continue;
		s = json_copy(json_get(o->json, "status"));
		snprintf(ip, sizeof(ip), "10.1.0.%d", ++w->next_ip);
		json_set_text(s, "podIP", ip);
		json_set_text(s, "phase", phase);
		condition_set(s, "Ready",
			strcmp(phase, "Running") == 0 ? "True" : "False", "", "",
			fake_now);
		store_set_status(w->store, "pods", o->ns, o->name, s, NULL);
		did = true;
	}
	store_list_end(&all);
	return did;
}

static void settle(struct world *w, const char *phase)
{
	for (int i = 0; i < 100; i++) {
		ctrls_run(w->ctrls);
		if (!kubelet(w, phase))
			break;
	}
	ctrls_run(w->ctrls);
}

#define DEPLOY(replicas, image)                                                        \
	"{\"apiVersion\":\"apps/"                                                      \
	"v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\","                 \
	"\"namespace\":\"default\"},\"spec\":{\"replicas\":" replicas                  \
	",\"selector\":{\"matchLabels\":{\"app\":\"web\"}},\"template\":{"             \
	"\"metadata\":{"                                                               \
	"\"labels\":{\"app\":\"web\"}},\"spec\":{\"containers\":[{\"name\":\"c\","     \
	"\"image\":\"" image                                                           \
	"\",\"ports\":[{\"name\":\"http\",\"containerPort\":8080}]}]}}}}"

static const struct json *deployment(struct world *w)
{
	return store_get(w->store, "deployments.apps", "default", "web");
}

static void change(struct world *w, const char *path, struct json *value)
{
	struct json *d = json_copy(deployment(w));
	char parent[100];
	const char *dot = strrchr(path, '.');

	snprintf(parent, sizeof(parent), "%.*s", (int)(dot - path), path);
	json_set(json_path(d, parent), dot + 1, value);
	EQ_INT(store_update(
		       w->store, "deployments.apps", d, STORE_NO_STATUS, NULL, NULL),
		STORE_OK);
}

TEST(a_deployment_becomes_pods_and_says_so)
{
	struct world w;

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("3", "a:1"));
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 3);
	EQ_INT(count(&w, "replicasets.apps"), 1);
	EQ_INT(json_int_at(deployment(&w), "status.availableReplicas", 0), 3);
	EQ_INT(json_int_at(deployment(&w), "status.updatedReplicas", 0), 3);
	OK(condition_is(deployment(&w), "Available", "True"));
	EQ_STR(json_text_or(condition_get(deployment(&w), "Progressing"), "reason", ""),
		"NewReplicaSetAvailable");
	world_fini(&w);
}

TEST(scaling_adds_and_removes_pods)
{
	struct world w;

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("1", "a:1"));
	settle(&w, "Running");
	change(&w, "spec.replicas", json_integer(5));
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 5);
	change(&w, "spec.replicas", json_integer(1));
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 1);
	change(&w, "spec.replicas", json_integer(0));
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 0);
	world_fini(&w);
}

static int64_t available(struct world *w)
{
	struct store_list all;
	int64_t n = 0;

	store_list(w->store, "pods", NULL, &all);
	for (size_t i = 0; i < all.n; i++)
		n += pod_is_ready(all.v[i]->json) && !meta_is_deleted(all.v[i]->json);
	store_list_end(&all);
	return n;
}

TEST(a_rolling_update_keeps_within_its_limits)
{
	struct world w;
	struct json *limits = parse("{\"maxSurge\":1,\"maxUnavailable\":0}");

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("3", "a:1"));
	settle(&w, "Running");
	change(&w, "spec.strategy.rollingUpdate", limits);
	change(&w, "spec.template.spec.containers",
		parse("[{\"name\":\"c\",\"image\":\"a:2\"}]"));
	for (int i = 0; i < 50; i++) {
		bool more;

		ctrls_run(w.ctrls);
		OK(available(&w) >= 3);
		more = kubelet(&w, "Running");
		OK(available(&w) <= 4);
		if (!more)
			break;
	}
	EQ_INT(count(&w, "pods"), 3);
	EQ_INT(count(&w, "replicasets.apps"), 2);
	EQ_STR(meta_annotation(deployment(&w), "deployment.kubernetes.io/revision"),
		"2");
	EQ_INT(json_int_at(deployment(&w), "status.replicas", 0), 3);
	world_fini(&w);
}

TEST(a_deployment_that_does_not_progress_says_so_after_its_deadline)
{
	struct world w;

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("1", "a:1"));
	ctrls_run(w.ctrls);
	fake_now += 601 * NS_PER_S;
	ctrls_run(w.ctrls);
	EQ_STR(json_text_or(condition_get(deployment(&w), "Progressing"), "reason", ""),
		"ProgressDeadlineExceeded");
	world_fini(&w);
}

TEST(what_is_refused_is_told_and_tried_again)
{
	struct world w;

	world_init(&w);
	w.refuse = "admission webhook denied the request";
	put(&w, "deployments.apps", DEPLOY("1", "a:1"));
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 0);
	OK(count(&w, "events") > 0);
	w.refuse = NULL;
	fake_now += 6 * NS_PER_S;
	settle(&w, "Running");
	EQ_INT(count(&w, "pods"), 1);
	world_fini(&w);
}

TEST(deleting_a_deployment_deletes_what_it_owns)
{
	struct world w;

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("2", "a:1"));
	settle(&w, "Running");
	store_delete(w.store, "deployments.apps", "default", "web", NULL, NULL, NULL);
	settle(&w, "Running");
	EQ_INT(count(&w, "replicasets.apps"), 0);
	EQ_INT(count(&w, "pods"), 0);
	world_fini(&w);
}

TEST(a_foreground_deletion_ends_with_the_last_dependent)
{
	struct world w;
	struct store_delete how = {.grace = -1, .foreground = true};
	struct object *left = NULL;

	world_init(&w);
	put(&w, "deployments.apps", DEPLOY("2", "a:1"));
	settle(&w, "Running");
	store_delete(w.store, "deployments.apps", "default", "web", &how, &left, NULL);
	OK(left);
	settle(&w, "Running");
	OK(!deployment(&w));
	EQ_INT(count(&w, "pods"), 0);
	world_fini(&w);
}

#define SERVICE                                                                        \
	"{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\","  \
	"\"namespace\":\"default\"},\"spec\":{\"selector\":{\"app\":\"web\"},"         \
	"\"ports\":[{"                                                                 \
	"\"port\":80,\"targetPort\":\"http\"}]}}"

static const struct json *only(struct world *w, const char *res)
{
	const struct json *obj;
	struct store_list all;

	store_list(w->store, res, "default", &all);
	EQ_INT(all.n, 1);
	obj = all.v[0]->json;
	store_list_end(&all);
	return obj;
}

TEST(a_service_has_a_slice_of_its_ready_pods)
{
	struct world w;
	const struct json *slice;

	world_init(&w);
	put(&w, "services", SERVICE);
	put(&w, "deployments.apps", DEPLOY("2", "a:1"));
	settle(&w, "Running");
	slice = only(&w, "endpointslices.discovery.k8s.io");
	EQ_INT(json_count(json_get(slice, "endpoints")), 2);
	EQ_INT(json_int_at(slice, "ports.0.port", 0), 8080);
	OK(json_bool_at(slice, "endpoints.0.conditions.ready", false));
	EQ_STR(json_text_or(slice, "endpoints.0.targetRef.kind", ""), "Pod");
	EQ_STR(meta_label(slice, "kubernetes.io/service-name"), "web");
	change(&w, "spec.replicas", json_integer(0));
	ctrls_run(w.ctrls);
	slice = only(&w, "endpointslices.discovery.k8s.io");
	OK(json_bool_at(slice, "endpoints.0.conditions.terminating", false));
	OK(!json_bool_at(slice, "endpoints.0.conditions.ready", true));
	settle(&w, "Running");
	slice = only(&w, "endpointslices.discovery.k8s.io");
	EQ_INT(json_count(json_get(slice, "endpoints")), 0);
	store_delete(w.store, "services", "default", "web", NULL, NULL, NULL);
	settle(&w, "Running");
	EQ_INT(count(&w, "endpointslices.discovery.k8s.io"), 0);
	world_fini(&w);
}

#define JOB(spec)                                                                      \
	"{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"j\","  \
	"\"namespace\":\"default\"},\"spec\":{" spec                                   \
	"\"template\":{\"spec\":{\"restartPolicy\":\"Never\",\"containers\":[{"        \
	"\"name\":\"c\","                                                              \
	"\"image\":\"a\"}]}}}}"

TEST(a_job_is_complete_when_enough_pods_have_succeeded)
{
	struct world w;
	const struct json *job;

	world_init(&w);
	put(&w, "jobs.batch", JOB("\"completions\":3,\"parallelism\":2,"));
	ctrls_run(w.ctrls);
	EQ_INT(count(&w, "pods"), 2);
	settle(&w, "Succeeded");
	job = store_get(w.store, "jobs.batch", "default", "j");
	EQ_INT(json_int_at(job, "status.succeeded", 0), 3);
	OK(condition_is(job, "Complete", "True"));
	EQ_INT(count(&w, "pods"), 3);
	world_fini(&w);
}

TEST(a_job_fails_past_its_backoff_limit_and_waits_between)
{
	struct world w;
	const struct json *job;

	world_init(&w);
	put(&w, "jobs.batch", JOB("\"backoffLimit\":1,"));
	settle(&w, "Failed");
	EQ_INT(count(&w, "pods"), 1);
	fake_now += 11 * NS_PER_S;
	settle(&w, "Failed");
	EQ_INT(count(&w, "pods"), 2);
	job = store_get(w.store, "jobs.batch", "default", "j");
	EQ_STR(json_text_or(condition_get(job, "Failed"), "reason", ""),
		"BackoffLimitExceeded");
	world_fini(&w);
}

TEST(a_namespace_is_born_with_an_account_and_ends_with_its_last_object)
{
	struct world w;

	world_init(&w);
	put(&w, "namespaces",
		"{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":"
		"\"n\"}}");
	ctrls_run(w.ctrls);
	OK(store_get(w.store, "serviceaccounts", "n", "default"));
	OK(store_get(w.store, "configmaps", "n", "kube-root-ca.crt"));
	put(&w, "pods",
		"{\"metadata\":{\"name\":\"p\",\"namespace\":\"n\"},\"spec\":{"
		"\"containers\":["
		"{\"name\":\"c\"}]}}");
	ctrls_run(w.ctrls);
	store_delete(w.store, "namespaces", "", "n", NULL, NULL, NULL);
	ctrls_run(w.ctrls);
	OK(store_get(w.store, "namespaces", "", "n"));
	settle(&w, "Running");
	OK(!store_get(w.store, "namespaces", "", "n"));
	EQ_INT(count(&w, "serviceaccounts"), 0);
	world_fini(&w);
}

TEST(a_pod_is_bound_when_the_node_comes)
{
	struct world w;

	world_init(&w);
	store_delete(w.store, "nodes", "", "here", NULL, NULL, NULL);
	put(&w, "deployments.apps", DEPLOY("1", "a:1"));
	settle(&w, "Running");
	EQ_STR(json_text_or(only(&w, "pods"), "spec.nodeName", ""), "");
	store_create(w.store, "nodes", meta_new("v1", "Node", "", "here"), NULL, NULL);
	settle(&w, "Running");
	EQ_STR(json_text_or(only(&w, "pods"), "spec.nodeName", ""), "here");
	world_fini(&w);
}
