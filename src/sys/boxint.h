/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_BOXINT_H
#define SYS_BOXINT_H

/* The file system of a box, made in the child; calls nothing that allocates. */
#include <sys/ioctl.h>

#include "sys/box.h"

int box_root(const struct box *b, struct err *e);

static inline int ioctl_tty(int fd)
{
	return ioctl(fd, TIOCSCTTY, 0);
}

#endif
