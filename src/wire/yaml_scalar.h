/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_YAML_SCALAR_H
#define WIRE_YAML_SCALAR_H

/* The type of a plain scalar; private to yaml*.c. */
#include "wire/json.h"

/* Owned.  `nan` is set when the text is a number that JSON has no word for. */
struct json *scalar_read(struct slice text, bool *nan);

/* A plain `text` would not be read back as this string. */
bool scalar_needs_quotes(struct slice text);

#endif
