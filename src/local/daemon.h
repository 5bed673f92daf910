/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LOCAL_DAEMON_H
#define LOCAL_DAEMON_H

/*
 * One background process for a state directory: it holds a lock on a file there, by
 * which it is found and told apart from whatever else may have its number.
 */
#include <sys/types.h>

#include "base/err.h"

/* The lock's fd, held until the process ends; -1 with ERR_BUSY when another has it. */
int daemon_lock(const char *dir, struct err *e);
/* Who holds it; 0: nobody. */
pid_t daemon_pid(const char *dir);

/*
 * Forks.  In the child: returns 0, in a session of its own, its output in dir/log;
 * daemon_ready() ends the parent's wait.  In the parent: returns the child's number
 * when it is ready; -1 with what the child said when it failed.
 */
pid_t daemon_begin(const char *dir, int *ready_fd, struct err *e);
void daemon_ready(int ready_fd, const struct err *failed); /* NULL: it is ready */

/* SIGTERM, and SIGKILL after `seconds`; 0 when it has gone or there was none. */
int daemon_end(const char *dir, int seconds, struct err *e);

/* Removes the directory with everything in it (never across a mount). */
int dir_remove(const char *dir, struct err *e);

#endif
