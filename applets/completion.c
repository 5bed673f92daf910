/* SPDX-License-Identifier: Apache-2.0 */
/* mesh completion: words of this program for a shell. */
#include <stdio.h>
#include <stdlib.h>

#include "applets.h"
#include "base/obj.h"
#include "cli/command.h"
#include "cli/complete.h"

int completion_main(int argc, char **argv);

/* What an applet would print for --help is taken here instead. */
static void take(void *arg, const char *words, const struct opt *table, size_t n)
{
	struct complete_command *c = arg;

	if (words)
		c->words = words;
	for (size_t i = 0; i < n && c->n < COMPLETE_OPTIONS; i++)
		if (table[i].flag)
			c->option[c->n++] = table[i];
}

static void ask(const struct applet *a, struct complete_command *c)
{
	char name[32], help[] = "--help", *argv[] = {name, help, NULL};

	snprintf(name, sizeof name, "%s", a->name);
	*c = (struct complete_command){.name = a->name, .help = a->help, .words = ""};
	opt_help_to(take, c);
	(void)a->main(2, argv); /* it only shows its table */
	opt_help_to(NULL, NULL);
}

static int usage(FILE *to)
{
	fprintf(to, "usage: mesh completion bash|zsh|fish\n\n"
		    "A script that makes the shell complete the words of mesh:\n"
		    "  bash   source <(mesh completion bash)\n"
		    "  zsh    mesh completion zsh >\"${fpath[1]}/_mesh\"\n"
		    "  fish   mesh completion fish | source\n");
	return to == stderr ? 64 : 0;
}

static int print(const char *shell)
{
	struct complete_command *v = calloc(applets_count, sizeof *v);
	struct buf out = BUF_INIT;
	int rc;

	must(v);
	for (size_t i = 0; i < applets_count; i++)
		if (applets[i].main != completion_main)
			ask(&applets[i], &v[i]);
		else
			v[i] = (struct complete_command){.name = applets[i].name,
				.help = applets[i].help,
				.words = "bash zsh fish"};
	rc = complete_write(shell, v, applets_count, &out);
	if (rc)
		(void)usage(stderr);
	else
		rc = command_print("completion", &out);
	buf_fini(&out);
	free(v);
	return rc < 0 ? 64 : rc;
}

int completion_main(int argc, char **argv)
{
	if (opt_asks_help(argc, argv))
		return usage(stdout);
	return argc == 2 ? print(argv[1]) : usage(stderr);
}
