/* SPDX-License-Identifier: Apache-2.0 */
#include "kube/config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "wire/yaml.h"

#define FILE_LIMIT ((size_t)1024 * 1024)

void kube_target_fini(struct kube_target *t)
{
	if (t->key.p)
		explicit_bzero(t->key.p, t->key.cap);
	buf_fini(&t->ca);
	buf_fini(&t->cert);
	buf_fini(&t->key);
	free(t->host);
	free(t->prefix);
	free(t->server_name);
	free(t->namespace);
	free(t->ca_file);
	free(t->token);
	free(t->token_file);
	*t = (struct kube_target){0};
}

/* A zero-terminated copy, unless memory is out. */
static char *copy(struct slice s)
{
	char *text = slice_dup(s);

	must(text);
	return text;
}

static char *copy_at(const struct json *j, const char *path)
{
	const char *text = json_text_at(j, path);

	return text && *text ? copy(slice_of(text)) : NULL;
}

static char *joined(const char *dir, const char *path)
{
	struct buf b = BUF_INIT;

	if (*path == '/')
		return copy(slice_of(path));
	buf_printf(&b, "%s/%s", dir, path);
	return buf_steal(&b);
}

/* ---- the address: scheme://host[:port][/prefix] ---- */

static int set_host(struct kube_target *t, struct slice host, struct err *e)
{
	const char *colon = NULL;
	uint64_t port = t->tls ? 443 : 80;

	if (host.n && host.p[0] == '[') {
		const char *end = memchr(host.p, ']', host.n);

		if (!end)
			return err_set(e, ERR_SYNTAX, "']' is missing");
		if (end + 1 < host.p + host.n)
			colon = end + 1;
		t->host = copy(slice_bytes(host.p + 1, (size_t)(end - host.p - 1)));
	} else {
		colon = memchr(host.p, ':', host.n);
		t->host = copy(
			slice_bytes(host.p, colon ? (size_t)(colon - host.p) : host.n));
	}
	if (colon && (*colon != ':' ||
			     !slice_u64(slice_bytes(colon + 1,
						(size_t)(host.p + host.n - colon - 1)),
				     UINT16_MAX, &port)))
		return err_set(e, ERR_SYNTAX, "bad port");
	if (!*t->host || port == 0)
		return err_set(e, ERR_SYNTAX, "no host");
	t->port = (uint16_t)port;
	return 0;
}

static int set_server(struct kube_target *t, const char *server, struct err *e)
{
	struct slice s = slice_of(server), host;

	if (slice_starts(s, SLICE("https://")))
		t->tls = true;
	else if (!slice_starts(s, SLICE("http://")))
		return err_set(
			e, ERR_SYNTAX, "server %s: neither https nor http", server);
	s = slice_of(strstr(server, "://") + 3);
	host = slice_bytes(s.p, strcspn(s.p, "/"));
	s = slice_of(host.p + host.n);
	while (s.n && s.p[s.n - 1] == '/')
		s.n--;
	t->prefix = copy(s);
	return set_host(t, host, e) ? err_wrap(e, "server %s", server) : 0;
}

/* ---- a kubeconfig ---- */

struct source {
	const struct json *doc;
	const char *dir;
};

/* doc.<list>[name == name].<what> */
static const struct json *named(const struct source *s, const char *list,
	const char *name, const char *what, struct err *e)
{
	json_each(it, json_get(s->doc, list))
	{
		if (strcmp(json_text_or(it, "name", ""), name) == 0)
			return json_get(it, what);
	}
	err_set(e, ERR_MISSING, "no %s is called \"%s\"", what, name);
	return NULL;
}

/* <key>-data in base64, else the file that <key> names. */
static int read_pem(const struct source *s, const struct json *j, const char *key,
	struct buf *out, struct err *e)
{
	char data_key[64];
	const char *text;
	char *path;
	int rc;

	snprintf(data_key, sizeof data_key, "%s-data", key);
	text = json_text(json_get(j, data_key));
	if (text && *text)
		return buf_unbase64(out, slice_of(text))
			       ? err_set(e, ERR_SYNTAX, "%s is not base64", data_key)
			       : 0;
	text = json_text(json_get(j, key));
	if (!text || !*text)
		return 0;
	path = joined(s->dir, text);
	rc = file_read(path, FILE_LIMIT, out, e);
	free(path);
	return rc ? err_wrap(e, "%s", key) : 0;
}

static int read_cluster(struct kube_target *t, const struct source *s,
	const struct json *j, struct err *e)
{
	const char *server = json_text_at(j, "server");

	if (!server)
		return err_set(e, ERR_MISSING, "the cluster has no server");
	if (json_bool_at(j, "insecure-skip-tls-verify", false))
		return err_set(e, ERR_DENIED,
			"insecure-skip-tls-verify is not supported: give the CA in "
			"certificate-authority-data");
	if (*json_text_or(j, "proxy-url", ""))
		return err_set(e, ERR_DENIED, "proxy-url is not supported");
	t->server_name = copy_at(j, "tls-server-name");
	if (set_server(t, server, e))
		return -1;
	return read_pem(s, j, "certificate-authority", &t->ca, e);
}

static int read_user(struct kube_target *t, const struct source *s,
	const struct json *j, struct err *e)
{
	static const char *const refused[] = {
		"exec", "auth-provider", "username", "password", "as"};
	const char *file = json_text_at(j, "tokenFile");

	for (size_t i = 0; i < countof(refused); i++)
		if (json_get(j, refused[i]))
			return err_set(e, ERR_DENIED,
				"users' \"%s\" is not supported: use a token or a "
				"client certificate",
				refused[i]);
	t->token = copy_at(j, "token");
	if (file && *file)
		t->token_file = joined(s->dir, file);
	if (read_pem(s, j, "client-certificate", &t->cert, e))
		return -1;
	return read_pem(s, j, "client-key", &t->key, e);
}

static int read_context(struct kube_target *t, const struct source *s,
	const char *context, struct err *e)
{
	const struct json *j, *cluster, *user;

	if (!context)
		context = json_text_or(s->doc, "current-context", "");
	if (!*context)
		return err_set(e, ERR_MISSING, "no current-context");
	j = named(s, "contexts", context, "context", e);
	if (!j)
		return -1;
	cluster = named(s, "clusters", json_text_or(j, "cluster", ""), "cluster", e);
	if (!cluster || read_cluster(t, s, cluster, e))
		return -1;
	t->namespace = copy_at(j, "namespace");
	if (!json_get(j, "user"))
		return 0;
	user = named(s, "users", json_text_or(j, "user", ""), "user", e);
	return user ? read_user(t, s, user, e) : -1;
}

int kube_target_parse(struct kube_target *t, struct slice yaml, const char *dir,
	const char *context, struct err *e)
{
	struct json *doc = yaml_parse(yaml, e);
	struct source s = {doc, dir};
	int rc = doc ? read_context(t, &s, context, e) : -1;

	json_free(doc);
	return rc;
}

static int read_kubeconfig(
	struct kube_target *t, const char *path, const char *context, struct err *e)
{
	struct buf text = BUF_INIT;
	const char *slash = strrchr(path, '/');
	char *dir = slash ? copy(slice_bytes(path, (size_t)(slash - path)))
			  : copy(SLICE("."));
	int rc = file_read(path, FILE_LIMIT, &text, e);

	if (rc == 0) {
		rc = kube_target_parse(t, buf_slice(&text), dir, context, e);
		if (rc)
			err_wrap(e, "%s", path);
	}
	free(dir);
	buf_fini(&text);
	return rc;
}

/* ---- in a cluster ---- */

#define POD_DIR "/var/run/secrets/kubernetes.io/serviceaccount"

static bool is_in_cluster(void)
{
	return getenv("KUBERNETES_SERVICE_HOST") && file_stamp(POD_DIR "/token");
}

static int read_pod(struct kube_target *t, struct err *e)
{
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	struct buf ns = BUF_INIT;
	uint64_t n = 443;

	if (port && (!slice_u64(slice_of(port), UINT16_MAX, &n) || n == 0))
		return err_set(e, ERR_SYNTAX, "KUBERNETES_SERVICE_PORT: %s", port);
	t->tls = true;
	t->host = copy(slice_of(getenv("KUBERNETES_SERVICE_HOST")));
	t->port = (uint16_t)n;
	t->prefix = copy(SLICE(""));
	t->token_file = copy(SLICE(POD_DIR "/token"));
	t->ca_file = copy(SLICE(POD_DIR "/ca.crt"));
	if (file_read(POD_DIR "/namespace", 253, &ns, NULL) == 0)
		t->namespace = copy(slice_trim(buf_slice(&ns)));
	buf_fini(&ns);
	return file_read(t->ca_file, FILE_LIMIT, &t->ca, e);
}

/* The first of KUBECONFIG's files that is there; ~/.kube/config without it. */
static int read_default(struct kube_target *t, const char *context, struct err *e)
{
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");
	struct slice rest = slice_of(list), part;
	char path[4096];

	while (list && slice_cut(&rest, ':', &part)) {
		snprintf(path, sizeof path, "%.*s", SLICE_FMT(part));
		if (part.n && file_stamp(path))
			return read_kubeconfig(t, path, context, e);
	}
	if (list && *list)
		return err_set(e, ERR_MISSING, "KUBECONFIG: no such file: %s", list);
	snprintf(path, sizeof path, "%s/.kube/config", home ? home : "");
	if (!file_stamp(path))
		return err_set(e, ERR_MISSING,
			"not in a cluster, and neither KUBECONFIG nor %s is there",
			path);
	return read_kubeconfig(t, path, context, e);
}

int kube_target_read(
	struct kube_target *t, const struct kube_config *cfg, struct err *e)
{
	*t = (struct kube_target){0};
	if (cfg->kubeconfig && *cfg->kubeconfig)
		return read_kubeconfig(t, cfg->kubeconfig, cfg->context, e);
	if (is_in_cluster() && !cfg->context)
		return read_pod(t, e);
	return read_default(t, cfg->context, e);
}

const char *kube_local_config(const char *given, char out[512])
{
	const char *dir = getenv("MESH_LOCAL_DIR"), *home = getenv("HOME");

	if (given || getenv("KUBECONFIG") || getenv("KUBERNETES_SERVICE_HOST"))
		return given;
	if (!dir) {
		snprintf(out, 512, "%s/.kube/config", home ? home : "");
		if (file_stamp(out))
			return NULL;
	}
	if (dir)
		snprintf(out, 512, "%s/admin.conf", dir);
	else if (geteuid() == 0)
		snprintf(out, 512, "/var/lib/mesh-local/admin.conf");
	else
		snprintf(out, 512, "%s/.mesh-local/admin.conf", home ? home : "");
	return file_stamp(out) ? out : NULL;
}
