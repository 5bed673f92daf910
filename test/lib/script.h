/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TEST_LIB_SCRIPT_H
#define TEST_LIB_SCRIPT_H

/*
 * An HTTP/1 server that follows a script, in a process of its own: it takes one
 * connection for each step, in order, checks how the request begins and what it has in
 * it, and sends the answer as it stands.
 */
#include <stdint.h>
#include <sys/types.h>

struct script_step {
	const char *begins; /* the request, or NULL: anything; after a "~": the next
			       step may come before it */
	const char *has;    /* somewhere in the request, or NULL */
	const char *answer; /* sent as it is; then the connection is closed */
};

/* The answer's head for a JSON body that the connection's end ends. */
#define SCRIPT_OK                                                                      \
	"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"                        \
	"Connection: close\r\n\r\n"
#define SCRIPT_STATUS(line) "HTTP/1.1 " line "\r\nConnection: close\r\n\r\n"

struct script {
	pid_t pid; /* 0 once it has ended */
	uint16_t port;
	int status;
};

void script_start(struct script *s, const struct script_step *steps, size_t n);
/* The process has ended: all steps are done, or one was not as it should be. */
int script_is_over(struct script *s);
/* All steps were asked for, as they say.  Waits for the process. */
int script_passed(struct script *s);

#endif
