/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_CAPS_H
#define SYS_CAPS_H

/*
 * Makes effective whatever this process is permitted (capabilities(7)).  Another user
 * than root gets a container's added capabilities only by way of the program's file,
 * and there as permitted only: were they effective too, a container without them could
 * not run the program at all.
 */
void caps_use(void);

#endif
