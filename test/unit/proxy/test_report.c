/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/report.h"

#include <stdlib.h>

#include "t.h"
#include "wire/json.h"

static const char *json_of(struct report *r) /* until the next call */
{
	static char *text;
	struct buf b = BUF_INIT;
	struct json *doc;
	struct err e;

	report_write_json(r, &b);
	doc = json_parse(buf_slice(&b), &e);
	OK(doc != NULL);
	json_free(doc);
	free(text);
	text = buf_steal(&b);
	return text;
}

static const char *row_of(struct report *r, const char *key)
{
	const char *text = json_of(r), *at = strstr(text, key);
	static char line[1024];

	if (!at)
		return "";
	snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

TEST(a_policy_decides_until_it_leaves_it_to_detection)
{
	struct report *r = report_new();
	struct report_row *row = report_row_get(r, SIDE_IN, "8080");

	OK(strstr(row_of(r, "8080"),
		"\"protocol\":\"detect\",\"decided_by\":\"default\""));
	report_policy(row, SPOKEN_OPAQUE, DECIDED_BY_ANNOTATION);
	OK(strstr(row_of(r, "8080"),
		"\"protocol\":\"opaque\",\"decided_by\":\"annotation\""));
	report_policy(row, SPOKEN_NOTHING, DECIDED_BY_POLICY);
	OK(strstr(row_of(r, "8080"),
		"\"protocol\":\"detect\",\"decided_by\":\"policy\""));
	report_spoken(row, SPOKEN_HTTP2, DECIDED_BY_DETECTION);
	OK(strstr(row_of(r, "8080"),
		"\"protocol\":\"http/"
		"2\",\"decided_by\":\"detected\",\"policy\":\"detect\""));
	OK(strstr(row_of(r, "8080"), "\"http/2\":1"));
	report_policy(row, SPOKEN_HTTP1, DECIDED_BY_POLICY);
	OK(strstr(row_of(r, "8080"),
		"\"protocol\":\"http/1\",\"decided_by\":\"policy\""));
	report_row_put(row);
	report_free(r);
}

TEST(what_was_seen_twice_is_told_of_in_one_row)
{
	struct report *r = report_new();
	struct report_row *a = report_row_get(r, SIDE_OUT, "10.0.0.1:80");
	struct report_row *b = report_row_get(r, SIDE_OUT, "10.0.0.1:80");

	OK(a == b);
	report_spoken(a, SPOKEN_TLS, DECIDED_BY_DETECTION);
	report_spoken(b, SPOKEN_TLS, DECIDED_BY_DETECTION);
	EQ_INT(report_count(a, SPOKEN_TLS), 2);
	report_row_put(a);
	report_row_put(b);
	OK(strstr(row_of(r, "10.0.0.1:80"), "\"tls\":2")); /* it stays */
	report_free(r);
}

TEST(rows_are_limited_and_the_oldest_unused_makes_room)
{
	struct report *r = report_new();
	struct report_row *kept = report_row_get(r, SIDE_OUT, "kept:1"), *row;
	char key[32];

	for (int i = 0; i < REPORT_MAX + 10; i++) {
		snprintf(key, sizeof key, "t%d:1", i);
		row = report_row_get(r, SIDE_OUT, key);
		OK(row != NULL);
		report_row_put(row);
	}
	OK(!strstr(json_of(r), "\"t0:1\"") && strstr(json_of(r), "\"kept:1\""));
	report_row_put(kept);
	for (int i = 0; i < REPORT_MAX; i++) {
		snprintf(key, sizeof key, "u%d:1", i);
		OK(report_row_get(r, SIDE_OUT, key) != NULL);
	}
	OK(report_row_get(r, SIDE_OUT, "one too many:1") == NULL);
	report_spoken(NULL, SPOKEN_TLS, DECIDED_BY_DETECTION);
	report_policy(NULL, SPOKEN_TLS, DECIDED_BY_POLICY);
	report_row_put(NULL);
	report_free(r);
}

TEST(a_warning_about_a_row_is_due_once_a_minute)
{
	struct report *r = report_new();
	struct report_row *row = report_row_get(r, SIDE_IN, "80");

	OK(report_may_warn(row) && !report_may_warn(row));
	report_row_put(row);
	report_free(r);
}

TEST(the_table_has_ports_in_order_then_targets)
{
	struct report *r = report_new();
	struct buf b = BUF_INIT;
	char *text;

	(void)report_row_get(r, SIDE_OUT, "10.0.0.1:80");
	(void)report_row_get(r, SIDE_IN, "8080");
	(void)report_row_get(r, SIDE_IN, "443");
	report_write_text(r, &b);
	text = buf_steal(&b);
	OK(strstr(text, "DIRECTION TARGET") == text);
	OK(strstr(text, " 443 ") < strstr(text, " 8080 "));
	OK(strstr(text, " 8080 ") < strstr(text, " 10.0.0.1:80 "));
	free(text);
	report_free(r);
}
