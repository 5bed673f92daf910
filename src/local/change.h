/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_CHANGE_H
#define LOCAL_CHANGE_H

/*
 * One creation or update on its way into the store: defaults, then webhooks (which are
 * somebody else's: admit.h), then checks, allocation, storing.
 *
 * change_prepare() before the webhooks, change_commit() after.  Each returns NULL, or
 * the Status that refuses it (owned).
 */
#include "base/addr.h"
#include "local/kinds.h"
#include "local/store.h"

struct change_env {
	struct store *store;
	const struct kinds *kinds;
	struct cidr services; /* Service addresses are taken from here */
};

enum change_verb { CHANGE_CREATE, CHANGE_UPDATE };

struct change {
	const struct change_env *env;
	const struct kind *kind;
	enum change_verb verb;
	enum store_part part;
	bool dry_run;
	bool strict; /* fields that are not known are mistakes */
	char ns[254], name[254], sub[32];
	char user[300];
	struct json *obj;      /* owned until committed */
	struct object *old;    /* CHANGE_UPDATE: shared */
	struct object *out;    /* shared; after the commit; NULL when it is gone */
	struct json *warnings; /* texts of webhooks; a list, owned, or NULL */
};

void change_fini(struct change *c);
struct json *change_prepare(struct change *c);
struct json *change_commit(struct change *c);

#endif
