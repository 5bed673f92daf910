/* SPDX-License-Identifier: Apache-2.0 */
/* mesh diagnostics: what proxies and the control plane say of themselves. */
#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "tls/init.h"
#include "viz/look.h"

int diagnostics_main(int argc, char **argv);

struct diagnostics_app {
	const char *ns, *control_ns, *kubeconfig, *context;
	struct ask *ask;
	size_t failed;
};

#define AT(field) offsetof(struct diagnostics_app, field)
#define SAY(name, letter, field, value, a, text)                                       \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_TEXT, .offset = AT(field),  \
		.preset = value, .arg = a, .help = text                                \
	}

static const struct opt options[] = {
	SAY("namespace", 'n', ns, "default", "NS", "of the workload"),
	COMMAND_CLUSTER(AT(control_ns), AT(kubeconfig), AT(context)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh diagnostics: %s\n", what);
}

/* ---- proxy-metrics KIND/NAME ---- */

/* "deploy/web", "po/web-1"; or "deploy" "web". */
static int parse_resource(int n, char **word, enum viz_kind *kind, const char **name)
{
	const char *slash = n ? strchr(word[0], '/') : NULL;
	struct slice text = slice_of(n ? word[0] : "");

	*name = n == 2 ? word[1] : "";
	if (slash && n == 1) {
		text = slice_bytes(word[0], (size_t)(slash - word[0]));
		*name = slash + 1;
	}
	if (!n || n > 2 || !**name || !viz_kind_parse(text, kind) ||
		*kind == VIZ_SERVICE || *kind == VIZ_NAMESPACE) {
		complain(NULL, "which workload? as \"deploy/web\" or \"po/web-1\"");
		return -1;
	}
	return 0;
}

/* Whose proxies are meant. */
struct workload {
	enum viz_kind kind;
	const char *ns, *name;
};

static bool is_wanted(void *arg, const struct viz_pod *p)
{
	const struct workload *w = arg;

	return strcmp(p->ns, w->ns) == 0 && strcmp(p->owner[w->kind], w->name) == 0;
}

static void print_proxies(const struct viz_pods *pods)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < pods->n; i++)
		n += buf_len(&pods->v[i].after) > 0;
	for (size_t i = 0; i < pods->n; i++) {
		const struct buf *b = &pods->v[i].after;

		if (!buf_len(b))
			continue;
		printf("#\n# POD %s (%zu of %zu)\n#\n", pods->v[i].name, ++at, n);
		fwrite(b->p + b->at, 1, buf_len(b), stdout);
	}
	if (!n)
		complain(NULL, "no such workload has a proxy here");
}

static int proxy_metrics(struct diagnostics_app *app, int n, char **word)
{
	struct workload w = {.ns = app->ns};
	struct look_config cfg = {.command = "mesh diagnostics",
		.kubeconfig = app->kubeconfig,
		.context = app->context,
		.control_ns = app->control_ns,
		.wanted = is_wanted,
		.arg = &w};
	struct viz_pods pods;
	struct err e = {0};
	int r;

	if (parse_resource(n, word, &w.kind, &w.name))
		return 64;
	r = look(&cfg, &pods, &e);
	if (r)
		complain(NULL, e.msg);
	else
		print_proxies(&pods);
	viz_pods_fini(&pods);
	return r ? 1 : 0;
}

/* ---- controller-metrics ---- */

/* What one port of a pod says, below a heading that names it. */
static void print_metrics(struct diagnostics_app *app, const char *ns, const char *pod,
	unsigned port, const char *heading)
{
	struct buf body = BUF_INIT;
	struct err e = {0};
	char path[700];

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s:%u/proxy/metrics",
		ns, pod, port);
	printf("#\n%s#\n", heading);
	if (ask_text(app->ask, path, &body, &e)) {
		printf("# ERROR %s\n", e.msg);
		app->failed++;
	}
	fwrite(body.p + body.at, 1, buf_len(&body), stdout);
	buf_fini(&body);
}

/* The port that is called <something>-admin, of a container that is not the proxy. */
static unsigned admin_port(const struct json *container)
{
	json_each(p, json_get(container, "ports"))
	{
		const char *name = json_text_or(p, "name", "");
		size_t n = strlen(name);

		if (n > 6 && strcmp(name + n - 6, "-admin") == 0)
			return (unsigned)json_int_at(p, "containerPort", 0);
	}
	return 0;
}

static void print_controller(
	struct diagnostics_app *app, const struct json *pod, size_t at, size_t total)
{
	const char *name = json_text_or(pod, "metadata.name", "");
	char heading[500];

	json_each(c, json_path(pod, "spec.containers"))
	{
		const char *container = json_text_or(c, "name", "");
		unsigned port = admin_port(c);

		if (!port || strncmp(container, "mesh-", 5) == 0)
			continue;
		snprintf(heading, sizeof heading,
			"# POD %s (%zu of %zu)\n# CONTAINER %s\n", name, at, total,
			container);
		print_metrics(app, app->control_ns, name, port, heading);
	}
}

static int controller_metrics(struct diagnostics_app *app, int n, char **word)
{
	char path[400];
	struct err e = {0};
	struct json *list;
	size_t at = 0;

	(void)word;
	if (n) {
		complain(NULL, "controller-metrics takes no words");
		return 64;
	}
	snprintf(path, sizeof path,
		"/api/v1/namespaces/%s/"
		"pods?labelSelector=linkerd.io/control-plane-component",
		app->control_ns);
	app->ask = ask_new(app->kubeconfig, app->context, &e);
	list = app->ask ? ask_get(app->ask, path, &e) : NULL;
	if (!list) {
		complain(NULL, e.msg);
		ask_free(app->ask);
		return 1;
	}
	json_each(p, json_get(list, "items"))
	{
		print_controller(app, p, ++at, json_count(json_get(list, "items")));
	}
	json_free(list);
	ask_free(app->ask);
	if (!at)
		complain(NULL, "no control plane is here");
	return !at || app->failed ? 1 : 0;
}

/* ---- which of them ---- */

static const struct {
	const char *name;
	int (*run)(struct diagnostics_app *app, int n, char **word);
} verbs[] = {
	{"proxy-metrics", proxy_metrics},
	{"controller-metrics", controller_metrics},
};

static int run(struct diagnostics_app *app, int n, char **word)
{
	for (size_t i = 0; n && i < countof(verbs); i++)
		if (strcmp(word[0], verbs[i].name) == 0)
			return verbs[i].run(app, n - 1, word + 1);
	complain(NULL, "what? proxy-metrics or controller-metrics");
	return 64;
}

int diagnostics_main(int argc, char **argv)
{
	struct diagnostics_app app = {0};
	int n = 0, status;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout,
			"mesh diagnostics proxy-metrics KIND/NAME | controller-metrics "
			"[option...]",
			"Metrics of the proxies of a workload, or of the control "
			"plane.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, &n, complain, NULL))
		return 64;
	tls_init();
	status = run(&app, n, argv + 1);
	return fflush(stdout) ? 1 : status;
}
