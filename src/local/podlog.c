/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What containers print, in files: "<time> stdout F <line>", as CRI runtimes write it.
 * A file that has grown is renamed to .1 and begun anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "local/nodeint.h"

#define LOG_SIZE_MAX (10 << 20)
#define LOG_LINE_MAX 16384

void container_log_path(const struct container *c, int restart, char *out, size_t size)
{
	snprintf(out, size, "%s/logs/%s/%d.log", c->pod->dir, c->name, restart);
}

static void open_file(struct container *c)
{
	char path[PATH_MAX + 300], *slash;

	container_log_path(c, c->restarts, path, sizeof(path));
	slash = strrchr(path, '/');
	*slash = 0;
	(void)folder_make(path, 0755);
	*slash = '/';
	c->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	c->log_size = 0;
}

static void rotate(struct container *c)
{
	char path[PATH_MAX + 300], old[PATH_MAX + 310];

	container_log_path(c, c->restarts, path, sizeof(path));
	snprintf(old, sizeof(old), "%s.1", path);
	(void)rename(path, old);
	close(c->log_fd);
	open_file(c);
}

static void put_line(struct log_pipe *p, struct slice line, bool whole)
{
	struct container *c = p->of;
	struct buf b = BUF_INIT;
	char at[CLOCK_TEXT];

	if (c->log_fd < 0)
		return;
	clock_rfc3339(clock_wall(), true, at);
	buf_printf(&b, "%s %s %c ", at, p->stream, whole ? 'F' : 'P');
	buf_adds(&b, line);
	buf_char(&b, '\n');
	if (write(c->log_fd, b.p + b.at, buf_len(&b)) > 0) /* a full disk loses logs */
		c->log_size += (off_t)buf_len(&b);
	buf_fini(&b);
	if (c->log_size > LOG_SIZE_MAX)
		rotate(c);
}

static void put_lines(struct log_pipe *p)
{
	struct slice s = buf_slice(&p->line);
	const char *end;

	while (s.n && (end = memchr(s.p, '\n', s.n))) {
		size_t n = (size_t)(end - s.p);

		put_line(p, (struct slice){s.p, n}, true);
		s = (struct slice){end + 1, s.n - n - 1};
	}
	if (s.n >= LOG_LINE_MAX) {
		put_line(p, s, false);
		s.n = 0;
	}
	buf_take(&p->line, buf_len(&p->line) - s.n);
}

static void close_pipe(struct log_pipe *p)
{
	if (p->watch.fd < 0)
		return;
	watch_end(&p->watch);
	close(p->watch.fd);
	p->watch.fd = -1;
	if (buf_len(&p->line))
		put_line(p, buf_slice(&p->line), true);
	buf_fini(&p->line);
}

/* False when there is no more now. */
static bool read_some(struct log_pipe *p)
{
	char *room = buf_room(&p->line, 8192);
	ssize_t n = room ? read(p->watch.fd, room, 8192) : -1;

	if (n <= 0)
		return false;
	container_show(p->of, p == &p->of->logs[1], slice_bytes(room, (size_t)n));
	buf_added(&p->line, (size_t)n);
	put_lines(p);
	return true;
}

static void on_text(struct watch *w, int what)
{
	struct log_pipe *p = container_of(w, struct log_pipe, watch);

	(void)what;
	errno = 0;
	if (!read_some(p) && errno != EAGAIN && errno != EINTR)
		close_pipe(p);
}

void container_log_open(struct container *c, int out, int err)
{
	const int fds[2] = {out, err};

	open_file(c);
	for (int i = 0; i < 2; i++) {
		struct log_pipe *p = &c->logs[i];

		p->of = c;
		p->stream = i ? "stderr" : "stdout";
		p->watch.fd = -1;
		if (fds[i] < 0)
			continue;
		watch_init(&p->watch, c->pod->node->loop, fds[i], on_text);
		(void)watch_set(&p->watch, WATCH_IN);
	}
}

void container_log_close(struct container *c)
{
	for (int i = 0; i < 2; i++) {
		/* What the ended process wrote last. */
		while (c->logs[i].watch.fd >= 0 && read_some(&c->logs[i]))
			;
		close_pipe(&c->logs[i]);
	}
	if (c->log_fd >= 0)
		close(c->log_fd);
	c->log_fd = -1;
}
