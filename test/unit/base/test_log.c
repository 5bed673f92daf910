/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <pthread.h>

#include "t.h"

TEST(a_log_filter_sets_levels_by_floor)
{
	struct err e;
	char text[128];

	EQ_INT(log_filter_set(SLICE("warn,linkerd=info,proxy=debug"), &e), 0);
	OK(log_on(LOG_INFO, "net") && !log_on(LOG_DEBUG, "net"));
	OK(log_on(LOG_DEBUG, "proxy") && !log_on(LOG_TRACE, "proxy"));
	EQ_INT(log_filter_set(SLICE("loud"), &e), -1);
	log_filter_get(text, sizeof text);
	EQ_STR(text, "info,proxy=debug");
	EQ_INT(log_filter_set(
		       SLICE("linkerd=debug,hickory=error,[{headers}]=off,warn"), &e),
		0);
	OK(log_on(LOG_DEBUG, "net"));
	EQ_INT(log_filter_set(SLICE("warning"), &e), 0);
	OK(log_on(LOG_WARN, "net") && !log_on(LOG_INFO, "net"));
	EQ_INT(log_filter_set(SLICE("panic"), &e), 0);
	OK(log_on(LOG_ERROR, "net") && !log_on(LOG_WARN, "net"));
}

/* ---- lines ---- */

static int log_pipe[2];

static void log_into_pipe(bool json)
{
	EQ_INT(pipe(log_pipe), 0);
	log_to(log_pipe[1]);
	log_json(json);
}

/* What has been logged, without the times. */
static const char *logged(void)
{
	static char text[8192];
	ssize_t n = read(log_pipe[0], text, sizeof text - 1);
	char *at = text;

	text[n > 0 ? n : 0] = '\0';
	while ((at = strstr(at, "20"))) /* a year of this century */
		if (strlen(at) > 24 && at[4] == '-' && at[10] == 'T')
			memmove(at, at + 24, strlen(at + 24) + 1);
		else
			at++;
	return text;
}

TEST(a_log_line_is_plain_text_with_keys)
{
	log_into_pipe(false);
	log_warn("proxy", "connect failed", LS("addr", "10.0.0.1:80"),
		LS("error", "no \"luck\"\n"), LI("tries", -3), LS("empty", ""));
	EQ_STR(logged(), "[] WARN  proxy: connect failed addr=10.0.0.1:80 "
			 "error=\"no \\\"luck\\\"\\n\" tries=-3 empty=\"\"\n");
}

TEST(a_log_line_is_json_when_asked_for)
{
	log_into_pipe(true);
	log_error("net", "it's \"over\"", LS("why", "a\tb"), LI("n", 7));
	EQ_STR(logged(),
		"{\"timestamp\":\"\",\"level\":\"ERROR\",\"target\":\"net\","
		"\"message\":\"it's \\\"over\\\"\",\"why\":\"a\\tb\",\"n\":7}\n");
}

TEST(lines_that_repeat_are_counted_and_told_once_more)
{
	log_into_pipe(false);
	for (int i = 0; i < 10; i++) {
		log_warn("net", "again", LI("n", 1));
		log_warn("net", "and again");
	}
	log_warn("net", "other");
	EQ_STR(logged(), "[] WARN  net: again n=1\n[] WARN  net: and again\n"
			 "[] WARN  net: other\n");
	log_tick(); /* too early */
	usleep(1100000);
	log_tick();
	EQ_STR(logged(), "[] WARN  net: again n=1 repeated=9\n"
			 "[] WARN  net: and again repeated=9\n");
	log_warn("net", "again", LI("n", 1));
	EQ_STR(logged(), "[] WARN  net: again n=1\n");
}

TEST(a_line_fits_into_what_a_pipe_takes_at_once)
{
	static char much[1001];
	const char *line;

	memset(much, '\1', sizeof much - 1); /* six bytes each, as JSON */
	log_into_pipe(true);
	log_warn("net", "long", LS("a", much), LS("b", "short"), LS("c", much));
	line = logged();
	OK(strlen(line) <= LOG_ATOM - 24);
	OK(strstr(line, "\"message\":\"long\",\"b\":\"short\"}\n") != NULL);
}

static char followed[1024];

static void follow(struct log_tap *t, struct slice line)
{
	(void)t;
	snprintf(followed + strlen(followed), sizeof followed - strlen(followed),
		"%.*s", SLICE_FMT(line));
}

TEST(a_follower_has_a_filter_of_its_own)
{
	struct log_tap tap = {.fn = follow};
	struct err e;

	log_into_pipe(false);
	EQ_INT(log_filter_set(SLICE("error"), &e), 0);
	EQ_INT(log_filter_parse(SLICE("warn,proxy=debug"), &tap.filter, &e), 0);
	log_tap_begin(&tap);
	log_debug("proxy", "one", LS("k", "v"));
	log_debug("net", "two");
	log_error("net", "three");
	log_error("net", "three");
	log_tap_end(&tap);
	log_error("proxy", "four");
	OK(!log_on(LOG_DEBUG, "proxy"));
	EQ_STR(logged(), "[] ERROR net: three\n[] ERROR proxy: four\n");
	OK(strstr(followed, "\"level\":\"DEBUG\",\"target\":\"proxy\",\"message\":"
			    "\"one\",\"k\":\"v\"}\n"));
	OK(!strstr(followed, "two") && !strstr(followed, "four"));
	OK(strstr(strstr(followed, "three") + 1, "three"));
}

TEST(lines_that_cannot_be_written_are_counted)
{
	log_into_pipe(false);
	close(log_pipe[1]);
	log_warn("net", "to nowhere");
	EQ_INT(log_lost(), 1);
	OK(!log_raw(SLICE("a line\n")));
	log_to(open("/dev/full", O_WRONLY));
	log_warn("net", "to a full disk");
	EQ_INT(log_lost(), 2);
}

TEST(a_long_value_is_cut_and_the_line_stays_whole)
{
	static char much[100000];
	const char *line;

	memset(much, '"', sizeof much - 1);
	log_into_pipe(true);
	log_warn("net", "long", LS("a", much), LS("b", "end"));
	line = logged();
	OK(strlen(line) < 3000);
	OK(strstr(line, "\",\"b\":\"end\"}\n") != NULL);
}

TEST(a_full_or_closed_log_is_not_waited_for)
{
	log_into_pipe(false);
	for (int i = 0; i < 20000; i++)
		log_warn("net", "filling the pipe", LI("i", i));
	close(log_pipe[0]); /* no SIGPIPE either */
	log_warn("net", "nobody reads");
}

static void *log_a_thousand(void *arg)
{
	for (int i = 0; i < 100; i++)
		log_warn("net", "line", LI("thread", (intptr_t)arg), LI("i", i));
	return NULL;
}

TEST(lines_of_many_threads_stay_whole)
{
	pthread_t t[8];
	char line[256];
	int lines = 0;
	FILE *f;

	log_into_pipe(false);
	for (intptr_t i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, log_a_thousand, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
	close(log_pipe[1]);
	f = fdopen(log_pipe[0], "r");
	while (fgets(line, sizeof line, f)) {
		OK(line[0] == '[' && strstr(line, " WARN  net: line thread="));
		OK(line[strlen(line) - 1] == '\n');
		lines++;
	}
	EQ_INT(lines, 800);
}
