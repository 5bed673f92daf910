/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mesh-cni: the CNI plugin (CNI_COMMAND says what), and what keeps it on the node.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "base/opt.h"
#include "cni/installer.h"
#include "cni/plugin.h"
#include "cni/podrules.h"
#include "cni/repair.h"
#include "ctl/admin.h"

#define STDIN_MAX   ((size_t)4 * 1024 * 1024)
#define ENTRY_MAX   ((size_t)64 * 1024)
#define PLACEHOLDER "__KUBECONFIG_FILEPATH__"

int cni_main(int argc, char **argv);

struct cni_app {
	const char *prefix, *net_dir, *bin_dir, *kubeconfig_name, *entry_text;
	const char *entry_file, *account, *ca, *binary, *host, *port;
	const char *namespace, *daemonset, *node, *kubeconfig, *undo;
	const char *log_level, *log_format;
	struct addr admin_at;

	struct loop *loop;
	struct dns *dns;
	struct kube *kube;
	struct admin *admin;
	struct json *entry;
	struct cni_conf conf;
	struct buf net_path, bin_path, server;
	struct installer_config install;
	struct installer *installer;
	struct repair_config repairing;
	struct repair *repair;
};

#define AT(field) offsetof(struct cni_app, field)
#define TEXT(name, variable, at, set, what, text)                                      \
	{                                                                              \
		.flag = name, .env = variable, .kind = OPT_TEXT, .offset = at,         \
		.preset = set, .arg = what, .help = text                               \
	}
#define COMMON                                                                         \
	TEXT("cni-network-config", "CNI_NETWORK_CONFIG", AT(entry_text), "", "JSON",   \
		"the plugin's entry in the chain"),                                    \
		TEXT("cni-network-config-file", "CNI_NETWORK_CONFIG_FILE",             \
			AT(entry_file), "", "FILE", "the same, from a file"),          \
		TEXT("kubeconfig", NULL, AT(kubeconfig), NULL, "FILE",                 \
			"how to reach the API server; in a pod: as the pod does"),     \
		TEXT("log-level", NULL, AT(log_level), "info", "LEVEL",                \
			"error, warn, info, debug"),                                   \
		TEXT("log-format", NULL, AT(log_format), "plain", "FORMAT",            \
			"plain or json")

static const struct opt install_options[] = {
	TEXT("container-mount-prefix", "CONTAINER_MOUNT_PREFIX", AT(prefix), "/host",
		"DIR", "where the node's directories are mounted"),
	TEXT("dest-cni-net-dir", "DEST_CNI_NET_DIR", AT(net_dir), "/etc/cni/net.d",
		"DIR", "the node's network configurations"),
	TEXT("dest-cni-bin-dir", "DEST_CNI_BIN_DIR", AT(bin_dir), "/opt/cni/bin", "DIR",
		"the node's CNI plugins"),
	TEXT("kubeconfig-file-name", "KUBECONFIG_FILE_NAME", AT(kubeconfig_name),
		"ZZZ-mesh-cni-kubeconfig", "NAME", "of the plugin's kubeconfig"),
	TEXT("service-account-dir", NULL, AT(account),
		"/var/run/secrets/kubernetes.io/serviceaccount", "DIR",
		"token and ca.crt for the plugin"),
	TEXT("kube-ca-file", "KUBE_CA_FILE", AT(ca), "", "FILE",
		"CA of the API server, if not the service account's"),
	TEXT("kube-host", "KUBERNETES_SERVICE_HOST", AT(host), "kubernetes.default.svc",
		"HOST", "where the plugin finds the API server"),
	TEXT("kube-port", "KUBERNETES_SERVICE_PORT", AT(port), "443", "PORT",
		"its port"),
	TEXT("binary", NULL, AT(binary), "/proc/self/exe", "FILE", "what is installed"),
	TEXT("namespace", "POD_NAMESPACE", AT(namespace), "mesh-cni", "NAME",
		"of the DaemonSet"),
	TEXT("daemonset", NULL, AT(daemonset), "mesh-cni", "NAME",
		"which is to be gone when all is undone"),
	TEXT("undo", NULL, AT(undo), "auto", "WHEN",
		"at the end: auto (when the DaemonSet is gone), always, never"),
	{.flag = "admin-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(admin_at),
		.preset = ":9990",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where /ready and /metrics are served"},
	COMMON,
};

static const struct opt repair_options[] = {
	TEXT("node-name", "NODE_NAME", AT(node), "", "NAME",
		"whose pods are looked at (needed)"),
	{.flag = "admin-addr",
		.kind = OPT_CUSTOM,
		.offset = AT(admin_at),
		.preset = ":9991",
		.parse = listen_addr_opt,
		.arg = "ADDR",
		.help = "where /ready and /metrics are served"},
	COMMON,
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh-cni: %s\n", what);
}

static void on_done(void *arg)
{
	struct cni_app *app = arg;

	loop_stop(app->loop);
}

/* ---- what install and repair share ---- */

static void put_path(struct buf *entry, const struct cni_app *app, const char *text)
{
	const char *at;

	while ((at = strstr(text, PLACEHOLDER))) {
		buf_add(entry, text, (size_t)(at - text));
		buf_printf(entry, "%s/%s", app->net_dir, app->kubeconfig_name);
		text = at + strlen(PLACEHOLDER);
	}
	buf_text(entry, text);
}

/* The entry as it will stand in the chain, and checked as the plugin will read it. */
static int read_entry(struct cni_app *app, struct err *e)
{
	struct buf file = BUF_INIT, text = BUF_INIT;
	int rc = *app->entry_text ? buf_text(&file, app->entry_text)
		 : *app->entry_file
			 ? file_read(app->entry_file, ENTRY_MAX, &file, e)
			 : err_set(e, ERR_MISSING,
				   "CNI_NETWORK_CONFIG or CNI_NETWORK_CONFIG_FILE is "
				   "needed");

	if (rc == 0) {
		buf_char(&file, '\0');
		put_path(&text, app, file.p);
		app->entry = json_parse(buf_slice(&text), e);
	}
	buf_fini(&file);
	buf_fini(&text);
	if (!app->entry)
		return err_wrap(e, "the plugin's configuration");
	json_set_text(app->entry, "type", "mesh-cni");
	return cni_conf_read(app->entry, &app->conf, e)
		       ? err_wrap(e, "the plugin's configuration")
		       : 0;
}

static int open_api(struct cni_app *app, struct err *e)
{
	struct kube_config cfg = {
		.kubeconfig = app->kubeconfig, .component = "mesh-cni"};

	app->dns = dns_new(app->loop, NULL, e);
	app->kube = app->dns ? kube_new(app->loop, app->dns, &cfg, e) : NULL;
	return app->kube ? 0 : -1;
}

static int serve(struct cni_app *app, const struct admin_config *cfg,
	void (*on_term)(void *arg, int signo), struct err *e)
{
	app->admin = admin_new(app->loop, cfg, e);
	if (!app->admin || loop_on_signal(app->loop, SIGTERM, on_term, app, e) ||
		loop_on_signal(app->loop, SIGINT, on_term, app, e))
		return -1;
	return loop_run(app->loop, e);
}

static int run(struct cni_app *app, int (*work)(struct cni_app *app, struct err *e))
{
	struct err e = {0};
	int rc = log_flags_apply(app->log_level, app->log_format, &e);

	if (rc == 0)
		app->loop = loop_new(&e);
	if (rc || !app->loop || work(app, &e)) {
		complain(NULL, e.msg);
		rc = 1;
	}
	admin_free(app->admin);
	installer_free(app->installer);
	repair_free(app->repair);
	kube_free(app->kube);
	if (app->dns)
		dns_free(app->dns);
	if (app->loop)
		loop_free(app->loop);
	json_free(app->entry);
	buf_fini(&app->net_path);
	buf_fini(&app->bin_path);
	buf_fini(&app->server);
	return rc;
}

/* ---- install, uninstall ---- */

static int read_undo(const struct cni_app *app, enum installer_undo *out, struct err *e)
{
	static const char *const names[] = {
		[UNDO_AUTO] = "auto", [UNDO_ALWAYS] = "always", [UNDO_NEVER] = "never"};

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(app->undo, names[i]) == 0) {
			*out = (enum installer_undo)i;
			return 0;
		}
	return err_set(e, ERR_SYNTAX, "--undo: \"%s\" is not auto, always or never",
		app->undo);
}

static const char *end_text(struct buf *b)
{
	buf_char(b, '\0');
	must(!b->failed);
	return b->p;
}

static void find_places(struct cni_app *app)
{
	bool six = strchr(app->host, ':') != NULL;

	buf_printf(&app->net_path, "%s%s", app->prefix, app->net_dir);
	buf_printf(&app->bin_path, "%s%s", app->prefix, app->bin_dir);
	buf_printf(&app->server, "https://%s%s%s:%s", six ? "[" : "", app->host,
		six ? "]" : "", app->port);
	app->install.node = (struct node_config){.net_dir = end_text(&app->net_path),
		.bin_dir = end_text(&app->bin_path),
		.kubeconfig = app->kubeconfig_name,
		.binary = app->binary,
		.account = app->account,
		.ca = *app->ca ? app->ca : NULL,
		.server = end_text(&app->server)};
}

static void on_install_term(void *arg, int signo)
{
	struct cni_app *app = arg;

	log_info("cni", "ending", LI("signal", signo));
	installer_stop(app->installer, on_done, app);
}

static int install(struct cni_app *app, struct err *e)
{
	struct admin_config admin = {.at = app->admin_at,
		.ready = installer_is_ready,
		.metrics = installer_metrics};

	find_places(app);
	if (read_entry(app, e) || read_undo(app, &app->install.undo, e))
		return -1;
	if (app->install.undo == UNDO_AUTO && open_api(app, e))
		return -1;
	app->install.node.entry = app->entry;
	app->install.kube = app->kube;
	app->install.namespace = app->namespace;
	app->install.daemonset = app->daemonset;
	app->installer = installer_new(app->loop, &app->install, e);
	if (!app->installer)
		return -1;
	admin.arg = app->installer;
	if (serve(app, &admin, on_install_term, e))
		return -1;
	if (installer_is_lost(app->installer))
		return err_set(e, ERR_CLOSED, "%s is gone", app->install.node.net_dir);
	return 0;
}

static int uninstall(struct cni_app *app, struct err *e)
{
	struct node node = {.cfg = &app->install.node};

	find_places(app);
	return node_undo(&node, e);
}

/* ---- repair ---- */

static void on_repair_term(void *arg, int signo)
{
	(void)signo;
	on_done(arg);
}

static int repair(struct cni_app *app, struct err *e)
{
	struct admin_config admin = {.at = app->admin_at,
		.ready = repair_is_ready,
		.metrics = repair_metrics};

	if (!*app->node)
		return err_set(e, ERR_MISSING, "--node-name (NODE_NAME) is needed");
	if (read_entry(app, e) || open_api(app, e))
		return -1;
	app->repairing = (struct repair_config){
		.kube = app->kube, .node = app->node, .conf = &app->conf};
	app->repair = repair_new(app->loop, &app->repairing, e);
	if (!app->repair)
		return -1;
	admin.arg = app->repair;
	return serve(app, &admin, on_repair_term, e);
}

/* ---- the plugin ---- */

static int plugin(void)
{
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct err e = {0};
	int status = 1;

	if (file_read("/dev/stdin", STDIN_MAX, &in, &e))
		complain(NULL, e.msg);
	else
		status = plugin_call(buf_slice(&in), &out);
	if (fwrite(out.p, 1, buf_len(&out), stdout) != buf_len(&out) || fflush(stdout))
		status = 1;
	buf_fini(&in);
	buf_fini(&out);
	return status;
}

static const struct verb {
	const char *name;
	const struct opt *options;
	size_t n;
	int (*work)(struct cni_app *app, struct err *e);
	const char *help;
} verbs[] = {
	{"install", install_options, countof(install_options), install,
		"Keeps the plugin, its kubeconfig and its place in the chain on a "
		"node."},
	{"uninstall", install_options, countof(install_options), uninstall,
		"Takes all that install has made away from this node."},
	{"repair", repair_options, countof(repair_options), repair,
		"Finds pods of this node that run outside the mesh, and mends them."},
};

static int usage(FILE *to, int status)
{
	fprintf(to, "usage: mesh-cni VERB [option...], or by a container runtime with "
		    "CNI_COMMAND\n\n");
	for (size_t i = 0; i < countof(verbs); i++)
		fprintf(to, "  %-10s %s\n", verbs[i].name, verbs[i].help);
	return status;
}

static int run_verb(const struct verb *v, int argc, char **argv)
{
	static struct cni_app app; /* large */
	char line[64];

	snprintf(line, sizeof line, "mesh-cni %s [option...]", v->name);
	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, line, v->help, v->options, v->n);
		return 0;
	}
	if (opt_read(v->options, v->n, &app, argc, argv, NULL, complain, NULL))
		return 64;
	return run(&app, v->work);
}

int cni_main(int argc, char **argv)
{
	if (argc < 2 && getenv("CNI_COMMAND"))
		return plugin();
	if (argc < 2)
		return usage(stderr, 64);
	for (size_t i = 0; i < countof(verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1);
	return usage(opt_asks_help(argc, argv) ? stdout : stderr,
		opt_asks_help(argc, argv) ? 0 : 64);
}
