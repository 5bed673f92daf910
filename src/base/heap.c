/* SPDX-License-Identifier: Apache-2.0 */
#include "base/heap.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define LOOK_EVERY 4 /* calls */
#define WORTH      ((size_t)256 * 1024)

/* Anonymous memory that is resident, beyond what is allocated. */
static size_t waste(void)
{
	unsigned long resident = 0, shared = 0;
	struct mallinfo2 m = mallinfo2();
	FILE *f = fopen("/proc/self/statm", "re");
	size_t own;

	if (!f)
		return 0;
	if (fscanf(f, "%*u %lu %lu", &resident, &shared) != 2 || resident < shared)
		resident = shared = 0;
	fclose(f);
	own = (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
	return own > m.uordblks + m.hblkhd ? own - m.uordblks - m.hblkhd : 0;
}

void heap_give_back(struct heap_watch *w)
{
	size_t now;

	if (++w->calls % LOOK_EVERY)
		return;
	now = waste();
	if (now > w->waste + WORTH) {
		malloc_trim(0);
		w->waste = waste();
	} else if (now < w->waste) {
		w->waste = now;
	}
}
