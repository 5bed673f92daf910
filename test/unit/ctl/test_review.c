/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/review.h"

#include "base/obj.h"
#include "ctl/injectorint.h"
#include "t.h"

#define REVIEW(version, request)                                                       \
	"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/" version     \
	"\",\"request\":" request "}"
#define GOOD                                                                           \
	REVIEW("v1",                                                                   \
		"{\"uid\":\"u\",\"kind\":{\"kind\":\"Pod\"},\"namespace\":\"shop\","   \
		"\"dryRun\":true,\"object\":{\"a\":1}}")

static struct json *written(const struct review *r, const struct review_answer *a)
{
	struct buf text = BUF_INIT;
	struct json *j;

	review_write(r, a, &text);
	j = json_parse(buf_slice(&text), NULL);
	OK(j);
	buf_fini(&text);
	return j;
}

TEST(a_review_is_read_and_answered_in_its_version)
{
	struct json *ops = json_parse(SLICE("[{\"op\":\"add\"}]"), NULL);
	struct review_answer a = {.patch = ops};
	struct review r;
	struct json *j;

	OK(review_read(&r, SLICE(GOOD), NULL) == 0);
	EQ_STR(r.kind, "Pod");
	EQ_STR(r.namespace, "shop");
	EQ_INT(r.dry_run, true);
	EQ_INT(json_int_at(r.object, "a", 0), 1);
	j = written(&r, &a);
	EQ_STR(json_text_or(j, "apiVersion", ""), "admission.k8s.io/v1");
	EQ_STR(json_text_or(j, "response.uid", ""), "u");
	EQ_INT(json_bool_at(j, "response.allowed", false), true);
	EQ_STR(json_text_or(j, "response.patchType", ""), "JSONPatch");
	EQ_STR(json_text_or(j, "response.patch", ""), "W3sib3AiOiJhZGQifV0=");
	json_free(j);
	json_free(ops);
	review_fini(&r);
}

TEST(a_refusal_has_a_status_and_no_patch)
{
	struct json *ops = json_parse(SLICE("[1]"), NULL);
	struct review_answer a = {.patch = ops, .refused = 400, .message = "because"};
	struct review r;
	struct json *j;

	OK(review_read(&r, SLICE(GOOD), NULL) == 0);
	j = written(&r, &a);
	EQ_INT(json_bool_at(j, "response.allowed", true), false);
	EQ_INT(json_int_at(j, "response.status.code", 0), 400);
	EQ_STR(json_text_or(j, "response.status.message", ""), "because");
	OK(!json_path(j, "response.patch"));
	json_free(j);
	json_free(ops);
	review_fini(&r);
}

TEST(nothing_to_do_is_no_patch)
{
	struct json *ops = json_list();
	struct review_answer a = {.patch = ops};
	struct review r;
	struct json *j;

	OK(review_read(&r, SLICE(REVIEW("v1beta1", "{\"uid\":\"u\",\"object\":{}}")),
		   NULL) == 0);
	j = written(&r, &a);
	EQ_STR(json_text_or(j, "apiVersion", ""), "admission.k8s.io/v1beta1");
	OK(!json_path(j, "response.patch") && !json_path(j, "response.patchType"));
	json_free(j);
	json_free(ops);
	review_fini(&r);
}

TEST(what_is_no_review_is_refused)
{
	static const char *const texts[] = {"", "null", "[]", "{}", "1",
		REVIEW("v2", "{\"uid\":\"u\",\"object\":{}}"), REVIEW("v1", "null"),
		REVIEW("v1", "{\"uid\":\"\",\"object\":{}}"),
		REVIEW("v1", "{\"uid\":1,\"object\":{}}"),
		REVIEW("v1", "{\"uid\":\"u\",\"object\":[]}"),
		REVIEW("v1", "{\"uid\":\"u\"}")};

	for (size_t i = 0; i < countof(texts); i++) {
		struct review r;
		struct err e = {0};

		if (review_read(&r, slice_of(texts[i]), &e) == 0)
			T_FAIL("%s", texts[i]);
		OK(e.code != ERR_NONE);
		review_fini(&r);
	}
}

TEST(a_review_that_is_cut_is_none)
{
	struct slice text = SLICE(GOOD);

	for (size_t n = 0; n < text.n; n++) {
		struct review r;

		OK(review_read(&r, slice_bytes(text.p, n), NULL) == -1);
		review_fini(&r);
	}
}

/* ---- counters ---- */

static bool has(const struct injector_meter *m, const char *line)
{
	struct buf b = BUF_INIT;
	bool yes;

	injector_meter_write(m, &b);
	buf_char(&b, '\0');
	yes = strstr(b.p + b.at, line) != NULL;
	buf_fini(&b);
	return yes;
}

TEST(counters_have_owner_namespace_and_settings)
{
	struct injector_meter m = {0};
	struct inject_out out = {.annotation_at = "workload", .injected = true};
	struct injector_told told = {"deployment", "shop", &out, false};

	out.config = json_parse(SLICE("{\"proxy-cpu-limit\":\"1\\n\\\"\"}"), NULL);
	injector_count(&m, &told);
	injector_count(&m, &told);
	OK(has(&m, "\nproxy_inject_admission_requests_total{owner_kind=\"deployment\","
		   "namespace=\"shop\",annotation_at=\"workload\","
		   "proxy_cpu_limit=\"1\\n\\\"\"} 2\n"));
	OK(has(&m, ",skip=\"false\",skip_reason=\"\"} 2\n"));
	json_remove(out.config, "proxy-cpu-limit");
	out.injected = false;
	out.reasons = 1u << INJECT_REASON_HOST_NETWORK | 1u << INJECT_REASON_UDP;
	injector_count(&m, &told);
	OK(has(&m, ",skip=\"true\",skip_reason=\"host_network_enabled,"
		   "udp_ports_enabled\"} 1\n"));
	json_free(out.config);
	injector_meter_fini(&m);
}

TEST(counters_do_not_grow_without_end)
{
	struct injector_meter m = {0};
	struct inject_out out = {.annotation_at = ""};
	char ns[16];
	struct injector_told told = {"pod", ns, &out, false};

	for (int i = 0; i < 3000; i++) {
		snprintf(ns, sizeof ns, "n%d", i);
		injector_count(&m, &told);
	}
	EQ_INT(m.series.count, 2000);
	EQ_INT(m.other, 4000);
	injector_meter_fini(&m);
}
