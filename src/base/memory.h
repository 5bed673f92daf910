/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/*
 * How much of the memory that this process may have is in use.  Who goes on to the end
 * of it is killed by the kernel, and all connections with it; so new work is refused
 * some time before, and who holds memory for nothing is let go of.
 */
#include <stdbool.h>
#include <stdint.h>

/* Anonymous memory that is resident, in bytes; 0 when that cannot be told. */
uint64_t memory_used(void);

/* The limit of this process's cgroup (v1, v2) in bytes; 0: none.  `root` is before the
 * paths of /proc and /sys: "" but in tests. */
uint64_t memory_of_cgroup(const char *root);

/* Once, before there are threads.  0: memory is never short. */
void memory_set_limit(uint64_t bytes);
uint64_t memory_limit(void);

/* More than MEMORY_SHORT percent are in use, or have been and there are still more than
 * MEMORY_ENOUGH.  Of any thread; cheap, as it really looks every 10 ms at most.  `now`
 * is clock_mono(). */
#define MEMORY_SHORT  85
#define MEMORY_ENOUGH 75
bool memory_is_short(uint64_t now);

/* How often it became short. */
uint64_t memory_shortages(void);

#endif
