/* SPDX-License-Identifier: Apache-2.0 */
/* mesh stat: success, requests and latency of workloads. */
#include "viz/stat.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "cli/command.h"
#include "viz/look.h"

int stat_main(int argc, char **argv);

struct stat_app {
	const char *ns, *output, *to, *to_ns, *from, *from_ns;
	bool all, unmeshed;
	struct look_config look;
	struct stat_query query;
	bool every_kind; /* "all" */
};

#define AT(field) offsetof(struct stat_app, field)
#define SAY(name, letter, field, value, a, text)                                       \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_TEXT, .offset = AT(field),  \
		.preset = value, .arg = a, .help = text                                \
	}

static const struct opt options[] = {
	SAY("namespace", 'n', ns, "default", "NS", "namespace"),
	{.flag = "all-namespaces",
		.brief = 'A',
		.kind = OPT_BOOL,
		.offset = AT(all),
		.help = "of all namespaces"},
	{.flag = "time-window",
		.brief = 't',
		.kind = OPT_DURATION,
		.offset = AT(look.window),
		.preset = "10s",
		.arg = "TIME",
		.help = "how long the proxies are watched"},
	SAY("to", 0, to, NULL, "RESOURCE", "only requests to it"),
	SAY("to-namespace", 0, to_ns, NULL, "NS", "where that is; else the same"),
	SAY("from", 0, from, NULL, "RESOURCE", "only requests from it"),
	SAY("from-namespace", 0, from_ns, NULL, "NS", "where that is; else the same"),
	{.flag = "unmeshed",
		.kind = OPT_BOOL,
		.offset = AT(unmeshed),
		.help = "also what has no proxy"},
	SAY("output", 'o', output, "table", "FORM", "table, wide or json"),
	COMMAND_CLUSTER(AT(look.control_ns), AT(look.kubeconfig), AT(look.context)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh stat: %s\n", what);
}

static int mistake(const char *what, const char *text)
{
	fprintf(stderr, "mesh stat: %s \"%s\"\n", what, text);
	return -1;
}

/* "deploy", "deploy/web"; `name` takes what is behind the slash. */
static int parse_resource(const char *text, const char *ns, struct viz_resource *out)
{
	struct slice rest = slice_of(text), kind;
	const char *slash = strchr(text, '/');

	*out = (struct viz_resource){.name = slash ? slash + 1 : "", .ns = ns};
	if (!slice_cut(&rest, '/', &kind) || !viz_kind_parse(kind, &out->kind))
		return mistake("no kind of resource is called", text);
	if (out->kind == VIZ_NAMESPACE)
		out->ns = "";
	return 0;
}

static int parse_words(struct stat_app *app, int n, char **word)
{
	struct stat_query *q = &app->query;
	const char *ns = app->all ? "" : app->ns;

	q->to.kind = q->from.kind = VIZ_KINDS;
	if (n < 1 || n > 2)
		return mistake("takes a resource, as \"deploy\" or \"deploy web\", not",
			n ? word[2] : "");
	app->every_kind = strcmp(word[0], "all") == 0;
	if (!app->every_kind && parse_resource(word[0], ns, &q->of) < 0)
		return -1;
	if (app->every_kind)
		q->of = (struct viz_resource){.name = "", .ns = ns};
	if (n == 2)
		q->of.name = word[1];
	if (app->to && app->from)
		return mistake("either --to or --from, not also", app->from);
	if (app->to &&
		parse_resource(app->to, app->to_ns ? app->to_ns : ns, &q->to) < 0)
		return -1;
	if (app->from && parse_resource(app->from, app->from_ns ? app->from_ns : ns,
				 &q->from) < 0)
		return -1;
	if (strcmp(app->output, "table") != 0 && strcmp(app->output, "wide") != 0 &&
		strcmp(app->output, "json") != 0)
		return mistake("-o takes table, wide or json, not", app->output);
	if (app->look.window < NS_PER_S / 10)
		return mistake("-t takes 100ms or more", "");
	return 0;
}

/* Only those whose numbers will be looked at. */
static bool is_wanted(void *arg, const struct viz_pod *p)
{
	const struct stat_app *app = arg;
	const struct stat_query *q = &app->query;
	const struct viz_resource *r = q->from.kind != VIZ_KINDS ? &q->from : &q->of;

	if (app->every_kind || r->kind == VIZ_SERVICE)
		return true;
	return *p->owner[r->kind] && (!*r->ns || strcmp(p->ns, r->ns) == 0) &&
	       (!*r->name || strcmp(p->owner[r->kind], r->name) == 0);
}

static size_t show(struct stat_app *app, const struct viz_pods *pods, struct buf *out,
	struct json *list)
{
	bool by_label = app->query.from.kind != VIZ_KINDS;
	struct stat_form form = {.wide = strcmp(app->output, "wide") == 0,
		.with_ns = app->all,
		.prefix = app->every_kind,
		.no_mesh = by_label,
		.seconds = app->query.seconds};
	struct stat_rows rows;
	size_t n;

	stat_rows_make(pods, &app->query, &rows);
	n = rows.n;
	if (n && app->every_kind && buf_len(out))
		buf_char(out, '\n');
	if (strcmp(app->output, "json") == 0)
		stat_add_json(&rows, &form, list);
	else
		stat_write_table(&rows, &form, out);
	stat_rows_fini(&rows);
	return n;
}

static int print(struct stat_app *app, const struct viz_pods *pods)
{
	static const enum viz_kind order[] = {VIZ_DAEMONSET, VIZ_STATEFULSET, VIZ_JOB,
		VIZ_DEPLOYMENT, VIZ_CONTROLLER, VIZ_POD, VIZ_SERVICE, VIZ_CRONJOB,
		VIZ_REPLICASET};
	struct json *list = json_list();
	struct buf out = BUF_INIT;
	size_t n = 0;
	int bad;

	app->query.seconds = (double)app->look.window / (double)NS_PER_S;
	app->query.unmeshed = app->unmeshed;
	for (size_t i = 0; i < (app->every_kind ? countof(order) : 1); i++) {
		if (app->every_kind)
			app->query.of.kind = order[i];
		n += show(app, pods, &out, list);
	}
	if (strcmp(app->output, "json") == 0) {
		json_write(list, 2, &out);
		buf_char(&out, '\n');
	} else if (n == 0) {
		fprintf(stderr, "No traffic found.\n");
	}
	bad = command_print("stat", &out);
	buf_fini(&out);
	json_free(list);
	return bad;
}

int stat_main(int argc, char **argv)
{
	struct stat_app app = {.look = {.command = "mesh stat", .wanted = is_wanted}};
	struct viz_pods pods;
	struct err e = {0};
	int n = 0, status;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh stat RESOURCE [NAME] [option...]",
			"Success, requests a second and latency of workloads: deploy, "
			"ds, sts, job, cj, rs, rc,\npo, ns, svc, or all.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, &n, complain, NULL) ||
		parse_words(&app, n, argv + 1) < 0)
		return 64;
	app.look.arg = &app;
	status = look(&app.look, &pods, &e) < 0;
	if (status)
		fprintf(stderr, "mesh stat: %s\n", e.msg);
	else
		status = print(&app, &pods);
	viz_pods_fini(&pods);
	return status;
}
