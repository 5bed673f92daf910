/* SPDX-License-Identifier: Apache-2.0 */
/* mesh edges: who has connections to whom, and how they are secured. */
#include "viz/edges.h"

#include <stdlib.h>

#include "base/obj.h"
#include "cli/command.h"
#include "viz/look.h"

int edges_main(int argc, char **argv);

struct edges_app {
	const char *ns, *output;
	bool all;
	struct look_config look;
};

#define AT(field) offsetof(struct edges_app, field)
#define SAY(name, letter, field, value, a, text)                                       \
	{                                                                              \
		.flag = name, .brief = letter, .kind = OPT_TEXT, .offset = AT(field),  \
		.preset = value, .arg = a, .help = text                                \
	}

static const struct opt options[] = {
	SAY("namespace", 'n', ns, "default", "NS", "at either end"),
	{.flag = "all-namespaces",
		.brief = 'A',
		.kind = OPT_BOOL,
		.offset = AT(all),
		.help = "of all namespaces"},
	SAY("output", 'o', output, "table", "FORM", "table, wide or json"),
	COMMAND_CLUSTER(AT(look.control_ns), AT(look.kubeconfig), AT(look.context)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh edges: %s\n", what);
}

static int parse_words(
	const struct edges_app *app, int n, char **word, enum viz_kind *kind)
{
	if (n != 1) {
		complain(NULL, "takes one kind of resource, as \"deploy\"");
		return -1;
	}
	if (!viz_kind_parse(slice_of(word[0]), kind) || *kind == VIZ_SERVICE) {
		fprintf(stderr, "mesh edges: no edges between \"%s\"\n", word[0]);
		return -1;
	}
	if (strcmp(app->output, "table") != 0 && strcmp(app->output, "wide") != 0 &&
		strcmp(app->output, "json") != 0) {
		complain(NULL, "-o takes table, wide or json");
		return -1;
	}
	return 0;
}

static int print(const struct edges_app *app, const struct edges *edges)
{
	struct buf out = BUF_INIT;
	int bad;

	if (strcmp(app->output, "json") == 0) {
		struct json *list = edges_json(edges);

		json_write(list, 2, &out);
		buf_char(&out, '\n');
		json_free(list);
	} else if (edges->n == 0) {
		fprintf(stderr, "No edges found.\n");
	} else {
		edges_write_table(edges, strcmp(app->output, "wide") == 0, &out);
	}
	bad = command_print("edges", &out);
	buf_fini(&out);
	return bad;
}

int edges_main(int argc, char **argv)
{
	struct edges_app app = {.look.command = "mesh edges"};
	enum viz_kind kind = VIZ_DEPLOYMENT;
	struct viz_pods pods;
	struct edges edges;
	struct err e = {0};
	int n = 0, status;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh edges KIND [option...]",
			"Who has connections to whom, and with which identities: "
			"deploy, ds, sts, job, po, ns.",
			options, countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, &n, complain, NULL) ||
		parse_words(&app, n, argv + 1, &kind) < 0)
		return 64;
	status = look(&app.look, &pods, &e) < 0;
	if (status) {
		fprintf(stderr, "mesh edges: %s\n", e.msg);
	} else {
		edges_make(&pods, kind, app.all ? "" : app.ns, &edges);
		status = print(&app, &edges);
		edges_fini(&edges);
	}
	viz_pods_fini(&pods);
	return status;
}
