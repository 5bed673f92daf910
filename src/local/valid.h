/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_VALID_H
#define LOCAL_VALID_H

/*
 * Checks of objects as the API makes them: each mistake with its field path, all
 * reported at once.
 */
#include "local/kinds.h"

/* Adds causes (status.h); `old` NULL on create. */
void valid_object(const struct kind *k, const struct json *obj, const struct json *old,
	struct json *causes);

/* For valid_*.c.  A path that grows: "spec.containers[0].name". */
struct field_path {
	char text[200];
};
struct field_path field_sub(const char *base, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
bool valid_dns_label(const char *name);     /* RFC 1123, 63 */
bool valid_dns_subdomain(const char *name); /* 253 */
bool valid_label_key(const char *key);
bool valid_label_value(const char *value);
void valid_labels(const struct json *labels, const char *at, struct json *causes);
void valid_pod_spec(const struct json *spec, const char *at, struct json *causes);

#endif
