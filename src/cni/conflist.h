/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_CONFLIST_H
#define CNI_CONFLIST_H

/*
 * The text of a CNI network configuration, with our plugin put into its chain or taken
 * out (CNI spec 1.1 §1; spec ext.md §3.3).  Text in, text out, no files.
 *
 * What others wrote is kept as it is: keys that we do not know, their order, their
 * numbers.  We are always the last of the chain, for the plugins before us make the
 * network that we redirect.
 */
#include "wire/json.h"

#define CNI_TYPE "mesh-cni" /* our plugin's type: the name of the binary */

/* A runtime tells them by the names of their files. */
enum conf_kind {
	CONF_NONE, /* it does not read such a file */
	CONF_ONE,  /* one plugin: .conf, .json */
	CONF_LIST, /* a chain: .conflist */
};
enum conf_kind conf_kind(const char *file);

/*
 * Appends the chain that `text` describes, with `entry` (borrowed) as its last plugin;
 * a single plugin becomes a chain of two.  1: `text` is that already, nothing is
 * appended.  -1: a runtime would not take it, e says why.
 */
int conflist_with(struct slice text, enum conf_kind kind, const struct json *entry,
	struct buf *out, struct err *e);

/* The chain without us.  1: we are not in it, or it is none. */
int conflist_without(struct slice text, struct buf *out, struct err *e);

/* The name of the chain made from that file: "10-x.conf" becomes "10-x.conflist".
 * Returns owned. */
char *conf_list_name(const char *file);

#endif
