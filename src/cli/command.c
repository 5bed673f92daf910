/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

int command_print(const char *command, const struct buf *out)
{
	struct slice text = buf_slice(out);

	if (fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0)
		return 0;
	fprintf(stderr, "mesh %s: cannot write\n", command);
	return 1;
}
