/* SPDX-License-Identifier: Apache-2.0 */
#include "ev/eventmem.h"

#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__ /* what a slot points at is no leak */
#include <sanitizer/lsan_interface.h>
#define SEEN_BY_LEAK_CHECK(p, n) __lsan_register_root_region(p, n)
#else
#define SEEN_BY_LEAK_CHECK(p, n) ((void)0)
#endif

#define SLOT  ((size_t)32)
#define SLOTS ((size_t)1 << 17) /* addresses only; pages come as they are used */

union slot {
	union slot *next; /* a free one's */
	uint8_t bytes[SLOT];
};

static struct {
	pthread_mutex_t lock;
	union slot *slots, *free; /* slots: NULL where there are no addresses */
	size_t used;              /* those behind it were never taken */
} mem = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_slot(const void *p)
{
	uintptr_t at = (uintptr_t)p, from = (uintptr_t)mem.slots;

	return mem.slots && at >= from && at - from < SLOTS * SLOT;
}

static void *slot_take(void)
{
	union slot *s;

	pthread_mutex_lock(&mem.lock);
	s = mem.free;
	if (s)
		mem.free = s->next;
	else if (mem.slots && mem.used < SLOTS)
		s = &mem.slots[mem.used++];
	pthread_mutex_unlock(&mem.lock);
	return s;
}

static void slot_give(union slot *s)
{
	pthread_mutex_lock(&mem.lock);
	s->next = mem.free;
	mem.free = s;
	pthread_mutex_unlock(&mem.lock);
}

static void *mem_new(size_t n)
{
	void *p = n <= SLOT ? slot_take() : NULL;

	return p ? p : malloc(n);
}

static void mem_free(void *p)
{
	if (is_slot(p))
		slot_give(p);
	else
		free(p);
}

static void *mem_resize(void *p, size_t n)
{
	void *to;

	if (!is_slot(p))
		return realloc(p, n);
	if (n <= SLOT)
		return p;
	to = malloc(n);
	if (!to)
		return NULL;
	memcpy(to, p, SLOT);
	slot_give(p);
	return to;
}

static void use(void)
{
	void *p = mmap(NULL, SLOTS * SLOT, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	mem.slots = p == MAP_FAILED ? NULL : p;
	if (mem.slots)
		SEEN_BY_LEAK_CHECK(p, SLOTS * SLOT);
	event_set_mem_functions(mem_new, mem_resize, mem_free);
}

void eventmem_use(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, use);
}
