/* SPDX-License-Identifier: Apache-2.0 */
#include "local/verbs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "local/kinds.h"
#include "local/meta.h"
#include "wire/yaml.h"

#define LAST "kubectl.kubernetes.io/last-applied-configuration"

static int complain(const char *what, const struct err *e)
{
	fprintf(stderr, "mesh local: %s%s%s\n", what, *what ? ": " : "", e->msg);
	return 1;
}

/* ---- kinds: the built-in ones, and those of the server's definitions ---- */

static struct kinds *load_kinds(struct client *c)
{
	struct ask ask = {.method = "GET",
		.path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"};
	struct kinds *k = kinds_new();
	struct json *crds = NULL;

	if (client_ask(c, &ask, &crds, NULL) == 200)
		json_each(crd, json_get(crds, "items"))
		{
			kinds_add_crd(k, crd);
		}
	json_free(crds);
	return k;
}

/* "/api/v1/namespaces/ns/pods/name"; `ns` or `name` may be "". */
static void path_of(
	const struct kind *k, const char *ns, const char *name, struct buf *out)
{
	buf_text(out, *k->group ? "/apis/" : "/api/");
	kind_api_version(k, out);
	if (k->flags & KIND_NAMESPACED && *ns)
		buf_printf(out, "/namespaces/%s", ns);
	buf_printf(out, "/%s", k->resource);
	if (*name)
		buf_printf(out, "/%s", name);
}

static void add_query(struct buf *path, const char *key, const char *value)
{
	struct slice at = buf_slice(path);
	bool has = at.p && memchr(at.p, '?', at.n);

	buf_printf(path, "%c%s=", has ? '&' : '?', key);
	for (; *value; value++) {
		bool plain = (*value >= '0' && *value <= '9') ||
			     (*value >= 'a' && *value <= 'z') ||
			     (*value >= 'A' && *value <= 'Z') || strchr("-_.~", *value);

		buf_printf(path, plain ? "%c" : "%%%02X", (unsigned char)*value);
	}
}

static char *done(struct buf *b)
{
	char *text = buf_steal(b);

	must(text);
	return text;
}

/* ---- manifests ---- */

static int read_stream(FILE *f, struct buf *out)
{
	char tmp[4096];
	size_t n;

	while ((n = fread(tmp, 1, sizeof(tmp), f)) > 0)
		if (buf_add(out, tmp, n) < 0)
			return -1;
	return ferror(f) ? -1 : 0;
}

static int add_file(struct json *all, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	struct json *docs;
	int r = 0;

	if (strcmp(path, "-") == 0)
		r = read_stream(stdin, &b) < 0 ? err_sys(e, "read standard input") : 0;
	else
		r = file_read(path, YAML_MAX, &b, e);
	docs = r == 0 ? yaml_parse_all(buf_slice(&b), e) : NULL;
	buf_fini(&b);
	if (!docs)
		return err_wrap(e, "%s", path);
	json_each(d, docs)
	{
		/* A List is what is in it. */
		if (strcmp(json_text_or(d, "kind", ""), "List") != 0) {
			json_push(all, json_copy(d));
			continue;
		}
		json_each(it, json_get(d, "items"))
		{
			json_push(all, json_copy(it));
		}
	}
	json_free(docs);
	return 0;
}

static bool is_manifest(const char *name)
{
	struct slice s = slice_of(name);

	return slice_ends(s, SLICE(".yaml")) || slice_ends(s, SLICE(".yml")) ||
	       slice_ends(s, SLICE(".json"));
}

static int add_directory(struct json *all, const char *path, struct err *e)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), r = 0;

	if (n < 0)
		return err_sys(e, "read %s", path);
	for (int i = 0; i < n; i++) {
		char file[1024];

		snprintf(file, sizeof(file), "%s/%s", path, names[i]->d_name);
		if (r == 0 && is_manifest(names[i]->d_name))
			r = add_file(all, file, e);
		free(names[i]);
	}
	free(names);
	return r;
}

static struct json *read_manifests(const char *path, struct err *e)
{
	struct json *all = json_list();
	struct stat st;
	int r;

	if (strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		r = add_directory(all, path, e);
	else
		r = add_file(all, path, e);
	if (r == 0)
		return all;
	json_free(all);
	return NULL;
}

static const struct kind *kind_of_manifest(
	const struct kinds *k, const struct json *obj, struct err *e)
{
	const char *version = json_text_or(obj, "apiVersion", "");
	const char *name = json_text_or(obj, "kind", "");
	const struct kind *found = kind_of_object(k, version, name);

	if (!found)
		err_set(e, ERR_MISSING, "no matches for kind \"%s\" in version \"%s\"",
			name, version);
	return found;
}

static const char *ns_for(const struct json *obj, const struct verb_opts *o)
{
	if (obj && *meta_ns(obj))
		return meta_ns(obj);
	return o->ns ? o->ns : "default";
}

/* ---- apply ---- */

struct json *apply_patch(const struct json *last, const struct json *want)
{
	struct json *patch = json_copy(want);

	json_each(old, last)
	{
		const char *key = json_key(old);
		const struct json *now = json_get(want, key);

		if (!now)
			json_set(patch, key, json_null());
		else if (json_kind(old) == JSON_OBJECT && json_kind(now) == JSON_OBJECT)
			json_set(patch, key, apply_patch(old, now));
	}
	return patch;
}

static void note_last(struct json *obj)
{
	struct buf b = BUF_INIT;
	struct json *meta = json_need_object(obj, "metadata");

	json_write(obj, 0, &b);
	json_set(json_need_object(meta, "annotations"), LAST,
		json_string_n(buf_slice(&b)));
	buf_fini(&b);
}

static struct json *patch_for(const struct json *live, const struct json *want)
{
	const char *text = meta_annotation(live, LAST);
	struct json *last = text ? json_parse(slice_of(text), NULL) : NULL;
	struct json *patch = apply_patch(last, want);

	json_free(last);
	return patch;
}

static int apply_one(struct client *c, const struct kind *k, const struct verb_opts *o,
	struct json *obj, struct err *e)
{
	struct buf b = BUF_INIT;
	struct json *live = NULL, *out = NULL, *patch = NULL;
	struct ask ask = {.method = "GET"};
	const char *did = "configured";
	char *one, *all;
	int status;

	note_last(obj);
	path_of(k, ns_for(obj, o), meta_name(obj), &b);
	ask.path = one = done(&b);
	path_of(k, ns_for(obj, o), "", &b);
	all = done(&b);
	status = client_ask(c, &ask, &live, e);
	if (status == 404) {
		*e = (struct err){0};
		did = "created";
		ask = (struct ask){.method = "POST", .path = all, .body = obj};
		status = client_ask(c, &ask, &out, e);
	} else if (status == 200) {
		patch = patch_for(live, obj);
		ask = (struct ask){.method = "PATCH", .path = one, .body = patch};
		ask.type = k->flags & KIND_CUSTOM
				   ? "application/merge-patch+json"
				   : "application/strategic-merge-patch+json";
		status = client_ask(c, &ask, &out, e);
		if (json_equal(live, out))
			did = "unchanged";
	}
	if (status == 200 || status == 201)
		printf("%s/%s %s\n", k->res, meta_name(obj), did);
	json_free(live);
	json_free(out);
	json_free(patch);
	free(one);
	free(all);
	return status == 200 || status == 201 ? 0 : -1;
}

int verb_apply(struct client *c, const struct verb_opts *o, int argc, char **argv)
{
	struct err e = {0};
	struct json *all = o->file ? read_manifests(o->file, &e) : NULL;
	struct kinds *kinds;
	int bad = 0;

	(void)argc;
	(void)argv;
	if (!o->file) {
		fprintf(stderr, "mesh local: apply -f FILE\n");
		return 64;
	}
	if (!all)
		return complain("", &e);
	kinds = load_kinds(c);
	json_each(obj, all)
	{
		const struct kind *k = kind_of_manifest(kinds, obj, &e);

		if (!k || apply_one(c, k, o, obj, &e) < 0) {
			bad = complain(meta_name(obj), &e);
			e = (struct err){0};
		}
		if (k && strcmp(k->resource, "customresourcedefinitions") == 0)
			kinds_add_crd(kinds, obj);
	}
	kinds_free(kinds);
	json_free(all);
	return bad;
}

/* ---- delete ---- */

static int delete_path(struct client *c, const struct kind *k, const char *ns,
	const char *name, const struct verb_opts *o)
{
	struct buf b = BUF_INIT;
	struct ask ask = {.method = "DELETE"};
	struct err e = {0};
	char *path;
	int status;

	path_of(k, ns, name, &b);
	if (o->selector)
		add_query(&b, "labelSelector", o->selector);
	ask.path = path = done(&b);
	status = client_ask(c, &ask, NULL, &e);
	free(path);
	if (status < 0 || status >= 300)
		return complain(name, &e);
	printf("%s \"%s\" deleted\n", k->res, *name ? name : o->selector);
	return 0;
}

static int delete_manifests(
	struct client *c, const struct kinds *kinds, const struct verb_opts *o)
{
	struct err e = {0};
	struct json *all = read_manifests(o->file, &e);
	int bad = 0;

	if (!all)
		return complain("", &e);
	/* The last first: what stands on others goes before them. */
	for (size_t i = json_count(all); i-- > 0;) {
		const struct json *obj = json_at(all, i);
		const struct kind *k = kind_of_manifest(kinds, obj, &e);

		if (!k)
			bad = complain(meta_name(obj), &e);
		else
			bad |= delete_path(c, k, ns_for(obj, o), meta_name(obj), o);
	}
	json_free(all);
	return bad;
}

static const struct kind *kind_of_word(const struct kinds *kinds, const char *word)
{
	const struct kind *k = kind_named(kinds, word);

	if (!k)
		fprintf(stderr, "mesh local: the server has no resource type \"%s\"\n",
			word);
	return k;
}

int verb_delete(struct client *c, const struct verb_opts *o, int argc, char **argv)
{
	struct kinds *kinds = load_kinds(c);
	const struct kind *k;
	int bad = 0;

	if (o->file) {
		bad = delete_manifests(c, kinds, o);
	} else if (argc < 1 || (argc < 2 && !o->selector)) {
		fprintf(stderr, "mesh local: delete KIND NAME..., or -f FILE\n");
		bad = 64;
	} else if (!(k = kind_of_word(kinds, argv[0]))) {
		bad = 1;
	} else if (o->selector) {
		bad = delete_path(c, k, ns_for(NULL, o), "", o);
	} else {
		for (int i = 1; i < argc; i++)
			bad |= delete_path(c, k, ns_for(NULL, o), argv[i], o);
	}
	kinds_free(kinds);
	return bad;
}

/* ---- get ---- */

static int print_answer(
	const struct kind *k, const struct verb_opts *o, const struct json *answer)
{
	struct buf b = BUF_INIT;
	const char *how = o->output ? o->output : "";

	if (strcmp(how, "json") == 0) {
		json_write(answer, 4, &b);
		buf_char(&b, '\n');
	} else if (strcmp(how, "yaml") == 0) {
		yaml_write(answer, &b);
	} else if (strcmp(how, "name") == 0) {
		if (json_get(answer, "items"))
			json_each(it, json_get(answer, "items"))
			{
				buf_printf(&b, "%s/%s\n", k->res, meta_name(it));
			}
		else
			buf_printf(&b, "%s/%s\n", k->res, meta_name(answer));
	} else if (!json_first(json_get(answer, "rows"))) {
		fprintf(stderr, "No resources found\n");
	} else {
		table_print(answer, strcmp(how, "wide") == 0, o->all_namespaces, &b);
	}
	fwrite(buf_slice(&b).p ? buf_slice(&b).p : "", 1, buf_len(&b), stdout);
	buf_fini(&b);
	return 0;
}

static int get_path(struct client *c, const struct kind *k, const struct verb_opts *o,
	const char *name)
{
	const char *how = o->output ? o->output : "";
	bool table = !*how || strcmp(how, "wide") == 0;
	struct ask ask = {.method = "GET",
		.accept =
			table ? "application/json;as=Table;v=v1;g=meta.k8s.io" : NULL};
	struct buf b = BUF_INIT;
	struct json *answer = NULL;
	struct err e = {0};
	char *path;
	int status;

	path_of(k, o->all_namespaces ? "" : ns_for(NULL, o), name, &b);
	if (o->selector)
		add_query(&b, "labelSelector", o->selector);
	ask.path = path = done(&b);
	status = client_ask(c, &ask, &answer, &e);
	if (status == 200)
		print_answer(k, o, answer);
	else
		(void)complain("", &e);
	json_free(answer);
	free(path);
	return status != 200;
}

int verb_get(struct client *c, const struct verb_opts *o, int argc, char **argv)
{
	struct kinds *kinds = load_kinds(c);
	const struct kind *k = argc > 0 ? kind_of_word(kinds, argv[0]) : NULL;
	int bad = !k;

	if (argc < 1) {
		fprintf(stderr, "mesh local: get KIND [NAME...]\n");
		bad = 64;
	}
	if (k && argc < 2)
		bad = get_path(c, k, o, "");
	for (int i = 1; k && i < argc; i++)
		bad |= get_path(c, k, o, argv[i]);
	kinds_free(kinds);
	return bad;
}

/* ---- logs ---- */

static void print_bytes(void *arg, struct slice bytes)
{
	(void)arg;
	fwrite(bytes.p, 1, bytes.n, stdout);
	fflush(stdout);
}

int verb_logs(struct client *c, const struct verb_opts *o, int argc, char **argv)
{
	struct ask ask = {.method = "GET", .accept = "*/*", .on_data = print_bytes};
	struct buf b = BUF_INIT;
	struct err e = {0};
	char tail[24], *path;
	int status;

	if (argc != 1) {
		fprintf(stderr, "mesh local: logs POD [-c CONTAINER]\n");
		return 64;
	}
	buf_printf(&b, "/api/v1/namespaces/%s/pods/%s/log", ns_for(NULL, o), argv[0]);
	if (o->container)
		add_query(&b, "container", o->container);
	if (o->follow)
		add_query(&b, "follow", "true");
	if (o->previous)
		add_query(&b, "previous", "true");
	if (o->timestamps)
		add_query(&b, "timestamps", "true");
	snprintf(tail, sizeof(tail), "%lld", (long long)o->tail);
	if (o->tail >= 0)
		add_query(&b, "tailLines", tail);
	ask.path = path = done(&b);
	status = client_ask(c, &ask, NULL, &e);
	free(path);
	return status >= 200 && status < 300 ? 0 : complain("", &e);
}
