/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

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

TEST(a_line_that_repeats_is_counted)
{
	log_into_pipe(false);
	for (int i = 0; i < 10; i++)
		log_warn("net", "again");
	log_warn("net", "other");
	EQ_STR(logged(),
		"[] WARN  net: again\n[] WARN  net: other previous_repeated=9\n");
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
