/* SPDX-License-Identifier: Apache-2.0 */
/* Kubeconfigs: the context that is meant, its cluster, its user. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/obj.h"
#include "kube/config.h"
#include "tls/cert.h"

#define FILE_LIMIT ((size_t)1024 * 1024)

/* An entry of one of the lists, and the file that it is from. */
struct entry {
	const struct json *j;
	const struct kubeconfig_file *file;
};

struct reader {
	struct kube_target *t;
	const struct kubeconfig_file *files;
	size_t n;
};

static char *copy(const char *text)
{
	char *p = text && *text ? slice_dup(slice_of(text)) : NULL;

	must(p || !text || !*text);
	return p;
}

static char *joined(const char *dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (*path != '/')
		buf_printf(&b, "%s/", dir);
	buf_text(&b, path);
	return buf_steal(&b);
}

/* "have: a, b, c", for whoever asks for another. */
static void add_names(const struct reader *r, const char *list, char *out, size_t size)
{
	struct buf b = BUF_LIMIT(size - 1);

	for (size_t i = 0; i < r->n; i++)
		json_each(it, json_get(r->files[i].doc, list))
		{
			buf_printf(&b, "%s%s", buf_len(&b) ? ", " : "",
				json_text_or(it, "name", ""));
		}
	snprintf(out, size, "%.*s", SLICE_FMT(buf_slice(&b)));
	buf_fini(&b);
}

static int named(const struct reader *r, const char *list, const char *what,
	const char *name, struct entry *out, struct err *e)
{
	char names[120];

	for (size_t i = 0; i < r->n; i++)
		json_each(it, json_get(r->files[i].doc, list))
		{
			if (strcmp(json_text_or(it, "name", ""), name) != 0)
				continue;
			*out = (struct entry){json_get(it, what), &r->files[i]};
			return 0;
		}
	add_names(r, list, names, sizeof names);
	return err_set(e, ERR_MISSING, "no %s is called \"%s\"%s%s", what, name,
		*names ? ": there are " : "", names);
}

/* <key>-data in base64, else the file that <key> names. */
static int read_pem(
	const struct entry *from, const char *key, struct buf *out, struct err *e)
{
	char data_key[64];
	const char *text;
	char *path;
	int rc;

	snprintf(data_key, sizeof data_key, "%s-data", key);
	text = json_text(json_get(from->j, data_key));
	if (text && *text)
		return buf_unbase64(out, slice_of(text))
			       ? err_set(e, ERR_SYNTAX, "%s is not base64", data_key)
			       : 0;
	text = json_text(json_get(from->j, key));
	if (!text || !*text)
		return 0;
	path = joined(from->file->dir, text);
	must(path);
	rc = file_read(path, FILE_LIMIT, out, e);
	free(path);
	return rc ? err_wrap(e, "%s", key) : 0;
}

/* ---- the cluster ---- */

#define PEM_END "-----END CERTIFICATE-----"

/* Those that can be used: a system's bundle has some with algorithms of the past. */
static int keep_usable(struct slice all, struct buf *out, struct err *e)
{
	const char *end;

	while (all.n && (end = memmem(all.p, all.n, PEM_END, strlen(PEM_END)))) {
		struct slice one =
			slice_bytes(all.p, (size_t)(end - all.p) + strlen(PEM_END));
		struct cert *c = cert_read(one, NULL);

		if (c && (buf_adds(out, one) || buf_char(out, '\n')))
			err_set(e, ERR_LIMIT, "out of memory");
		cert_free(c);
		all = slice_bytes(all.p + one.n, all.n - one.n);
	}
	return buf_len(out) ? 0 : err_set(e, ERR_SYNTAX, "it has no certificate");
}

static int read_bundle(const char *path, struct buf *out, struct err *e)
{
	struct buf text = BUF_INIT;
	int rc = file_read(path, FILE_LIMIT, &text, e);

	if (rc == 0 && keep_usable(buf_slice(&text), out, e))
		rc = err_wrap(e, "%s", path);
	buf_fini(&text);
	return rc;
}

/* A server that names no authority of its own is vouched for by the system's. */
static int read_roots(struct buf *out, struct err *e)
{
	const char *files[] = {getenv("SSL_CERT_FILE"),
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/ssl/cert.pem"};

	for (size_t i = 0; i < countof(files); i++)
		if (files[i] && file_stamp(files[i]))
			return read_bundle(files[i], out, e);
	return err_set(e, ERR_MISSING,
		"the cluster has no certificate-authority (nor -data), and the system "
		"has no certificates: nobody would vouch for the server");
}

static int read_cluster(struct kube_target *t, const struct entry *from, struct err *e)
{
	const char *server = json_text_or(from->j, "server", "");
	const char *proxy = json_text_or(from->j, "proxy-url", "");

	if (!*server)
		return err_set(e, ERR_MISSING, "the cluster has no server");
	t->any_server = json_bool_at(from->j, "insecure-skip-tls-verify", false);
	t->server_name = copy(json_text_at(from->j, "tls-server-name"));
	if (kube_set_server(t, server, e) ||
		kube_set_proxy(t, *proxy ? proxy : NULL, e) ||
		read_pem(from, "certificate-authority", &t->ca, e))
		return -1;
	if (t->any_server && buf_len(&t->ca))
		return err_set(e, ERR_DENIED,
			"insecure-skip-tls-verify and a certificate-authority: leave "
			"one of them out");
	return t->tls && !t->any_server && !buf_len(&t->ca) ? read_roots(&t->ca, e) : 0;
}

/* ---- the user ---- */

static int read_exec(struct kube_target *t, const struct entry *cluster,
	const struct entry *user, struct err *e)
{
	const struct json *spec = json_get(user->j, "exec");
	struct json *told;
	struct buf ca = BUF_INIT;

	if (!spec)
		return 0;
	told = json_copy(cluster->j);
	if (json_get(told, "certificate-authority") &&
		buf_base64(&ca, buf_slice(&t->ca)) == 0) {
		buf_char(&ca, '\0'); /* a file may be relative to ours */
		json_set_text(told, "certificate-authority-data", ca.p);
	}
	t->exec = exec_plugin_new(spec, told, user->file->dir, e);
	buf_fini(&ca);
	json_free(told);
	return t->exec ? 0 : -1;
}

static void read_basic(struct kube_target *t, const struct json *j)
{
	const char *user = json_text_or(j, "username", "");
	struct buf pair = BUF_INIT, text = BUF_INIT;

	if (!*user)
		return;
	buf_printf(&pair, "%s:%s", user, json_text_or(j, "password", ""));
	buf_base64(&text, buf_slice(&pair));
	t->basic = buf_steal(&text);
	buf_fini(&pair);
}

static int read_token(struct kube_target *t, const struct entry *from, struct err *e)
{
	const char *file = json_text_or(from->j, "tokenFile", "");
	struct buf text = BUF_INIT;
	int rc;

	t->token = copy(json_text_at(from->j, "token"));
	if (!*file)
		return 0;
	t->token_file = joined(from->file->dir, file);
	must(t->token_file);
	rc = file_read(t->token_file, FILE_LIMIT, &text, e);
	buf_fini(&text);
	return rc ? err_wrap(e, "tokenFile") : 0;
}

static int read_as(struct kube_target *t, const struct json *j, struct err *e)
{
	t->as = copy(json_text_at(j, "as"));
	t->as_uid = copy(json_text_at(j, "as-uid"));
	if (json_get(j, "as-user-extra"))
		t->as_extra = json_copy(json_get(j, "as-user-extra"));
	json_each(g, json_get(j, "as-groups"))
	{
		if (t->n_as_groups == KUBE_GROUPS_MAX)
			return err_set(e, ERR_LIMIT, "as-groups: more than %d",
				KUBE_GROUPS_MAX);
		if (json_text(g) && *json_text(g))
			t->as_groups[t->n_as_groups++] = copy(json_text(g));
	}
	return 0;
}

static int read_user(struct kube_target *t, const struct entry *cluster,
	const struct entry *from, struct err *e)
{
	if (json_get(from->j, "auth-provider"))
		return err_set(e, ERR_DENIED,
			"auth-provider \"%s\" is of the past (clients from 1.26 on "
			"have none): make the kubeconfig again, with an exec plugin",
			json_text_or(from->j, "auth-provider.name", ""));
	read_basic(t, from->j);
	if (read_token(t, from, e) || read_exec(t, cluster, from, e) ||
		read_as(t, from->j, e) ||
		read_pem(from, "client-certificate", &t->cert, e) ||
		read_pem(from, "client-key", &t->key, e))
		return -1;
	if (!buf_len(&t->cert) != !buf_len(&t->key))
		return err_set(e, ERR_MISSING,
			"client-certificate and client-key: %s is "
			"missing",
			buf_len(&t->cert) ? "client-key" : "client-certificate");
	return 0;
}

/* ---- the context ---- */

static const char *current(const struct reader *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *c = json_text_or(r->files[i].doc, "current-context", "");

		if (*c)
			return c;
	}
	return NULL;
}

static int in_file(
	const struct entry *from, const char *what, const char *name, struct err *e)
{
	return err_wrap(e, "%s: %s \"%s\"", from->file->path, what, name);
}

static int read_context(struct reader *r, const char *context, struct err *e)
{
	struct entry at, cluster, user = {NULL, NULL};
	const char *cluster_name, *user_name;

	if (named(r, "contexts", "context", context, &at, e))
		return err_wrap(e, "%s", r->files[0].path);
	cluster_name = json_text_or(at.j, "cluster", "");
	user_name = json_text_or(at.j, "user", "");
	r->t->namespace = copy(json_text_at(at.j, "namespace"));
	if (named(r, "clusters", "cluster", cluster_name, &cluster, e) ||
		(*user_name && named(r, "users", "user", user_name, &user, e)))
		return in_file(&at, "context", context, e);
	if (read_cluster(r->t, &cluster, e))
		return in_file(&cluster, "cluster", cluster_name, e);
	if (user.j && read_user(r->t, &cluster, &user, e))
		return in_file(&user, "user", user_name, e);
	return 0;
}

int kubeconfig_read(struct kube_target *t, const struct kubeconfig_file *files,
	size_t n, const char *context, struct err *e)
{
	struct reader r = {t, files, n};
	char names[120];

	if (!context || !*context)
		context = current(&r);
	if (context)
		return read_context(&r, context, e);
	add_names(&r, "contexts", names, sizeof names);
	return err_set(e, ERR_MISSING, "%s has no current-context%s%s", files[0].path,
		*names ? ": choose one by --context: " : "", names);
}
