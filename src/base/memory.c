/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define LOOK_EVERY (10 * NS_PER_MS)
#define TRIM_EVERY NS_PER_S
/* What no limit looks like in version 1: the most pages there can be. */
#define UNLIMITED  (UINT64_C(1) << 60)

uint64_t memory_used(void)
{
	unsigned long resident, shared;
	char text[128] = "";
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(fd);
	if (sscanf(text, "%*u %lu %lu", &resident, &shared) != 2 || resident < shared)
		return 0;
	return (uint64_t)(resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- the limit ---- */

static uint64_t limit_in(const char *path)
{
	unsigned long long n;
	FILE *f = fopen(path, "re");
	bool found;

	if (!f)
		return 0;
	found = fscanf(f, "%llu", &n) == 1; /* not "max" */
	fclose(f);
	return found && n < UNLIMITED ? n : 0;
}

/* In a container its own cgroup is often all that is to be seen, at the top. */
static uint64_t limit_of(
	const char *root, const char *top, const char *cgroup, const char *file)
{
	char path[4096];
	uint64_t n;

	snprintf(path, sizeof path, "%s%s%s/%s", root, top, cgroup, file);
	n = limit_in(path);
	if (n)
		return n;
	snprintf(path, sizeof path, "%s%s/%s", root, top, file);
	return limit_in(path);
}

static bool has_memory(const char *controllers)
{
	const char *at = strstr(controllers, "memory");

	return at && (at == controllers || at[-1] == ',') &&
	       (at[6] == 0 || at[6] == ',');
}

/* One line: "0::/path" of version 2, "4:memory:/path" of version 1. */
static uint64_t limit_by_line(const char *root, char *line)
{
	char *controllers = strchr(line, ':'), *path;

	line[strcspn(line, "\n")] = 0;
	path = controllers ? strchr(controllers + 1, ':') : NULL;
	if (!path)
		return 0;
	*path++ = 0;
	if (!*++controllers)
		return limit_of(root, "/sys/fs/cgroup", path, "memory.max");
	return has_memory(controllers) ? limit_of(root, "/sys/fs/cgroup/memory", path,
						 "memory.limit_in_bytes")
				       : 0;
}

uint64_t memory_of_cgroup(const char *root)
{
	uint64_t least = 0, n;
	char line[4096];
	FILE *f;

	snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
	f = fopen(line, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof line, f)) {
		n = limit_by_line(root, line);
		if (n && (!least || n < least))
			least = n;
	}
	fclose(f);
	return least;
}

/* ---- is it short? ---- */

static uint64_t limit;
static _Atomic uint64_t looked;
static atomic_bool is_short;
static _Atomic uint64_t shortages;

void memory_set_limit(uint64_t bytes)
{
	limit = bytes;
	atomic_store(&is_short, false);
	atomic_store(&looked, 0);
}

uint64_t memory_limit(void)
{
	return limit;
}

static bool exceeds(uint64_t used, unsigned percent)
{
	return used > limit / 100 * percent;
}

/* What nobody has any more may still be malloc's. */
static uint64_t used_after_trim(uint64_t used, uint64_t now)
{
	static uint64_t trimmed;

	if (!exceeds(used, MEMORY_SHORT) || (trimmed && now - trimmed < TRIM_EVERY))
		return used;
	trimmed = now;
	malloc_trim(0);
	return memory_used();
}

static void look(uint64_t now)
{
	static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
	uint64_t used;
	bool was, is;

	if (pthread_mutex_trylock(&one) != 0)
		return; /* another looks */
	was = is = atomic_load(&is_short);
	used = used_after_trim(memory_used(), now);
	if (used) /* else it stays as it was: there may be no descriptor to look with */
		is = exceeds(used, was ? MEMORY_ENOUGH : MEMORY_SHORT);
	if (is && !was)
		shortages++;
	atomic_store(&is_short, is);
	atomic_store(&looked, now);
	pthread_mutex_unlock(&one);
}

bool memory_is_short(uint64_t now)
{
	if (!limit)
		return false;
	if (now >= atomic_load_explicit(&looked, memory_order_relaxed) + LOOK_EVERY)
		look(now);
	return atomic_load_explicit(&is_short, memory_order_relaxed);
}

uint64_t memory_shortages(void)
{
	return atomic_load(&shortages);
}
