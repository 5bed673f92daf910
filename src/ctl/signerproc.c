/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/signerproc.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "tls/cert.h"

#define FILE_MAX ((size_t)256 * 1024)

struct material {
	struct cert *cert;
	struct key *key;
	uint64_t end; /* of the chain */
};

/* ---- the issuer's files ---- */

static struct cert *read_cert(const char *path, struct err *e)
{
	struct buf pem = BUF_INIT;
	struct cert *c = NULL;

	if (file_read(path, FILE_MAX, &pem, e) == 0) {
		c = cert_read(buf_slice(&pem), e);
		if (!c)
			err_wrap(e, "%s", path);
	}
	buf_fini(&pem);
	return c;
}

static struct key *read_key(const char *path, struct err *e)
{
	struct buf pem = BUF_INIT;
	struct key *k = NULL;

	if (file_read(path, FILE_MAX, &pem, e) == 0) {
		k = key_read(buf_slice(&pem), e);
		if (!k)
			err_wrap(e, "%s", path);
	}
	if (pem.p)
		explicit_bzero(pem.p, pem.cap);
	buf_fini(&pem);
	return k;
}

static int check_issuer(
	const struct material *m, const char *anchors_path, struct err *e)
{
	struct cert *anchors = read_cert(anchors_path, e);
	struct cert_info info;
	int rc;

	if (!anchors)
		return err_wrap(e, "trust anchors");
	cert_info(m->cert, &info);
	if (!info.is_ca)
		rc = err_set(e, ERR_DENIED, "the issuer is not a CA");
	else if (!cert_matches_key(m->cert, m->key))
		rc = err_set(e, ERR_DENIED, "the key does not fit the issuer");
	else
		rc = cert_verify(m->cert, anchors, 0, e);
	cert_free(anchors);
	return rc;
}

static int load(struct material *m, const struct signer_files *f, struct err *e)
{
	m->cert = read_cert(f->cert, e);
	m->key = m->cert ? read_key(f->key, e) : NULL;
	if (!m->key || check_issuer(m, f->anchors, e))
		return err_wrap(e, "issuer");
	m->end = cert_chain_end(m->cert);
	return 0;
}

static int describe(const struct material *m, struct signer_hello *h, struct err *e)
{
	struct cert_info info;
	size_t used = 0;

	cert_info(m->cert, &info);
	memcpy(h->name, info.name[0] ? info.name : info.subject, sizeof h->name);
	h->not_before = info.not_before;
	h->not_after = m->end;
	for (size_t i = 0;; i++) {
		struct slice der = cert_der(m->cert, i);

		if (der.n == 0)
			return 0;
		if (i == SIGNER_CHAIN_MAX || der.n > sizeof h->der - used)
			return err_set(e, ERR_LIMIT, "the issuer's chain is too long");
		memcpy(h->der + used, der.p, der.n);
		used += der.n;
		h->len[i] = (uint32_t)der.n;
		h->nchain = (uint32_t)i + 1;
	}
}

/* ---- signing ---- */

static int check_csr(const struct sign_request *q, struct err *e)
{
	struct csr csr;

	if (csr_read(slice_bytes(q->csr, q->csr_len), &csr, e))
		return -1;
	if (csr.dns_count != 1 || csr.other_san_count ||
		strcmp(csr.dns, q->name) != 0 ||
		(csr.common_name[0] && strcmp(csr.common_name, q->name) != 0))
		return err_set(e, ERR_DENIED, "the request is for another name");
	if (!csr.self_signed_ok || !csr.key_is_ecdsa_p256)
		return err_set(e, ERR_DENIED, "the request's key or signature is bad");
	return 0;
}

static int sign(const struct material *m, const struct sign_request *q,
	struct sign_reply *r, struct err *e)
{
	const char *names[] = {q->name, NULL};
	struct cert_spec spec = {
		.dns = names,
		.not_before = q->not_before,
		.not_after = q->not_after < m->end ? q->not_after : m->end,
		.server = true,
		.client = true,
	};
	struct buf der = BUF_LIMIT(sizeof r->der);
	int rc = check_csr(q, e);

	if (rc == 0)
		rc = cert_issue_csr(slice_bytes(q->csr, q->csr_len), &spec, m->cert,
			m->key, &der, e);
	if (rc == 0) {
		memcpy(r->der, buf_slice(&der).p, buf_len(&der));
		r->der_len = (uint32_t)buf_len(&der);
		r->not_after = spec.not_after;
	}
	buf_fini(&der);
	return rc;
}

static bool is_sound(const struct sign_request *q, ssize_t n)
{
	return n == (ssize_t)sizeof *q && q->csr_len <= sizeof q->csr &&
	       memchr(q->name, 0, sizeof q->name);
}

static void serve(int fd, const struct material *m)
{
	static struct sign_request q;
	static struct sign_reply r;

	for (;;) {
		struct err e = {0};
		ssize_t n = recv(fd, &q, sizeof q, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (!is_sound(&q, n)) /* the parent ended, or is not itself */
			return;
		memset(&r, 0, sizeof r);
		sign(m, &q, &r, &e);
		r.code = e.code;
		snprintf(r.msg, sizeof r.msg, "%s", e.msg);
		if (send(fd, &r, sizeof r, MSG_NOSIGNAL) < 0)
			return;
	}
}

/* Nothing of the parent's is open here, and nobody may look in. */
static void shut_in(int fd)
{
	if (fd > 3)
		close_range(3, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
	prctl(PR_SET_NAME, "mesh-signer");
	prctl(PR_SET_DUMPABLE, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The parent drains on SIGTERM and needs us meanwhile; its end ends us. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
}

_Noreturn void signer_process(int fd, const struct signer_files *files)
{
	static struct signer_hello h;
	struct material m = {0};
	struct err e = {0};

	shut_in(fd);
	if (load(&m, files, &e) == 0)
		describe(&m, &h, &e);
	h.code = e.code;
	snprintf(h.msg, sizeof h.msg, "%s", e.msg);
	if (send(fd, &h, sizeof h, MSG_NOSIGNAL) == (ssize_t)sizeof h && !h.code)
		serve(fd, &m);
	key_free(m.key);
	_exit(0);
}
