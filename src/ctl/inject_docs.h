/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_INJECT_DOCS_H
#define CTL_INJECT_DOCS_H

/*
 * Manifests of many documents, injected or freed of what was injected: `mesh inject`
 * and `mesh uninject` without files and flags.
 *
 * A document that is not changed comes out as it came in, comments included.
 */
#include "ctl/inject.h"

enum docs_what {
	DOCS_ANNOTATE, /* ask the webhook for it */
	DOCS_INJECT,   /* do what the webhook would */
	DOCS_UNINJECT,
};

struct docs_job {
	enum docs_what what;
	const struct json
		*annotations;      /* to set, with INJECT_ANNOTATION; may be NULL */
	const struct json *values; /* DOCS_INJECT */
	bool json;                 /* write JSON instead of YAML */
};

/* What became of an object, in the order of the manifest. */
struct docs_item {
	char name[320];   /* kind "name" as printed: deployment "web" */
	char path[320];   /* deployment/web */
	unsigned reasons; /* as in struct inject_out */
	bool changed, has_pods;
};
struct docs_report {
	enum docs_what what;
	struct docs_item *items;
	size_t n;
	struct json *warnings; /* list of texts, or NULL */
};

/* Appends the manifests to `out`, the items to `report` (the caller's, zeroed). */
int docs_transform(const struct docs_job *job, struct slice text, struct buf *out,
	struct docs_report *report, struct err *e);
/* Appends the text for people; `verbose`: also what is in order. */
void docs_report_write(const struct docs_report *r, bool verbose, struct buf *out);
void docs_report_fini(struct docs_report *r);

#endif
