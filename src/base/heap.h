/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

/*
 * What a crowd of connections or streams had, or a flood, stays the process's own in
 * holes of its heap until malloc is asked to give it back.
 */
#include <stdint.h>

/* Bytes that malloc's callers have now. */
uint64_t heap_used(void);

/* Before there are threads: as good as only one of them allocates.  malloc then has one
 * heap, and gives back all that lies behind the last piece of it, as it does of no
 * other. */
void heap_is_one(void);

struct heap_watch { /* zeroed */
	unsigned calls;
	int64_t waste; /* bytes resident and of no use, that could not be given back */
	int64_t last;  /* what was of no use at the last look */
};

/* To be called now and then, by each thread that allocates much; looks every few calls.
 * Little is given back only once nothing happens any more. */
void heap_give_back(struct heap_watch *w);

#endif
