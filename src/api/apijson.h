/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_APIJSON_H
#define API_APIJSON_H

/*
 * A message as JSON text, for people: fields by their names in the .proto files, those
 * that are absent or zero left out.  Addresses are written as addresses, durations as
 * seconds ("1.5s"), labels as an object, bytes in base64.
 */
#include "api/api.h"

/* Appends the message `m` (any generated struct), on one line.  -1 when `out` is full.
 */
int api_json(const void *m, struct buf *out);

#endif
