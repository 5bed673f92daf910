/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API server of the local runtime without a kubelet, for tests with kubectl:
 *	local_api DIR [PORT]
 * It has a node called "here"; pods stay pending.  Says where its kubeconfig is.
 */
#include <signal.h>
#include <stdlib.h>

#include "base/obj.h"
#include "local/api.h"
#include "local/meta.h"
#include "tls/init.h"

static void stop(void *arg, int signo)
{
	(void)signo;
	loop_stop(arg);
}

static int fail(const struct err *e)
{
	fprintf(stderr, "local_api: %s\n", e->msg);
	return 1;
}

int main(int argc, char **argv)
{
	struct local_api_config cfg = {.dir = argc > 1 ? argv[1] : ""};
	struct err e = {0};
	struct loop *l = loop_new(&e);
	struct local_api *a;
	struct store *s;

	tls_init();

	if (argc < 2 || !l || loop_on_signal(l, SIGTERM, stop, l, &e) < 0)
		return fail(&e);
	ip_parse(SLICE("127.0.0.1"), &cfg.at.ip);
	cfg.at.port = (uint16_t)(argc > 2 ? strtoul(argv[2], NULL, 10) : 0);
	cfg.dns = dns_new(l, "/etc/resolv.conf", &e);
	a = local_api_start(l, &cfg, &e);
	if (!a)
		return fail(&e);
	s = local_api_store(a);
	if (!store_get(s, "nodes", "", "here"))
		(void)store_create(
			s, "nodes", meta_new("v1", "Node", "", "here"), NULL, NULL);
	printf("%s\n", local_api_kubeconfig(a));
	fflush(stdout);
	if (loop_run(l, &e) < 0)
		return fail(&e);
	local_api_stop(a);
	dns_free(cfg.dns);
	loop_free(l);
	return 0;
}
