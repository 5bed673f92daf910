/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TLS_CREDS_H
#define TLS_CREDS_H

/*
 * What a process proves itself with and whom it believes: certificate chain, private
 * key, trust anchors.  Immutable, shared between threads, replaced as a whole.
 */
#include "base/buf.h"
#include "base/err.h"
#include "base/snap.h"
#include "tls/key.h"

struct creds; /* starts with a struct ref, see creds_ref() */

struct creds_spec {
	struct slice anchors_pem;      /* may be empty: no peer is ever believed */
	struct slice chain_pem;        /* own leaf first; empty: anonymous */
	const struct slice *chain_der; /* or as DER, leaf first */
	size_t chain_der_count;
	const struct key
		*key; /* of the leaf; borrowed, copied inside; NULL: anonymous */
};

/* Checks that the key fits the leaf.  Returns owned. */
struct creds *creds_new(const struct creds_spec *spec, struct err *e);
struct ref *creds_ref(struct creds *c); /* for snap_set(), ref_get(), ref_put() */

/* The same anchors and no certificate: for the identity client's first call.  Owned. */
struct creds *creds_anonymous(struct creds *c, struct err *e);

/* The own chain verifies against the own anchors now and its leaf has DNS SAN `name`.
 */
int creds_check(const struct creds *c, const char *name, struct err *e);

/* It has a certificate, and the clock says that it is valid: else a peer would refuse
 * it, and not say why.  ERR_BUSY when there is none yet. */
int creds_usable(const struct creds *c, struct err *e);

uint64_t creds_not_before(const struct creds *c); /* leaf, wall ns; 0 when anonymous */
uint64_t creds_not_after(const struct creds *c);

#endif
