/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <gmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static struct fault_control none;
struct fault_control *fault_control = &none;
extern const char __executable_start[];

void *__real_malloc(size_t n);
void *__real_realloc(void *p, size_t n);

static void *grown(void *p, size_t old, size_t n)
{
	(void)old;
	return __real_realloc(p, n);
}

__attribute__((constructor)) static void find_control(void)
{
	const char *path = getenv("MESH_FAULTS");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *p = MAP_FAILED;

	if (fd >= 0)
		p = mmap(NULL, sizeof none, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		fault_control = p;
	if (fd >= 0)
		close(fd);
	mp_set_memory_functions(__real_malloc, grown, NULL);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static void tell(const char *name, int error, const void *from)
{
	char line[160];
	int n = snprintf(line, sizeof line, "fault: %s fails with %d at 0x%tx\n", name,
		error, (const char *)from - __executable_start);

	if (n > 0 && syscall(1 /* write */, 2, line, (size_t)n) < 0)
		return; /* nobody listens */
}

static bool fails(
	unsigned kind, const char *name, const int *errors, size_t n, const void *from)
{
	struct fault_control *f = fault_control;
	uint64_t on = __atomic_load_n(&f->on, __ATOMIC_RELAXED), i, dice;

	if (!(on & kind))
		return false;
	i = __atomic_add_fetch(&f->calls, 1, __ATOMIC_RELAXED);
	dice = mix(f->seed * 0x9e3779b97f4a7c15u + i);
	if (i != f->nth && (!f->one_in || dice % f->one_in))
		return false;
	__atomic_add_fetch(&f->failed, 1, __ATOMIC_RELAXED);
	if (on & FAULT_TELL)
		tell(name, errors[(dice >> 32) % n], from);
	errno = errors[(dice >> 32) % n];
	return true;
}

#define WRAP(kind, type, bad, name, params, args, ...)                                 \
	type __real_##name params;                                                     \
	type __wrap_##name params;                                                     \
	type __wrap_##name params                                                      \
	{                                                                              \
		static const int errors[] = {__VA_ARGS__};                             \
                                                                                       \
		if (fails(kind, #name, errors, sizeof errors / sizeof *errors,         \
			    __builtin_return_address(0)))                              \
			return bad;                                                    \
		return __real_##name args;                                             \
	}
#define MEMORY(name, params, args)                                                     \
	WRAP(FAULT_MEMORY, void *, NULL, name, params, args, ENOMEM)
#define CALL(type, name, params, args, ...)                                            \
	WRAP(FAULT_CALLS, type, -1, name, params, args, __VA_ARGS__)

MEMORY(malloc, (size_t n), (n))
MEMORY(calloc, (size_t n, size_t size), (n, size))
MEMORY(realloc, (void *p, size_t n), (p, n))
MEMORY(reallocarray, (void *p, size_t n, size_t size), (p, n, size))
MEMORY(aligned_alloc, (size_t align, size_t n), (align, n))

CALL(int, socket, (int family, int type, int protocol), (family, type, protocol),
	EMFILE, ENFILE, ENOBUFS, ENOMEM)
CALL(int, connect, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n),
	ECONNREFUSED, EADDRNOTAVAIL, ENETUNREACH, EHOSTUNREACH, EAGAIN, EPERM)
CALL(int, accept4, (int fd, struct sockaddr *from, socklen_t *n, int flags),
	(fd, from, n, flags), EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EAGAIN,
	EINTR, EPERM)
#define STREAM(type, name, params, args, ...)                                          \
	WRAP(FAULT_CALLS, type, cut(fd), name, params, args, __VA_ARGS__)

/* A connection that broke stays so. */
static ssize_t cut(int fd)
{
	int error = errno;

	if (error == EPIPE || error == ECONNRESET || error == ETIMEDOUT)
		shutdown(fd, SHUT_RDWR);
	errno = error;
	return -1;
}

STREAM(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), EAGAIN,
	EINTR, ECONNRESET, ETIMEDOUT, ENOMEM, EHOSTUNREACH)
STREAM(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags),
	EAGAIN, EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM, ETIMEDOUT)
CALL(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n), EINTR)
CALL(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n), EINTR)
CALL(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode), EMFILE,
	ENFILE, ENOENT, EACCES, ENOMEM)
CALL(int, epoll_wait, (int fd, struct epoll_event *p, int n, int ms), (fd, p, n, ms),
	EINTR)
CALL(int, getsockopt, (int fd, int level, int name, void *p, socklen_t *n),
	(fd, level, name, p, n), ENOBUFS, ENOENT, ENOPROTOOPT)
CALL(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),
	(fd, level, name, p, n), ENOMEM, ENOPROTOOPT)
CALL(int, getsockname, (int fd, struct sockaddr *p, socklen_t *n), (fd, p, n), ENOBUFS)
CALL(int, getpeername, (int fd, struct sockaddr *p, socklen_t *n), (fd, p, n), ENOTCONN,
	ENOBUFS)
CALL(int, eventfd, (unsigned first, int flags), (first, flags), EMFILE, ENFILE, ENOMEM)
CALL(ssize_t, getrandom, (void *p, size_t n, unsigned flags), (p, n, flags), EINTR)
