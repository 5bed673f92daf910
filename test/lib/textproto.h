/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_TEXTPROTO_H
#define TEST_TEXTPROTO_H

/*
 * Messages as text, for tests that need any shape the control plane may send:
 *
 *	protocol { detect { timeout { seconds: 10 } } } labels { key: "name" value: "a"
 *}
 *
 * Fields by their names in the .proto; a repeated field is written again; enums by name
 * or number; texts and bytes in quotes with \n \r \t \" \\ \xHH; commas mean nothing.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct ProtobufCMessageDescriptor;

/* The message in `a`; NULL and `e`, which says where, when the text is malformed. */
void *textproto_read(const struct ProtobufCMessageDescriptor *type, const char *text,
	struct arena *a, struct err *e);
/* Its bytes, appended. */
int textproto_write(const struct ProtobufCMessageDescriptor *type, const char *text,
	struct buf *out, struct err *e);
/*
 * Appends any message that was read, in one line and for eyes: absent fields are not
 * there, nor are zeros outside of a oneof; networks, addresses, durations and labels as
 * one writes them ("10.0.0.0/8", "10s", "key=value").
 */
struct ProtobufCMessage;
void textproto_print(const struct ProtobufCMessage *m, struct buf *out);

#endif
