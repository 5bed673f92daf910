/* SPDX-License-Identifier: Apache-2.0 */
/* Run by the build: is there a word in a chart that this binary does not understand? */
#include <stdio.h>

#include "chart/chart.h"

int main(void)
{
	struct err e = {0};

	if (chart_check(&e) == 0)
		return 0;
	fprintf(stderr, "deploy/charts/%s\n", e.msg);
	return 1;
}
