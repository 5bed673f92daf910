/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/podproc.h"

#include "base/obj.h"
#include "t.h"

#define UID "0f6c29e1-4b0c-4d6e-8a57-3f2b9a1c7d5e"

static const struct {
	const char *cgroup, *uid;
} table[] = {
	{"0::/kubepods/besteffort/pod" UID "/3a1f\n", UID},
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-"
	 "pod0f6c29e1_4b0c_4d6e_8a57_3f2b9a1c7d5e.slice/cri-containerd-3a1f.scope\n",
		UID},
	{"5:cpu,cpuacct:/user.slice\n4:pids:/mesh0/node-1/kubepods/pod" UID "/9\n",
		UID},
	{"0::/../../pod" UID "/x", UID},
	{"0::/pod" UID, UID},
	{"0::/pod0f6c29e1-4b0c-4d6e-8a57-3f2b9a1c7d5", NULL},
	{"0::/pod0f6c29e1-4b0c-4d6e-8a57-3f2b9a1c7dXe/", NULL},
	{"0::/tripod" UID "/x", NULL},
	{"0::/system.slice/containerd.service\n", NULL},
	{"", NULL},
};

TEST(a_pod_is_found_in_its_cgroup)
{
	for (size_t i = 0; i < countof(table); i++) {
		char uid[POD_UID] = "";
		bool found = podproc_uid(slice_of(table[i].cgroup), uid);

		if (found != (table[i].uid != NULL))
			T_FAIL("%s", table[i].cgroup);
		if (found)
			EQ_STR(uid, table[i].uid);
	}
}
