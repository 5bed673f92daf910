/* SPDX-License-Identifier: Apache-2.0 */
#include "chart/chart.h"

#include "base/obj.h"
#include "chart/files.h"
#include "chart/values.h"
#include "wire/patch.h"
#include "wire/yaml.h"

#define PATH_LEN 120

/* ---- files ---- */

static struct json *read_yaml(const char *chart, const char *file, struct err *e)
{
	char path[PATH_LEN];
	struct err why = {0};
	struct slice text;
	struct json *j;

	snprintf(path, sizeof path, "%s/%s", chart, file);
	text = chart_files_text(path);
	if (!text.p) {
		err_set(e, ERR_MISSING, "no file %s in the charts", path);
		return NULL;
	}
	j = yaml_parse(text, &why);
	if (!j && why.code == ERR_MISSING)
		return json_object(); /* nothing but comments */
	if (!j)
		err_set(e, why.code, "%s: %s", path, why.msg);
	return j;
}

struct json *chart_variant(const char *chart, const char *name)
{
	char file[PATH_LEN];

	snprintf(file, sizeof file, "values-%s.yaml", name);
	return read_yaml(chart, file, NULL);
}

struct json *chart_presets(const char *chart)
{
	return read_yaml(chart, "values.yaml", NULL);
}

struct json *chart_values(const char *chart, const struct json *own, struct err *e)
{
	struct json *values = read_yaml(chart, "values.yaml", e);
	struct json *schema = values ? read_yaml(chart, "values.schema.json", e) : NULL;
	int r = schema ? 0 : -1;

	if (r == 0 && own)
		r = patch_merge(&values, own, e);
	if (r == 0)
		r = values_check(schema, values, e);
	json_free(schema);
	if (r == 0)
		return values;
	json_free(values);
	return NULL;
}

/* ---- templates ---- */

static bool is_template_of(const char *chart, const char *path)
{
	char folder[PATH_LEN];

	snprintf(folder, sizeof folder, "%s/templates/", chart);
	return slice_starts(slice_of(path), slice_of(folder));
}

/* _helpers.tpl and the like only define. */
static bool is_output(const char *path)
{
	return slice_ends(slice_of(path), SLICE(".yaml"));
}

static struct tmpl_set *read_templates(
	const char *chart, const struct tmpl_host *host, struct err *e)
{
	struct tmpl_set *set = tmpl_new(host);

	for (size_t i = 0; i < chart_files_count; i++) {
		struct chart_file f = chart_files_at(i);

		if (is_template_of(chart, f.path) && tmpl_add(set, f.path, f.text, e))
			goto free_set;
	}
	if (tmpl_check(set, e) == 0)
		return set;
free_set:
	tmpl_free(set);
	return NULL;
}

static struct json *make_root(const struct chart_job *job, struct err *e)
{
	struct json *meta = read_yaml(job->chart, "Chart.yaml", e), *root, *j;

	if (!meta)
		return NULL;
	root = json_object();
	json_set(root, "Values", json_copy(job->values));
	j = json_need_object(root, "Release");
	json_set_text(j, "Name", job->release);
	json_set_text(j, "Namespace", job->namespace);
	json_set_text(j, "Service", job->service);
	j = json_need_object(root, "Chart");
	json_set_text(j, "Name", json_text_or(meta, "name", ""));
	json_set_text(j, "Version", json_text_or(meta, "version", ""));
	/* Chart.yaml says it for helm; here a program always installs itself. */
	json_set_text(j, "AppVersion", MESH_VERSION);
	json_free(meta);
	return root;
}

/* ---- order ---- */

/* Helm's order of kinds, of those that we have; the others come last. */
static const char *const kinds[] = {"Namespace", "PodDisruptionBudget",
	"ServiceAccount", "Secret", "ConfigMap", "CustomResourceDefinition",
	"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "Service",
	"DaemonSet", "Deployment"};

static size_t rank(const struct json *object)
{
	const char *kind = json_text_or(object, "kind", "");

	for (size_t i = 0; i < countof(kinds); i++)
		if (strcmp(kinds[i], kind) == 0)
			return i;
	return countof(kinds);
}

static struct json *in_order(struct json *objects)
{
	struct json *sorted = json_list();

	for (size_t i = 0; i <= countof(kinds); i++)
		json_each(it, objects)
		{
			if (rank(it) == i)
				json_push(sorted, json_copy(it));
		}
	json_free(objects);
	return sorted;
}

/* ---- rendering ---- */

static int render_file(const struct tmpl_set *set, const char *path, struct json *root,
	struct json *objects, struct err *e)
{
	struct buf text = BUF_LIMIT(TMPL_OUT);
	struct json *docs = NULL;

	if (tmpl_run(set, path, root, &text, e) == 0) {
		docs = yaml_parse_all(buf_slice(&text), e);
		if (!docs)
			err_wrap(e, "what %s gives", path);
	}
	while (json_first(docs))
		json_push(objects, json_detach(docs, json_first(docs)));
	buf_fini(&text);
	json_free(docs);
	return docs ? 0 : -1;
}

struct json *chart_render(const struct chart_job *job, struct err *e)
{
	struct tmpl_set *set = read_templates(job->chart, job->host, e);
	struct json *root = set ? make_root(job, e) : NULL, *objects = json_list();
	int r = root ? 0 : -1;

	for (size_t i = 0; i < chart_files_count && r == 0; i++) {
		const char *path = chart_files_at(i).path;

		if (is_template_of(job->chart, path) && is_output(path))
			r = render_file(set, path, root, objects, e);
	}
	json_free(root);
	tmpl_free(set);
	if (r == 0)
		return in_order(objects);
	json_free(objects);
	return NULL;
}

/* ---- the build's question ---- */

static int check_chart(const char *chart, struct err *e)
{
	struct json *values = chart_values(chart, NULL, e);
	struct tmpl_set *set = values ? read_templates(chart, NULL, e) : NULL;
	int r = set ? tmpl_check_values(set, values, e) : -1;

	tmpl_free(set);
	json_free(values);
	return r;
}

int chart_check(struct err *e)
{
	for (size_t i = 0; i < chart_files_count; i++) {
		const char *path = chart_files_at(i).path;
		char chart[PATH_LEN];

		if (!slice_ends(slice_of(path), SLICE("/Chart.yaml")))
			continue;
		snprintf(chart, sizeof chart, "%.*s", (int)strcspn(path, "/"), path);
		if (check_chart(chart, e))
			return -1;
	}
	return 0;
}
