/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/inject_docs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/obj.h"
#include "wire/patch.h"
#include "wire/yaml.h"

/* ---- the report ---- */

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + 32);
}

static struct docs_item *add_item(struct docs_report *r, const struct json *object)
{
	const char *name = json_text_or(object, "metadata.name",
		json_text_or(object, "metadata.generateName", ""));
	struct docs_item *it;
	char kind[64];

	r->items = reallocarray(r->items, r->n + 1, sizeof *r->items);
	must(r->items);
	it = &r->items[r->n++];
	*it = (struct docs_item){0};
	snprintf(kind, sizeof kind, "%s", json_text_or(object, "kind", ""));
	it->has_pods = inject_template_path(kind) != NULL;
	lower(kind);
	snprintf(it->name, sizeof it->name, "%s \"%.253s\"", kind, name);
	snprintf(it->path, sizeof it->path, "%s/%.253s", kind, name);
	return it;
}

void docs_report_fini(struct docs_report *r)
{
	free(r->items);
	json_free(r->warnings);
	*r = (struct docs_report){0};
}

static const struct {
	enum inject_reason reason;
	const char *good, *before, *after; /* the objects' names stand between */
} checks[] = {
	{INJECT_REASON_HOST_NETWORK, "pods do not use host networking",
		"\"hostNetwork: true\" detected in ", ""},
	{INJECT_REASON_SIDECAR,
		"pods do not have a 3rd party proxy or initContainer already injected",
		"known 3rd party sidecar detected in ", ""},
	{INJECT_REASON_DISABLED, "pods are not annotated to disable injection",
		"\"linkerd.io/inject: disabled\" annotation set on ", ""},
	{INJECT_REASON_NO_TOKEN,
		"pods do not have automountServiceAccountToken set to \"false\" or "
		"service account token projection is enabled",
		"automountServiceAccountToken is \"false\" in ", ""},
	{INJECT_REASON_UDP, "pod specs do not include UDP ports", "",
		" uses \"protocol: UDP\""},
};

static bool write_names(
	const struct docs_report *r, enum inject_reason reason, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < r->n; i++)
		if (r->items[i].reasons & 1u << reason) {
			buf_printf(out, "%s%s", any ? ", " : "", r->items[i].path);
			any = true;
		}
	return any;
}

static void write_check(
	const struct docs_report *r, size_t i, bool verbose, struct buf *out)
{
	struct buf names = BUF_INIT;

	if (write_names(r, checks[i].reason, &names))
		buf_printf(out, "\u203c %s%.*s%s\n", checks[i].before,
			SLICE_FMT(buf_slice(&names)), checks[i].after);
	else if (verbose)
		buf_printf(out, "\u221a %s\n", checks[i].good);
	buf_fini(&names);
}

static void write_supported(const struct docs_report *r, bool verbose, struct buf *out)
{
	bool any = false;

	for (size_t i = 0; i < r->n; i++)
		any = any || r->items[i].has_pods || r->items[i].changed;
	if (!any)
		buf_text(out, "\u203c no supported objects found\n");
	else if (verbose)
		buf_text(out, "\u221a at least one resource can be injected or "
			      "annotated\n");
}

void docs_report_write(const struct docs_report *r, bool verbose, struct buf *out)
{
	static const char *const done[] = {[DOCS_ANNOTATE] = "annotated",
		[DOCS_INJECT] = "injected",
		[DOCS_UNINJECT] = "uninjected"};

	buf_char(out, '\n');
	if (r->what != DOCS_UNINJECT) {
		for (size_t i = 0; i < countof(checks); i++)
			write_check(r, i, verbose, out);
		write_supported(r, verbose, out);
		json_each(w, r->warnings)
		{
			buf_printf(out, "\u203c %s\n", json_text(w));
		}
	}
	for (size_t i = 0; i < r->n; i++)
		buf_printf(out, "%s %s\n", r->items[i].name,
			r->items[i].changed ? done[r->what] : "skipped");
	buf_char(out, '\n');
}

/* ---- what is put in ---- */

/* True when something was not so before. */
static bool set_annotations(struct json *object, const struct json *annotations)
{
	struct json *map;
	bool changed = false;

	if (!json_count(annotations))
		return false;
	map = json_need_object(json_need_object(object, "metadata"), "annotations");
	json_each(a, annotations)
	{
		if (json_equal(json_get(map, json_key(a)), a))
			continue;
		json_set(map, json_key(a), json_copy(a));
		changed = true;
	}
	return changed;
}

static bool is_disabled(const struct json *template)
{
	const struct json *map = json_path(template, "metadata.annotations");
	const char *text = json_text(json_get(map, INJECT_ANNOTATION));

	return text && strcmp(text, "disabled") == 0;
}

static void add_warnings(struct docs_report *r, const struct json *warnings)
{
	json_each(w, warnings)
	{
		if (!r->warnings)
			r->warnings = json_list();
		json_push(r->warnings, json_copy(w));
	}
}

static int inject_one(const struct docs_job *job, struct json **object,
	struct docs_report *r, struct docs_item *it, struct err *e)
{
	struct json *trial = json_copy(*object);
	struct json *t = inject_template(trial, json_text_or(trial, "kind", ""));
	struct inject_in in = {.origin = INJECT_BY_CLI,
		.values = job->values,
		.object = trial,
		.namespace = json_text_at(trial, "metadata.namespace")};
	struct inject_out out;
	int rc;

	if (json_kind(t) == JSON_OBJECT && !is_disabled(t))
		(void)set_annotations(t, job->annotations);
	rc = inject(&in, &out, e);
	if (rc == 0 && out.injected)
		rc = patch_json(&trial, out.patch, e);
	it->reasons = out.reasons;
	it->changed = rc == 0 && out.injected;
	add_warnings(r, out.warnings);
	inject_out_fini(&out);
	if (it->changed) {
		json_free(*object);
		*object = trial;
	} else
		json_free(trial);
	return rc ? err_wrap(e, "%s", it->path) : 0;
}

/* The reasons against it, found by an injection that is thrown away. */
static unsigned reasons_against(const struct json *object)
{
	struct json *values = inject_values_read(SLICE(""), NULL);
	struct inject_in in = {
		.origin = INJECT_BY_CLI, .values = values, .object = object};
	struct inject_out out;
	unsigned reasons;

	inject_values_set_anchors(values, SLICE("any"));
	(void)inject(&in, &out, NULL);
	reasons = out.reasons;
	inject_out_fini(&out);
	json_free(values);
	return reasons;
}

/* Of the annotations, the one that a Service has, too. */
static bool annotate_service(const struct docs_job *job, struct json *object)
{
	const struct json *ports =
		json_get(job->annotations, INJECT_CONFIG "opaque-ports");
	struct json *only = json_object();
	bool changed;

	if (ports)
		json_set(only, INJECT_CONFIG "opaque-ports", json_copy(ports));
	changed = set_annotations(object, only);
	json_free(only);
	return changed;
}

static void annotate_one(
	const struct docs_job *job, struct json *object, struct docs_item *it)
{
	const char *kind = json_text_or(object, "kind", "");
	struct json *t = inject_template(object, kind);

	if (strcmp(kind, "Namespace") == 0)
		it->changed = set_annotations(object, job->annotations);
	else if (strcmp(kind, "Service") == 0)
		it->changed = annotate_service(job, object);
	if (json_kind(t) != JSON_OBJECT)
		return;
	it->reasons = reasons_against(object);
	if ((it->reasons & ~(1u << INJECT_REASON_UDP)) == 0)
		it->changed = set_annotations(t, job->annotations);
}

/* ---- what is taken out ---- */

static bool is_ours(const char *name)
{
	static const char *const names[] = {INJECT_PROXY, INJECT_INIT, INJECT_VALIDATOR,
		INJECT_DEBUG, "mesh-identity-end-entity", "mesh-identity-token",
		INJECT_ROOTS, "linkerd-proxy", "linkerd-init",
		"linkerd-network-validator", "linkerd-debug",
		"linkerd-identity-end-entity", "linkerd-identity-token",
		"linkerd-proxy-init-xtables-lock"};

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool clear_list(struct json *spec, const char *key)
{
	struct json *list = json_get(spec, key), *next;
	bool changed = false;

	for (struct json *it = json_first(list); it; it = next) {
		next = json_next(it);
		if (is_ours(json_text_or(it, "name", ""))) {
			json_free(json_detach(list, it));
			changed = true;
		}
	}
	if (changed && json_count(list) == 0)
		json_remove(spec, key);
	return changed;
}

/* That a workload is left out is the user's own word, and stays. */
static bool is_annotation(const struct json *member)
{
	static const char *const prefixes[] = {
		"linkerd.io/", INJECT_CONFIG, INJECT_CONFIG_ALFA, INJECT_CONFIG_BETA};
	const char *key = json_key(member);

	if (strcmp(key, INJECT_ANNOTATION) == 0)
		return !json_text(member) || strcmp(json_text(member), "disabled") != 0;
	for (size_t i = 0; i < countof(prefixes); i++)
		if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static bool is_label(const struct json *member)
{
	const char *key = json_key(member);

	return strcmp(key, "linkerd.io/control-plane-ns") == 0 ||
	       strcmp(key, "linkerd.io/workload-ns") == 0 ||
	       strncmp(key, "linkerd.io/proxy-", 17) == 0;
}

static bool clear_map(
	struct json *meta, const char *key, bool (*is)(const struct json *member))
{
	struct json *map = json_get(meta, key), *next;
	bool changed = false;

	for (struct json *it = json_first(map); it; it = next) {
		next = json_next(it);
		if (is(it)) {
			json_free(json_detach(map, it));
			changed = true;
		}
	}
	if (changed && json_count(map) == 0)
		json_remove(meta, key);
	return changed;
}

static void uninject_one(struct json *object, struct docs_item *it)
{
	static const char *const lists[] = {"containers", "initContainers", "volumes"};
	const char *kind = json_text_or(object, "kind", "");
	struct json *t = inject_template(object, kind);

	for (size_t i = 0; t && i < countof(lists); i++)
		it->changed |= clear_list(json_get(t, "spec"), lists[i]);
	if (strcmp(kind, "Namespace") == 0 || strcmp(kind, "Service") == 0)
		t = object;
	it->changed |= clear_map(json_get(t, "metadata"), "annotations", is_annotation);
	it->changed |= clear_map(json_get(t, "metadata"), "labels", is_label);
	if (it->changed && t && t != object &&
		json_kind(json_get(t, "metadata")) == JSON_OBJECT &&
		json_count(json_get(t, "metadata")) == 0)
		json_remove(t, "metadata");
}

/* ---- documents ---- */

static bool is_list(const struct json *object)
{
	const char *kind = json_text_or(object, "kind", "");
	size_t n = strlen(kind);

	return n >= 4 && strcmp(kind + n - 4, "List") == 0 &&
	       json_kind(json_get(object, "items")) == JSON_LIST;
}

static int change_object(const struct docs_job *job, struct json **object,
	struct docs_report *r, bool *changed, struct err *e);

static int change_list(const struct docs_job *job, struct json *list,
	struct docs_report *r, bool *changed, struct err *e)
{
	struct json *items = json_get(list, "items"), *next;

	for (struct json *it = json_first(items); it; it = next) {
		struct json *copy = json_copy(it);

		next = json_next(it);
		if (change_object(job, &copy, r, changed, e)) {
			json_free(copy);
			return -1;
		}
		json_replace(items, it, copy);
	}
	return 0;
}

static int change_object(const struct docs_job *job, struct json **object,
	struct docs_report *r, bool *changed, struct err *e)
{
	struct docs_item *it;
	int rc = 0;

	if (json_kind(*object) != JSON_OBJECT || !json_text_at(*object, "kind"))
		return err_set(e, ERR_SYNTAX, "a document is no Kubernetes object");
	if (is_list(*object))
		return change_list(job, *object, r, changed, e);
	it = add_item(r, *object);
	switch (job->what) {
	case DOCS_ANNOTATE:
		annotate_one(job, *object, it);
		break;
	case DOCS_INJECT:
		if (it->has_pods)
			rc = inject_one(job, object, r, it, e);
		else
			annotate_one(job, *object, it);
		break;
	case DOCS_UNINJECT:
		uninject_one(*object, it);
		break;
	}
	*changed = *changed || it->changed;
	return rc;
}

static void write_object(
	const struct docs_job *job, const struct json *j, struct buf *out)
{
	if (job->json) {
		json_write(j, 2, out);
		buf_char(out, '\n');
		return;
	}
	yaml_write(j, out);
	buf_text(out, "---\n");
}

static void write_as_it_was(struct slice text, struct buf *out)
{
	buf_adds(out, text);
	if (text.n && text.p[text.n - 1] != '\n')
		buf_char(out, '\n');
	buf_text(out, "---\n");
}

static int transform_one(const struct docs_job *job, struct slice text, struct buf *out,
	struct docs_report *r, struct err *e)
{
	struct json *docs = yaml_parse_all(text, e), *next;
	bool changed = false;
	int rc = docs ? 0 : -1;

	for (struct json *it = json_first(docs); it && rc == 0; it = next) {
		struct json *copy = json_copy(it);

		next = json_next(it);
		rc = change_object(job, &copy, r, &changed, e);
		json_replace(docs, it, copy);
	}
	if (rc == 0 && json_count(docs) && !changed && !job->json)
		write_as_it_was(text, out);
	else if (rc == 0)
		json_each(it, docs)
		{
			write_object(job, it, out);
		}
	json_free(docs);
	return rc;
}

/* Takes the text up to the next line that only separates documents. */
static struct slice cut_document(struct slice *rest)
{
	struct slice doc = {rest->p, 0};

	while (rest->n) {
		const char *end = memchr(rest->p, '\n', rest->n);
		size_t n = end ? (size_t)(end - rest->p) + 1 : rest->n;
		struct slice line = slice_bytes(rest->p, n);

		rest->p += n;
		rest->n -= n;
		while (line.n && strchr(" \t\r\n", line.p[line.n - 1]))
			line.n--;
		if (slice_is(line, "---"))
			break;
		doc.n += n;
	}
	return doc;
}

int docs_transform(const struct docs_job *job, struct slice text, struct buf *out,
	struct docs_report *r, struct err *e)
{
	size_t line = 1;

	r->what = job->what;
	while (text.n) {
		const char *start = text.p;
		struct slice doc = cut_document(&text);

		if (transform_one(job, doc, out, r, e))
			return err_wrap(e, "document from line %zu", line);
		for (; start < text.p; start++)
			line += *start == '\n';
	}
	return 0;
}
