/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HTTP_SPELLING_H
#define HTTP_SPELLING_H

/*
 * How names were spelt, across an HTTP/2 hop between two proxies of ours.
 *
 * HTTP/2 has lower case only.  Field names are case-insensitive, and yet there are
 * HTTP/1 programs that look for "X-MyHeader".  So a proxy that carries HTTP/1 over
 * HTTP/2 tells the other end of the spelling, as a parameter of l5d-orig-proto:
 *
 *	HTTP/1.1; case=title,X-MyHeader,etag
 *
 * "title": names are Like-This ("lower": like-this), but for those listed.  The
 * parameter goes where that field goes: whoever undoes the upgrade removes it, so no
 * application sees it, and a proxy of another make looks at the field's beginning only.
 * In a response it is said only to one who said it in the request.
 *
 * Heads are spelt as they were.  Of trailers nothing is said, for a proxy of another
 *make would hand that on: they are spelt as the head's field Trailer lists them, the
 *others by the head's rule.  A 1xx that crossed HTTP/2 is in lower case.
 */
#include "http/head.h"

/* Instead of a name's spelling: Like-This. */
extern const char spelt_title;
#define SPELT_TITLE (&spelt_title)

/* The name as it is to be spelt, into name.n bytes. */
void spell(const struct field *f, char *out);

#define SPELLING_MAX 512 /* bytes of names listed; those beyond go in lower case */

/* "case=…" of these fields; `out` has room for SPELLING_MAX and some, returns its
 * length. */
#define SPELLING_ROOM (SPELLING_MAX + 16)
size_t spelling_say(const struct fields *f, bool titled, char *out);

/* Spells the fields as `text` (what follows "case=") says; it must live as long as
 * they.  Returns whether "title" is said. */
bool spelling_restore(struct fields *f, struct slice text);
/* The trailers of a message with the fields `head`, which must live as long. */
void spelling_restore_trailers(
	const struct fields *trailers, const struct fields *head, bool titled);

#endif
