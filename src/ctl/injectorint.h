/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INJECTORINT_H
#define CTL_INJECTORINT_H

/* Inside the webhook: injector.c (files, namespaces, server), injectorcall.c (one
 * request), injectormeter.c (counters), validatecall.c (policies and profiles). */
#include "base/map.h"
#include "base/snap.h"
#include "ctl/inject.h"
#include "ctl/injector.h"
#include "http/site.h"

/* ---- counters ---- */
struct injector_meter {
	struct map series; /* by their text */
	uint64_t other;    /* of series beyond the limit */
};

struct injector_told {
	const char *owner_kind, *namespace;
	const struct inject_out *out;
	bool refused;
};
void injector_count(struct injector_meter *m, const struct injector_told *t);
void injector_meter_write(const struct injector_meter *m, struct buf *out);
void injector_meter_fini(struct injector_meter *m);

/* ---- the server ---- */
struct injector {
	const struct injector_config *cfg;
	struct loop *loop;
	struct kube *kube;
	struct site *site;
	struct snap creds;
	struct json *values;
	uint64_t creds_stamp, values_stamp;
	struct timer poll;
	struct kube_watch *watch;
	struct kube_call *version;     /* asked for, or NULL */
	bool no_native, knows_version; /* of the cluster */
	struct map namespaces;         /* struct injector_ns */
	struct list calls;             /* struct injector_call */
	struct list validating;        /* struct validating */
	struct injector_meter meter;
};

void injector_look(struct injector *in); /* at the files */
/* What a namespace is annotated with, borrowed; *known false: the watch has not seen
 * it.
 */
const struct json *injector_annotations(
	const struct injector *in, const char *namespace, bool *known);

void injector_handle(struct call *c);
void injector_calls_end(struct injector *in);
void injector_validate(struct call *c); /* validatecall.c */
void injector_validations_end(struct injector *in);

#endif
