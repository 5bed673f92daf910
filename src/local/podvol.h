/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODVOL_H
#define LOCAL_PODVOL_H

/*
 * A pod's volumes as folders of this machine: emptyDir, configMap, secret, downwardAPI,
 * projected (with service account tokens) and hostPath.
 */
#include "local/node.h"

struct podvol {
	const struct store *store;
	const struct json *pod;
	const char *dir; /* the pod's own folder; volumes are below it */
	const struct local_node_config *cfg; /* token() */
};

/*
 * Makes what is not there and writes anew what changed; tokens when four fifths of
 * their life are over.  Call again to refresh.  ERR_MISSING: an object is not there.
 */
int podvol_fill(const struct podvol *v, struct err *e);

/* Where volume `name` lies.  -1: the pod has no such volume. */
int podvol_path(const struct podvol *v, const char *name, char *out, size_t size);

/* Removes `path` and all below it, without following links or other file systems. */
void tree_remove(const char *path);
int folder_make(const char *path, unsigned mode); /* with those above it */

#endif
