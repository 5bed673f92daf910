/* SPDX-License-Identifier: Apache-2.0 */
#include "local/store.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "local/meta.h"
#include "t.h"

static struct json *parse(const char *text)
{
	struct err e = {0};
	struct json *j = json_parse(slice_of(text), &e);

	if (!j)
		T_FAIL("%s: %s", text, e.msg);
	return j;
}

static struct store *memory(size_t history)
{
	struct store_config cfg = {.history = history};

	return store_new(&cfg, NULL);
}

#define POD(name, rest)                                                                \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"default\"" rest "}}"

static enum store_result create(struct store *s, const char *text)
{
	return store_create(s, "pods", parse(text), NULL, NULL);
}

static void ignore(struct store_watch *w)
{
	(void)w;
}

TEST(create_fills_the_metadata_in)
{
	struct store *s = memory(0);
	const struct json *pod;

	EQ_INT(create(s, POD("a", "")), STORE_OK);
	pod = store_get(s, "pods", "default", "a");
	EQ_INT(strlen(meta_uid(pod)), 36);
	EQ_STR(json_text_or(pod, "metadata.resourceVersion", ""), "1");
	EQ_INT(json_int_at(pod, "metadata.generation", 0), 1);
	OK(meta_time(pod, "metadata.creationTimestamp") > 0);
	EQ_INT(create(s, POD("a", "")), STORE_EXISTS);
	EQ_INT(create(s, "{}"), STORE_INVALID);
	store_free(s);
}

TEST(a_generated_name_begins_as_asked)
{
	struct store *s = memory(0);
	struct object *o = NULL;

	EQ_INT(store_create(s, "pods",
		       parse("{\"metadata\":{\"generateName\":\"web-\"}}"), &o, NULL),
		STORE_OK);
	EQ_INT(strlen(o->name), 9);
	OK(strncmp(o->name, "web-", 4) == 0);
	store_free(s);
}

TEST(an_update_of_an_old_version_conflicts)
{
	struct store *s = memory(0);
	struct json *one, *two;

	create(s, POD("a", ""));
	one = json_copy(store_get(s, "pods", "default", "a"));
	two = json_copy(one);
	json_set_int(one, "spec", 1);
	json_set_int(two, "spec", 2);
	EQ_INT(store_update(s, "pods", one, STORE_WHOLE, NULL, NULL), STORE_OK);
	EQ_INT(store_update(s, "pods", two, STORE_WHOLE, NULL, NULL), STORE_CONFLICT);
	EQ_INT(json_int_at(store_get(s, "pods", "default", "a"), "spec", 0), 1);
	store_free(s);
}

TEST(only_a_change_of_the_spec_raises_the_generation)
{
	struct store *s = memory(0);
	uint64_t version;

	create(s, POD("a", ""));
	store_set_status(
		s, "pods", "default", "a", parse("{\"phase\":\"Running\"}"), NULL);
	EQ_INT(json_int_at(
		       store_get(s, "pods", "default", "a"), "metadata.generation", 0),
		1);
	store_update(s, "pods",
		parse("{\"metadata\":{\"name\":\"a\",\"namespace\":\"default\"},"
		      "\"spec\":{}}"),
		STORE_NO_STATUS, NULL, NULL);
	EQ_INT(json_int_at(
		       store_get(s, "pods", "default", "a"), "metadata.generation", 0),
		2);
	EQ_STR(json_text_or(store_get(s, "pods", "default", "a"), "status.phase", ""),
		"Running");
	version = store_version(s);
	store_set_status(
		s, "pods", "default", "a", parse("{\"phase\":\"Running\"}"), NULL);
	EQ_INT(store_version(s), version);
	store_free(s);
}

TEST(a_list_is_sorted_and_kept_apart_by_namespace)
{
	struct store *s = memory(0);
	struct store_list all;

	create(s, "{\"metadata\":{\"name\":\"z\",\"namespace\":\"a\"}}");
	create(s, "{\"metadata\":{\"name\":\"b\",\"namespace\":\"b\"}}");
	create(s, "{\"metadata\":{\"name\":\"c\",\"namespace\":\"a\"}}");
	store_list(s, "pods", NULL, &all);
	EQ_INT(all.n, 3);
	EQ_STR(all.v[0]->name, "c");
	EQ_STR(all.v[2]->name, "b");
	store_list_end(&all);
	store_list(s, "pods", "a", &all);
	EQ_INT(all.n, 2);
	store_list_end(&all);
	store_list(s, "services", NULL, &all);
	EQ_INT(all.n, 0);
	store_list_end(&all);
	store_free(s);
}

TEST(a_bound_pod_is_marked_first_and_goes_with_grace_nought)
{
	struct store *s = memory(0);
	struct store_delete now = {.grace = 0};
	struct object *o = NULL;

	store_create(s, "pods",
		parse("{\"metadata\":{\"name\":\"a\",\"namespace\":\"d\"},"
		      "\"spec\":{\"nodeName\":\"n\"}}"),
		NULL, NULL);
	EQ_INT(store_delete(s, "pods", "d", "a", NULL, &o, NULL), STORE_OK);
	OK(o && meta_is_deleted(o->json));
	EQ_INT(json_int_at(o->json, "metadata.deletionGracePeriodSeconds", 0), 30);
	EQ_INT(store_delete(s, "pods", "d", "a", &now, &o, NULL), STORE_OK);
	OK(o == NULL);
	EQ_INT(store_delete(s, "pods", "d", "a", &now, &o, NULL), STORE_MISSING);
	store_free(s);
}

TEST(finalizers_hold_an_object_until_the_last_is_removed)
{
	struct store *s = memory(0);
	struct object *o = NULL;
	struct json *free_of;

	create(s, POD("a", ",\"finalizers\":[\"x/y\"]"));
	EQ_INT(store_delete(s, "pods", "default", "a", NULL, &o, NULL), STORE_OK);
	OK(o);
	free_of = json_copy(o->json);
	json_remove(json_get(free_of, "metadata"), "finalizers");
	EQ_INT(store_update(s, "pods", free_of, STORE_WHOLE, &o, NULL), STORE_OK);
	OK(o == NULL);
	OK(!store_get(s, "pods", "default", "a"));
	store_free(s);
}

TEST(a_delete_of_another_uid_conflicts)
{
	struct store *s = memory(0);
	struct store_delete other = {.grace = -1, .uid = "no"};

	create(s, POD("a", ""));
	EQ_INT(store_delete(s, "pods", "default", "a", &other, NULL, NULL),
		STORE_CONFLICT);
	store_free(s);
}

TEST(a_watcher_sees_each_change_once_and_in_order)
{
	struct store *s = memory(0);
	struct store_watch w;
	struct store_event ev;

	create(s, POD("before", ""));
	store_watch_begin(&w, s, "pods", store_version(s), ignore);
	create(s, POD("a", ""));
	store_create(s, "services", parse(POD("other", "")), NULL, NULL);
	store_set_status(
		s, "pods", "default", "a", parse("{\"phase\":\"Running\"}"), NULL);
	store_delete(s, "pods", "default", "a", NULL, NULL, NULL);
	EQ_INT(store_watch_next(&w, &ev), STORE_MORE);
	EQ_INT(ev.what, STORE_ADDED);
	EQ_INT(store_watch_next(&w, &ev), STORE_MORE);
	EQ_INT(ev.what, STORE_MODIFIED);
	OK(ev.old && !json_get(ev.old->json, "status"));
	EQ_INT(store_watch_next(&w, &ev), STORE_MORE);
	EQ_INT(ev.what, STORE_DELETED);
	EQ_STR(ev.now->name, "a");
	EQ_INT(ev.now->version, store_version(s));
	EQ_INT(store_watch_next(&w, &ev), STORE_NO_MORE);
	store_watch_end(&w);
	store_free(s);
}

TEST(a_watcher_behind_the_window_must_list_again)
{
	struct store *s = memory(4);
	struct store_watch w;
	struct store_event ev;

	store_watch_begin(&w, s, "pods", 0, ignore);
	for (int i = 0; i < 6; i++)
		store_create(s, "pods",
			parse("{\"metadata\":{\"generateName\":\"p\"}}"), NULL, NULL);
	EQ_INT(store_watch_next(&w, &ev), STORE_EXPIRED);
	OK(store_has_since(s, 2) && !store_has_since(s, 1));
	store_watch_end(&w);
	store_free(s);
}

static char *temp_dir(void)
{
	static char dir[] = "/tmp/store.XXXXXX";

	return mkdtemp(dir);
}

static void clean(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/objects.log", dir);
	unlink(path);
	rmdir(dir);
}

TEST(objects_and_versions_survive_a_restart_and_a_torn_line)
{
	struct store_config cfg = {.dir = temp_dir()};
	struct store *s = store_new(&cfg, NULL);
	char path[128];
	int fd;

	OK(s);
	create(s, POD("a", ""));
	create(s, POD("b", ""));
	store_delete(s, "pods", "default", "a", NULL, NULL, NULL);
	store_free(s);
	snprintf(path, sizeof(path), "%s/objects.log", cfg.dir);
	fd = open(path, O_WRONLY | O_APPEND);
	OK(write(fd, "{\"res\":\"pods\",\"obj\":{\"meta", 27) == 27);
	close(fd);
	s = store_new(&cfg, NULL);
	EQ_INT(store_version(s), 3);
	OK(!store_get(s, "pods", "default", "a"));
	OK(store_get(s, "pods", "default", "b"));
	create(s, POD("c", ""));
	store_free(s);
	s = store_new(&cfg, NULL);
	OK(store_get(s, "pods", "default", "c"));
	EQ_INT(store_version(s), 4);
	store_free(s);
	clean(cfg.dir);
}

TEST(a_full_disk_refuses_a_change_and_spoils_nothing)
{
	struct store_config cfg = {.dir = temp_dir()};
	struct store *s = store_new(&cfg, NULL);
	struct rlimit all, little = {.rlim_cur = 700};
	struct err e = {0};
	struct json *large = parse(POD("large", ""));
	char text[2000];

	signal(SIGXFSZ, SIG_IGN);
	OK(s && getrlimit(RLIMIT_FSIZE, &all) == 0);
	little.rlim_max = all.rlim_max;
	EQ_INT(create(s, POD("a", "")), STORE_OK);
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = 0;
	json_set_text(large, "data", text);
	OK(setrlimit(RLIMIT_FSIZE, &little) == 0);
	EQ_INT(store_create(s, "pods", large, NULL, &e), STORE_FAILED);
	OK(strstr(e.msg, "File too large"));
	OK(!store_get(s, "pods", "default", "large"));
	EQ_INT(store_version(s), 1);
	OK(setrlimit(RLIMIT_FSIZE, &all) == 0);
	EQ_INT(create(s, POD("b", "")), STORE_OK);
	store_free(s);
	s = store_new(&cfg, NULL);
	OK(store_get(s, "pods", "default", "a") &&
		store_get(s, "pods", "default", "b"));
	EQ_INT(store_version(s), 2);
	store_free(s);
	clean(cfg.dir);
}

TEST(the_same_event_is_counted_up)
{
	struct store *s = memory(0);
	const struct json *pod;
	struct store_list all;

	create(s, POD("a", ""));
	pod = store_get(s, "pods", "default", "a");
	store_tell(s, "kubelet", pod, "Warning", "Failed", "no such image");
	store_tell(s, "kubelet", pod, "Warning", "Failed", "no such image");
	store_tell(s, "kubelet", pod, "Normal", "Started", "started");
	store_list(s, "events", "default", &all);
	EQ_INT(all.n, 2);
	EQ_INT(json_int_at(all.v[0]->json, "count", 0) +
			json_int_at(all.v[1]->json, "count", 0),
		3);
	store_list_end(&all);
	store_free(s);
}

TEST(a_list_of_the_past_is_as_it_was)
{
	struct store *s = memory(4);
	struct store_delete now = {.grace = 0};
	struct store_list l;
	uint64_t then;

	create(s, POD("a", ""));
	create(s, POD("b", ""));
	then = store_version(s);
	OK(store_delete(s, "pods", "default", "a", &now, NULL, NULL) == STORE_OK);
	OK(store_update(s, "pods", parse(POD("b", ",\"labels\":{\"x\":\"y\"}")),
		   STORE_WHOLE, NULL, NULL) == STORE_OK);
	create(s, POD("c", ""));
	OK(store_list_at(s, "pods", NULL, then, &l));
	EQ_INT(l.n, 2);
	EQ_STR(l.v[0]->name, "a");
	OK(!json_path(l.v[1]->json, "metadata.labels"));
	store_list_end(&l);
	OK(store_list_at(s, "pods", "default", store_version(s), &l));
	EQ_INT(l.n, 2);
	EQ_STR(l.v[1]->name, "c");
	store_list_end(&l);
	OK(store_list_at(s, "pods", "other", then, &l));
	EQ_INT(l.n, 0);
	store_list_end(&l);
	create(s, POD("d", ""));
	create(s, POD("e", ""));
	OK(!store_list_at(s, "pods", NULL, then, &l));
	store_free(s);
}
