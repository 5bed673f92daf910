/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CHART_FILES_H
#define CHART_FILES_H

/* The files of deploy/charts, as they were when this binary was built. */
#include "base/slice.h"

struct chart_file {
	const char *path; /* "control/templates/identity.yaml" */
	struct slice text;
};

extern const size_t chart_files_count;
struct chart_file chart_files_at(size_t i); /* in the order of their paths */
/* An empty slice, p NULL, when there is no such file. */
struct slice chart_files_text(const char *path);

#endif
