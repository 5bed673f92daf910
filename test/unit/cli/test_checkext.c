/* SPDX-License-Identifier: Apache-2.0 */
/* Extensions in `mesh check`: programs that are made here. */
#include "cli/checkext.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "wire/yaml.h"

static char dir[] = "/tmp/mesh-ext-XXXXXX";
static struct buf told;

static void program(const char *name, const char *text)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	OK(f && fprintf(f, "#!/bin/sh\n%s\n", text) > 0 && fclose(f) == 0);
	OK(chmod(path, 0755) == 0);
}

static struct json *get(void *arg, const char *path, struct err *e)
{
	(void)e;
	OK(strcmp(path, "/api/v1/namespaces") == 0);
	return yaml_parse(slice_of(arg), NULL);
}

static void on_result(void *arg, const struct check *c, const struct err *e)
{
	(void)arg;
	buf_printf(&told, "%s/%s%s: %s [%s]\n", c->category, c->name,
		c->flags & CHECK_WARN ? "?" : "", e->code ? e->msg : "good", c->cure);
}

static bool is_own(const char *name)
{
	return strcmp(name, "init") == 0;
}

static bool run(const char *namespaces)
{
	static const char *const words[] = {"--context", "c", NULL};
	struct check_source source = {get, NULL, NULL, (void *)namespaces};
	struct check_config cfg = {
		.when = CHECK_PROXY, .source = &source, .on_result = on_result};
	struct check_ext x = {.cfg = &cfg, .words = words, .is_own = is_own};
	bool good;

	told = BUF_INIT;
	good = check_extensions(&x);
	buf_char(&told, '\0');
	check_ext_fini(&x);
	return good;
}

static void begin(void)
{
	char path[300];

	OK(mkdtemp(dir));
	snprintf(path, sizeof path, "%s:/usr/bin:/bin", dir);
	setenv("PATH", path, 1);
}

static void end(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -r %s", dir);
	OK(system(command) == 0);
	buf_fini(&told);
}

#define NS(name)                                                                       \
	"items: [{metadata: {name: n, labels: {linkerd.io/extension: " name "}}}]"
#define SAYS(category, result)                                                         \
	"echo '{\"success\": true, \"categories\": [{\"categoryName\": \"" category    \
	"\", \"checks\": [{\"description\": \"'\"$*\"'\", \"result\": \"" result       \
	"\", \"error\": \"why\", \"hint\": \"do\"}]}]}'"

TEST(one_with_a_namespace_is_asked_and_its_results_are_ours)
{
	begin();
	program("linkerd-viz", SAYS("linkerd-viz", "success"));
	OK(run(NS("viz")));
	EQ_STR(told.p,
		"linkerd-viz/check --output json --proxy --context c: good [do]\n");
	end();
}

TEST(a_warning_is_none_to_fail_for_and_an_error_is)
{
	begin();
	program("mesh-viz", SAYS("v", "warning"));
	OK(run(NS("viz")));
	OK(strstr(told.p, "--context c?: why [do]"));
	buf_fini(&told);
	program("mesh-viz", SAYS("v", "error") "\nexit 1");
	OK(!run(NS("viz")));
	OK(strstr(told.p, "--context c: why [do]"));
	end();
}

TEST(one_without_a_program_is_named)
{
	begin();
	OK(run(NS("gone")));
	OK(strstr(told.p, "gone/its command is there?: neither mesh-gone nor"));
	end();
}

TEST(one_that_says_nothing_has_failed)
{
	begin();
	program("mesh-viz", "exit 3");
	OK(!run(NS("viz")));
	OK(strstr(told.p, "viz/its command works: check of extension viz: "));
	OK(strstr(told.p, "mesh-viz ends with 3"));
	end();
}

TEST(one_that_always_checks_needs_no_namespace)
{
	begin();
	program("linkerd-always",
		"test \"$1\" = _extension-metadata && exec echo '{\"checks\": "
		"\"always\"}'\n" SAYS("a", "success"));
	program("mesh-init", "echo '{\"checks\": \"always\"}'"); /* ours */
	program("linkerd-never", "echo '{\"name\": \"linkerd-never\"}'");
	OK(run("items: []"));
	EQ_STR(told.p, "a/check --output json --proxy --context c: good [do]\n");
	end();
}
