/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with the kernel. */
#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "sys/netlink.h"

#define ANSWER_WAIT_S 10
#define ANSWER_ROOM   32768 /* the kernel makes no larger ones */

static int fail(struct nl_fault *f, int error)
{
	f->error = error;
	return -1;
}

static void set(int fd, int level, int option, int value)
{
	/* Refused by an old kernel or for want of a right: small talk works all
	 * the same, with fewer words when it fails. */
	(void)setsockopt(fd, level, option, &value, sizeof(value));
}

static int open_socket(int protocol, size_t sending)
{
	struct timeval wait = {.tv_sec = ANSWER_WAIT_S};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) < 0) {
		close(fd);
		return -1;
	}
	set(fd, SOL_NETLINK, NETLINK_CAP_ACK, 1);
	set(fd, SOL_NETLINK, NETLINK_EXT_ACK, 1);
	set(fd, SOL_SOCKET, SO_SNDBUFFORCE, (int)sending * 2);
	return fd;
}

static int send_all(int fd, struct slice s)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t n;

	do
		n = sendto(fd, s.p, s.n, 0, (struct sockaddr *)&kernel, sizeof(kernel));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static ssize_t receive(int fd, char *to, size_t size)
{
	struct sockaddr_nl from;
	struct iovec v = {to, size};
	struct msghdr m;
	ssize_t n;

	do {
		m = (struct msghdr){.msg_name = &from,
			.msg_namelen = sizeof(from),
			.msg_iov = &v,
			.msg_iovlen = 1};
		n = recvmsg(fd, &m, 0);
	} while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid != 0));
	if (n < 0 && errno == EAGAIN)
		errno = ETIMEDOUT;
	if (n >= 0 && m.msg_flags & MSG_TRUNC) {
		errno = EMSGSIZE;
		return -1;
	}
	return n;
}

/* What follows the number: the refused message's header, its body unless capped, then
 * attributes that tell more. */
static void read_words(const struct nl_message *m, struct nl_fault *f)
{
	struct slice rest = m->body;
	uint32_t len, at = 0;
	size_t told = sizeof(int) + NLMSG_HDRLEN;

	if (!(m->flags & NLM_F_ACK_TLVS) || rest.n < told)
		return;
	memcpy(&len, rest.p + sizeof(int), sizeof(len));
	if (!(m->flags & NLM_F_CAPPED))
		told = sizeof(int) + NLMSG_ALIGN((size_t)len);
	if (rest.n < told)
		return;
	rest = (struct slice){rest.p + told, rest.n - told};
	if (nl_u32(nl_find(rest, NLMSGERR_ATTR_OFFS), &at) == 0)
		f->at = at;
	(void)nl_text(nl_find(rest, NLMSGERR_ATTR_MSG), f->text, sizeof(f->text));
}

/* The number in an acknowledgement or at the end of a dump; 0: all is well. */
static int read_verdict(const struct nl_message *m, struct nl_fault *f)
{
	int error = 0;

	if (m->body.n >= sizeof(error))
		memcpy(&error, m->body.p, sizeof(error));
	else if (m->type == NLMSG_ERROR)
		return fail(f, EPROTO);
	if (error >= 0)
		return 0;
	f->seq = m->seq;
	if (m->type == NLMSG_ERROR)
		read_words(m, f);
	return fail(f, -error);
}

/* 1: that was the end. */
static int hear(const struct nl_ask *a, const struct nl_message *m, struct nl_fault *f)
{
	if (m->flags & NLM_F_DUMP_INTR)
		return fail(f, EINTR);
	if (m->type == NLMSG_ERROR || m->type == NLMSG_DONE) {
		if (read_verdict(m, f))
			return -1;
		return m->type == NLMSG_DONE || m->seq == a->last;
	}
	return a->each && a->each(a->arg, m) ? fail(f, 0) : 0;
}

/* Refusals come first, in the order of the messages; then the last one's answer. */
static int hear_all(int fd, const struct nl_ask *a, struct nl_fault *f)
{
	char bytes[ANSWER_ROOM];
	struct nl_message m;
	int rc = 0, got;

	while (rc == 0) {
		ssize_t n = receive(fd, bytes, sizeof(bytes));
		struct slice rest = slice_bytes(bytes, n < 0 ? 0 : (size_t)n);

		if (n < 0)
			return fail(f, errno);
		while (rc == 0 && (got = nl_next_message(&rest, &m)) != 0)
			rc = got < 0 ? fail(f, EPROTO) : hear(a, &m, f);
	}
	return rc < 0 ? -1 : 0;
}

int nl_ask(const struct nl_ask *a, struct nl_fault *f)
{
	int fd, rc;

	*f = (struct nl_fault){0};
	if (a->messages->failed)
		return fail(f, ENOMEM);
	fd = open_socket(a->protocol, buf_len(a->messages));
	if (fd < 0)
		return fail(f, errno);
	rc = send_all(fd, buf_slice(a->messages)) ? fail(f, errno) : hear_all(fd, a, f);
	close(fd);
	return rc;
}
