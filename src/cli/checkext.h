/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CHECKEXT_H
#define CLI_CHECKEXT_H

/*
 * What extensions say of themselves, as a part of `mesh check`: those of which the
 * cluster has a namespace (label linkerd.io/extension), and those whose program asks
 * for it (`_extension-metadata` says "checks": "always").  Each is run as
 * `mesh-NAME check --output json …` (or linkerd-NAME) and its results are told as ours.
 */
#include "cli/check.h"

struct check_ext {
	const struct check_config *cfg;
	const char *const *words; /* behind its own, NULL at the end: --context x … */
	/* Programs called mesh-NAME that are links to this one: never extensions. */
	bool (*is_own)(const char *name);
	struct json *said; /* what results lie in; freed by check_ext_fini() */
};

/* False when one of them failed that is no mere warning. */
bool check_extensions(struct check_ext *x);
void check_ext_fini(struct check_ext *x);

#endif
