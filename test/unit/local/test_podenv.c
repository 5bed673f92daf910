/* SPDX-License-Identifier: Apache-2.0 */
#include "local/podenv.h"
#include "t.h"

static void expands_to(const char *text, const char *want)
{
	struct words env = {0};
	struct buf out = BUF_INIT;

	words_add(&env, "A=1");
	words_add(&env, "EMPTY=");
	env_expand(text, &env, &out);
	buf_char(&out, 0);
	EQ_STR(out.p + out.at, want);
	buf_fini(&out);
	words_fini(&env);
}

TEST(names_in_parentheses_are_replaced)
{
	expands_to("x-$(A)-y", "x-1-y");
	expands_to("$(A)$(A)", "11");
	expands_to("[$(EMPTY)]", "[]");
}

TEST(what_is_no_reference_stays)
{
	expands_to("$(NOPE) $A ${A} $(A", "$(NOPE) $A ${A} $(A");
	expands_to("$$(A)", "$(A)");
	expands_to("a$", "a$");
	expands_to("", "");
}

TEST(the_last_value_of_a_name_counts)
{
	struct words env = {0};

	words_set_env(&env, "A", "1");
	words_set_env(&env, "B", "2");
	words_set_env(&env, "A", "3");
	EQ_INT(env.n, 2);
	EQ_STR(words_env(&env, "A"), "3");
	EQ_STR(words_env(&env, "B"), "2");
	OK(!words_env(&env, "C"));
	words_fini(&env);
}

TEST(quantities_are_read)
{
	EQ_INT(quantity_milli("100m"), 100);
	EQ_INT(quantity_milli("1.5"), 1500);
	EQ_INT(quantity_milli("1Ki"), 1024000);
	EQ_INT(quantity_milli("2M"), 2000000000);
	EQ_INT(quantity_milli("x"), -1);
	EQ_INT(quantity_milli("1Q"), -1);
}

TEST(fields_are_found_by_path)
{
	struct json *pod = json_parse(
		SLICE("{\"metadata\":{\"name\":\"p\",\"labels\":{\"a/b.c\":\"v\"}},"
		      "\"status\":{\"podIP\":\"10.0.0.1\"}}"),
		NULL);
	struct buf out = BUF_INIT;

	OK(field_value(pod, "metadata.name", &out));
	OK(field_value(pod, "metadata.labels['a/b.c']", &out));
	OK(field_value(pod, "status.podIP", &out));
	OK(field_value(pod, "metadata.labels", &out));
	OK(!field_value(pod, "spec.nothing", &out));
	buf_char(&out, 0);
	EQ_STR(out.p + out.at, "pv10.0.0.1a/b.c=\"v\"");
	buf_fini(&out);
	json_free(pod);
}
