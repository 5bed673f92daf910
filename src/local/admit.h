/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_ADMIT_H
#define LOCAL_ADMIT_H

/*
 * Shows a change to its webhooks, one after the other, over HTTPS.  A webhook given by
 * Service is reached at the first ready endpoint of it.
 */
#include "ev/dns.h"
#include "local/webhook.h"

struct admit;

/* `refused` is the callee's (NULL: go on). */
typedef void admit_done(void *arg, struct json *refused);

/*
 * Borrows the change until done.  NULL when no webhook wants to see it (done is not
 * called); otherwise done is called later, once.
 */
struct admit *admit_begin(
	struct loop *l, struct dns *d, struct change *c, admit_done *done, void *arg);
void admit_end(struct admit *a); /* done is not called */

#endif
