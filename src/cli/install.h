/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INSTALL_H
#define CLI_INSTALL_H

/*
 * `mesh install`: the control plane as manifests, each workload with its proxy, with a
 * trust anchor and issuer of its own unless files are given or there is one.
 */
#include "base/buf.h"
#include "cli/ask.h"

#define INSTALL_SETS 64

/* PEM; what is empty is made. */
struct install_kept {
	struct buf anchors, issuer_crt, issuer_key, hook_crt, hook_key;
};
/*
 * What a control plane that is installed already has, so that another `mesh install`
 * does not take its trust anchors away from proxies that run.  -1 when the cluster does
 * not say; nothing is kept where nothing is installed.
 */
int install_kept_read(
	struct ask *a, const char *namespace, struct install_kept *out, struct err *e);
void install_kept_fini(struct install_kept *k);

struct install_config {
	const char *namespace, *trust_domain, *cluster_domain;
	const char *image;           /* NULL: what the values say for the proxy */
	const char *lifetime, *skew; /* of certificates, Go's durations */
	const char *registry;        /* of all images, instead of "mesh"; or NULL */
	const char *values;          /* file, or NULL */
	/* --set and --set-string, in their order: stronger than the file */
	const char *set[INSTALL_SETS];
	bool set_is_plain[INSTALL_SETS];
	size_t nsets;
	/* PEM files: all three, or none.  The anchors' key is not needed. */
	const char *anchors, *issuer_crt, *issuer_key;
	const struct install_kept *kept; /* where no files are given; or NULL */
};

/* Appends YAML.  What cannot be right (a name, a file, an issuer that the anchors do
 * not vouch for) is an error, and nothing is to be printed. */
int install_render(const struct install_config *cfg, struct buf *out, struct err *e);

#endif
