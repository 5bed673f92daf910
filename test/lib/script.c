/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define REQUEST_MAX 65536

static int listen_on_loopback(uint16_t *port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof sin) || listen(fd, 16) ||
		getsockname(fd, (struct sockaddr *)&sin, &len))
		abort();
	*port = ntohs(sin.sin_port);
	return fd;
}

/* How many bytes the request has once its head is there; 0: more of the head. */
static size_t request_size(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "ontent-length: ");

	if (!end)
		return 0;
	if (!length)
		length = strstr(text, "ontent-Length: ");
	return (size_t)(end + 4 - text) +
	       (length && length < end ? strtoul(length + 15, NULL, 10) : 0);
}

static void read_request(int fd, char text[REQUEST_MAX])
{
	size_t have = 0;

	for (;;) {
		ssize_t n = read(fd, text + have, REQUEST_MAX - 1 - have);

		if (n <= 0)
			return;
		have += (size_t)n;
		text[have] = '\0';
		if (request_size(text) && have >= request_size(text))
			return;
	}
}

static int swaps(const struct script_step *s)
{
	return s->begins && s->begins[0] == '~';
}

static int is_meant(const struct script_step *s, const char *text)
{
	const char *begins = s->begins ? s->begins + swaps(s) : "";

	return strncmp(text, begins, strlen(begins)) == 0 &&
	       (!s->has || strstr(text, s->has));
}

static void swap(struct script_step *s)
{
	struct script_step first = s[0];

	s[0] = s[1];
	s[1] = first;
	s[1].begins += swaps(&s[1]);
}

static int serve(int fd, struct script_step *s)
{
	static char text[REQUEST_MAX];
	ssize_t n = 0;

	text[0] = '\0';
	read_request(fd, text);
	if (swaps(s) && !is_meant(s, text))
		swap(s);
	if (!is_meant(s, text)) {
		printf("# expected %s … %s, got:\n# %s\n", s->begins ? s->begins : "",
			s->has ? s->has : "", text);
		return 1;
	}
	for (size_t at = 0; at < strlen(s->answer) && n >= 0; at += (size_t)n)
		n = write(fd, s->answer + at, strlen(s->answer) - at);
	return 0;
}

static int serve_all(int listener, struct script_step *steps, size_t n)
{
	alarm(10);
	for (size_t i = 0; i < n; i++) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || serve(fd, &steps[i])) {
			printf("# step %zu\n", i);
			fflush(stdout);
			return 1;
		}
		shutdown(fd, SHUT_WR);
		while (read(fd, (char[64]){0}, 64) > 0)
			;
		close(fd);
	}
	return 0;
}

void script_start(struct script *s, const struct script_step *steps, size_t n)
{
	int fd = listen_on_loopback(&s->port);

	fflush(stdout);
	s->pid = fork();
	if (s->pid == 0) {
		struct script_step *own = calloc(n + 1, sizeof *own);

		if (!own)
			abort();
		for (size_t i = 0; i < n; i++)
			own[i] = steps[i];
		_exit(serve_all(fd, own, n));
	}
	close(fd);
}

int script_is_over(struct script *s)
{
	if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
		s->pid = 0;
	return s->pid == 0;
}

int script_passed(struct script *s)
{
	if (s->pid && waitpid(s->pid, &s->status, 0) != s->pid)
		return 0;
	s->pid = 0;
	return s->status == 0;
}
