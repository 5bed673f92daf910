/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WIRE_PROM_H
#define WIRE_PROM_H

/* The text form of Prometheus metrics, read line by line without memory of its own. */
#include "base/buf.h"

struct prom_sample {
	struct slice
		series; /* name and labels as they stand: equal text, equal series */
	struct slice name;
	struct slice labels; /* between the braces */
	double value;
};

/*
 * Takes the next sample off the front of *rest.  Comments, empty lines and lines that
 * are malformed are skipped; false at the end.  The slices point into the text.
 */
bool prom_next(struct slice *rest, struct prom_sample *out);

/* The value under `key` as it stands (escapes too); false when there is none. */
bool prom_label(struct slice labels, const char *key, struct slice *value);
bool prom_label_is(struct slice labels, const char *key, const char *value);

#endif
