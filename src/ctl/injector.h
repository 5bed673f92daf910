/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INJECTOR_H
#define CTL_INJECTOR_H

/*
 * The admission webhooks: the one that puts proxies into pods (spec control-plane.md
 * §5.1), and at /validate the one that refuses policies and profiles that are wrong
 * (§4.5, §4.6).  HTTPS, AdmissionReview in and out.  What is injected is inject.h's,
 * what is wrong validate.h's.
 *
 * Certificate, values and trust anchors are files, taken again when they change; what
 * cannot be read then is said, and the last good one stays.  Annotations of namespaces
 * come from a watch; a namespace that the watch has not seen is asked for.  Who owns a
 * pod is asked, and not waited for longer than OWNER_WAIT: the pod's creation waits.
 */
#include "base/addr.h"
#include "ev/dns.h"
#include "kube/kube.h"

struct injector_config {
	struct addr at;
	const char *namespace;  /* of the control plane; NULL: as the values say */
	const char *cert, *key; /* PEM files */
	const char *values;     /* YAML file; absent: the presets */
	const char *anchors;    /* PEM file; absent: as the values say */
	uint64_t poll;          /* of the files, ns; 0: a second */
};

struct injector;

/* `cfg` (with its texts) and `k` outlive it. */
struct injector *injector_new(struct loop *l, struct kube *k,
	const struct injector_config *cfg, struct err *e);
const struct addr *injector_addr(const struct injector *in);
/* What is in force now; borrowed until the loop's next turn. */
const struct json *injector_values(const struct injector *in);
bool injector_is_ready(void *injector); /* namespaces are known */
void injector_metrics(void *injector, struct buf *out);
void injector_drain(struct injector *in, void (*done)(void *arg), void *arg);
void injector_free(struct injector *in); /* NULL is fine */

#endif
