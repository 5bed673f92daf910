/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/obj.h"
#include "t.h"

static char root[] = "/tmp/mesh-limit-XXXXXX";

/* Makes the folders before it. */
static void put(const char *path, const char *text)
{
	char full[300];
	FILE *f;

	snprintf(full, sizeof full, "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		(void)mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	OK(f);
	if (!f)
		return;
	fputs(text, f);
	fclose(f);
}

static void forget(void)
{
	char command[300];

	snprintf(command, sizeof command, "rm -rf %s", root);
	OK(system(command) == 0);
}

TEST(the_limit_is_that_of_the_cgroup)
{
	static const struct {
		const char *cgroup, *file, *text;
		uint64_t limit;
	} rows[] = {
		{"0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max", "262144000\n",
			262144000},
		{"0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max", "max\n", 0},
		/* a container sees its own at the top */
		{"0::/\n", "/sys/fs/cgroup/memory.max", "1000\n", 1000},
		{"0::/../x\n", "/sys/fs/cgroup/memory.max", "1000\n", 1000},
		{"5:cpu,memory:/p\n1:name=x:/\n",
			"/sys/fs/cgroup/memory/p/memory.limit_in_bytes", "2000\n",
			2000},
		{"5:memory:/p\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
			"2000\n", 2000},
		/* what version 1 says where there is none */
		{"5:memory:/p\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
			"9223372036854771712\n", 0},
		{"5:memoryless:/p\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes",
			"2000\n", 0},
		{"nothing\n:\n\n", "/sys/fs/cgroup/memory.max", "1000\n", 0},
		{"0::/a\n", "/sys/fs/cgroup/a/memory.max", "", 0},
	};

	for (size_t i = 0; i < countof(rows); i++) {
		strcpy(root + strlen(root) - 6, "XXXXXX");
		OK(mkdtemp(root));
		put("/proc/self/cgroup", rows[i].cgroup);
		put(rows[i].file, rows[i].text);
		EQ_INT(memory_of_cgroup(root), rows[i].limit);
		forget();
	}
	EQ_INT(memory_of_cgroup("/nowhere"), 0);
}

/* a sanitizer's malloc keeps what is freed */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

TEST(memory_is_short_near_its_limit_until_enough_is_free)
{
	uint64_t now = clock_mono(), before = memory_used();
	const size_t size = 40 << 20;
	struct rlimit all;
	char *p;

	OK(!memory_is_short(now)); /* there is no limit */
	memory_set_limit(before + 44 * (1 << 20));
	OK(!memory_is_short(now));
	p = malloc(size);
	OK(p);
	if (!p)
		return;
	memset(p, 1, size);
	OK(memory_used() >= before + size);
	OK(!memory_is_short(now + NS_PER_MS)); /* it has looked just now */
	OK(memory_is_short(now + 20 * NS_PER_MS));
	free(p);
	OK(memory_is_short(now + 21 * NS_PER_MS));
	getrlimit(RLIMIT_NOFILE, &all);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, all.rlim_max});
	OK(memory_is_short(now + 40 * NS_PER_MS)); /* it could not look */
	setrlimit(RLIMIT_NOFILE, &all);
	OK(!memory_is_short(now + 60 * NS_PER_MS));
	OK(memory_shortages() == 1);
	memory_set_limit(0);
	OK(!memory_is_short(now + NS_PER_S));
}

#endif
