/* SPDX-License-Identifier: Apache-2.0 */
/* Logs, as the API server asks for them: a file is read, and read on when followed. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "local/podioint.h"

#define LOOK_EVERY (100 * NS_PER_MS)
#define TAIL_MAX   (32u << 20)

struct log_call {
	struct local_node *node;
	struct call *call;
	char key[600], name[256];
	int restart, fd;
	bool timestamps;
	uint64_t since; /* wall ns */
	struct timer look;
	struct buf rest; /* a line not yet whole */
};

struct pod *podio_pod(struct local_node *n, const struct podio_target *t)
{
	char key[600];

	snprintf(key, sizeof(key), "%s/%s", t->ns, t->name);
	return map_get(&n->pods, slice_of(key), struct pod, by_name);
}

struct container *podio_find(struct local_node *n, const struct podio_target *t)
{
	struct pod *p = podio_pod(n, t);

	return p ? pod_container(p, t->container) : NULL;
}

/* "<time> <stream> <F|P> text": cut; false: older than asked for. */
static bool cut_line(
	struct slice line, uint64_t since, bool timestamps, struct buf *out)
{
	struct slice rest = line, at, stream, whole;
	uint64_t when = 0;

	if (!slice_cut(&rest, ' ', &at) || !slice_cut(&rest, ' ', &stream) ||
		!slice_cut(&rest, ' ', &whole))
		return false;
	if (since && clock_parse(at, &when) && when < since)
		return false;
	if (timestamps) {
		buf_adds(out, at);
		buf_char(out, ' ');
	}
	buf_adds(out, rest);
	if (slice_is(whole, "F"))
		buf_char(out, '\n');
	return true;
}

/* The whole lines at the front of `in`, cut, to `out`. */
static void cut_lines(struct buf *in, uint64_t since, bool timestamps, struct buf *out)
{
	struct slice s = buf_slice(in);
	const char *end;

	while (s.n && (end = memchr(s.p, '\n', s.n))) {
		size_t n = (size_t)(end - s.p);

		(void)cut_line((struct slice){s.p, n}, since, timestamps, out);
		s = (struct slice){end + 1, s.n - n - 1};
	}
	buf_take(in, buf_len(in) - s.n);
}

static void keep_tail(struct buf *b, int64_t lines)
{
	struct slice s = buf_slice(b);
	size_t at = s.n;

	if (lines < 0)
		return;
	if (lines == 0) {
		buf_clear(b);
		return;
	}
	if (at && s.p[at - 1] == '\n')
		at--;
	while (at > 0)
		if (s.p[at - 1] == '\n' && --lines == 0)
			break;
		else
			at--;
	buf_take(b, at);
}

/* ---- following ---- */

static void log_over(struct log_call *l)
{
	timer_clear(&l->look);
	if (l->fd >= 0)
		close(l->fd);
	buf_fini(&l->rest);
	free(l);
}

static void log_gone(struct call *c)
{
	log_over(c->arg);
}

static bool still_runs(const struct log_call *l)
{
	const struct pod *p =
		map_get(&l->node->pods, slice_of(l->key), struct pod, by_name);
	const struct container *c = p ? pod_container((struct pod *)p, l->name) : NULL;

	return c && c->restarts == l->restart && c->at == CONTAINER_RUNNING;
}

static void on_look(struct timer *t)
{
	struct log_call *l = container_of(t, struct log_call, look);
	struct buf out = BUF_INIT;
	bool runs = still_runs(l);
	struct call *call = l->call;
	ssize_t n = 0;

	while (call_backlog(call) + buf_len(&out) < CONN_HIGH) {
		char *room = buf_room(&l->rest, 16384);

		n = room ? read(l->fd, room, 16384) : 0;
		if (n <= 0)
			break;
		buf_added(&l->rest, (size_t)n);
		cut_lines(&l->rest, 0, l->timestamps, &out);
	}
	timer_set(t, LOOK_EVERY);
	if (buf_len(&out))
		call_send(call, buf_slice(&out));
	buf_fini(&out);
	if (n <= 0 && !runs)
		call_end(call);
}

static void follow(struct call *c, struct local_node *n, const struct podio_target *t,
	int fd, int restart)
{
	struct log_call *l = calloc(1, sizeof(*l));

	must(l);
	l->node = n;
	l->call = c;
	l->fd = fd;
	l->restart = restart;
	l->timestamps = t->timestamps;
	snprintf(l->key, sizeof(l->key), "%s/%s", t->ns, t->name);
	snprintf(l->name, sizeof(l->name), "%s", t->container);
	timer_init(&l->look, n->loop, on_look);
	timer_set(&l->look, LOOK_EVERY);
	c->arg = l;
	c->on_gone = log_gone;
}

static int read_log(int fd, struct buf *out)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) == 0 && st.st_size > (off_t)TAIL_MAX)
		(void)lseek(fd, -(off_t)TAIL_MAX, SEEK_END);
	do {
		char *room = buf_room(out, 65536);

		n = room ? read(fd, room, 65536) : -1;
		if (n > 0)
			buf_added(out, (size_t)n);
	} while (n > 0);
	return n < 0 ? -1 : 0;
}

static void podio_logs(void *arg, struct call *call, const struct podio_target *t)
{
	struct local_node *n = arg;
	struct container *c = podio_find(n, t);
	struct buf raw = BUF_INIT, out = BUF_INIT;
	int restart = c ? c->restarts - t->previous : 0, fd;
	char path[PATH_MAX + 300];
	uint64_t since = t->since_seconds < 0
				 ? 0
				 : clock_wall() - (uint64_t)t->since_seconds * NS_PER_S;

	if (c)
		container_log_path(c, restart, path, sizeof(path));
	fd = c ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0) {
		call_text(call, 400, "container \"%s\" in pod \"%s\" %s\n",
			t->container, t->name,
			t->previous ? "has no previous log" : "is waiting to start");
		return;
	}
	(void)read_log(fd, &raw);
	cut_lines(&raw, since, t->timestamps, &out);
	keep_tail(&out, t->tail);
	if (t->limit_bytes >= 0 && buf_len(&out) > (size_t)t->limit_bytes)
		out.end = out.at + (size_t)t->limit_bytes;
	call_stream(call, 200, "text/plain");
	if (buf_len(&out))
		call_send(call, buf_slice(&out));
	buf_fini(&raw);
	buf_fini(&out);
	if (t->follow) {
		follow(call, n, t, fd, restart);
		return;
	}
	close(fd);
	call_end(call);
}

void local_node_podio(struct local_node *n, struct podio *out)
{
	*out = (struct podio){.arg = n,
		.logs = podio_logs,
		.exec = podio_exec,
		.attach = podio_attach,
		.forward = podio_forward};
}
