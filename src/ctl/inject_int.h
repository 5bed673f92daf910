/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INJECT_INT_H
#define CTL_INJECT_INT_H

/* Inside the injection: inject.c and inject_*.c. */
#include "ctl/inject.h"

/* One injection while it is worked out. */
struct plan {
	const struct inject_in *in;
	struct inject_out *out;
	const char *kind;
	const char *prefix;       /* of patch paths, NULL: no pod template */
	const struct json *meta;  /* of the template, or of a Service; maybe NULL */
	const struct json *spec;  /* of the pod; maybe NULL */
	struct json *annotations; /* own and inherited ones; owned */
	struct json *values;      /* with what annotations say; owned */
	const char *component;    /* of the control plane, or NULL */
	bool native;              /* the proxy is an init container that stays */
};

void plan_warn(struct plan *p, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- inject_decide.c ---- */
void plan_say_no(struct plan *p, enum inject_reason r);
void plan_decide(struct plan *p);
const char *annotation_text(
	const struct json *annotations, const char *key); /* or "" */

/* ---- inject_values.c ---- */
/* The value at a path as text; "" when absent, null or false-like is not asked. */
const char *value_text(const struct json *values, const char *path, char out[64]);
bool value_is_set(const struct json *values, const char *path); /* and not 0, "" or
								   false */
void value_set(struct json *values, const char *path, struct json *value);
/* Appends `text` with each <path> replaced by its value. */
void value_expand(const struct json *values, const char *text, struct buf *out);
struct json *value_string(const struct json *values, const char *text); /* the same */

/* ---- inject_set.c ---- */
/* Puts what the annotations say into p->values.  -1: refused. */
int settings_apply(struct plan *p, struct err *e);
/* All values that have an annotation are such as it could have. */
int settings_check(struct json *values, struct err *e);
/* The annotation is one that a namespace hands down to its pods. */
bool setting_is_known(const char *annotation);
/* Cores of a CPU quantity, rounded up; 0 when it is none. */
int64_t quantity_cores(const char *text);

/* ---- inject_ports.c ---- */
/* Names of the pod's ports become numbers; what is no port is warned of. Owned. */
char *ports_resolve(struct plan *p, const char *text);
char *ports_inbound(const struct json *spec); /* what containers listen on; owned */
/* Of the opaque ports in `text`, those that the pod or Service has; owned, maybe "". */
char *ports_of_pod(const struct json *spec, const char *text);
char *ports_of_service(const struct json *spec, const char *text);
bool ports_are_udp(const struct json *spec);

/* ---- inject_env.c, inject_parts.c ---- */
struct json *env_proxy(const struct plan *p);
struct json *part_proxy(const struct plan *p);
struct json *part_init(const struct plan *p);
struct json *part_validator(const struct plan *p);
struct json *part_debug(const struct plan *p);
struct json *part_volumes(const struct plan *p); /* a list */

#define VOLUME_ID    "mesh-identity-end-entity"
#define VOLUME_ROOTS "mesh-identity-trust-roots"
#define VOLUME_TOKEN "mesh-identity-token"
#define PATH_ID      "/var/run/linkerd/identity/end-entity"
#define PATH_ROOTS   "/var/run/linkerd/identity/trust-roots"
#define PATH_TOKEN   "/var/run/secrets/tokens"
#define TOKEN_NAME   "mesh-identity-token"
#define PATH_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

#endif
