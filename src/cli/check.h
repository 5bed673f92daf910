/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

/*
 * `mesh check`: one table of things that must be so, asked of a cluster in order (spec
 * cli.md §4).  A failure names the object and the cause; the table says the cure.
 *
 * Whom it asks is the caller's: a cluster, or a test.
 */
#include "wire/json.h"

enum check_when {
	CHECK_PRE = 1,    /* before the control plane is installed */
	CHECK_NORMAL = 2, /* the control plane */
	CHECK_PROXY = 4,  /* and the proxies of everybody */
};

enum check_flags {
	CHECK_WARN = 1,  /* its failure does not fail the whole */
	CHECK_FATAL = 2, /* what follows would only fail for the same reason */
	CHECK_RETRY = 4, /* may become true by waiting */
};

struct check_run;

struct check {
	const char *category, *name;
	unsigned when, flags;
	int (*run)(struct check_run *r, struct err *e);
	const char *cure;
};
extern const struct check checks[];
extern const size_t checks_count;

/* Checks of a category are made only where it holds. */
struct check_condition {
	const char *category;
	bool (*holds)(struct check_run *r);
};
extern const struct check_condition check_conditions[];
extern const size_t check_conditions_count;

struct check_source {
	/* Owned; NULL with ERR_MISSING when the object is not there, ERR_UNKNOWN when
	 * the source cannot know. */
	struct json *(*get)(void *arg, const char *path, struct err *e);
	/* May we?  -1 when not, or when nobody says. */
	int (*may)(void *arg, const char *verb, const char *group, const char *resource,
		const char *namespace, struct err *e);
	/* What is stored of an object that is made at `path` (its collection's), which
	 * it is not.  Owned; NULL when it is refused. */
	struct json *(*would)(
		void *arg, const char *path, const struct json *object, struct err *e);
	void *arg;
};

struct check_config {
	enum check_when when;
	const char *namespace; /* of the control plane */
	const char *workloads; /* namespace of the proxies to look at; NULL: all */
	const char *version;   /* that is expected everywhere */
	const char *cni_namespace;
	bool cni;     /* the plugin is meant to be there, whatever is installed */
	bool offline; /* the source is files, of another time */
	const struct check_source *source;
	const struct err *no_source; /* why there is none; else NULL */
	uint64_t (*now)(void);       /* wall */
	unsigned tries;              /* of what may become true */
	void (*pause)(void);         /* between them */
	/* Each, as it is known; e->code ERR_NONE: it is so; ERR_UNKNOWN: it was
	 * skipped. */
	void (*on_result)(void *arg, const struct check *c, const struct err *e);
	void *arg;
};
/* False when something failed that is no mere warning. */
bool check_all(const struct check_config *cfg);

/* ---- what is written ---- */
struct check_writer {
	const char *form; /* "table", "short" or "json" */
	bool color;
	const char *category; /* of the last line */
	struct json *list;    /* categories, for JSON; or NULL */
};
/* Appends what is to be printed now. */
void check_write(struct check_writer *w, const struct check *c, const struct err *e,
	struct buf *out);
void check_write_end(struct check_writer *w, bool success, struct buf *out);

/* ---- inside: for the table ---- */
struct check_run {
	const struct check_config *cfg;
	struct json *cache; /* by path; emptied before a second try */
	struct err unknown; /* what the source of a check could not know */
	bool forbidden;     /* it may not be seen */
};
/* Borrowed until the next try. */
struct json *check_get(struct check_run *r, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
