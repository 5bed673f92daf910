/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTL_VALIDATE_H
#define CTL_VALIDATE_H

/*
 * May an object of a policy or profile kind be stored?  What schemas cannot say (spec
 * control-plane.md §4.5, §4.6): without I/O, one object at a time.
 */
#include "wire/json.h"

/* -1 when not: `e` names the field and says what it should be.  Kinds that are not ours
 * are fine. */
int validate(const struct json *object, struct err *e);

#endif
