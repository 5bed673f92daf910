/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/memory.h"
#include "net/tcp.h"
#include "proxy/control.h"

static uint64_t started; /* wall seconds */

__attribute__((constructor)) static void note_start(void)
{
	started = clock_wall() / NS_PER_S;
}

static unsigned open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	if (!d)
		return 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static void tell(
	struct buf *out, const char *name, const char *type, const char *help, double v)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name,
		type, name, v);
}

void proxy_process_metrics(void *arg, struct buf *out)
{
	unsigned long size = 0, resident = 0;
	struct rlimit fds = {0};
	struct timespec cpu;
	FILE *f = fopen("/proc/self/statm", "re");

	(void)arg;
	if (f) {
		if (fscanf(f, "%lu %lu", &size, &resident) != 2)
			size = resident = 0;
		fclose(f);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	(void)getrlimit(RLIMIT_NOFILE, &fds);
	tell(out, "process_start_time_seconds", "gauge", "When the process began.",
		(double)started);
	tell(out, "process_cpu_seconds_total", "counter", "CPU time used.",
		(double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
	tell(out, "process_open_fds", "gauge", "File descriptors in use.", open_fds());
	tell(out, "process_max_fds", "gauge", "File descriptors that may be in use.",
		(double)fds.rlim_cur);
	tell(out, "process_virtual_memory_bytes", "gauge", "Address space in use.",
		(double)size * (double)sysconf(_SC_PAGESIZE));
	tell(out, "process_resident_memory_bytes", "gauge", "Memory in use.",
		(double)resident * (double)sysconf(_SC_PAGESIZE));
	tell(out, "process_heap_bytes", "gauge", "Memory that is allocated.",
		(double)heap_used());
	tell(out, "process_memory_limit_bytes", "gauge",
		"Memory that may be in use, 0: no limit is known.",
		(double)memory_limit());
	tell(out, "process_memory_shortages_total", "counter",
		"How often memory was so short that requests were refused.",
		(double)memory_shortages());
	tell(out, "log_lost_lines_total", "counter",
		"Lines of the log that nobody took in time.", (double)log_lost());
	tell(out, "process_clock_time_seconds", "gauge", "What time it is here.",
		(double)(clock_wall() / NS_PER_S));
	tell(out, "proxy_accept_pauses_total", "counter",
		"How often no connection was taken for want of descriptors or memory.",
		(double)listener_rests());
	buf_text(out,
		"# HELP proxy_build_info What runs.\n"
		"# TYPE proxy_build_info gauge\n"
		"proxy_build_info{vendor=\"mesh\",version=\"" MESH_VERSION "\"} 1\n");
}
