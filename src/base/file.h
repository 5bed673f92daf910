/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FILE_H
#define BASE_FILE_H

/* Small files, whole: configuration, certificates, tokens. */
#include "base/buf.h"

/* Appends the file's bytes; ERR_LIMIT when there are more than `max`. */
int file_read(const char *path, size_t max, struct buf *out, struct err *e);

/* All of it, however the kernel cuts it; -1: errno says why, and a part may be there.
 */
int file_write_all(int fd, struct slice s);

/* Replaces the file as a whole: whoever reads it sees the old bytes or the new, also
 * after a crash. */
int file_replace(const char *path, unsigned mode, struct slice bytes, struct err *e);

/* Changes whenever the file was written or replaced; 0 when it cannot be looked at. */
uint64_t file_stamp(const char *path);

#endif
