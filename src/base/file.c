/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE ((size_t)16 * 1024)

static int read_all(int fd, size_t max, struct buf *out, struct err *e)
{
	size_t got = 0;

	for (;;) {
		char *room = buf_room(out, PIECE);
		ssize_t n = room ? read(fd, room, PIECE) : 0;

		if (!room)
			return err_set(e, ERR_LIMIT, "no room for it");
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, "read");
		if (n == 0)
			return 0;
		got += (size_t)n;
		if (got > max)
			return err_set(e, ERR_LIMIT, "larger than %zu bytes", max);
		buf_added(out, (size_t)n);
	}
}

int file_read(const char *path, size_t max, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(e, "open %s", path);
	rc = read_all(fd, max, out, e);
	close(fd);
	return rc ? err_wrap(e, "%s", path) : 0;
}

int file_write_all(int fd, struct slice s)
{
	while (s.n) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		s = slice_bytes(s.p + n, s.n - (size_t)n);
	}
	return 0;
}

int file_replace(const char *path, unsigned mode, struct slice bytes, struct err *e)
{
	char temp[4096];
	int fd, rc = 0;

	if ((size_t)snprintf(temp, sizeof temp, "%s.%d.new", path, (int)getpid()) >=
		sizeof temp)
		return err_set(e, ERR_LIMIT, "the path is too long: %s", path);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "open %s", temp);
	if (file_write_all(fd, bytes) || fchmod(fd, mode) || fsync(fd))
		rc = err_sys(e, "write %s", temp);
	close(fd);
	if (rc == 0 && rename(temp, path))
		rc = err_sys(e, "rename %s to %s", temp, path);
	if (rc)
		(void)unlink(temp); /* it may not even be there */
	return rc;
}

uint64_t file_stamp(const char *path)
{
	struct stat st;
	uint64_t h;

	if (stat(path, &st))
		return 0;
	h = (uint64_t)st.st_mtim.tv_sec * UINT64_C(1000000007);
	h = (h ^ (uint64_t)st.st_mtim.tv_nsec) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ (uint64_t)st.st_ino) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= (uint64_t)st.st_size;
	return h ? h : 1;
}
