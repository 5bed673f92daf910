/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/conflist.h"

#include "base/obj.h"

#define CHAIN_VERSION "0.3.1" /* results are handed on in a chain since 0.3.0 */

/* ---- names ---- */

static const struct slice endings[] = {{".conflist", 9}, {".conf", 5}, {".json", 5}};

static struct slice ending_of(const char *file)
{
	for (size_t i = 0; i < countof(endings); i++)
		if (slice_ends(slice_of(file), endings[i]))
			return endings[i];
	return SLICE_NONE;
}

enum conf_kind conf_kind(const char *file)
{
	struct slice ending = ending_of(file);

	if (*file == '.' || !ending.n)
		return CONF_NONE;
	return slice_is(ending, ".conflist") ? CONF_LIST : CONF_ONE;
}

char *conf_list_name(const char *file)
{
	struct buf b = BUF_INIT;
	char *name;

	buf_add(&b, file, strlen(file) - ending_of(file).n);
	buf_text(&b, ".conflist");
	name = buf_steal(&b);
	must(name);
	return name;
}

/* ---- text ---- */

static int check(const struct json *conf, enum conf_kind kind, struct err *e)
{
	const struct json *plugins = json_get(conf, "plugins");

	if (json_kind(conf) != JSON_OBJECT)
		return err_set(e, ERR_SYNTAX, "not a JSON object");
	if (kind == CONF_ONE && !json_text(json_get(conf, "type")))
		return err_set(e, ERR_SYNTAX, "has no \"type\": not a plugin");
	if (kind == CONF_LIST && json_kind(plugins) != JSON_LIST)
		return err_set(e, ERR_SYNTAX, "has no list of \"plugins\"");
	if (kind == CONF_LIST && !json_first(plugins))
		return err_set(e, ERR_SYNTAX, "its list of plugins is empty");
	return 0;
}

static bool is_ours(const struct json *plugin)
{
	return strcmp(json_text_or(plugin, "type", ""), CNI_TYPE) == 0;
}

static struct json *parse(struct slice text, enum conf_kind kind, struct err *e)
{
	struct json *conf = json_parse(text, e);

	if (!conf || check(conf, kind, e) == 0)
		return conf;
	json_free(conf);
	return NULL;
}

/* A chain of the one plugin; takes it.  The network keeps its name: what the plugin has
 * noted of addresses in use is found by it. */
static struct json *chain_of(struct json *one)
{
	struct json *list = json_object();
	const char *version = json_text_or(one, "cniVersion", "0.1.0");
	bool old = strcmp(version, "0.1.0") == 0 || strcmp(version, "0.2.0") == 0;

	json_set_text(list, "cniVersion", old ? CHAIN_VERSION : version);
	json_set_text(list, "name", json_text_or(one, "name", "pods"));
	json_remove(one, "cniVersion");
	json_push(json_need_list(list, "plugins"), one);
	return list;
}

/* Takes ours out; true when there was one. */
static bool drop_ours(struct json *list)
{
	struct json *plugins = json_get(list, "plugins"), *next;
	bool any = false;

	for (struct json *p = json_first(plugins); p; p = next) {
		next = json_next(p);
		if (is_ours(p)) {
			json_free(json_detach(plugins, p));
			any = true;
		}
	}
	return any;
}

static bool is_done(const struct json *list, const struct json *entry)
{
	const struct json *plugins = json_get(list, "plugins");
	size_t ours = 0;

	json_each(p, plugins)
	{
		ours += is_ours(p);
	}
	return ours == 1 &&
	       json_equal(json_at(plugins, json_count(plugins) - 1), entry);
}

static int write_out(struct json *conf, struct buf *out, struct err *e)
{
	int rc = json_write(conf, 2, out);

	buf_char(out, '\n');
	json_free(conf);
	return rc ? err_set(e, ERR_LIMIT, "out of memory") : 0;
}

static bool is_ours_alone(const struct json *list)
{
	json_each(p, json_get(list, "plugins"))
	{
		if (!is_ours(p))
			return false;
	}
	return true;
}

int conflist_with(struct slice text, enum conf_kind kind, const struct json *entry,
	struct buf *out, struct err *e)
{
	struct json *conf = parse(text, kind, e);
	int rc = 1;

	if (!conf)
		return -1;
	if (kind == CONF_ONE)
		conf = chain_of(conf);
	if (is_ours_alone(conf)) {
		rc = err_set(e, ERR_SYNTAX, "has no network but our own plugin");
	} else if (!is_done(conf, entry)) {
		drop_ours(conf);
		json_push(json_get(conf, "plugins"), json_copy(entry));
		return write_out(conf, out, e);
	}
	json_free(conf);
	return rc;
}

int conflist_without(struct slice text, struct buf *out, struct err *e)
{
	struct json *conf = parse(text, CONF_LIST, e);

	if (!conf)
		return 1;
	if (drop_ours(conf))
		return write_out(conf, out, e);
	json_free(conf);
	return 1;
}
