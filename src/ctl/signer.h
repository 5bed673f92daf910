/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_SIGNER_H
#define CTL_SIGNER_H

/*
 * The process that holds the issuer's key.
 *
 * It is forked, reads the issuer's files itself, says whether they are good, and then
 * only takes one struct (a request that was approved) and gives back one certificate.
 * The parent, which reads what strangers send, never has the key.  A new issuer is a
 * new signer.  Belongs to a loop; fork() wants the process to have one thread.
 */
#include "base/buf.h"
#include "ev/loop.h"

#define SIGNER_CSR_MAX   8192
#define SIGNER_NAME_MAX  253
#define SIGNER_CHAIN_MAX 8 /* certificates of the issuer's file */

struct signer_files {
	const char *cert, *key; /* PEM; the issuer first in `cert` */
	const char *anchors;    /* PEM; the issuer must verify against them */
};

/* What the parent may know of the issuer. */
struct issuer {
	char name[256];
	uint64_t not_before, not_after;     /* wall ns; the shortest of the chain */
	struct buf chain[SIGNER_CHAIN_MAX]; /* DER, the issuer first */
	size_t nchain;
};
void issuer_fini(struct issuer *i);

struct signer;
struct signer_user {
	/* Once: e->code is ERR_NONE and `issuer` is borrowed for the call, or e says
	 * why the files were refused (the signer is then of no use). */
	void (*on_loaded)(void *arg, struct signer *s, const struct issuer *issuer,
		const struct err *e);
	/* The process ended by itself; calls have failed.  Free it. */
	void (*on_died)(void *arg, struct signer *s);
};

struct signer *signer_new(struct loop *l, const struct signer_files *files,
	const struct signer_user *user, void *arg, struct err *e);
void signer_free(struct signer *s); /* calls are forgotten; NULL is fine */
/* No more calls; it frees itself when those in progress are over. */
void signer_retire(struct signer *s);

/* ---- signing ---- */
struct sign_order {
	const char *name; /* the one DNS name, which the request must have, too */
	struct slice csr; /* DER */
	uint64_t not_before, not_after; /* wall ns; cut to the issuer's */
};
struct sign_call;
/* `der` is borrowed for the call; empty when e says why. */
typedef void sign_done(
	void *arg, struct slice der, uint64_t not_after, const struct err *e);

/* NULL when it is too much at once (ERR_BUSY) or too large (ERR_LIMIT). */
struct sign_call *signer_sign(struct signer *s, const struct sign_order *order,
	sign_done *done, void *arg, struct err *e);
void sign_cancel(struct sign_call *c); /* done is not called */

#endif
