/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/inject_docs.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"
#include "wire/yaml.h"

#define WEB                                                                            \
	"apiVersion: apps/v1\n"                                                        \
	"kind: Deployment # of the shop\n"                                             \
	"metadata: {name: web}\n"                                                      \
	"spec: {template: {metadata: {labels: {app: web}}, spec: {containers: "        \
	"[{name: web, image: web}]}}}\n"
#define HOST                                                                           \
	"kind: DaemonSet\n"                                                            \
	"metadata: {name: agent} # stays\n"                                            \
	"spec: {template: {spec: {hostNetwork: true, containers: []}}}\n"
#define DB                                                                             \
	"kind: Service\n"                                                              \
	"metadata: {name: db} # too\n"                                                 \
	"spec: {ports: [{port: 1}]}\n"

struct run {
	struct docs_job job;
	struct json *annotations, *values;
	struct buf out, said;
	struct docs_report report;
	struct err err;
	int r;
};

static const char *values_of; /* NULL: what is needed */

static void run(struct run *r, enum docs_what what, const char *annotations,
	const char *text, bool verbose)
{
	r->annotations = annotations ? yaml_parse(slice_of(annotations), NULL) : NULL;
	r->values = inject_values_read(
		slice_of(values_of ? values_of : "identityTrustAnchorsPEM: pem"), NULL);
	r->job.what = what;
	r->job.annotations = r->annotations;
	r->job.values = r->values;
	r->r = docs_transform(&r->job, slice_of(text), &r->out, &r->report, &r->err);
	docs_report_write(&r->report, verbose, &r->said);
	buf_char(&r->out, '\0');
	buf_char(&r->said, '\0');
}

static void run_fini(struct run *r)
{
	json_free(r->annotations);
	json_free(r->values);
	buf_fini(&r->out);
	buf_fini(&r->said);
	docs_report_fini(&r->report);
}

static struct json *docs_of(const struct run *r)
{
	struct err e = {0};
	struct json *docs = yaml_parse_all(slice_of(r->out.p + r->out.at), &e);

	if (!docs)
		T_FAIL("%s in:\n%s", e.msg, r->out.p + r->out.at);
	return docs;
}

TEST(templates_are_annotated_and_the_rest_comes_out_as_it_was)
{
	struct run r = {0};
	struct json *docs;

	run(&r, DOCS_ANNOTATE, "{linkerd.io/inject: enabled}",
		"---\n" WEB "---\n# nothing\n---\n" HOST "---   \n" DB, false);
	EQ_INT(r.r, 0);
	docs = docs_of(&r);
	EQ_INT(json_count(docs), 3);
	EQ_STR(json_text(
		       json_get(json_path(docs, "0.spec.template.metadata.annotations"),
			       "linkerd.io/inject")),
		"enabled");
	OK(strstr(r.out.p + r.out.at, HOST "---\n" DB "---\n"));
	EQ_STR(r.said.p + r.said.at,
		"\n"
		"\u203c \"hostNetwork: true\" detected in daemonset/agent\n"
		"deployment \"web\" annotated\n"
		"daemonset \"agent\" skipped\n"
		"service \"db\" skipped\n"
		"\n");
	json_free(docs);
	run_fini(&r);
}

TEST(opaque_ports_are_written_on_services_too)
{
	struct run r = {0};
	struct json *docs;

	run(&r, DOCS_ANNOTATE,
		"{linkerd.io/inject: enabled, config.linkerd.io/opaque-ports: '1'}", DB,
		false);
	docs = docs_of(&r);
	EQ_STR(json_text(json_get(json_path(docs, "0.metadata.annotations"),
		       "config.linkerd.io/opaque-ports")),
		"1");
	EQ_INT(json_count(json_path(docs, "0.metadata.annotations")), 1);
	json_free(docs);
	run_fini(&r);
}

TEST(what_is_disabled_stays_so)
{
	static const char text[] =
		"kind: Pod\nmetadata: {name: a, annotations: {linkerd.io/inject: "
		"disabled}}\nspec: {containers: []}\n";

	for (int what = DOCS_ANNOTATE; what <= DOCS_INJECT; what++) {
		struct run r = {0};

		run(&r, (enum docs_what)what, "{linkerd.io/inject: ingress}", text,
			false);
		OK(strstr(r.said.p + r.said.at, "annotation set on pod/a\n"));
		OK(strstr(r.said.p + r.said.at, "pod \"a\" skipped\n"));
		OK(strncmp(r.out.p + r.out.at, text, strlen(text)) == 0);
		run_fini(&r);
	}
}

TEST(injecting_and_uninjecting_gives_what_was_there)
{
	struct run in = {0}, out = {0}, again = {0};
	struct json *was = yaml_parse(SLICE(WEB), NULL), *docs;

	run(&in, DOCS_INJECT, "{config.linkerd.io/proxy-log-level: trace}", WEB, false);
	docs = docs_of(&in);
	EQ_STR(json_text_or(docs, "0.spec.template.spec.initContainers.1.name", ""),
		"mesh-proxy");
	OK(strstr(in.said.p + in.said.at, "deployment \"web\" injected\n"));
	json_free(docs);
	run(&again, DOCS_INJECT, NULL, in.out.p + in.out.at, false);
	OK(strstr(again.said.p + again.said.at, "3rd party sidecar"));
	run(&out, DOCS_UNINJECT, NULL, in.out.p + in.out.at, false);
	docs = docs_of(&out);
	OK(json_equal(json_at(docs, 0), was));
	EQ_STR(out.said.p + out.said.at, "\ndeployment \"web\" uninjected\n\n");
	json_free(docs);
	json_free(was);
	run_fini(&in);
	run_fini(&out);
	run_fini(&again);
}

#define TEMPLATE                                                                       \
	"{metadata: {labels: {app: web}, annotations: {team: a}}, spec: "              \
	"{initContainers: [{name: first, image: i}], volumes: [{name: v, emptyDir: "   \
	"{}}], containers: [{name: web, image: web, ports: [{containerPort: 5432}, "   \
	"{containerPort: 53, protocol: UDP}]}, {name: b, image: b}]}}"

static const char *const workloads[] = {
	"kind: Deployment\nmetadata: {name: a}\nspec: {template: " TEMPLATE "}\n",
	"kind: DaemonSet\nmetadata: {name: a}\nspec: {template: " TEMPLATE "}\n",
	"kind: StatefulSet\nmetadata: {name: a}\nspec: {template: " TEMPLATE "}\n",
	"kind: ReplicaSet\nmetadata: {name: a}\nspec: {template: " TEMPLATE "}\n",
	"kind: Job\nmetadata: {name: a}\nspec: {template: " TEMPLATE "}\n",
	"kind: CronJob\nmetadata: {name: a}\nspec: {jobTemplate: {spec: "
	"{template: " TEMPLATE "}}}\n",
	"kind: ReplicationController\nmetadata: {name: a}\nspec: {template: "
	"{spec: {containers: [{name: a}]}}}\n",
	"kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n",
};
static const char *const installations[] = {
	"identityTrustAnchorsPEM: p\n",
	"identityTrustAnchorsPEM: p\ncniEnabled: true\n",
	"identityTrustAnchorsPEM: p\nproxy: {nativeSidecar: false}\n",
	"identityTrustAnchorsPEM: p\nproxy: {nativeSidecar: false, await: false}\n",
	"identityTrustAnchorsPEM: p\ndebugContainer: {enabled: true}\n"
	"identity: {serviceAccountTokenProjection: false}\n",
};

static void check_inverse(const char *text)
{
	struct run in = {0}, again = {0}, out = {0};
	struct json *was = yaml_parse(slice_of(text), NULL), *now, *twice;

	run(&in, DOCS_INJECT, "{config.linkerd.io/proxy-log-level: trace}", text,
		false);
	OK(in.r == 0 && in.report.n == 1 && in.report.items[0].changed);
	run(&again, DOCS_INJECT, NULL, in.out.p + in.out.at, false);
	now = docs_of(&in);
	twice = docs_of(&again);
	OK(json_equal(now, twice));
	json_free(twice);
	json_free(now);
	run(&out, DOCS_UNINJECT, NULL, in.out.p + in.out.at, false);
	now = docs_of(&out);
	if (!json_equal(json_at(now, 0), was))
		T_FAIL("%s became\n%s", text, out.out.p + out.out.at);
	json_free(now);
	json_free(was);
	run_fini(&in);
	run_fini(&again);
	run_fini(&out);
}

TEST(each_kind_is_injected_once_and_comes_out_as_it_was)
{
	for (size_t v = 0; v < countof(installations); v++)
		for (size_t w = 0; w < countof(workloads); w++) {
			values_of = installations[v];
			check_inverse(workloads[w]);
		}
}

TEST(lists_are_entered_and_json_can_be_written)
{
	struct run r = {0};
	struct json *docs;

	r.job.json = true;
	run(&r, DOCS_ANNOTATE, "{linkerd.io/inject: enabled}",
		"{kind: List, items: [{kind: Pod, metadata: {name: a}, spec: "
		"{containers: []}}, {kind: ConfigMap, metadata: {name: b}}]}",
		false);
	OK(r.out.p[r.out.at] == '{');
	docs = docs_of(&r);
	EQ_STR(json_text(json_get(json_path(docs, "0.items.0.metadata.annotations"),
		       "linkerd.io/inject")),
		"enabled");
	EQ_STR(r.said.p + r.said.at,
		"\npod \"a\" annotated\nconfigmap \"b\" skipped\n\n");
	json_free(docs);
	run_fini(&r);
}

TEST(verbose_says_what_is_in_order)
{
	struct run r = {0};

	run(&r, DOCS_ANNOTATE, "{linkerd.io/inject: enabled}", WEB, true);
	OK(strstr(r.said.p + r.said.at, "\u221a pods do not use host networking\n"));
	OK(strstr(r.said.p + r.said.at, "\u221a pod specs do not include UDP ports\n"));
	run_fini(&r);
}

TEST(nothing_supported_is_said)
{
	struct run r = {0};

	run(&r, DOCS_ANNOTATE, "{linkerd.io/inject: enabled}",
		"{kind: ConfigMap, metadata: {name: b}}", false);
	OK(strstr(r.said.p + r.said.at, "\u203c no supported objects found\n"));
	run_fini(&r);
}

TEST(a_document_that_cannot_be_read_is_named_by_its_line)
{
	static const char *const bad[] = {WEB "---\na: [\n", WEB "---\n- 1\n",
		WEB "---\njust text\n", WEB "---\nmetadata: {}\n"};

	for (size_t i = 0; i < countof(bad); i++) {
		struct run r = {0};

		run(&r, DOCS_ANNOTATE, "{linkerd.io/inject: enabled}", bad[i], false);
		EQ_INT(r.r, -1);
		if (!strstr(r.err.msg, "document from line 6"))
			T_FAIL("%s", r.err.msg);
		run_fini(&r);
	}
}
