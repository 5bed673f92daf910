/* SPDX-License-Identifier: Apache-2.0 */
/* mesh check: is everything as it should be? */
#include "cli/check.h"

#include <stdlib.h>
#include <unistd.h>

#include "applets.h"
#include "base/clock.h"
#include "base/obj.h"
#include "cli/ask.h"
#include "cli/checkext.h"
#include "cli/checkfiles.h"
#include "cli/command.h"
#include "tls/init.h"

int check_main(int argc, char **argv);

struct check_app {
	const char *namespace, *workloads, *output, *expected;
	struct kube_config cluster;
	const char *from, *cni_namespace;
	bool pre, proxy, cni;
	uint64_t wait;
	struct check_writer writer;
	struct check_ext ext;
	char wait_text[24];
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
	SAY("from", 0, from, NULL, "DIR",
		"of files that kubectl get -o yaml wrote, not of a cluster"),
	SAY("cni-namespace", 0, cni_namespace, "mesh-cni", "NS", "of the CNI plugin"),
	YES("linkerd-cni-enabled", cni, "also the CNI plugin, installed or not"),
	SAY("expected-version", 0, expected, MESH_VERSION, "VERSION",
		"of control plane and proxies"),
	{.flag = "wait",
		.kind = OPT_DURATION,
		.preset = "5m",
		.offset = AT(wait),
		.arg = "TIME",
		.help = "for what may become true, each"},
	COMMAND_CLUSTER(AT(namespace), AT(cluster)),
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

static struct json *would(
	void *arg, const char *path, const struct json *object, struct err *e)
{
	return ask_would(arg, path, object, e);
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

static struct check_config config_of(struct check_app *app)
{
	return (struct check_config){.when = app->pre     ? CHECK_PRE
					     : app->proxy ? CHECK_PROXY
							  : CHECK_NORMAL,
		.namespace = app->namespace,
		.workloads = app->workloads,
		.version = app->expected,
		.cni_namespace = app->cni_namespace,
		.cni = app->cni,
		.offline = app->from != NULL,
		.now = clock_wall,
		.tries = app->from ? 1 : (unsigned)(app->wait / NS_PER_S) + 1,
		.pause = pause_1s,
		.on_result = on_result,
		.arg = app};
}

/* The options that extensions take as well. */
static void pass_on(struct check_app *app, const char **words)
{
	const char *const given[][2] = {{"--linkerd-namespace", app->namespace},
		{"--kubeconfig", app->cluster.kubeconfig},
		{"--context", app->cluster.context}, {"--as", app->cluster.as},
		{"--namespace", app->workloads}};
	size_t n = 0;

	snprintf(app->wait_text, sizeof app->wait_text, "%us",
		(unsigned)(app->wait / NS_PER_S));
	words[n++] = "--wait";
	words[n++] = app->wait_text;
	for (size_t i = 0; i < countof(given); i++) {
		if (!given[i][1])
			continue;
		words[n++] = given[i][0];
		words[n++] = given[i][1];
	}
	for (size_t i = 0; i < app->cluster.n_as_groups; i++) {
		words[n++] = "--as-group";
		words[n++] = app->cluster.as_groups[i];
	}
	words[n] = NULL;
}

static bool check_cluster(struct check_app *app)
{
	const char *words[2 * KUBE_GROUPS_MAX + 16];
	struct err e = {0};
	struct ask *a = ask_new(&app->cluster, &e);
	const struct check_source source = {get, may, would, a};
	struct check_config cfg = config_of(app);
	bool good;

	cfg.source = &source;
	cfg.no_source = a ? NULL : &e;
	good = check_all(&cfg);
	app->ext = (struct check_ext){.cfg = &cfg, .words = words, .is_own = applet_is};
	pass_on(app, words);
	if (a)
		good &= check_extensions(&app->ext);
	ask_free(a);
	return good;
}

/* Files that cannot be read are no cluster that is broken. */
static int check_folder(struct check_app *app, bool *good)
{
	struct err e = {0};
	struct check_files *f = check_files_new(app->from, &e);
	struct check_config cfg = config_of(app);
	struct check_source source;

	if (!f) {
		complain(NULL, e.msg);
		return -1;
	}
	source = check_files_source(f);
	cfg.source = &source;
	*good = check_all(&cfg);
	check_files_free(f);
	return 0;
}

#define HELP                                                                           \
	"Says of a cluster what is not as it should be, and the cure.  Exit 1: "       \
	"something failed.\n"                                                          \
	"--from looks at files instead, as far as objects tell, and says what it "     \
	"skipped:\n"                                                                   \
	"  kubectl get ns,no,po,svc,deploy,ds,cm,sa,secret,crd,clusterrole,"           \
	"clusterrolebinding,netpol,\n"                                                 \
	"    mutatingwebhookconfiguration -A -o yaml >DIR/all.yaml"

int check_main(int argc, char **argv)
{
	struct check_app app = {0};
	struct buf out = BUF_INIT;
	bool good;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh check [option...]", HELP, options,
			countof(options));
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
	if (!app.from)
		good = check_cluster(&app);
	else if (check_folder(&app, &good))
		return 1;
	check_write_end(&app.writer, good, &out);
	print(&out);
	check_ext_fini(&app.ext);
	return good ? 0 : 1;
}
