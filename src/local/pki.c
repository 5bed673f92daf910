/* SPDX-License-Identifier: Apache-2.0 */
#include "local/pki.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define DAY  (UINT64_C(86400) * NS_PER_S)
#define SKEW (UINT64_C(3600) * NS_PER_S)

/* ---- files ---- */

int pki_file_read(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_MISSING, "%s is not there", path);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	do {
		char *p = buf_room(out, 16384);

		n = p ? read(fd, p, 16384) : -1;
		if (n > 0)
			buf_added(out, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	close(fd);
	return n < 0 ? err_sys(e, "read %s", path) : 0;
}

/* ---- the CA and the token key ---- */

static struct key *open_key(const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	struct err missing = {0};
	struct key *k = NULL;

	if (pki_file_read(path, &b, &missing) == 0) {
		k = key_read(buf_slice(&b), e);
	} else if (missing.code != ERR_MISSING) {
		if (e)
			*e = missing;
	} else if ((k = key_generate(e)) &&
		   (key_write_pem(k, &b, e) < 0 ||
			   file_replace(path, 0600, buf_slice(&b), e) < 0)) {
		key_free(k);
		k = NULL;
	}
	buf_fini(&b);
	return k;
}

static int make_ca(const struct pki *p, struct buf *pem, struct err *e)
{
	uint64_t now = clock_wall();
	struct cert_spec spec = {
		.common_name = "mesh local CA",
		.not_before = now - SKEW,
		.not_after = now + 3650 * DAY,
		.is_ca = true,
	};
	struct buf der = BUF_INIT;
	int r = cert_issue(p->ca_key, &spec, NULL, NULL, &der, e);

	if (r == 0)
		r = pem_wrap("CERTIFICATE", buf_slice(&der), pem);
	buf_fini(&der);
	return r;
}

static int open_ca(struct pki *p, const char *path, struct err *e)
{
	struct buf b = BUF_INIT;
	struct err why = {0};

	if (pki_file_read(path, &b, &why) < 0) {
		if (why.code != ERR_MISSING) {
			if (e)
				*e = why;
			return -1;
		}
		buf_clear(&b);
		if (make_ca(p, &b, e) < 0 ||
			file_replace(path, 0644, buf_slice(&b), e) < 0) {
			buf_fini(&b);
			return -1;
		}
	}
	p->ca = cert_read(buf_slice(&b), e);
	p->ca_pem = buf_steal(&b);
	return p->ca && p->ca_pem ? 0 : -1;
}

int pki_open(struct pki *p, const char *dir, struct err *e)
{
	char path[512];

	*p = (struct pki){0};
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	p->ca_key = open_key(path, e);
	snprintf(path, sizeof(path), "%s/token.key", dir);
	p->token_key = p->ca_key ? open_key(path, e) : NULL;
	snprintf(path, sizeof(path), "%s/ca.crt", dir);
	if (p->token_key && open_ca(p, path, e) == 0)
		return 0;
	pki_fini(p);
	return -1;
}

void pki_fini(struct pki *p)
{
	key_free(p->ca_key);
	key_free(p->token_key);
	cert_free(p->ca);
	free(p->ca_pem);
	*p = (struct pki){0};
}

/* ---- what it issues ---- */

static int issue(const struct pki *p, const struct key *k, struct cert_spec *spec,
	struct buf *pem, struct err *e)
{
	struct buf der = BUF_INIT;
	uint64_t now = clock_wall();
	int r;

	spec->not_before = now - SKEW;
	spec->not_after = now + 365 * DAY;
	r = cert_issue(k, spec, p->ca, p->ca_key, &der, e);
	if (r == 0)
		r = pem_wrap("CERTIFICATE", buf_slice(&der), pem);
	buf_fini(&der);
	return r;
}

struct creds *pki_server(const struct pki *p, const char *const *dns,
	const char *const *ips, struct err *e)
{
	struct cert_spec spec = {.common_name = "kube-apiserver",
		.dns = dns,
		.ips = ips,
		.server = true};
	struct creds_spec cs = {.anchors_pem = slice_of(p->ca_pem)};
	struct key *k = key_generate(e);
	struct buf pem = BUF_INIT;
	struct creds *creds = NULL;

	if (k && issue(p, k, &spec, &pem, e) == 0) {
		cs.chain_pem = buf_slice(&pem);
		cs.key = k;
		creds = creds_new(&cs, e);
	}
	buf_fini(&pem);
	key_free(k);
	return creds;
}

static void add_data(struct buf *b, const char *key, struct slice pem)
{
	buf_printf(b, "    %s: ", key);
	buf_base64(b, pem);
	buf_char(b, '\n');
}

int pki_kubeconfig(
	const struct pki *p, const char *path, const char *server, struct err *e)
{
	static const char *const names[] = {PKI_ADMIN, NULL};
	struct cert_spec spec = {
		.common_name = "kubernetes-admin", .dns = names, .client = true};
	struct key *k = key_generate(e);
	struct buf crt = BUF_INIT, key = BUF_INIT, b = BUF_INIT;
	int r = -1;

	if (!k || issue(p, k, &spec, &crt, e) < 0 || key_write_pem(k, &key, e) < 0)
		goto fini;
	buf_text(&b, "apiVersion: v1\nkind: Config\nclusters:\n- name: mesh-local\n"
		     "  cluster:\n");
	buf_printf(&b, "    server: %s\n", server);
	add_data(&b, "certificate-authority-data", slice_of(p->ca_pem));
	buf_text(&b, "users:\n- name: mesh-local-admin\n  user:\n");
	add_data(&b, "client-certificate-data", buf_slice(&crt));
	add_data(&b, "client-key-data", buf_slice(&key));
	buf_text(&b,
		"contexts:\n- name: mesh-local\n  context:\n    cluster: mesh-local\n"
		"    user: mesh-local-admin\ncurrent-context: mesh-local\n");
	r = file_replace(path, 0600, buf_slice(&b), e);
fini:
	key_free(k);
	buf_fini(&crt);
	buf_fini(&key);
	buf_fini(&b);
	return r;
}
