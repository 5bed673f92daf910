/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_PODENV_H
#define LOCAL_PODENV_H

/*
 * A container's environment and command line from its spec: literal values, references
 * to fields, resources, ConfigMaps and Secrets, and $(NAME) in all of them.
 */
#include "local/store.h"

/* Text vector; owned, NULL-terminated. */
struct words {
	char **v;
	size_t n;
};
void words_add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void words_fini(struct words *w);
/* The value of NAME in NAME=value words, or NULL; the last one wins. */
const char *words_env(const struct words *w, const char *name);
void words_set_env(struct words *w, const char *name, const char *value);

/* $(NAME) replaced from `env`; $$(NAME) is $(NAME) itself, unknown names stay. */
void env_expand(const char *text, const struct words *env, struct buf *out);

struct env_source {
	const struct store *store;
	const struct json *pod; /* with its status: podIP, hostIP */
};

/* Adds to `env`; ERR_MISSING: a ConfigMap, Secret or key is not there (yet). */
int env_build(const struct env_source *src, const struct json *container,
	struct words *env, struct err *e);

/* The value of a fieldRef's path ("metadata.labels['a']"); false: no such field. */
bool field_value(const struct json *pod, const char *path, struct buf *out);
/* Of a resourceFieldRef in `container`. */
int resource_value(const struct json *container, const struct json *ref,
	struct buf *out, struct err *e);
/* "100m", "1.5", "64Mi" in thousandths; -1: malformed. */
int64_t quantity_milli(const char *text);
/* The same of a container's resources: "limits", "memory".  -1: not set. */
int64_t resource_milli(
	const struct json *container, const char *kind, const char *name);

#endif
