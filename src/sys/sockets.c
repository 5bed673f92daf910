/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/sockets.h"

#include <stdio.h>

/* proc(5), /proc/net/tcp: what the kernel still keeps of a closed socket is root's. */
enum {
	TCP_ESTABLISHED_ = 1,
	TCP_SYN_SENT_ = 2,
	TCP_CLOSE_WAIT_ = 8,
	TCP_LISTEN_ = 10,
};

static bool is_in_use(unsigned state)
{
	return state == TCP_ESTABLISHED_ || state == TCP_SYN_SENT_ ||
	       state == TCP_CLOSE_WAIT_ || state == TCP_LISTEN_;
}

static bool others_in(const char *path, uid_t self)
{
	FILE *f = fopen(path, "re");
	unsigned state, user;
	char line[512];
	bool found = false;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof line, f))
		found = sscanf(line, " %*d: %*s %*s %x %*s %*s %*s %u", &state,
				&user) == 2 &&
			is_in_use(state) && user != self;
	fclose(f);
	return found;
}

bool sockets_of_others(uid_t self)
{
	return others_in("/proc/net/tcp", self) || others_in("/proc/net/tcp6", self);
}
