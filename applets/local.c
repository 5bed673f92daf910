/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh local: the one-machine runtime.  `up` starts the API server and what runs pods
 * in one process of its own; the other commands talk to it, `down` ends it and removes
 * what it made.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/obj.h"
#include "base/opt.h"
#include "local/api.h"
#include "local/daemon.h"
#include "local/node.h"
#include "local/verbs.h"
#include "tls/init.h"

int local_main(int argc, char **argv);

struct local_app {
	const char *dir, *listen, *log_level, *images;
	bool foreground, keep, no_node;
	struct verb_opts verb;

	struct loop *loop;
	struct dns *dns;
	struct local_api *api;
	struct local_node *node;
	struct podio podio;
};

static const struct opt options[] = {
	{.flag = "dir",
		.env = "MESH_LOCAL_DIR",
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, dir),
		.arg = "DIR",
		.help = "state directory (root: /var/lib/mesh-local, else "
			"~/.mesh-local)"},
	{.flag = "listen",
		.env = "MESH_LOCAL_LISTEN",
		.kind = OPT_TEXT,
		.preset = "0.0.0.0:6443",
		.offset = offsetof(struct local_app, listen),
		.arg = "ADDR",
		.help = "up: where the API server listens; only this machine and its "
			"pods may connect"},
	{.flag = "images",
		.env = "MESH_LOCAL_IMAGES",
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, images),
		.arg = "FILE",
		.help = "up: which program an image name means: a YAML file or a "
			"folder"},
	{.flag = "no-node",
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, no_node),
		.help = "up: only the API server; pods are not run"},
	{.flag = "log-level",
		.env = "MESH_LOCAL_LOG",
		.kind = OPT_TEXT,
		.preset = "info",
		.offset = offsetof(struct local_app, log_level),
		.arg = "FILTER",
		.help = "up: what is logged"},
	{.flag = "foreground",
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, foreground),
		.help = "up: stay in the foreground"},
	{.flag = "keep",
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, keep),
		.help = "down: keep the state directory"},
	{.flag = "namespace",
		.brief = 'n',
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, verb.ns),
		.arg = "NS",
		.help = "namespace (default)"},
	{.flag = "all-namespaces",
		.brief = 'A',
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.all_namespaces),
		.help = "get: of all namespaces"},
	{.flag = "filename",
		.brief = 'f',
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, verb.file),
		.arg = "FILE",
		.help = "apply, delete: manifests: a file, a directory or -"},
	{.flag = "selector",
		.brief = 'l',
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, verb.selector),
		.arg = "LABELS",
		.help = "get, delete: only with these labels"},
	{.flag = "output",
		.brief = 'o',
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, verb.output),
		.arg = "FORM",
		.help = "get: wide, json, yaml or name"},
	{.flag = "container",
		.brief = 'c',
		.kind = OPT_TEXT,
		.offset = offsetof(struct local_app, verb.container),
		.arg = "NAME",
		.help = "logs, exec: of this container"},
	{.flag = "stdin",
		.brief = 'i',
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.in),
		.help = "exec: give it what comes in"},
	{.flag = "tty",
		.brief = 't',
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.tty),
		.help = "exec: in a terminal of its own"},
	{.flag = "follow",
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.follow),
		.help = "logs: go on as they come"},
	{.flag = "previous",
		.brief = 'p',
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.previous),
		.help = "logs: of the container before its restart"},
	{.flag = "timestamps",
		.kind = OPT_BOOL,
		.offset = offsetof(struct local_app, verb.timestamps),
		.help = "logs: with times"},
	{.flag = "tail",
		.kind = OPT_INT,
		.preset = "-1",
		.min = -1,
		.max = INT32_MAX,
		.offset = offsetof(struct local_app, verb.tail),
		.arg = "N",
		.help = "logs: the last lines only"},
};

static int fail(const struct err *e)
{
	fprintf(stderr, "mesh local: %s\n", e->msg);
	return 1;
}

/* ---- the process itself ---- */

static void on_term(void *arg, int signo)
{
	struct local_app *app = arg;

	log_info("local", "ending", LI("signal", signo));
	loop_stop(app->loop);
}

static int make_token(
	void *arg, const struct token_spec *spec, struct buf *out, struct err *e)
{
	struct local_app *app = arg;

	return local_api_token(app->api, spec, out, e);
}

static int start_node(struct local_app *app, struct err *e)
{
	struct local_node_config cfg = {.dir = app->dir,
		.images = app->images,
		.ca_pem = local_api_ca(app->api),
		.api = *local_api_addr(app->api),
		.token = make_token,
		.arg = app};

	if (app->no_node)
		return 0;
	local_node_sweep(app->dir);
	app->node = local_node_start(app->loop, local_api_store(app->api), &cfg, e);
	if (!app->node)
		return err_wrap(
			e, "pods cannot be run here (root is needed, or --no-node)");
	local_node_podio(app->node, &app->podio);
	local_api_podio(app->api, &app->podio);
	return 0;
}

static int start(struct local_app *app, struct err *e)
{
	struct local_api_config cfg = {.dir = app->dir};

	if (log_filter_set(slice_of(app->log_level), e) < 0)
		return -1;
	if (!addr_parse(slice_of(app->listen), &cfg.at))
		return err_set(e, ERR_SYNTAX, "%s is no address", app->listen);
	app->loop = loop_new(e);
	app->dns = app->loop ? dns_new(app->loop, NULL, e) : NULL;
	if (!app->dns)
		return -1;
	cfg.dns = app->dns;
	if (!app->no_node && ip_parse(SLICE("10.244.0.1"), &cfg.advertise.ip))
		cfg.advertise.port = cfg.at.port;
	/* It listens for the pods' sake; nobody else's. */
	(void)cidr_parse(SLICE("10.244.0.0/16"), &cfg.friends);
	app->api = local_api_start(app->loop, &cfg, e);
	if (!app->api || start_node(app, e) ||
		loop_on_signal(app->loop, SIGTERM, on_term, app, e) < 0)
		return -1;
	return loop_on_signal(app->loop, SIGINT, on_term, app, e);
}

static void stop(struct local_app *app)
{
	local_node_stop(app->node);
	local_api_stop(app->api);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
}

/* `ready_fd` -1: in the foreground. */
static int serve(struct local_app *app, int ready_fd)
{
	struct err e = {0};
	int lock = daemon_lock(app->dir, &e);
	int r = lock < 0 ? -1 : start(app, &e);

	if (ready_fd >= 0)
		daemon_ready(ready_fd, r < 0 ? &e : NULL);
	if (r == 0)
		r = loop_run(app->loop, &e);
	stop(app);
	if (lock >= 0)
		close(lock);
	return r < 0 ? fail(&e) : 0;
}

/* ---- commands ---- */

static void kubeconfig_path(const struct local_app *app, char out[600])
{
	snprintf(out, 600, "%s/admin.conf", app->dir);
}

static int cmd_up(struct local_app *app, int argc, char **argv)
{
	struct err e = {0};
	char path[600];
	int ready = -1;
	pid_t pid;

	(void)argc;
	(void)argv;
	if (app->foreground)
		return serve(app, -1);
	pid = daemon_begin(app->dir, &ready, &e);
	if (pid < 0)
		return fail(&e);
	if (pid == 0)
		exit(serve(app, ready));
	kubeconfig_path(app, path);
	printf("mesh local is up (process %d)\n\n  export KUBECONFIG=%s\n", (int)pid,
		path);
	return 0;
}

static int cmd_down(struct local_app *app, int argc, char **argv)
{
	struct err e = {0};

	(void)argc;
	(void)argv;
	if (daemon_end(app->dir, 60, &e) < 0)
		return fail(&e);
	if (geteuid() == 0)
		local_node_sweep(app->dir);
	if (!app->keep && dir_remove(app->dir, &e) < 0)
		return fail(&e);
	printf("mesh local is down\n");
	return 0;
}

static int cmd_kubeconfig(struct local_app *app, int argc, char **argv)
{
	char path[600];

	(void)argc;
	(void)argv;
	kubeconfig_path(app, path);
	printf("%s\n", path);
	return access(path, R_OK) == 0 ? 0 : 1;
}

static struct client *connect_there(const struct local_app *app)
{
	struct err e = {0};
	char path[600];
	struct client *c;

	kubeconfig_path(app, path);
	c = client_new(path, &e);
	if (!c)
		(void)fail(&e);
	return c;
}

static int cmd_status(struct local_app *app, int argc, char **argv)
{
	static char all[] = "nodes", pods[] = "pods";
	char *node_words[] = {all}, *pod_words[] = {pods};
	pid_t pid = daemon_pid(app->dir);
	struct client *c;
	int r;

	(void)argc;
	(void)argv;
	if (!pid) {
		printf("mesh local is not running in %s\n", app->dir);
		return 1;
	}
	printf("mesh local runs in %s (process %d)\n\n", app->dir, (int)pid);
	c = connect_there(app);
	if (!c)
		return 1;
	app->verb.all_namespaces = true;
	r = verb_get(c, &app->verb, 1, pod_words);
	app->verb.all_namespaces = false;
	printf("\n");
	r |= verb_get(c, &app->verb, 1, node_words);
	client_free(c);
	return r;
}

static int cmd_client(struct local_app *app, int argc, char **argv,
	int (*verb)(struct client *c, const struct verb_opts *o, int argc, char **argv))
{
	struct client *c = connect_there(app);
	int r;

	if (!c)
		return 1;
	r = verb(c, &app->verb, argc, argv);
	client_free(c);
	return r;
}

static int cmd_apply(struct local_app *app, int argc, char **argv)
{
	return cmd_client(app, argc, argv, verb_apply);
}

static int cmd_delete(struct local_app *app, int argc, char **argv)
{
	return cmd_client(app, argc, argv, verb_delete);
}

static int cmd_get(struct local_app *app, int argc, char **argv)
{
	return cmd_client(app, argc, argv, verb_get);
}

static int cmd_logs(struct local_app *app, int argc, char **argv)
{
	return cmd_client(app, argc, argv, verb_logs);
}

static int cmd_exec(struct local_app *app, int argc, char **argv)
{
	return cmd_client(app, argc, argv, verb_exec);
}

static const struct command {
	const char *name;
	int (*run)(struct local_app *app, int argc, char **argv);
	const char *help;
} commands[] = {
	{"up", cmd_up, "start it"},
	{"down", cmd_down, "end it and remove what it made"},
	{"status", cmd_status, "does it run, and what runs in it"},
	{"kubeconfig", cmd_kubeconfig, "print the path of its kubeconfig"},
	{"apply", cmd_apply, "create or change what manifests say"},
	{"delete", cmd_delete, "delete objects"},
	{"get", cmd_get, "show objects"},
	{"logs", cmd_logs, "show what a container printed"},
	{"exec", cmd_exec, "run a command in a container"},
};

static void help(void)
{
	static char words[256];
	char text[1024];
	size_t n = 0, m = 0;

	for (size_t i = 0; i < countof(commands); i++)
		m += (size_t)snprintf(words + m, sizeof(words) - m, "%s%s",
			i ? " " : "", commands[i].name);
	for (size_t i = 0; i < countof(commands); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "  %-12s%s\n",
			commands[i].name, commands[i].help);
	opt_help_words(words);
	opt_help(stdout, "mesh local COMMAND [option...]", text, options,
		countof(options));
}

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh local: %s\n", what);
}

static const char *usual_dir(char out[512])
{
	const char *home = getenv("HOME");

	if (geteuid() == 0)
		return "/var/lib/mesh-local";
	snprintf(out, 512, "%s/.mesh-local", home ? home : "/tmp");
	return out;
}

int local_main(int argc, char **argv)
{
	struct local_app app = {0};
	char dir[512];
	int rest = 0;

	if (argc < 2 || opt_asks_help(argc, argv)) {
		help();
		return argc < 2 ? 64 : 0;
	}
	app.dir = usual_dir(dir);
	if (opt_read(
		    options, countof(options), &app, argc, argv, &rest, complain, NULL))
		return 64;
	tls_init();
	for (size_t i = 0; rest > 0 && i < countof(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(&app, rest - 1, argv + 2);
	fprintf(stderr, "mesh local: no command \"%s\"\n", rest > 0 ? argv[1] : "");
	return 64;
}
