/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NET_PIPE_H
#define NET_PIPE_H

/*
 * Two conns in memory, each the other's peer, for tests and for talking to oneself.
 * `cut` bytes at most are delivered per turn (0: no limit), so that every split can be
 * tried.
 */
#include "net/conn.h"

int pipe_new(struct loop *l, size_t cut, struct conn *ends[2], struct err *e);

#endif
