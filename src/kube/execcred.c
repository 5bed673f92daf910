/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/execcred.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/obj.h"
#include "sys/run.h"

#define WORDS_MAX  256
#define OUTPUT_MAX ((size_t)1024 * 1024)
#define PATIENCE   (60 * NS_PER_S) /* of one that cannot ask anybody */
#define YEAR_MAX   2500            /* that a uint64_t of ns can tell */
#define GROUP      "client.authentication.k8s.io/"

struct exec_plugin {
	struct json *spec, *cluster; /* own; cluster NULL: it is not to be told */
	char *command;
};

void exec_creds_fini(struct exec_creds *c)
{
	if (c->key.p)
		explicit_bzero(c->key.p, c->key.cap);
	buf_fini(&c->cert);
	buf_fini(&c->key);
	free(c->token);
	*c = (struct exec_creds){0};
}

/* ---- what a kubeconfig says of it ---- */

static const char *version_of(const struct exec_plugin *p)
{
	return json_text_or(p->spec, "apiVersion", "");
}

static int check_spec(const struct json *spec, struct err *e)
{
	const char *version = json_text_or(spec, "apiVersion", "");

	if (!*json_text_or(spec, "command", ""))
		return err_set(e, ERR_MISSING, "exec has no command");
	if (json_count(json_get(spec, "args")) + 2 > WORDS_MAX ||
		json_count(json_get(spec, "env")) > WORDS_MAX)
		return err_set(e, ERR_LIMIT, "exec has too many args or env");
	if (strcmp(version, GROUP "v1") == 0 || strcmp(version, GROUP "v1beta1") == 0)
		return 0;
	return err_set(e, ERR_DENIED,
		"exec's apiVersion \"%s\" is not known: make the kubeconfig again with "
		"a newer tool, for " GROUP "v1",
		version);
}

/* What the program is told of the cluster; the names are those of its kind. */
static struct json *describe(const struct json *c)
{
	static const char *const texts[] = {
		"server", "tls-server-name", "certificate-authority-data", "proxy-url"};
	struct json *j = json_object();

	for (size_t i = 0; i < countof(texts); i++)
		if (json_text_at(c, texts[i]))
			json_set_text(j, texts[i], json_text_at(c, texts[i]));
	if (json_bool_at(c, "insecure-skip-tls-verify", false))
		json_set_bool(j, "insecure-skip-tls-verify", true);
	json_each(x, json_get(c, "extensions"))
	{
		if (strcmp(json_text_or(x, "name", ""), GROUP "exec") == 0)
			json_set(j, "config", json_copy(json_get(x, "extension")));
	}
	return j;
}

/* A bare name is looked for in PATH, what has a slash beside the kubeconfig. */
static char *command_of(const char *text, const char *dir)
{
	struct buf b = BUF_INIT;

	if (*text != '/' && strchr(text, '/'))
		buf_printf(&b, "%s/", dir);
	buf_text(&b, text);
	return buf_steal(&b);
}

struct exec_plugin *exec_plugin_new(const struct json *spec, const struct json *cluster,
	const char *dir, struct err *e)
{
	struct exec_plugin *p;

	if (check_spec(spec, e))
		return NULL;
	p = calloc(1, sizeof *p);
	must(p);
	p->spec = json_copy(spec);
	p->command = command_of(json_text_or(spec, "command", ""), dir);
	must(p->command);
	if (json_bool_at(spec, "provideClusterInfo", false))
		p->cluster = describe(cluster);
	return p;
}

void exec_plugin_free(struct exec_plugin *p)
{
	if (!p)
		return;
	json_free(p->spec);
	json_free(p->cluster);
	free(p->command);
	free(p);
}

/* ---- running it ---- */

struct words {
	char *v[2 * WORDS_MAX + 2];
	size_t n;
};

static void add_word(struct words *w, const char *name, const char *value)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s%s%s", name, value ? "=" : "", value ? value : "");
	w->v[w->n] = buf_steal(&b);
	must(w->v[w->n]);
	w->n++;
}

static void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->v[i]);
}

static bool is_given(const struct exec_plugin *p, const char *pair)
{
	size_t n = strcspn(pair, "=");

	if (strncmp(pair, "KUBERNETES_EXEC_INFO=", 21) == 0)
		return true;
	json_each(v, json_get(p->spec, "env"))
	{
		const char *name = json_text_or(v, "name", "");

		if (strlen(name) == n && strncmp(name, pair, n) == 0)
			return true;
	}
	return false;
}

static bool may_ask(const struct exec_plugin *p)
{
	return isatty(STDIN_FILENO) &&
	       strcmp(json_text_or(p->spec, "interactiveMode", ""), "Never") != 0;
}

static void add_info(const struct exec_plugin *p, struct words *env)
{
	struct json *j = json_object(), *spec;
	struct buf text = BUF_INIT;

	json_set_text(j, "kind", "ExecCredential");
	json_set_text(j, "apiVersion", version_of(p));
	spec = json_need_object(j, "spec");
	json_set_bool(spec, "interactive", may_ask(p));
	if (p->cluster)
		json_set(spec, "cluster", json_copy(p->cluster));
	json_write(j, 0, &text);
	buf_char(&text, '\0');
	add_word(env, "KUBERNETES_EXEC_INFO", text.p);
	buf_fini(&text);
	json_free(j);
}

/* Ours first, then what the kubeconfig adds. */
static void make_env(const struct exec_plugin *p, struct words *env)
{
	for (char **v = environ; *v && env->n < WORDS_MAX; v++)
		if (!is_given(p, *v))
			add_word(env, *v, NULL);
	json_each(v, json_get(p->spec, "env"))
	{
		add_word(
			env, json_text_or(v, "name", ""), json_text_or(v, "value", ""));
	}
	add_info(p, env);
}

static int run(const struct exec_plugin *p, struct buf *out, struct err *e)
{
	struct words argv = {0}, env = {0};
	struct run r = {.argv = argv.v,
		.envp = env.v,
		.gives_input = may_ask(p),
		.patience = may_ask(p) ? 0 : PATIENCE,
		.max = OUTPUT_MAX};
	int rc;

	if (strcmp(json_text_or(p->spec, "interactiveMode", ""), "Always") == 0 &&
		!may_ask(p))
		return err_set(e, ERR_DENIED,
			"exec's interactiveMode is Always, and there is no terminal");
	add_word(&argv, p->command, NULL);
	json_each(a, json_get(p->spec, "args"))
	{
		add_word(&argv, json_text(a) ? json_text(a) : "", NULL);
	}
	make_env(p, &env);
	rc = run_for_output(&r, out, e);
	words_fini(&argv);
	words_fini(&env);
	return rc;
}

/* ---- what it says ---- */

static int read_pair(const struct json *status, struct exec_creds *out, struct err *e)
{
	const char *cert = json_text_or(status, "clientCertificateData", "");
	const char *key = json_text_or(status, "clientKeyData", "");

	if (!*cert != !*key)
		return err_set(e, ERR_SYNTAX,
			"it says %s alone: clientCertificateData and clientKeyData "
			"belong together",
			*cert ? "clientCertificateData" : "clientKeyData");
	buf_text(&out->cert, cert);
	buf_text(&out->key, key);
	return 0;
}

static int read_status(const struct json *status, struct exec_creds *out, struct err *e)
{
	const char *token = json_text_or(status, "token", "");
	const char *until = json_text(json_get(status, "expirationTimestamp"));

	if (read_pair(status, out, e))
		return -1;
	if (*token) {
		out->token = slice_dup(slice_of(token));
		must(out->token);
	}
	if (!out->token && !buf_len(&out->cert))
		return err_set(
			e, ERR_SYNTAX, "it says neither a token nor a certificate");
	if (until && strtoul(until, NULL, 10) > YEAR_MAX)
		until = NULL; /* such as 9999: never */
	if (until && !clock_parse(slice_of(until), &out->expires))
		return err_set(e, ERR_SYNTAX,
			"its expirationTimestamp \"%s\" is no time", until);
	return 0;
}

static int read_output(const struct exec_plugin *p, struct slice text,
	struct exec_creds *out, struct err *e)
{
	struct json *j = json_parse(text, e);
	int rc = -1;

	if (!j)
		err_wrap(e, "it does not write an ExecCredential as JSON");
	else if (strcmp(json_text_or(j, "kind", ""), "ExecCredential") != 0)
		err_set(e, ERR_SYNTAX, "it writes the kind \"%s\", not ExecCredential",
			json_text_or(j, "kind", ""));
	else if (strcmp(json_text_or(j, "apiVersion", ""), version_of(p)) != 0)
		err_set(e, ERR_SYNTAX, "it speaks %s, the kubeconfig asks for %s",
			json_text_or(j, "apiVersion", "nothing"), version_of(p));
	else
		rc = read_status(json_get(j, "status"), out, e);
	json_free(j);
	return rc;
}

int exec_plugin_ask(const struct exec_plugin *p, struct exec_creds *out, struct err *e)
{
	const char *hint = json_text_or(p->spec, "installHint", "");
	struct buf text = BUF_INIT;
	struct err why = {0};
	int rc;

	*out = (struct exec_creds){0};
	rc = run(p, &text, &why);
	if (rc == 0)
		rc = read_output(p, buf_slice(&text), out, &why);
	if (text.p)
		explicit_bzero(text.p, text.cap);
	buf_fini(&text);
	if (rc == 0)
		return 0;
	exec_creds_fini(out);
	return err_set(e, why.code, "exec %s: %s%s%s", p->command, why.msg,
		why.code == ERR_MISSING && *hint ? ". " : "",
		why.code == ERR_MISSING ? hint : "");
}
