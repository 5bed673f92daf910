/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/call.h"

#include <stdarg.h>

#include "base/obj.h"

/* ---- what there is ---- */

enum { NEEDS_ID = 1, NEEDS_NETNS = 2, NEEDS_CONFIG = 4 };

static const struct {
	const char *name;
	int needs;
	int since; /* version of the configuration, as below */
} verbs[] = {
	[CNI_ADD] = {"ADD", NEEDS_ID | NEEDS_NETNS | NEEDS_CONFIG, 0},
	[CNI_DEL] = {"DEL", NEEDS_ID | NEEDS_CONFIG, 0},
	[CNI_CHECK] = {"CHECK", NEEDS_ID | NEEDS_NETNS | NEEDS_CONFIG, 4},
	[CNI_GC] = {"GC", NEEDS_CONFIG, 6},
	[CNI_STATUS] = {"STATUS", NEEDS_CONFIG, 6},
	[CNI_VERSION] = {"VERSION", 0, 0},
};

static const char *const versions[] = {
	"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
#define NEWEST versions[countof(versions) - 1]

int cni_fail(struct cni_fail *f, enum cni_code code, const char *fmt, ...)
{
	va_list ap;

	f->code = code;
	f->e.code = ERR_DENIED;
	va_start(ap, fmt);
	vsnprintf(f->e.msg, sizeof f->e.msg, fmt, ap);
	va_end(ap);
	return -1;
}

/* ---- the environment ---- */

static const char *get(cni_env *env, const char *name)
{
	const char *text = env(name);

	return text ? text : "";
}

static int read_verb(struct cni_call *c, cni_env *env, struct cni_fail *f)
{
	const char *text = get(env, "CNI_COMMAND");

	for (size_t i = 0; i < countof(verbs); i++)
		if (strcmp(verbs[i].name, text) == 0) {
			c->verb = (enum cni_verb)i;
			return 0;
		}
	return cni_fail(f, CNI_BAD_ENV, "CNI_COMMAND: \"%s\" is no command", text);
}

static bool is_plain(const char *text, const char *others)
{
	for (; *text; text++) {
		char c = *text | 32;

		if (!((c >= 'a' && c <= 'z') || (*text >= '0' && *text <= '9') ||
			    strchr(others, *text)))
			return false;
	}
	return true;
}

static int check_env(const struct cni_call *c, cni_env *env, struct cni_fail *f)
{
	const char *id = get(env, "CNI_CONTAINERID"), *link = get(env, "CNI_IFNAME");
	int needs = verbs[c->verb].needs;

	if (needs & NEEDS_ID && (!*id || !is_plain(id, "_.-")))
		return cni_fail(f, CNI_BAD_ENV,
			"CNI_CONTAINERID: \"%s\" is no container's name", id);
	if (needs & NEEDS_ID && (!*link || strlen(link) > 15 || strpbrk(link, "/: \t")))
		return cni_fail(f, CNI_BAD_ENV,
			"CNI_IFNAME: \"%s\" is no interface's name", link);
	if (needs & NEEDS_NETNS && !*c->netns)
		return cni_fail(f, CNI_BAD_ENV, "CNI_NETNS is needed for %s",
			verbs[c->verb].name);
	return 0;
}

/* CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0". */
static int read_args(struct cni_call *c, cni_env *env, struct cni_fail *f)
{
	struct slice rest = slice_of(env("CNI_ARGS")), value, key;
	const struct {
		const char *key;
		char *to;
		size_t size;
	} fields[] = {{"K8S_POD_NAME", c->pod, sizeof c->pod},
		{"K8S_POD_NAMESPACE", c->namespace, sizeof c->namespace},
		{"K8S_POD_UID", c->uid, sizeof c->uid}};

	while (slice_cut(&rest, ';', &value)) {
		slice_cut(&value, '=', &key);
		for (size_t i = 0; i < countof(fields); i++) {
			if (!slice_is(key, fields[i].key))
				continue;
			snprintf(
				fields[i].to, fields[i].size, "%.*s", SLICE_FMT(value));
			/* It becomes part of a path at the API server. */
			if (!is_plain(fields[i].to, "-."))
				return cni_fail(f, CNI_BAD_ENV,
					"CNI_ARGS: %s: \"%s\" is not a name",
					fields[i].key, fields[i].to);
		}
	}
	return 0;
}

/* ---- the configuration ---- */

static int version_number(const char *version)
{
	for (size_t i = 0; i < countof(versions); i++)
		if (strcmp(versions[i], version) == 0)
			return (int)i;
	return -1;
}

static int check_version(const struct cni_call *c, struct cni_fail *f)
{
	int n = version_number(c->version);

	if (n >= verbs[c->verb].since)
		return 0;
	f->details = "versions: 0.1.0 0.2.0 0.3.0 0.3.1 0.4.0 1.0.0 1.1.0; CHECK since "
		     "0.4.0, GC and STATUS since 1.1.0";
	if (n < 0)
		return cni_fail(f, CNI_INCOMPATIBLE,
			"cniVersion \"%s\" is not supported", c->version);
	return cni_fail(f, CNI_INCOMPATIBLE, "cniVersion %s has no %s", c->version,
		verbs[c->verb].name);
}

static int read_conf(struct cni_call *c, struct slice in, struct cni_fail *f)
{
	struct err e = {0};

	if (!slice_trim(in).n && c->verb == CNI_VERSION)
		return 0;
	c->conf = json_parse(in, &e);
	if (!c->conf)
		return cni_fail(f, CNI_NOT_JSON, "the configuration: %s", e.msg);
	if (json_kind(c->conf) != JSON_OBJECT)
		return cni_fail(f, CNI_NOT_JSON, "the configuration is no object");
	c->version = json_text_or(c->conf, "cniVersion", versions[0]);
	return c->verb == CNI_VERSION ? 0 : check_version(c, f);
}

int cni_call_read(struct cni_call *c, cni_env *env, struct slice in, struct cni_fail *f)
{
	*c = (struct cni_call){.version = NEWEST, .netns = get(env, "CNI_NETNS")};
	*f = (struct cni_fail){0};
	if (read_verb(c, env, f) || read_conf(c, in, f) || check_env(c, env, f))
		return -1;
	return read_args(c, env, f);
}

void cni_call_fini(struct cni_call *c)
{
	json_free(c->conf);
	*c = (struct cni_call){0};
}

/* ---- answers ---- */

static void say(struct json *j, struct buf *out)
{
	(void)json_write(j, 0, out); /* its failure is the buf's */
	buf_char(out, '\n');
	json_free(j);
}

void cni_say_version(const struct cni_call *c, struct buf *out)
{
	struct json *j = json_object(), *list = json_need_list(j, "supportedVersions");

	json_set_text(
		j, "cniVersion", version_number(c->version) < 0 ? NEWEST : c->version);
	for (size_t i = 0; i < countof(versions); i++)
		json_push(list, json_string(versions[i]));
	say(j, out);
}

void cni_say_result(const struct cni_call *c, struct buf *out)
{
	const struct json *before = json_get(c->conf, "prevResult");
	struct json *j =
		json_kind(before) == JSON_OBJECT ? json_copy(before) : json_object();

	json_set_text(j, "cniVersion", c->version);
	say(j, out);
}

void cni_say_fail(const struct cni_call *c, const struct cni_fail *f, struct buf *out)
{
	struct json *j = json_object();

	json_set_text(
		j, "cniVersion", version_number(c->version) < 0 ? NEWEST : c->version);
	json_set_int(j, "code", f->code);
	json_set_text(j, "msg", f->e.msg);
	if (f->details)
		json_set_text(j, "details", f->details);
	say(j, out);
}
