/* SPDX-License-Identifier: Apache-2.0 */
#include "local/podfds.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "wire/json.h"

static int open_terminal(struct podfds *f)
{
	char name[64];
	int slave;

	f->in[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (f->in[1] < 0 || grantpt(f->in[1]) || unlockpt(f->in[1]) ||
		ptsname_r(f->in[1], name, sizeof(name)))
		return -1;
	slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	f->in[0] = f->out[1] = f->err[1] = slave;
	f->out[0] = fcntl(f->in[1], F_DUPFD_CLOEXEC, 3);
	return slave < 0 || f->out[0] < 0 ? -1 : 0;
}

static int open_pipes(struct podfds *f, bool in)
{
	if (in && pipe2(f->in, O_CLOEXEC))
		return -1;
	return pipe2(f->out, O_CLOEXEC) || pipe2(f->err, O_CLOEXEC) ? -1 : 0;
}

/* What the loop reads and writes must not block it. */
static void unblock(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

int podfds_open(struct podfds *f, bool in, bool tty, struct err *e)
{
	*f = (struct podfds){{-1, -1}, {-1, -1}, {-1, -1}};
	if (tty ? open_terminal(f) : open_pipes(f, in))
		return err_sys(e, "open its streams");
	unblock(f->in[1]);
	unblock(f->out[0]);
	unblock(f->err[0]);
	return 0;
}

static void close_all(int *a, int *b, int *c)
{
	if (*a >= 0)
		close(*a);
	if (*b >= 0 && *b != *a)
		close(*b);
	if (*c >= 0 && *c != *a)
		close(*c);
	*a = *b = *c = -1;
}

void podfds_close_its(struct podfds *f)
{
	close_all(&f->in[0], &f->out[1], &f->err[1]);
}

void podfds_close_ours(struct podfds *f)
{
	close_all(&f->in[1], &f->out[0], &f->err[0]);
}

void podfds_resize(int master, struct slice message)
{
	struct json *j = json_parse(message, NULL);
	struct winsize size = {.ws_row = (unsigned short)json_int_at(j, "Height", 24),
		.ws_col = (unsigned short)json_int_at(j, "Width", 80)};

	(void)ioctl(master, TIOCSWINSZ, &size); /* a pipe has none */
	json_free(j);
}
