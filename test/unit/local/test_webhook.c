/* SPDX-License-Identifier: Apache-2.0 */
#include "local/webhook.h"

#include "base/clock.h"
#include "base/obj.h"
#include "http/site.h"
#include "local/admit.h"
#include "local/change.h"
#include "local/meta.h"
#include "local/verbs.h"
#include "t.h"
#include "testca.h"
#include "tls/init.h"

static struct json *parse(const char *text)
{
	struct err e = {0};
	struct json *j = json_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

struct world {
	struct change_env env;
	struct kinds *kinds;
	struct change change;
	struct loop *loop;
	struct testca ca;
	struct snap creds;
	struct site *site;
	const char *response; /* of the webhook */
	bool mute;            /* it never answers */
	struct buf asked;     /* what it was asked */
	struct json *refused;
	bool done;
};

static void init(struct world *w)
{
	struct store_config cfg = {0};
	struct json *ns = meta_new("v1", "Namespace", "", "default");

	*w = (struct world){.kinds = kinds_new()};
	json_set_text(
		json_need_object(json_get(ns, "metadata"), "labels"), "env", "test");
	w->env.store = store_new(&cfg, NULL);
	w->env.kinds = w->kinds;
	store_create(w->env.store, "namespaces", ns, NULL, NULL);
	w->change = (struct change){.env = &w->env,
		.kind = kind_of_store(w->kinds, "pods"),
		.verb = CHANGE_CREATE,
		.ns = "default",
		.user = "me",
		.obj = parse(
			"{\"metadata\":{\"name\":\"p\",\"labels\":{\"app\":\"x\"}}}")};
}

static void fini(struct world *w)
{
	change_fini(&w->change);
	store_free(w->env.store);
	kinds_free(w->kinds);
	json_free(w->refused);
	buf_fini(&w->asked);
}

#define RULES                                                                          \
	"\"rules\":[{\"operations\":[\"CREATE\"],\"apiGroups\":[\"\"],"                \
	"\"apiVersions\":["                                                            \
	"\"v1\"],\"resources\":[\"pods\",\"services\"]}]"

static void add_hook(struct world *w, const char *name, const char *rest)
{
	struct json *cfg = meta_new("admissionregistration.k8s.io/v1",
		"MutatingWebhookConfiguration", "", name);
	char text[8192];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",%s}", name, rest);
	json_push(json_need_list(cfg, "webhooks"), parse(text));
	EQ_INT(store_create(w->env.store,
		       "mutatingwebhookconfigurations.admissionregistration.k8s.io",
		       cfg, NULL, NULL),
		STORE_OK);
}

static size_t count(struct world *w)
{
	struct webhook hooks[WEBHOOKS_MAX];
	size_t n = webhooks_for(&w->change, hooks);

	for (size_t i = 0; i < n; i++)
		webhook_fini(&hooks[i]);
	return n;
}

TEST(rules_and_selectors_choose_the_webhooks)
{
	static const struct {
		const char *rest;
		size_t n;
	} cases[] = {
		{RULES, 1},
		{"\"rules\":[{\"operations\":[\"*\"],\"apiGroups\":[\"*\"],"
		 "\"apiVersions\":["
		 "\"*\"],\"resources\":[\"*\"]}]",
			1},
		{"\"rules\":[{\"operations\":[\"UPDATE\"],\"apiGroups\":[\"\"],"
		 "\"apiVersions\":[\"v1\"],\"resources\":[\"pods\"]}]",
			0},
		{"\"rules\":[{\"operations\":[\"CREATE\"],\"apiGroups\":[\"apps\"],"
		 "\"apiVersions\":[\"v1\"],\"resources\":[\"pods\"]}]",
			0},
		{RULES ",\"namespaceSelector\":{\"matchLabels\":{\"env\":\"test\"}}",
			1},
		{RULES ",\"namespaceSelector\":{\"matchExpressions\":[{\"key\":\"env\","
		       "\"operator\":\"NotIn\",\"values\":[\"test\"]}]}",
			0},
		{RULES ",\"objectSelector\":{\"matchExpressions\":[{\"key\":\"app\","
		       "\"operator\":\"DoesNotExist\"}]}",
			0},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct world w;

		init(&w);
		add_hook(&w, "h", cases[i].rest);
		EQ_INT(count(&w), cases[i].n);
		fini(&w);
	}
}

/* ---- over HTTPS ---- */

static void on_review(struct call *c)
{
	struct world *w = c->site_arg;

	buf_adds(&w->asked, c->body);
	if (!w->mute)
		call_reply(c, 200, "application/json", slice_of(w->response));
}

static void start(struct world *w)
{
	static const struct route routes[] = {{"POST", "/", on_review}};
	struct site_config cfg = {.creds = &w->creds,
		.routes = routes,
		.nroutes = countof(routes),
		.arg = w};
	struct testleaf leaf = {.ip = "127.0.0.1"};
	struct err e = {0};

	tls_init();
	w->loop = loop_new(&e);
	testca_init(&w->ca);
	w->creds = SNAP_INIT;
	snap_set(&w->creds, creds_ref(testca_creds_of(&w->ca, &leaf)));
	OK(addr_parse(SLICE("127.0.0.1:0"), &cfg.at));
	w->site = site_new(w->loop, &cfg, &e);
	if (!w->site)
		T_FAIL("%s", e.msg);
}

static void point_there(struct world *w, uint16_t port, const char *more)
{
	struct buf pem = BUF_INIT, rest = BUF_INIT;

	buf_base64(&pem, buf_slice(&w->ca.root_pem));
	buf_printf(&rest,
		RULES ",\"clientConfig\":{\"url\":\"https://127.0.0.1:%u/"
		      "\",\"caBundle\":\"%.*s\""
		      "}%s",
		port, SLICE_FMT(buf_slice(&pem)), more);
	buf_char(&rest, 0);
	add_hook(w, "hook.test", buf_slice(&rest).p);
	buf_fini(&pem);
	buf_fini(&rest);
}

static void on_done(void *arg, struct json *refused)
{
	struct world *w = arg;

	w->refused = refused;
	w->done = true;
	loop_stop(w->loop);
}

static void run(struct world *w)
{
	struct err e = {0};
	struct dns *dns = dns_new(w->loop, NULL, &e);

	OK(dns);
	OK(admit_begin(w->loop, dns, &w->change, on_done, w));
	OK(loop_run(w->loop, &e) == 0);
	OK(w->done);
	dns_free(dns);
}

static void on_settled(struct timer *t)
{
	loop_stop(t->loop);
}

static void stop(struct world *w)
{
	struct timer settle;

	/* Connections end at the end of a turn. */
	site_free(w->site);
	timer_init(&settle, w->loop, on_settled);
	timer_set(&settle, 5 * NS_PER_MS);
	OK(loop_run(w->loop, NULL) == 0);
	snap_set(&w->creds, NULL);
	loop_free(w->loop);
	testca_fini(&w->ca);
	fini(w);
}

TEST(a_webhook_changes_the_object)
{
	struct world w;

	init(&w);
	start(&w);
	/* [{"op":"add","path":"/metadata/labels/y","value":"1"}] */
	w.response =
		"{\"response\":{\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":"
		"\"W3sib3AiOiJhZGQiLCJwYXRoIjoiL21ldGFkYXRhL2xhYmVscy95Iiwid"
		"mFsdWUiOiIxIn1d\"}}";
	point_there(&w, site_addr(w.site)->port, "");
	run(&w);
	OK(!w.refused);
	EQ_STR(meta_label(w.change.obj, "y"), "1");
	EQ_STR(meta_label(w.change.obj, "app"), "x");
	OK(memmem(w.asked.p, w.asked.end, "\"operation\":\"CREATE\"", 20));
	stop(&w);
}

TEST(what_a_webhook_warns_of_is_kept)
{
	struct world w;

	init(&w);
	start(&w);
	w.response = "{\"response\":{\"allowed\":true,\"warnings\":[\"a\",1,\"b\"]}}";
	point_there(&w, site_addr(w.site)->port, "");
	run(&w);
	EQ_INT(json_count(w.change.warnings), 2);
	EQ_STR(json_text_or(w.change.warnings, "1", ""), "b");
	stop(&w);
}

TEST(a_webhook_refuses_with_its_message)
{
	struct world w;

	init(&w);
	start(&w);
	w.response = "{\"response\":{\"allowed\":false,\"status\":{\"message\":\"no\","
		     "\"code\":403}}}";
	point_there(&w, site_addr(w.site)->port, "");
	run(&w);
	EQ_INT(json_int_at(w.refused, "code", 0), 403);
	EQ_STR(json_text_or(w.refused, "message", ""),
		"admission webhook \"hook.test\" denied the request: no");
	stop(&w);
}

TEST(a_webhook_that_may_fail_is_passed_by)
{
	static const char *const answers[] = {"no json", "{}",
		"{\"response\":{\"allowed\":true,\"patch\":\"W3t9XQ==\"}}"};

	for (size_t i = 0; i < countof(answers); i++) {
		struct world w;

		init(&w);
		start(&w);
		w.response = answers[i];
		point_there(
			&w, site_addr(w.site)->port, ",\"failurePolicy\":\"Ignore\"");
		run(&w);
		OK(!w.refused);
		EQ_STR(meta_label(w.change.obj, "app"), "x");
		stop(&w);
	}
}

TEST(a_webhook_that_is_not_there_fails_the_change)
{
	struct world w;

	init(&w);
	start(&w);
	point_there(&w, 1, ",\"timeoutSeconds\":1");
	run(&w);
	EQ_INT(json_int_at(w.refused, "code", 0), 500);
	stop(&w);
}

TEST(a_webhook_that_is_mute_is_waited_for_no_longer_than_it_says)
{
	struct world w;
	uint64_t from = clock_mono();

	init(&w);
	start(&w);
	w.mute = true;
	point_there(&w, site_addr(w.site)->port, ",\"timeoutSeconds\":1");
	run(&w);
	EQ_INT(json_int_at(w.refused, "code", 0), 500);
	OK(clock_mono() - from < 5 * NS_PER_S);
	stop(&w);
}

/* ---- what apply sends ---- */

TEST(apply_removes_what_it_set_before_and_leaves_the_rest)
{
	struct json *last = parse("{\"a\":{\"x\":1,\"y\":2},\"b\":1}");
	struct json *want = parse("{\"a\":{\"x\":3}}");
	struct json *patch = apply_patch(last, want);
	struct json *expect = parse("{\"a\":{\"x\":3,\"y\":null},\"b\":null}");

	OK(json_equal(patch, expect));
	json_free(last);
	json_free(want);
	json_free(patch);
	json_free(expect);
}
