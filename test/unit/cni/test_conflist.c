/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/conflist.h"

#include <stdlib.h>

#include "base/obj.h"
#include "t.h"

#define OURS "{\"type\":\"mesh-cni\",\"log_level\":\"info\"}"
#define OLD  "{\"type\":\"mesh-cni\",\"log_level\":\"debug\"}"
#define CHAIN(plugins)                                                                 \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[" plugins "]}"

static const struct {
	const char *what, *text, *want; /* NULL: nothing to do */
	const char *without;
} good[] = {
	{"a chain", CHAIN("{\"type\":\"ptp\"}"), CHAIN("{\"type\":\"ptp\"}," OURS),
		NULL},
	{"one plugin", "{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"type\":\"ptp\"}",
		"{\"cniVersion\":\"0.4.0\",\"name\":\"n\",\"plugins\":["
		"{\"name\":\"n\",\"type\":\"ptp\"}," OURS "]}",
		NULL},
	{"one plugin without version and name", "{\"type\":\"ptp\"}",
		"{\"cniVersion\":\"0.3.1\",\"name\":\"pods\",\"plugins\":["
		"{\"type\":\"ptp\"}," OURS "]}",
		NULL},
	{"one plugin of a version without chains",
		"{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"type\":\"ptp\"}",
		"{\"cniVersion\":\"0.3.1\",\"name\":\"n\",\"plugins\":["
		"{\"name\":\"n\",\"type\":\"ptp\"}," OURS "]}",
		NULL},
	{"we are there", CHAIN("{\"type\":\"ptp\"}," OURS), NULL,
		CHAIN("{\"type\":\"ptp\"}")},
	{"there with other settings", CHAIN("{\"type\":\"ptp\"}," OLD),
		CHAIN("{\"type\":\"ptp\"}," OURS), CHAIN("{\"type\":\"ptp\"}")},
	{"there, but not last", CHAIN(OURS ",{\"type\":\"ptp\"}"),
		CHAIN("{\"type\":\"ptp\"}," OURS), CHAIN("{\"type\":\"ptp\"}")},
	{"there twice", CHAIN("{\"type\":\"ptp\"}," OURS "," OURS),
		CHAIN("{\"type\":\"ptp\"}," OURS), CHAIN("{\"type\":\"ptp\"}")},
	{"keys and numbers that we do not know",
		"{\"name\":\"n\",\"x\":9007199254740993,\"disableCheck\":true,"
		"\"plugins\":[{\"type\":\"a\",\"y\":[1.5,null]}]}",
		"{\"name\":\"n\",\"x\":9007199254740993,\"disableCheck\":true,"
		"\"plugins\":[{\"type\":\"a\",\"y\":[1.5,null]}," OURS "]}",
		NULL},
};

/* As its file would be named. */
static enum conf_kind kind_of(const char *text)
{
	return strstr(text, "plugins") ? CONF_LIST : CONF_ONE;
}

static void is(struct buf *got, const char *want)
{
	struct json *j = json_parse(buf_slice(got), NULL);
	struct buf line = BUF_INIT;

	OK(j && json_write(j, 0, &line) == 0);
	buf_char(&line, '\0');
	EQ_STR(line.p, want);
	buf_fini(&line);
	json_free(j);
}

TEST(we_are_the_last_of_the_chain)
{
	struct json *entry = json_parse(SLICE(OURS), NULL);

	for (size_t i = 0; i < countof(good); i++) {
		struct buf out = BUF_INIT;
		struct err e = {0};
		int rc = conflist_with(
			slice_of(good[i].text), kind_of(good[i].text), entry, &out, &e);

		if (rc != (good[i].want ? 0 : 1))
			T_FAIL("%s: %d %s", good[i].what, rc, e.msg);
		if (good[i].want)
			is(&out, good[i].want);
		else
			EQ_INT(buf_len(&out), 0);
		buf_fini(&out);
	}
	json_free(entry);
}

TEST(doing_it_again_changes_nothing)
{
	struct json *entry = json_parse(SLICE(OURS), NULL);

	for (size_t i = 0; i < countof(good); i++) {
		struct buf out = BUF_INIT, again = BUF_INIT;

		if (conflist_with(slice_of(good[i].text), kind_of(good[i].text), entry,
			    &out, NULL) == 0)
			EQ_INT(conflist_with(
				       buf_slice(&out), CONF_LIST, entry, &again, NULL),
				1);
		EQ_INT(buf_len(&again), 0);
		buf_fini(&out);
	}
	json_free(entry);
}

TEST(taken_out_only_we_are_gone)
{
	for (size_t i = 0; i < countof(good); i++) {
		struct buf out = BUF_INIT;
		int rc = conflist_without(slice_of(good[i].text), &out, NULL);

		EQ_INT(rc, good[i].without ? 0 : 1);
		if (good[i].without)
			is(&out, good[i].without);
		buf_fini(&out);
	}
}

static const struct {
	const char *text;
	enum conf_kind kind;
	const char *why;
} bad[] = {
	{"", CONF_LIST, "the text ends"},
	{"{\"plugins\":[{\"type\":\"ptp\"}", CONF_LIST, "line 1"},
	{"[]", CONF_LIST, "not a JSON object"},
	{"{}", CONF_LIST, "no list"},
	{"{\"plugins\":{}}", CONF_LIST, "no list"},
	{"{\"plugins\":[]}", CONF_LIST, "empty"},
	{"{\"type\":\"ptp\"}", CONF_LIST, "no list"},
	{"{\"type\":7}", CONF_ONE, "no \"type\""},
	{CHAIN("{\"type\":\"ptp\"}"), CONF_ONE, "no \"type\""},
	{OURS, CONF_ONE, "our own"},
	{CHAIN(OURS), CONF_LIST, "our own"},
	{CHAIN(OLD), CONF_LIST, "our own"},
};

TEST(what_a_runtime_would_not_take_is_refused_with_the_reason)
{
	struct json *entry = json_parse(SLICE(OURS), NULL);

	for (size_t i = 0; i < countof(bad); i++) {
		struct buf out = BUF_INIT;
		struct err e = {0};
		int rc = conflist_with(
			slice_of(bad[i].text), bad[i].kind, entry, &out, &e);

		EQ_INT(rc, -1);
		if (!strstr(e.msg, bad[i].why))
			T_FAIL("\"%s\": %s", bad[i].text, e.msg);
		EQ_INT(buf_len(&out), 0);
	}
	json_free(entry);
}

TEST(files_are_told_by_their_names)
{
	static const struct {
		const char *file;
		enum conf_kind kind;
		const char *list;
	} table[] = {{"10-a.conf", CONF_ONE, "10-a.conflist"},
		{"10-a.conflist", CONF_LIST, "10-a.conflist"},
		{"a.json", CONF_ONE, "a.conflist"}, {"a.conf.bak", CONF_NONE, NULL},
		{".tmp.conf", CONF_NONE, NULL},
		{"ZZZ-mesh-cni-kubeconfig", CONF_NONE, NULL},
		{"a.conflist.install", CONF_NONE, NULL}};

	for (size_t i = 0; i < countof(table); i++) {
		char *name;

		EQ_INT(conf_kind(table[i].file), table[i].kind);
		if (!table[i].list)
			continue;
		name = conf_list_name(table[i].file);
		EQ_STR(name, table[i].list);
		free(name);
	}
}
