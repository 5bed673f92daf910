/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/caps.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

void caps_use(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		return;
	d[0].effective = d[0].permitted;
	d[1].effective = d[1].permitted;
	(void)syscall(
		SYS_capset, &h, d); /* never more than permitted: it cannot fail */
}
