/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PKI_H
#define LOCAL_PKI_H

/*
 * The API server's keys and certificates, in the state directory: a CA of its own, the
 * server's certificate, the administrator's (in a kubeconfig), the key of tokens.
 */
#include "base/addr.h"
#include "tls/cert.h"
#include "tls/creds.h"

#define PKI_ADMIN "admin.mesh-local" /* the name in the administrator's certificate */

struct pki {
	struct key *ca_key, *token_key;
	struct cert *ca;
	char *ca_pem;
};

/* Reads what is in `dir`, makes what is not there. */
int pki_open(struct pki *p, const char *dir, struct err *e);
void pki_fini(struct pki *p);

/* Credentials of the server for these names and addresses (both NULL-terminated). */
struct creds *pki_server(const struct pki *p, const char *const *dns,
	const char *const *ips, struct err *e);
/* Writes a kubeconfig that may do everything at `server` ("https://1.2.3.4:6443"). */
int pki_kubeconfig(
	const struct pki *p, const char *path, const char *server, struct err *e);

/* A whole file, zero-terminated; ERR_MISSING when it is not there. */
int pki_file_read(const char *path, struct buf *out, struct err *e);

#endif
