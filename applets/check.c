/* SPDX-License-Identifier: Apache-2.0 */
/* mesh check: is everything as it should be? */
#include "cli/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "tls/init.h"

int check_main(int argc, char **argv);

struct check_app {
	const char *namespace, *workloads, *output, *expected, *kubeconfig, *context;
	bool pre, proxy;
	uint64_t wait;
	struct check_writer writer;
};

#define AT(field) offsetof(struct check_app, field)
#define SAY(name, letter, field, value, a, text)                                       \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_TEXT, .offset = AT(field),  \
		.preset = value, .arg = a, .help = text                                \
	}
#define YES(name, field, text)                                                         \
	{                                                                              \
		.flag = name, .kind = OPT_BOOL, .offset = AT(field), .help = text      \
	}

static const struct opt options[] = {
	YES("pre", pre, "before mesh install: can it be installed?"),
	YES("proxy", proxy, "also the proxies of workloads"),
	SAY("namespace", 'n', workloads, NULL, "NS",
		"--proxy: of the workloads; else all"),
	SAY("output", 'o', output, "table", "FORM", "table, short or json"),
	SAY("expected-version", 0, expected, MESH_VERSION, "VERSION",
		"of control plane and proxies"),
	{.flag = "wait",
		.kind = OPT_DURATION,
		.preset = "5m",
		.offset = AT(wait),
		.arg = "TIME",
		.help = "for what may become true, each"},
	COMMAND_CLUSTER(AT(namespace), AT(kubeconfig), AT(context)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh check: %s\n", what);
}

static struct json *get(void *arg, const char *path, struct err *e)
{
	return ask_get(arg, path, e);
}

static int may(void *arg, const char *verb, const char *group, const char *resource,
	const char *namespace, struct err *e)
{
	return ask_may(arg, verb, group, resource, namespace, e);
}

static void pause_1s(void)
{
	sleep(1);
}

static void print(struct buf *out)
{
	fwrite(out->p + out->at, 1, buf_len(out), stdout);
	fflush(stdout);
	buf_fini(out);
}

static void on_result(void *arg, const struct check *c, const struct err *e)
{
	struct check_app *app = arg;
	struct buf out = BUF_INIT;

	check_write(&app->writer, c, e, &out);
	if (buf_len(&out))
		print(&out);
	buf_fini(&out);
}

static bool run(struct check_app *app)
{
	struct err e = {0};
	struct ask *a = ask_new(app->kubeconfig, app->context, &e);
	const struct check_source source = {get, may, a};
	struct check_config cfg = {.when = app->pre     ? CHECK_PRE
					   : app->proxy ? CHECK_PROXY
							: CHECK_NORMAL,
		.namespace = app->namespace,
		.workloads = app->workloads,
		.version = app->expected,
		.source = &source,
		.no_source = a ? NULL : &e,
		.now = clock_wall,
		.tries = (unsigned)(app->wait / NS_PER_S) + 1,
		.pause = pause_1s,
		.on_result = on_result,
		.arg = app};
	bool good = check_all(&cfg);

	ask_free(a);
	return good;
}

int check_main(int argc, char **argv)
{
	struct check_app app = {0};
	struct buf out = BUF_INIT;
	bool good;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh check [option...]",
			"Says of a cluster what is not as it should be, and the cure.  "
			"Exit 1: something failed.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, NULL, complain, NULL))
		return 64;
	if (strcmp(app.output, "table") != 0 && strcmp(app.output, "short") != 0 &&
		strcmp(app.output, "json") != 0) {
		complain(NULL, "-o takes table, short or json");
		return 64;
	}
	tls_init();
	app.writer = (struct check_writer){
		.form = app.output, .color = isatty(STDOUT_FILENO)};
	good = run(&app);
	check_write_end(&app.writer, good, &out);
	print(&out);
	return good ? 0 : 1;
}
