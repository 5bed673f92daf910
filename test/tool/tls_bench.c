/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What TLS costs here: CPU of a full mutual handshake per side, bytes sealed and opened
 * a second by each engine, heap of a session at rest.  `tls_bench [seconds]`.
 */
#include <malloc.h>
#include <stdio.h>
#include <time.h>

#include "base/obj.h"
#include "testca.h"
#include "tls/gcm.h"
#include "tlspair.h"

#define CLIENT "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
#define SERVER "voting.emojivoto.serviceaccount.identity.linkerd.cluster.local"

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct side {
	struct tls *tls;
	struct buf in;
	double cpu;
	int is;
};

static void side_step(struct side *s, struct side *peer)
{
	double before = cpu_seconds();
	struct slice in = buf_slice(&s->in);
	size_t used;

	s->is = tls_handshake(
		s->tls, (const uint8_t *)in.p, in.n, &used, &peer->in, NULL);
	must(s->is >= 0);
	buf_take(&s->in, used);
	s->cpu += cpu_seconds() - before;
}

static void handshake(struct side *client, struct side *server,
	const struct tls_config *client_cfg, const struct tls_config *server_cfg)
{
	double before = cpu_seconds();

	client->is = server->is = 0;
	client->tls = tls_client(client_cfg, NULL);
	client->cpu += cpu_seconds() - before;
	before = cpu_seconds();
	server->tls = tls_server(server_cfg, NULL);
	server->cpu += cpu_seconds() - before;
	must(client->tls && server->tls);
	side_step(client, server);
	while (!client->is || !server->is) {
		side_step(server, client);
		if (!client->is)
			side_step(client, server);
	}
}

static void bench_handshakes(double seconds, bool same_peer)
{
	struct side client = {0}, server = {0};
	double start = cpu_seconds();
	struct testca ca;
	unsigned n = 0;

	testca_init(&ca);
	while (cpu_seconds() - start < seconds) {
		struct creds *a = testca_creds(&ca, CLIENT),
			     *b = testca_creds(&ca, SERVER);
		struct tls_config c = {.creds = a, .sni = SERVER, .expect = SERVER};
		struct tls_config s = {.creds = b, .ask_client_cert = true};

		for (unsigned i = 0; i < (same_peer ? 100 : 1); i++, n++) {
			handshake(&client, &server, &c, &s);
			tls_free(client.tls);
			tls_free(server.tls);
		}
		ref_put(creds_ref(a));
		ref_put(creds_ref(b));
	}
	printf("handshake, %-20s client %6.1f us  server %6.1f us CPU\n",
		same_peer ? "a peer seen before:" : "a new peer:", client.cpu / n * 1e6,
		server.cpu / n * 1e6);
	testca_fini(&ca);
}

static void bench_records(double seconds, const char *engine, size_t size)
{
	static uint8_t rec[TLS_RECORD_MAX + TLS_RECORD_EXTRA];
	static struct gcm g;
	uint8_t nonce[GCM_NONCE] = {0}, key[GCM_KEY] = {1};
	double start, seal, open = 0, n = 0;

	if (!gcm_use(engine))
		return;
	must(gcm_init(&g, key) == 0);
	start = cpu_seconds();
	do {
		for (int i = 0; i < 64; i++)
			gcm_seal(&g, nonce, nonce, 5, rec, size);
		n += 64;
	} while ((seal = cpu_seconds() - start) < seconds);
	start = cpu_seconds();
	for (double i = 0; i < n; i++)
		(void)gcm_open(
			&g, nonce, nonce, 5, rec, size); /* the time is what counts */
	open = cpu_seconds() - start;
	printf("%-12s %6zu B  seal %6.2f GB/s  open %6.2f GB/s\n", engine, size,
		n * (double)size / seal / 1e9, n * (double)size / open / 1e9);
	gcm_fini(&g);
}

static void bench_memory(void)
{
	enum { PAIRS = 1000 };
	static struct side client[PAIRS], server[PAIRS];
	struct testca ca;
	size_t before;

	testca_init(&ca);
	struct tls_config c = {
		.creds = testca_creds(&ca, CLIENT), .sni = SERVER, .expect = SERVER};
	struct tls_config s = {
		.creds = testca_creds(&ca, SERVER), .ask_client_cert = true};
	before = mallinfo2().uordblks;
	for (int i = 0; i < PAIRS; i++)
		handshake(&client[i], &server[i], &c, &s);
	printf("heap of a session at rest: %zu B\n",
		(mallinfo2().uordblks - before) / PAIRS / 2);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? strtod(argv[1], NULL) : 1;
	static const size_t sizes[] = {100, 1024, 4096, 16384};
	const char *engine;

	bench_handshakes(seconds, false);
	bench_handshakes(seconds, true);
	bench_memory();
	for (size_t i = 0; (engine = gcm_engine_name(i)); i++) {
		for (size_t k = 0; k < countof(sizes); k++)
			bench_records(seconds / 20, engine, sizes[k]);
	}
	return 0;
}
