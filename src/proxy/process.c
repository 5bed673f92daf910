/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
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

static void gauge(struct buf *out, const char *name, const char *type, double v)
{
	buf_printf(out, "# TYPE %s %s\n%s %.15g\n", name, type, name, v);
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
	gauge(out, "process_start_time_seconds", "gauge", (double)started);
	gauge(out, "process_cpu_seconds_total", "counter",
		(double)cpu.tv_sec + (double)cpu.tv_nsec * 1e-9);
	gauge(out, "process_open_fds", "gauge", open_fds());
	gauge(out, "process_max_fds", "gauge", (double)fds.rlim_cur);
	gauge(out, "process_virtual_memory_bytes", "gauge",
		(double)size * (double)sysconf(_SC_PAGESIZE));
	gauge(out, "process_resident_memory_bytes", "gauge",
		(double)resident * (double)sysconf(_SC_PAGESIZE));
	gauge(out, "process_clock_time_seconds", "gauge",
		(double)(clock_wall() / NS_PER_S));
	gauge(out, "proxy_accept_pauses_total", "counter", (double)listener_rests());
	buf_text(out,
		"# TYPE proxy_build_info gauge\n"
		"proxy_build_info{vendor=\"mesh\",version=\"" MESH_VERSION "\"} 1\n");
}
