/* SPDX-License-Identifier: Apache-2.0 */
#include "local/podenv.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/obj.h"
#include "local/meta.h"

/* ---- words ---- */

static void words_take(struct words *w, char *word)
{
	must(word);
	w->v = reallocarray(w->v, w->n + 2, sizeof(*w->v));
	must(w->v);
	w->v[w->n++] = word;
	w->v[w->n] = NULL;
}

void words_add(struct words *w, const char *fmt, ...)
{
	struct buf b = BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	words_take(w, buf_len(&b) ? buf_steal(&b) : slice_dup(SLICE("")));
	buf_fini(&b);
}

void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
	free(w->v);
	*w = (struct words){0};
}

static size_t env_index(const struct words *w, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = w->n; i-- > 0;)
		if (strncmp(w->v[i], name, len) == 0 && w->v[i][len] == '=')
			return i;
	return w->n;
}

const char *words_env(const struct words *w, const char *name)
{
	size_t i = env_index(w, name);

	return i < w->n ? w->v[i] + strlen(name) + 1 : NULL;
}

void words_set_env(struct words *w, const char *name, const char *value)
{
	size_t i = env_index(w, name);

	words_add(w, "%s=%s", name, value);
	if (i == w->n - 1)
		return;
	free(w->v[i]);
	w->v[i] = w->v[--w->n];
	w->v[w->n] = NULL;
}

/* ---- $(NAME) ---- */

void env_expand(const char *text, const struct words *env, struct buf *out)
{
	char name[256];

	for (const char *p = text; *p; p++) {
		const char *end = p[0] == '$' && p[1] == '(' ? strchr(p, ')') : NULL;
		const char *value = NULL;

		if (p[0] == '$' && p[1] == '$') {
			buf_char(out, *p++);
			continue;
		}
		if (end && (size_t)(end - p) < sizeof(name)) {
			snprintf(name, sizeof(name), "%.*s", (int)(end - p - 2), p + 2);
			value = words_env(env, name);
		}
		if (!value) {
			buf_char(out, *p);
			continue;
		}
		buf_text(out, value);
		p = end;
	}
}

/* ---- fields ---- */

static void all_pairs(const struct json *map, struct buf *out)
{
	json_each(m, map)
	{
		buf_printf(out, "%s=\"", json_key(m));
		buf_json(out, slice_of(json_text(m)));
		buf_text(out, json_next(m) ? "\"\n" : "\"");
	}
}

/* "metadata.labels['key']": of the map before the bracket. */
static bool subscript(const struct json *pod, const char *path, struct buf *out)
{
	const char *open = strstr(path, "['"), *end = strrchr(path, '\'');
	char map[64], key[320];
	const char *value;

	if (!open || end <= open + 1)
		return false;
	snprintf(map, sizeof(map), "%.*s", (int)(open - path), path);
	snprintf(key, sizeof(key), "%.*s", (int)(end - open - 2), open + 2);
	value = json_text(json_get(json_path(pod, map), key));
	if (value)
		buf_text(out, value);
	return true;
}

bool field_value(const struct json *pod, const char *path, struct buf *out)
{
	static const char *const plain[] = {"metadata.name", "metadata.namespace",
		"metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.podIP", "status.hostIP"};

	for (size_t i = 0; i < countof(plain); i++)
		if (strcmp(path, plain[i]) == 0) {
			buf_text(out, json_text_or(pod, path, ""));
			return true;
		}
	if (strcmp(path, "status.podIPs") == 0) {
		buf_text(out, json_text_or(pod, "status.podIP", ""));
		return true;
	}
	if (strcmp(path, "status.hostIPs") == 0) {
		buf_text(out, json_text_or(pod, "status.hostIP", ""));
		return true;
	}
	if (strcmp(path, "metadata.labels") == 0 ||
		strcmp(path, "metadata.annotations") == 0) {
		all_pairs(json_path(pod, path), out);
		return true;
	}
	return subscript(pod, path, out);
}

/* ---- resources ---- */

int64_t quantity_milli(const char *text)
{
	static const struct {
		const char *suffix;
		double by;
	} units[] = {{"", 1e3}, {"m", 1}, {"k", 1e6}, {"M", 1e9}, {"G", 1e12},
		{"T", 1e15}, {"Ki", 1024e3}, {"Mi", 1048576e3}, {"Gi", 1073741824e3},
		{"Ti", 1099511627776e3}};
	char *end;
	double n = strtod(text, &end);

	if (end == text || n < 0)
		return -1;
	for (size_t i = 0; i < countof(units); i++)
		if (strcmp(end, units[i].suffix) == 0)
			return n * units[i].by > 9e18 ? -1 : (int64_t)(n * units[i].by);
	return -1;
}

static int64_t whole_machine(const char *resource)
{
	if (strstr(resource, "cpu"))
		return sysconf(_SC_NPROCESSORS_ONLN) * 1000;
	if (strstr(resource, "memory"))
		return (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) * 1000;
	return 0;
}

int64_t resource_milli(const struct json *container, const char *kind, const char *name)
{
	const struct json *set =
		json_get(json_get(json_get(container, "resources"), kind), name);

	if (json_text(set))
		return quantity_milli(json_text(set));
	return json_kind(set) == JSON_INT ? json_int(set, 0) * 1000 : -1;
}

int resource_value(const struct json *container, const struct json *ref,
	struct buf *out, struct err *e)
{
	const char *resource = json_text_or(ref, "resource", "");
	const char *dot = strchr(resource, '.');
	char text[32], kind[16];
	int64_t n, divisor = 1000;

	if (!dot)
		return err_set(e, ERR_SYNTAX, "resourceFieldRef \"%s\"", resource);
	snprintf(kind, sizeof(kind), "%.*s", (int)(dot - resource), resource);
	n = resource_milli(container, kind, dot + 1);
	if (n < 0)
		n = whole_machine(resource);
	if (json_text_at(ref, "divisor"))
		divisor = quantity_milli(json_text_at(ref, "divisor"));
	if (divisor <= 0)
		divisor = 1000;
	snprintf(text, sizeof(text), "%lld", (long long)((n + divisor - 1) / divisor));
	return buf_text(out, text);
}

/* ---- ConfigMaps and Secrets ---- */

static int add_data(const struct json *member, bool secret, struct buf *out)
{
	const char *text = json_text(member);

	return secret ? buf_unbase64(out, slice_of(text)) : buf_text(out, text);
}

static int key_value(const struct env_source *src, const struct json *ref, bool secret,
	struct buf *out, bool *absent, struct err *e)
{
	const char *kind = secret ? "secrets" : "configmaps";
	const char *name = json_text_or(ref, "name", "");
	const char *key = json_text_or(ref, "key", "");
	const struct json *from = store_get(src->store, kind, meta_ns(src->pod), name);
	const struct json *value = json_get(json_get(from, "data"), key);

	*absent = !json_text(value);
	if (!*absent)
		return add_data(value, secret, out);
	if (json_bool_at(ref, "optional", false))
		return 0;
	if (!from)
		return err_set(e, ERR_MISSING, "%s \"%s\" not found",
			secret ? "secret" : "configmap", name);
	return err_set(e, ERR_MISSING, "couldn't find key %s in %s %s/%s", key,
		secret ? "Secret" : "ConfigMap", meta_ns(src->pod), name);
}

static int add_all_of(const struct env_source *src, const struct json *from,
	const char *part, bool secret, struct words *env, struct err *e)
{
	const struct json *ref = json_get(from, part), *obj;
	const char *name = json_text_or(ref, "name", "");
	const char *prefix = json_text_or(from, "prefix", "");

	if (!ref)
		return 0;
	obj = store_get(
		src->store, secret ? "secrets" : "configmaps", meta_ns(src->pod), name);
	if (!obj && json_bool_at(ref, "optional", false))
		return 0;
	if (!obj)
		return err_set(e, ERR_MISSING, "%s \"%s\" not found",
			secret ? "secret" : "configmap", name);
	json_each(m, json_get(obj, "data"))
	{
		struct buf v = BUF_INIT;
		char key[512];

		snprintf(key, sizeof(key), "%s%s", prefix, json_key(m));
		if (json_text(m) && add_data(m, secret, &v) == 0 &&
			buf_char(&v, 0) == 0)
			words_set_env(env, key, v.p + v.at);
		buf_fini(&v);
	}
	return 0;
}

static int value_from(const struct env_source *src, const struct json *container,
	const struct json *from, struct buf *out, bool *absent, struct err *e)
{
	const struct json *ref = json_get(from, "fieldRef");
	const char *path = json_text_or(ref, "fieldPath", "");

	if (ref && !field_value(src->pod, path, out))
		return err_set(e, ERR_SYNTAX, "fieldRef \"%s\" is not known", path);
	if (ref)
		return 0;
	ref = json_get(from, "resourceFieldRef");
	if (ref)
		return resource_value(container, ref, out, e);
	ref = json_get(from, "configMapKeyRef");
	if (ref)
		return key_value(src, ref, false, out, absent, e);
	return key_value(src, json_get(from, "secretKeyRef"), true, out, absent, e);
}

static int add_one(const struct env_source *src, const struct json *container,
	const struct json *var, struct words *env, struct err *e)
{
	const struct json *from = json_get(var, "valueFrom");
	struct buf v = BUF_INIT;
	bool absent = false;
	int rc = 0;

	if (from)
		rc = value_from(src, container, from, &v, &absent, e);
	else
		env_expand(json_text_or(var, "value", ""), env, &v);
	if (rc == 0 && !absent && buf_char(&v, 0) == 0)
		words_set_env(env, json_text_or(var, "name", ""), v.p + v.at);
	buf_fini(&v);
	return rc;
}

int env_build(const struct env_source *src, const struct json *container,
	struct words *env, struct err *e)
{
	json_each(from, json_get(container, "envFrom"))
	{
		if (add_all_of(src, from, "configMapRef", false, env, e) ||
			add_all_of(src, from, "secretRef", true, env, e))
			return -1;
	}
	json_each(var, json_get(container, "env"))
	{
		if (add_one(src, container, var, env, e))
			return -1;
	}
	return 0;
}
