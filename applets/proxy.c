/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/proxy.h"

#include <stdio.h>

#include "base/opt.h"

int proxy_main(int argc, char **argv);

int proxy_main(int argc, char **argv)
{
	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh-proxy",
			"The data plane: a transparent mTLS proxy, configured by its "
			"environment\n"
			"(LINKERD2_PROXY_*).  Ends with 64 when that is wrong, naming "
			"every mistake.",
			NULL, 0);
		return 0;
	}
	return proxy_run();
}
