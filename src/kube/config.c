/* SPDX-License-Identifier: Apache-2.0 */
/* Which source says where the API server is. */
#include "kube/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "wire/yaml.h"

#define FILE_LIMIT ((size_t)4 * 1024 * 1024)
#define FILES_MAX  32

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
	free(t->basic);
	exec_plugin_free(t->exec);
	free(t->as);
	free(t->as_uid);
	for (size_t i = 0; i < t->n_as_groups; i++)
		free(t->as_groups[i]);
	json_free(t->as_extra);
	free(t->proxy_url);
	free(t->proxy_host);
	free(t->proxy_user);
	free(t->proxy_password);
	*t = (struct kube_target){0};
}

static char *copy(struct slice s)
{
	char *text = slice_dup(s);

	must(text);
	return text;
}

/* ---- kubeconfigs ---- */

struct files {
	struct kubeconfig_file v[FILES_MAX];
	size_t n;
};

static int load(struct files *f, const char *path, struct err *e)
{
	struct kubeconfig_file *file = &f->v[f->n];
	const char *slash = strrchr(path, '/');
	struct buf text = BUF_INIT;

	snprintf(file->path, sizeof file->path, "%s", path);
	snprintf(file->dir, sizeof file->dir, "%.*s", slash ? (int)(slash - path) : 1,
		slash ? path : ".");
	if (file_read(path, FILE_LIMIT, &text, e) == 0) {
		file->doc = yaml_parse(buf_slice(&text), e);
		if (!file->doc)
			err_wrap(e, "%s", path);
	}
	if (text.p)
		explicit_bzero(text.p, text.cap);
	buf_fini(&text);
	f->n += file->doc != NULL;
	return file->doc ? 0 : -1;
}

static int read_files(
	struct kube_target *t, const char *list, const char *context, struct err *e)
{
	struct files *f = calloc(1, sizeof *f);
	struct slice rest = slice_of(list), part;
	char path[4096];
	int rc = 0;

	must(f);
	while (rc == 0 && slice_cut(&rest, ':', &part)) {
		snprintf(path, sizeof path, "%.*s", SLICE_FMT(part));
		if (!part.n || (!file_stamp(path) && access(path, F_OK) != 0))
			continue; /* as kubectl does: it may be made later */
		rc = f->n < FILES_MAX
			     ? load(f, path, e)
			     : err_set(e, ERR_LIMIT, "KUBECONFIG: more than %d files",
				       FILES_MAX);
	}
	if (rc == 0)
		rc = f->n ? kubeconfig_read(t, f->v, f->n, context, e)
			  : err_set(e, ERR_MISSING, "KUBECONFIG: no such file: %s",
				    list);
	for (size_t i = 0; i < f->n; i++)
		json_free(f->v[i].doc);
	free(f);
	return rc;
}

static int read_file(
	struct kube_target *t, const char *path, const char *context, struct err *e)
{
	struct files *f = calloc(1, sizeof *f);
	int rc;

	must(f);
	rc = load(f, path, e);
	if (rc == 0)
		rc = kubeconfig_read(t, f->v, 1, context, e);
	json_free(f->v[0].doc);
	free(f);
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

/* ---- which of them ---- */

static int read_home(struct kube_target *t, const char *context, struct err *e)
{
	const char *home = getenv("HOME");
	char path[4096];

	snprintf(path, sizeof path, "%s/.kube/config", home ? home : "");
	if (file_stamp(path))
		return read_file(t, path, context, e);
	return err_set(e, ERR_MISSING,
		"not in a cluster, and neither KUBECONFIG nor %s is there: say which "
		"cluster by --kubeconfig FILE",
		path);
}

static int read_source(
	struct kube_target *t, const struct kube_config *cfg, struct err *e)
{
	const char *list = getenv("KUBECONFIG");

	if (cfg->kubeconfig && *cfg->kubeconfig)
		return read_file(t, cfg->kubeconfig, cfg->context, e);
	if (list && *list)
		return read_files(t, list, cfg->context, e);
	if (is_in_cluster() && !cfg->context)
		return read_pod(t, e);
	return read_home(t, cfg->context, e);
}

/* What the command line says of it is stronger. */
static int impersonate(
	struct kube_target *t, const struct kube_config *cfg, struct err *e)
{
	if (cfg->as && *cfg->as) {
		free(t->as);
		t->as = copy(slice_of(cfg->as));
	}
	for (size_t i = 0; i < cfg->n_as_groups; i++) {
		if (t->n_as_groups == KUBE_GROUPS_MAX)
			return err_set(e, ERR_LIMIT, "--as-group: more than %d",
				KUBE_GROUPS_MAX);
		t->as_groups[t->n_as_groups++] = copy(slice_of(cfg->as_groups[i]));
	}
	if (t->n_as_groups && !t->as)
		return err_set(e, ERR_MISSING,
			"a group alone is nobody: --as-group needs --as");
	return 0;
}

int kube_target_read(
	struct kube_target *t, const struct kube_config *cfg, struct err *e)
{
	*t = (struct kube_target){0};
	if (read_source(t, cfg, e))
		return -1;
	return impersonate(t, cfg, e);
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
