/* SPDX-License-Identifier: Apache-2.0 */
/* The process that holds a pod's namespaces open. As PID 1 of a pod that shares
 * its PID namespace, it also reaps what the other containers orphan. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void reap(int sig)
{
	(void)sig;
	while (waitpid(-1, 0, WNOHANG) > 0)
		;
}
static void stop(int sig)
{
	(void)sig;
	_exit(0);
}

int main(void)
{
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	signal(SIGCHLD, reap);
	for (;;)
		pause();
}
