/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/kube.h"
#include "script.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct buf told; /* "+name" put, "-name" gone, "." synced */
static const char *wanted;

static void start(const struct script *s)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config cfg = {.kubeconfig = path};
	struct err e = {0};
	int fd = mkstemp(path);

	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a, user: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d/base'}}]\n"
		"users: [{name: a, user: {token: secret}}]\n",
		s->port);
	close(fd);
	loop = loop_new(&e);
	OK(loop);
	dns = dns_new(loop, NULL, &e);
	OK(dns);
	kube = kube_new(loop, dns, &cfg, &e);
	unlink(path);
	if (!kube)
		T_FAIL("%s", e.msg);
}

/* What was put off to the turn's end is done. */
static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void stop(void)
{
	kube_free(kube);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	buf_fini(&told);
}

static void stop_loop(struct timer *t)
{
	loop_stop(t->loop);
}

static void say(const char *what, const char *name)
{
	buf_printf(&told, "%s%s", what, name);
	if (wanted && slice_is(buf_slice(&told), wanted))
		loop_stop(loop);
}

static void on_object(void *arg, enum kube_event ev, const struct json *object)
{
	(void)arg;
	say(ev == KUBE_PUT ? "+" : "-", json_text_or(object, "metadata.name", "?"));
}

static void on_synced(void *arg)
{
	(void)arg;
	say(".", "");
}

static const struct kube_watch_user user = {on_object, on_synced};

#define POD(name, version)                                                             \
	"{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"n\",\"uid\":\"u-" name   \
	"\",\"resourceVersion\":\"" version "\"}}"
#define LIST(version, more, items)                                                     \
	SCRIPT_OK "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version \
		  "\",\"continue\":\"" more "\"},\"items\":[" items "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define LIST_URL            "GET /base/api/v1/pods?limit=500 "
#define STREAM_URL(version)                                                            \
	"GET /base/api/v1/pods?watch=true&allowWatchBookmarks=true&"                   \
	"resourceVersion=" version "&timeoutSeconds="

static void run(const struct script_step *steps, size_t n, const char *want)
{
	struct script s;
	struct kube_watch *w;
	struct err e = {0};

	log_filter_set(SLICE("off"), NULL);
	script_start(&s, steps, n);
	start(&s);
	wanted = want;
	w = kube_watch_new(kube, "/api/v1/pods", NULL, &user, NULL, &e);
	OK(w && !kube_watch_is_synced(w));
	OK(loop_run(loop, &e) == 0);
	OK(kube_watch_is_synced(w));
	kube_watch_free(w);
	stop();
	OK(script_passed(&s));
}

TEST(a_watch_lists_in_pages_and_then_streams)
{
	static const struct script_step steps[] = {
		{LIST_URL, "uthorization: Bearer secret",
			LIST("7", "a/b", POD("a", "1"))},
		{"GET /base/api/v1/pods?limit=500&continue=a%2Fb ", NULL,
			LIST("7", "", POD("b", "2"))},
		{STREAM_URL("7"), NULL,
			SCRIPT_OK EVENT("ADDED", POD("c", "8")) EVENT("MODIFIED",
				POD("a", "9")) EVENT("DELETED", POD("b", "10"))},
	};

	run(steps, countof(steps), "+a+b.+c+a-b");
}

TEST(a_broken_stream_goes_on_from_the_last_version)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, LIST("7", "", POD("a", "1"))},
		{STREAM_URL("7"), NULL,
			SCRIPT_OK EVENT("ADDED", POD("b", "8")) EVENT("BOOKMARK",
				"{\"metadata\":{\"resourceVersion\":\"20\"}}")},
		{STREAM_URL("20"), NULL, SCRIPT_STATUS("500 Oops") "x"},
		{STREAM_URL("20"), NULL, ""}, /* closed without an answer */
		{STREAM_URL("20"), NULL, SCRIPT_OK EVENT("ADDED", POD("c", "21"))},
	};

	run(steps, countof(steps), "+a.+b+c");
}

TEST(after_410_what_vanished_is_told)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, LIST("7", "", POD("a", "1") "," POD("b", "2"))},
		{STREAM_URL("7"), NULL,
			SCRIPT_OK EVENT("ERROR", "{\"kind\":\"Status\",\"code\":410}")},
		{LIST_URL, NULL, LIST("30", "", POD("b", "2") "," POD("c", "29"))},
		{STREAM_URL("30"), NULL,
			SCRIPT_OK EVENT("DELETED", POD("a", "1"))
				EVENT("ADDED", POD("d", "31"))},
	};

	run(steps, countof(steps), "+a+b.+b+c-a+d");
}

TEST(an_event_that_is_no_event_is_skipped)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, LIST("7", "", "")},
		{STREAM_URL("7"), NULL,
			SCRIPT_OK "{nonsense\n" EVENT("ADDED", "{}") EVENT("NEW", "{}")
				EVENT("ADDED", POD("a", "8"))},
	};

	run(steps, countof(steps), ".+a");
}

TEST(a_server_that_answers_garbage_is_asked_until_it_does_not)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, SCRIPT_OK "<html>nobody is at home</html>"},
		{LIST_URL, NULL, "\x16\x03\x01 not even HTTP\r\n\r\n"},
		{LIST_URL, NULL,
			SCRIPT_OK "{\"items\":[" POD(
				"a", "1") ","}, /* it breaks off: what came is known */
		{LIST_URL, NULL,
			"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{\"items\":["},
		{LIST_URL, NULL, LIST("7", "", POD("a", "1"))},
		{STREAM_URL("7"), NULL, /* it ends in the middle of an event */
			SCRIPT_OK EVENT("ADDED", POD("b", "8")) "{\"type\":\"DELE"},
		{STREAM_URL("8"), NULL, SCRIPT_OK "[]\n\n17\nnull\n{}\n\"x\"\n"},
		{STREAM_URL("8"), NULL, SCRIPT_OK EVENT("DELETED", POD("b", "9"))},
	};

	run(steps, countof(steps), "+a+a.+b-b");
}

TEST(what_watches_know_and_miss_is_a_metric)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, LIST("7", "", POD("a", "1"))},
		{STREAM_URL("7"), NULL, SCRIPT_OK "{nonsense\n"},
		{STREAM_URL("7"), NULL, SCRIPT_STATUS("500 Oops") "x"},
	};
	struct buf text = BUF_INIT;
	struct kube_watch *w;
	struct script s;

	log_filter_set(SLICE("off"), NULL);
	script_start(&s, steps, countof(steps));
	start(&s);
	w = kube_watch_new(kube, "/api/v1/pods", NULL, &user, NULL, NULL);
	do {
		struct timer t;

		timer_init(&t, loop, stop_loop);
		timer_set(&t, 20 * NS_PER_MS);
		OK(loop_run(loop, NULL) == 0);
		buf_clear(&text);
		kube_metrics(kube, &text);
		buf_char(&text, '\0');
	} while (!strstr(text.p, "kube_watch_interrupted{path=\"/api/v1/pods\"} 1\n"));
	OK(strstr(text.p, "kube_watch_synced{path=\"/api/v1/pods\"} 1\n"));
	OK(strstr(
		text.p, "kube_watch_events_skipped_total{path=\"/api/v1/pods\"} 1\n"));
	OK(strstr(text.p, "kube_watch_objects{path=\"/api/v1/pods\"} 1\n"));
	buf_fini(&text);
	kube_watch_free(w);
	stop();
	OK(script_passed(&s));
}

TEST(a_kind_that_is_not_there_is_empty)
{
	static const struct script_step steps[] = {
		{LIST_URL, NULL, SCRIPT_STATUS("404 Not Found") "{}"},
	};

	run(steps, countof(steps), ".");
}

static struct kube_watch *own;

static void free_in_callback(void *arg, enum kube_event ev, const struct json *object)
{
	(void)arg, (void)ev, (void)object;
	kube_watch_free(own);
	loop_stop(loop);
}

TEST(a_watch_may_be_freed_in_its_callback)
{
	static const struct kube_watch_user freeing = {free_in_callback, NULL};
	static const struct script_step steps[] = {
		{LIST_URL, NULL, LIST("7", "", POD("a", "1") "," POD("b", "2"))},
	};
	struct script s;
	struct err e = {0};

	script_start(&s, steps, countof(steps));
	start(&s);
	own = kube_watch_new(kube, "/api/v1/pods", NULL, &freeing, NULL, &e);
	OK(loop_run(loop, &e) == 0);
	stop();
	OK(script_passed(&s));
}

static int last_status;

static void on_done(void *arg, int status, const struct json *body, const struct err *e)
{
	int *calls = arg;

	(void)e;
	last_status = status;
	if (status == 201)
		EQ_STR(json_text_or(body, "made", ""), "yes");
	if (--*calls == 0)
		loop_stop(loop);
}

TEST(requests_are_answered_or_fail)
{
	static const struct script_step steps[] = {
		{"POST /base/x ", "{\"a\":1}",
			SCRIPT_STATUS("201 Created") "{\"made\":\"yes\"}"},
	};
	struct json *body = json_object();
	struct script s;
	struct err e = {0};
	int calls = 1;

	script_start(&s, steps, countof(steps));
	start(&s);
	json_set_int(body, "a", 1);
	kube_request(kube, "POST", "/x", NULL, body, on_done, &calls);
	OK(loop_run(loop, &e) == 0);
	EQ_INT(last_status, 201);
	json_free(body);
	kube_cancel(kube_request(kube, "GET", "/y", NULL, NULL, on_done, NULL));
	stop();
	OK(script_passed(&s));
}

TEST(an_event_that_repeats_is_counted_up)
{
	static const struct script_step steps[] = {
		{"POST /base/api/v1/namespaces/n/events ", "\"reason\":\"Why\"",
			SCRIPT_STATUS("201 Created") "{}"},
		{"PATCH /base/api/v1/namespaces/n/events/web.", "\"count\":2",
			SCRIPT_STATUS("200 OK") "{}"},
		{"POST /base/api/v1/namespaces/n/events ", "\"message\":\"other\"",
			SCRIPT_STATUS("201 Created") "{}"},
		{"GET /base/end ", NULL, SCRIPT_STATUS("200 OK") "{}"},
	};
	struct json *pod = json_object(), *meta = json_need_object(pod, "metadata");
	struct script s;
	struct err e = {0};
	int calls = 1;

	json_set_text(pod, "kind", "Pod");
	json_set_text(meta, "namespace", "n");
	json_set_text(meta, "name", "web");
	script_start(&s, steps, countof(steps));
	start(&s);
	kube_event(kube, pod, "Warning", "Why", "text");
	for (int i = 0; i < 3; i++) {
		calls = 1;
		if (i == 0)
			kube_event(kube, pod, "Warning", "Why", "text");
		if (i == 1)
			kube_event(kube, pod, "Warning", "Why", "other");
		if (i == 2)
			kube_request(kube, "GET", "/end", NULL, NULL, on_done, &calls);
	}
	OK(loop_run(loop, &e) == 0);
	json_free(pod);
	stop();
	OK(script_passed(&s));
}

TEST(a_storm_of_events_becomes_a_burst)
{
	static struct script_step steps[51];
	struct json *pod = json_object(), *meta = json_need_object(pod, "metadata");
	struct script s;
	struct err e = {0};
	int calls = 1;

	for (size_t i = 0; i < 50; i++)
		steps[i] =
			(struct script_step){"POST /base/api/v1/namespaces/n/events ",
				NULL, SCRIPT_STATUS("201 Created") "{}"};
	steps[50] = (struct script_step){
		"GET /base/end ", NULL, SCRIPT_STATUS("200 OK") "{}"};
	json_set_text(pod, "kind", "Pod");
	json_set_text(meta, "namespace", "n");
	json_set_text(meta, "name", "web");
	script_start(&s, steps, countof(steps));
	start(&s);
	for (int i = 0; i < 300; i++) {
		char text[16];

		snprintf(text, sizeof text, "%d", i);
		kube_event(kube, pod, i < 150 ? "Normal" : "Warning", "Why", text);
	}
	EQ_INT(kube_events_dropped(kube), 250);
	kube_request(kube, "GET", "/end", NULL, NULL, on_done, &calls);
	OK(loop_run(loop, &e) == 0);
	json_free(pod);
	stop();
	OK(script_passed(&s));
}
