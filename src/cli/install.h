/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_INSTALL_H
#define CLI_INSTALL_H

/*
 * `mesh install`, `mesh upgrade`: the chart of the control plane with values from
 * files, flags and what is installed; with a trust anchor and issuer of its own unless
 * files are given or there is one.
 */
#include "base/buf.h"
#include "cli/ask.h"
#include "cli/flags.h"

/* Of a running installation: PEM; what is empty is made. */
struct install_kept {
	struct buf anchors, issuer_crt, issuer_key, hook_crt, hook_key;
	struct json *values; /* that differ from the chart's; NULL: not known */
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
	const char *namespace;
	struct value_flags flags;
	bool ha;
	const char *registry; /* of all images, instead of "mesh"; or NULL */
	/* PEM files; what is not given is kept, and what is not kept is made: then all
	 * three or none.  The anchors' key is not needed. */
	const char *anchors, *issuer_crt, *issuer_key;
	const struct install_kept *kept; /* where no files are given; or NULL */
	bool upgrade;                    /* kept->values are those to start from */
};

/* Appends YAML.  What cannot be right (a value, a file, an issuer that the anchors do
 * not vouch for) is an error, and nothing is to be printed. */
int install_render(const struct install_config *cfg, struct buf *out, struct err *e);

/* Appends another chart ("crds", "cni") as YAML; `flags` as of `table`. */
int install_chart(const char *name, const char *namespace,
	const struct value_flags *flags, const struct value_flag *table, size_t n,
	struct buf *out, struct err *e);

/* The flags of both commands that stand for a value. */
extern const struct value_flag install_flags[];
extern const size_t install_flags_count;

#endif
