/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_YAML_H
#define WIRE_YAML_H

/*
 * YAML as Kubernetes reads and prints it, as JSON trees (wire/json.h).
 *
 * Reading: plain scalars have the types that sigs.k8s.io/yaml gives them (so `yes`,
 * `on` and `y` are true, 0755 and 0o755 are octal, 08 is 8, dates stay strings); keys
 * become strings; anchors, aliases and merge keys are resolved.  A key that is given
 * twice is an error, as kubectl's strict validation has it.
 *
 * Limits: YAML_MAX bytes of text, a hundred levels, YAML_SPREAD bytes made by aliases.
 */
#include "wire/json.h"

#define YAML_MAX    ((size_t)16 * 1024 * 1024)
#define YAML_SPREAD ((size_t)16 * 1024 * 1024)

/*
 * Every document of `text`, in order, as a list (owned); empty documents are left out.
 * NULL when malformed: the error says the line.  JSON is read as JSON.
 */
struct json *yaml_parse_all(struct slice text, struct err *e);

/* The one document of `text`, owned; ERR_MISSING when there is none, ERR_SYNTAX when
 * there are several. */
struct json *yaml_parse(struct slice text, struct err *e);

/*
 * Appends `j` as kubectl prints it: keys sorted, lists not indented, long texts folded
 * at 80 columns, texts of several lines as blocks.  No "---" before it.
 */
int yaml_write(const struct json *j, struct buf *out);

#endif
