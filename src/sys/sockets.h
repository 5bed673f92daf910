/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_SOCKETS_H
#define SYS_SOCKETS_H

/*
 * Who else uses TCP here.  Containers of a pod share a network namespace: what is left
 * of their sockets tells whether they have ended.
 */
#include <stdbool.h>
#include <sys/types.h>

/* Does a user other than `self` listen, or have a connection, in this network
 * namespace? False when that cannot be told. */
bool sockets_of_others(uid_t self);

#endif
