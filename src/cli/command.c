/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

int command_print(const char *command, const struct buf *out)
{
	struct slice text = buf_slice(out);

	if (!text.p)
		return 0;
	if (fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "mesh %s: cannot write\n", command);
	return 1;
}

int command_as_group(void *cluster, const char *text, struct err *e)
{
	struct kube_config *c = cluster;

	if (c->n_as_groups == KUBE_GROUPS_MAX)
		return err_set(e, ERR_LIMIT, "more than %d groups", KUBE_GROUPS_MAX);
	c->as_groups[c->n_as_groups++] = text;
	return 0;
}
