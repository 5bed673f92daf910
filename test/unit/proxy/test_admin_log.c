/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdlib.h>

#include "base/log.h"
#include "net/pipe.h"
#include "proxy/admin_int.h"
#include "t.h"

/* The log stream over a pipe in memory, whose reader may be slow. */
static struct loop *loop;
static struct site *site;
static struct admin admin;

struct reader {
	struct conn *c;
	struct buf got;
	const char *until;
	bool gone;
};

static const struct route routes[] = {{"*", "/logs.json", admin_follow_log}};

static size_t reader_in(struct conn *c, void *arg, const uint8_t *p, size_t n)
{
	struct reader *r = arg;

	(void)c;
	buf_add(&r->got, p, n);
	if (memmem(r->got.p, buf_len(&r->got), r->until, strlen(r->until)))
		loop_stop(loop);
	return n;
}

static void reader_gone(struct conn *c, void *arg, const struct err *e)
{
	(void)c, (void)e;
	((struct reader *)arg)->gone = true;
	loop_stop(loop);
}

static const struct conn_user reader_user = {
	.on_in = reader_in, .on_gone = reader_gone};

static void admin_make(void)
{
	struct site_config cfg = {
		.routes = routes, .nroutes = countof(routes), .arg = &admin};

	loop = loop_new(NULL);
	site = site_new(loop, &cfg, NULL);
	OK(site != NULL);
	log_to(open("/dev/null", O_WRONLY));
}

static void connect_admin(struct reader *r, const char *peer)
{
	struct conn *ends[2];

	*r = (struct reader){.until = "\r\n\r\n"};
	EQ_INT(pipe_new(loop, 0, ends, NULL), 0);
	OK(addr_parse(slice_of(peer), &ends[1]->peer));
	r->c = ends[0];
	conn_use(ends[0], &reader_user, r);
	site_serve(site, ends[1]);
}

static const char *ask(struct reader *r, const char *text, const char *until)
{
	r->until = until;
	conn_write(r->c, text, strlen(text));
	loop_run(loop, NULL);
	buf_char(&r->got, '\0');
	r->got.end--;
	return r->got.p + r->got.at;
}

static const char *wait_for(struct reader *r, const char *until)
{
	return ask(r, "", until);
}

#define HOST " HTTP/1.1\r\nHost: h\r\n"

TEST(the_log_is_followed_with_a_filter_in_query_or_body)
{
	static const char *const asks[] = {"GET /logs.json?error,proxy%3Ddebug" HOST
					   "\r\n",
		"GET /logs.json" HOST "Content-Length: 17\r\n\r\nerror,proxy=debug",
		"QUERY /logs.json" HOST "Content-Length: 17\r\n\r\nerror,proxy=debug"};

	admin_make();
	for (size_t i = 0; i < countof(asks); i++) {
		struct reader r;
		const char *text;

		connect_admin(&r, "127.0.0.1:1");
		OK(strstr(ask(&r, asks[i], "\r\n\r\n"), "200 OK"));
		log_warn("net", "unheard");
		log_debug("proxy", "heard", LI("n", 1));
		text = wait_for(&r, "\"n\":1}\n");
		OK(strstr(text, "{\"timestamp\":\"2") && !strstr(text, "unheard"));
		conn_end(r.c);
		buf_fini(&r.got);
	}
}

TEST(only_the_pod_itself_follows_and_only_a_few)
{
	static struct reader r[9], far, bad;

	admin_make();
	connect_admin(&far, "10.0.0.1:1");
	OK(strstr(ask(&far, "GET /logs.json" HOST "\r\n", "localhost.\n"), " 403 "));
	connect_admin(&bad, "[::1]:1");
	OK(strstr(ask(&bad, "GET /logs.json?loud" HOST "\r\n", "no level"), " 400 "));
	OK(strstr(ask(&bad, "PUT /logs.json" HOST "\r\n", "QUERY\n"), " 405 "));
	for (int i = 0; i < 9; i++) {
		connect_admin(&r[i], "127.0.0.1:1");
		OK(strstr(ask(&r[i], "GET /logs.json" HOST "\r\n",
				  i < 8 ? "\r\n\r\n" : "already\n"),
			i < 8 ? " 200 " : " 503 "));
	}
	conn_end(r[0].c);
	buf_fini(&bad.got);
	connect_admin(&bad, "127.0.0.1:1");
	while (admin.followers == 8) { /* the end is told in a turn */
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
	OK(strstr(ask(&bad, "GET /logs.json" HOST "\r\n", "\r\n\r\n"), " 200 "));
}

static void log_much(void)
{
	char value[1000];

	memset(value, 'x', sizeof value);
	for (int i = 0; i < 1000; i++) {
		log_warn("net", "much", LI("i", i), LZ("v", slice_bytes(value, 1000)));
		if (i % 20)
			continue;
		loop_post(loop, (void (*)(void *))loop_stop, loop);
		loop_run(loop, NULL);
	}
}

TEST(a_slow_reader_loses_lines_and_is_told_how_many)
{
	static struct reader r;
	const char *text, *at;
	unsigned long dropped = 0;
	unsigned lines = 0;

	admin_make();
	connect_admin(&r, "127.0.0.1:1");
	ask(&r, "GET /logs.json?warn" HOST "\r\n", "\r\n\r\n");
	conn_pause(r.c);
	log_much();
	r.until = "{\"dropped\":";
	conn_resume(r.c);
	text = wait_for(&r, "{\"dropped\":");
	log_warn("net", "the last");
	text = wait_for(&r, "the last");
	for (at = text; (at = strstr(at, "{\"dropped\":")); at++)
		dropped += strtoul(at + 11, NULL, 10);
	for (at = text; (at = strstr(at, "\"message\":\"much\"")); at++)
		lines++;
	EQ_INT(lines + dropped, 1000);
	OK(dropped > 300);
}

static void *log_and_log(void *arg)
{
	(void)arg;
	for (int i = 0; i < 5000; i++)
		log_warn("net", "line", LI("i", i));
	return NULL;
}

TEST(a_follower_may_leave_while_other_threads_log)
{
	pthread_t t[2];

	admin_make();
	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, log_and_log, NULL);
	for (int i = 0; i < 50; i++) {
		struct reader r;

		connect_admin(&r, "127.0.0.1:1");
		ask(&r, "GET /logs.json" HOST "\r\n", "\r\n\r\n");
		conn_end(r.c);
		buf_fini(&r.got);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}
