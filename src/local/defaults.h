/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_DEFAULTS_H
#define LOCAL_DEFAULTS_H

/*
 * What the API fills in where a manifest is silent.  Idempotent; never replaces what is
 * there.
 */
#include "local/kinds.h"

void defaults_set(const struct kind *k, struct json *obj);
/* What only a new object gets: phase, service account and its token's volume. */
void defaults_set_new(const struct kind *k, struct json *obj);

#endif
