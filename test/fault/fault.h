/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAULT_FAULT_H
#define FAULT_FAULT_H

/*
 * Allocations and system calls that fail when told to.  A program linked with fault.c
 * and FAULTWRAP (Makefile) has them; what is told lies in a file that is shared with
 * whoever tells: MESH_FAULTS names it, and it may be written to while the program runs.
 * Without it nothing fails.
 *
 * Which calls fail depends on the seed and on the number of the call only.
 */
#include <stdint.h>

enum { FAULT_MEMORY = 1, FAULT_CALLS = 2, FAULT_TELL = 4 /* each on stderr */ };

struct fault_control {
	uint64_t on;     /* FAULT_… bits; 0: nothing fails nor is counted */
	uint64_t seed;   /* for one_in */
	uint64_t one_in; /* one of so many fails; 0: none */
	uint64_t nth;    /* this one fails, counted from 1; 0: none */
	uint64_t calls;  /* so far; the teller may set it back */
	uint64_t failed;
};

extern struct fault_control *fault_control; /* never NULL once main() runs */

#endif
