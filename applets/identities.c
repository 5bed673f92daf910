/* SPDX-License-Identifier: Apache-2.0 */
/* mesh identity PODS: the certificates of proxies (identity.c asks for it). */
#include <stdio.h>

#include "applets.h"
#include "base/obj.h"
#include "cli/command.h"
#include "cli/identities.h"
#include "tls/init.h"

struct identities_app {
	const char *ns, *control_ns, *selector;
	struct kube_config cluster;
};

#define AT(field) offsetof(struct identities_app, field)

static const struct opt options[] = {
	{.flag = "namespace",
		.brief = 'n',
		.kind = OPT_TEXT,
		.offset = AT(ns),
		.preset = "default",
		.arg = "NS",
		.help = "of the pods"},
	{.flag = "selector",
		.brief = 'l',
		.kind = OPT_TEXT,
		.offset = AT(selector),
		.arg = "LABELS",
		.help = "of pods with these labels, as app=web"},
	COMMAND_CLUSTER(AT(control_ns), AT(cluster)),
};

static void complain(void *arg, const char *what)
{
	(void)arg;
	fprintf(stderr, "mesh identity: %s\n", what);
}

static int show(const struct identities_app *app, struct identities *q)
{
	struct buf out = BUF_INIT;
	struct err e = {0};
	size_t failed = 0;
	int rc;

	tls_init();
	q->ask = ask_new(&app->cluster, &e);
	rc = q->ask ? identities_write(q, &out, &failed, &e) : -1;
	if (rc)
		complain(NULL, e.msg);
	else if (command_print("identity", &out))
		rc = -1;
	buf_fini(&out);
	ask_free(q->ask);
	return rc || failed ? 1 : 0;
}

int identities_main(int argc, char **argv)
{
	struct identities_app app = {0};
	struct identities q;
	int n = 0;

	if (opt_read(options, countof(options), &app, argc, argv, &n, complain, NULL))
		return 64;
	if (!app.selector == !n) {
		complain(NULL, n ? "pods by name or by -l, not both"
				 : "of which pods? by name or by -l LABELS");
		return 64;
	}
	q = (struct identities){.ns = app.ns,
		.control_ns = app.control_ns,
		.selector = app.selector,
		.pod = argv + 1,
		.n = (size_t)n};
	return show(&app, &q);
}

void identities_help(void)
{
	opt_help(stdout, "mesh identity POD... | -l LABELS [option...]",
		"The certificates of pods' proxies, as they show them.", options,
		countof(options));
}
