/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "cni/chainfile.h"
#include "cni/conflist.h"

#define BINARY_MAX ((size_t)64 * 1024 * 1024)
#define TOKEN_MAX  ((size_t)64 * 1024)
#define CA_MAX     ((size_t)1024 * 1024)
#define DISTURBED  5 /* times that a chain may change under our hands */

/* ---- the binary ---- */

static void binary_path(const struct node *n, char out[4096])
{
	snprintf(out, 4096, "%s/" CNI_TYPE, n->cfg->bin_dir);
}

static int put_binary(struct node *n, struct err *e)
{
	struct buf bytes = BUF_INIT;
	char path[4096];
	int rc;

	binary_path(n, path);
	if (n->binary_stamp && file_stamp(path) == n->binary_stamp)
		return 0;
	rc = file_read(n->cfg->binary, BINARY_MAX, &bytes, e);
	if (rc == 0)
		rc = file_replace(path, 0755, buf_slice(&bytes), e);
	buf_fini(&bytes);
	if (rc)
		return -1;
	n->binary_stamp = file_stamp(path);
	n->writes++;
	log_info("cni", "the plugin is in place", LS("path", path));
	return 0;
}

/* ---- the kubeconfig ---- */

static void kubeconfig_path(const struct node *n, char out[4096])
{
	snprintf(out, 4096, "%s/%s", n->cfg->net_dir, n->cfg->kubeconfig);
}

/* JSON is YAML. */
static void write_kubeconfig(
	const struct node *n, struct slice token, struct slice ca, struct buf *out)
{
	struct buf ca64 = BUF_INIT;

	buf_base64(&ca64, ca);
	buf_printf(out,
		"{\"apiVersion\":\"v1\",\"kind\":\"Config\","
		"\"clusters\":[{\"name\":\"local\",\"cluster\":{\"server\":\"%s\","
		"\"certificate-authority-data\":\"%.*s\"}}],"
		"\"users\":[{\"name\":\"" CNI_TYPE "\",\"user\":{\"token\":\"%.*s\"}}],"
		"\"contexts\":[{\"name\":\"" CNI_TYPE "\",\"context\":{"
		"\"cluster\":\"local\",\"user\":\"" CNI_TYPE "\"}}],"
		"\"current-context\":\"" CNI_TYPE "\"}\n",
		n->cfg->server, SLICE_FMT(buf_slice(&ca64)),
		SLICE_FMT(slice_trim(token)));
	out->failed |= ca64.failed;
	buf_fini(&ca64);
}

static int read_account(
	const struct node *n, struct buf *token, struct buf *ca, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/token", n->cfg->account);
	if (file_read(path, TOKEN_MAX, token, e))
		return -1;
	snprintf(path, sizeof path, "%s/ca.crt", n->cfg->account);
	return file_read(n->cfg->ca ? n->cfg->ca : path, CA_MAX, ca, e);
}

/* Only root may read it: it is what the plugin is trusted for. */
static int put_if_other(
	struct node *n, const char *path, struct slice text, struct err *e)
{
	struct buf is = BUF_INIT;
	bool same = file_read(path, CA_MAX * 2, &is, NULL) == 0 && buf_is(&is, text);

	buf_fini(&is);
	if (same)
		return 0;
	if (file_replace(path, 0600, text, e))
		return -1;
	n->writes++;
	log_info("cni", "the kubeconfig is written", LS("path", path));
	return 0;
}

static int put_kubeconfig(struct node *n, struct err *e)
{
	struct buf token = BUF_INIT, ca = BUF_INIT, text = BUF_INIT;
	char path[4096];
	int rc = read_account(n, &token, &ca, e);

	kubeconfig_path(n, path);
	if (rc == 0) {
		write_kubeconfig(n, buf_slice(&token), buf_slice(&ca), &text);
		rc = text.failed ? err_set(e, ERR_LIMIT, "out of memory")
				 : put_if_other(n, path, buf_slice(&text), e);
	}
	buf_fini(&token);
	buf_fini(&ca);
	buf_fini(&text);
	return rc;
}

/* ---- the chain ---- */

/* Said once for each state of the file. */
static void complain(struct node *n, const char *file, const struct err *e)
{
	char path[4096];
	uint64_t stamp;

	snprintf(path, sizeof path, "%s/%s", n->cfg->net_dir, file);
	stamp = file_stamp(path);
	for (size_t i = 0; i < countof(n->broken); i++)
		if (stamp == n->broken[i])
			return;
	n->broken[n->nbroken++ % countof(n->broken)] = stamp;
	log_warn("cni", "passed over, as the runtime does", LS("file", path), LE(e));
}

/* The first that a runtime would take decides, and only that. */
static int put_first(struct node *n, const struct chain_files *files, struct err *e)
{
	for (size_t i = 0; i < files->n; i++) {
		struct err why = {0};
		int rc = chain_enter(
			n->cfg->net_dir, files->names[i], n->cfg->entry, &why);

		if (rc == CHAIN_BROKEN) {
			complain(n, files->names[i], &why);
			continue;
		}
		if (rc == CHAIN_FAILED) {
			*e = why;
			return -1;
		}
		if (rc == CHAIN_WRITTEN) {
			n->writes++;
			log_info("cni", "chained", LS("file", files->names[i]));
		}
		snprintf(n->chain, sizeof n->chain, "%s", files->names[i]);
		return rc == CHAIN_DISTURBED ? 1 : 0;
	}
	return err_set(e, ERR_MISSING,
		"%s: no network is configured yet: waiting for another CNI plugin",
		n->cfg->net_dir);
}

static int put_chain(struct node *n, struct err *e)
{
	int rc = 1;

	n->chain[0] = '\0';
	for (int i = 0; i < DISTURBED && rc > 0; i++) {
		struct chain_files files;

		if (chain_list(n->cfg->net_dir, &files, e))
			return -1;
		rc = put_first(n, &files, e);
		chain_files_fini(&files);
	}
	return rc > 0 ? err_set(e, ERR_BUSY, "%s changes all the time", n->chain) : rc;
}

/* The kubelet is to find all that the chain's entry needs. */
int node_put(struct node *n, struct err *e)
{
	if (put_binary(n, e) || put_kubeconfig(n, e))
		return -1;
	return put_chain(n, e);
}

/* ---- the end ---- */

static int remove_file(const char *path, struct err *e)
{
	return unlink(path) && access(path, F_OK) == 0 ? err_sys(e, "remove %s", path)
						       : 0;
}

static int leave_chains(struct node *n, struct err *e)
{
	struct chain_files files;
	int rc = chain_list(n->cfg->net_dir, &files, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < files.n; i++) {
		int left = CHAIN_DISTURBED;

		for (int t = 0; t < DISTURBED && left == CHAIN_DISTURBED; t++)
			left = chain_leave(n->cfg->net_dir, files.names[i], e);
		if (left == CHAIN_WRITTEN)
			log_info("cni", "unchained", LS("file", files.names[i]));
		if (left == CHAIN_FAILED || left == CHAIN_DISTURBED)
			rc = -1;
	}
	chain_files_fini(&files);
	return rc;
}

int node_undo(struct node *n, struct err *e)
{
	char path[4096];
	int rc = leave_chains(n, e);

	if (rc) /* a chain that names us needs the rest */
		return -1;
	kubeconfig_path(n, path);
	rc = remove_file(path, e);
	binary_path(n, path);
	return remove_file(path, e) || rc ? -1 : 0;
}
