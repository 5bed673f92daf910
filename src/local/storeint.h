/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_STOREINT_H
#define LOCAL_STOREINT_H

/* Inside the store: buckets of objects, the window of events, the log. */
#include "local/store.h"

/* The objects of one resource, sorted by namespace and name. */
struct bucket {
	char *res;
	struct object **v;
	size_t n, cap;
};

struct store {
	struct store_config cfg;
	struct bucket **buckets;
	size_t nbuckets;
	uint64_t version;

	/* A ring: the event of version v is not at a fixed place, but versions rise. */
	struct store_event *events;
	size_t first, count;
	uint64_t expired; /* the version of the newest event that has left the window */
	struct list watches;

	int fd;           /* the log, or -1 */
	int64_t log_size; /* bytes that are whole records */
	int64_t log_base; /* its size after the last rewrite */
};

struct bucket *store_bucket(struct store *s, const char *res, bool make);
/* The place of the object, or where it belongs (*found tells). */
size_t bucket_at(const struct bucket *b, const char *ns, const char *name, bool *found);
void bucket_put(struct bucket *b, struct object *o); /* takes; replaces */
void bucket_drop(struct bucket *b, const char *ns, const char *name);

struct object *object_new(struct json *json, uint64_t version); /* takes `json` */

/* What an update makes of `old`, not stored; takes `obj`, returns owned. */
struct json *store_updated(
	const struct json *old, struct json *obj, enum store_part part);

/* Takes references of its own.  Wakes the watchers. */
void store_publish(struct store *s, enum store_what what, const char *res,
	struct object *now, struct object *old);
void store_history_init(struct store *s);
void store_history_fini(struct store *s);

int store_log_open(struct store *s, struct err *e); /* reads it back */
void store_log_close(struct store *s);
/* One record: `json` NULL means that the object is gone. */
int store_log_write(struct store *s, const char *res, const char *ns, const char *name,
	const struct json *json, struct err *e);

#endif
