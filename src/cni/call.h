/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CNI_CALL_H
#define CNI_CALL_H

/*
 * One call of a CNI plugin: the environment and a JSON configuration in, JSON and an
 * exit status out (CNI spec 1.1 §2 and §5).
 */
#include <stdio.h>

#include "wire/json.h"

enum cni_verb { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

/* The spec's codes; from 100 on they are the plugin's own. */
enum cni_code {
	CNI_INCOMPATIBLE = 1,
	CNI_BAD_ENV = 4,
	CNI_IO = 5,
	CNI_NOT_JSON = 6,
	CNI_BAD_CONFIG = 7,
	CNI_AGAIN = 11,
	CNI_UNAVAILABLE = 50,
	CNI_NO_RULES = 100,
};

struct cni_fail {
	enum cni_code code;
	struct err e;
	const char *details; /* constant, or NULL */
};
/* Sets code and text; returns -1. */
int cni_fail(struct cni_fail *f, enum cni_code code, const char *fmt, ...)
	PRINTF_LIKE(3, 4);

struct cni_call {
	enum cni_verb verb;
	struct json *conf;   /* owned */
	const char *version; /* of the configuration */
	const char *netns;   /* "": none, which DEL may be given */
	/* What the runtime says of the pod; "" when it is no Kubernetes. */
	char pod[254], namespace[254], uid[128];
};

/* Where the environment is read: getenv() or a test's. */
typedef const char *cni_env(const char *name);

/* `in` is all of the standard input.  cni_call_fini() also after a failure. */
int cni_call_read(
	struct cni_call *c, cni_env *env, struct slice in, struct cni_fail *f);
void cni_call_fini(struct cni_call *c);

/* What is said on the standard output; each ends with a newline. */
void cni_say_version(const struct cni_call *c, struct buf *out);
/* The result of the plugins before us, as it is; an empty one when we are the first. */
void cni_say_result(const struct cni_call *c, struct buf *out);
void cni_say_fail(const struct cni_call *c, const struct cni_fail *f, struct buf *out);

#endif
