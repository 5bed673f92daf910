/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_SHAPE_H
#define LOCAL_SHAPE_H

/*
 * The shapes of the built-in kinds that people write: which fields there are, and of
 * which type.  A value of another type is a mistake always; a field that is not known
 * is one when the client asks for strict validation, as kubectl does.
 */
#include "local/kinds.h"

/* NULL, or the 400 that says what is wrong (owned).  Kinds without a shape pass. */
struct json *shape_check(const struct kind *k, const struct json *obj, bool strict);

#endif
