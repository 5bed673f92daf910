/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/complete.h"

#include "base/obj.h"

static bool takes_value(const struct opt *o)
{
	return o->kind != OPT_BOOL;
}

/* Between the marks of a shell's text: what would end it, or mean something, is put
 * behind a backslash, or left out. */
static void put_quoted(const char *text, const char *special, struct buf *out)
{
	for (; *text; text++) {
		if (*text == '\'')
			continue;
		if (strchr(special, *text))
			buf_char(out, '\\');
		buf_char(out, *text);
	}
}

/* ---- bash ---- */

static void bash_flags(const struct complete_command *c, struct buf *out)
{
	for (size_t i = 0; i < c->n; i++) {
		buf_printf(out, "%s--%s", i ? " " : "", c->option[i].flag);
		if (c->option[i].brief)
			buf_printf(out, " -%c", c->option[i].brief);
	}
}

static void bash_write(const struct complete_command *v, size_t n, struct buf *out)
{
	buf_text(out, "# bash completion of mesh: source <(mesh completion bash)\n"
		      "_mesh() {\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} flags= words=\n"
		      "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		      "\t\tCOMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? " " : "", v[i].name);
	buf_text(
		out, "' -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\t%s)\n\t\tflags='", v[i].name);
		bash_flags(&v[i], out);
		buf_printf(out, "'\n\t\twords='%s'\n\t\t;;\n", v[i].words);
	}
	buf_text(out, "\tesac\n\t[ \"$COMP_CWORD\" -eq 2 ] || words=\n"
		      "\tcase $cur in\n"
		      "\t-*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\")) ;;\n"
		      "\t*) COMPREPLY=($(compgen -W \"$words\" -- \"$cur\")) ;;\n"
		      "\tesac\n}\ncomplete -o default -F _mesh mesh\n");
}

/* ---- zsh ---- */

static void zsh_option(const struct opt *o, struct buf *out)
{
	const char *help = o->help ? o->help : "";

	buf_printf(out, " \\\n\t\t\t'--%s%s[", o->flag, takes_value(o) ? "=" : "");
	put_quoted(help, "[]\\", out);
	buf_text(out, "]");
	if (takes_value(o))
		buf_printf(out, ":%s:%s", o->arg ? o->arg : "value",
			o->arg && strcmp(o->arg, "FILE") == 0 ? "_files" : " ");
	buf_char(out, '\'');
	if (!o->brief)
		return;
	buf_printf(out, " \\\n\t\t\t'-%c[", o->brief);
	put_quoted(help, "[]\\", out);
	buf_printf(out, "]%s'", takes_value(o) ? ":value: " : "");
}

static void zsh_write(const struct complete_command *v, size_t n, struct buf *out)
{
	buf_text(out, "#compdef mesh\n# zsh completion of mesh: mesh completion zsh "
		      ">\"${fpath[1]}/_mesh\"\n"
		      "_mesh() {\n\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\t\t'%s:", v[i].name);
		put_quoted(v[i].help, "\\:", out);
		buf_text(out, "'\n");
	}
	buf_text(out, "\t)\n\tif ((CURRENT == 2)); then\n"
		      "\t\t_describe command commands\n\t\treturn\n\tfi\n"
		      "\tlocal command=$words[2]\n\tshift words\n"
		      "\t((CURRENT--))\n\tcase $command in\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "\t%s)\n\t\t_arguments", v[i].name);
		for (size_t k = 0; k < v[i].n; k++)
			zsh_option(&v[i].option[k], out);
		if (*v[i].words)
			buf_printf(out, " \\\n\t\t\t'1:what:(%s)'", v[i].words);
		buf_text(out, " \\\n\t\t\t'*:file:_files'\n\t\t;;\n");
	}
	buf_text(out, "\tesac\n}\ncompdef _mesh mesh\n");
}

/* ---- fish ---- */

static void fish_option(const char *command, const struct opt *o, struct buf *out)
{
	buf_printf(out, "complete -c mesh -n '__fish_seen_subcommand_from %s' -l %s",
		command, o->flag);
	if (o->brief)
		buf_printf(out, " -s %c", o->brief);
	buf_printf(out, "%s -d '", takes_value(o) ? " -r" : "");
	put_quoted(o->help ? o->help : "", "\\", out);
	buf_text(out, "'\n");
}

static void fish_write(const struct complete_command *v, size_t n, struct buf *out)
{
	buf_text(out, "# fish completion of mesh: mesh completion fish | source\n");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out,
			"complete -c mesh -f -n __fish_use_subcommand -a %s -d '",
			v[i].name);
		put_quoted(v[i].help, "\\", out);
		buf_text(out, "'\n");
		if (*v[i].words)
			buf_printf(out,
				"complete -c mesh -n '__fish_seen_subcommand_from %s' "
				"-a '%s'\n",
				v[i].name, v[i].words);
		for (size_t k = 0; k < v[i].n; k++)
			fish_option(v[i].name, &v[i].option[k], out);
	}
}

static const struct {
	const char *shell;
	void (*write)(const struct complete_command *v, size_t n, struct buf *out);
} shells[] = {
	{"bash", bash_write},
	{"zsh", zsh_write},
	{"fish", fish_write},
};

int complete_write(
	const char *shell, const struct complete_command *v, size_t n, struct buf *out)
{
	for (size_t i = 0; i < countof(shells); i++)
		if (strcmp(shell, shells[i].shell) == 0) {
			shells[i].write(v, n, out);
			return out->failed ? -1 : 0;
		}
	return -1;
}
