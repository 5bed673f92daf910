/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/session.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "t.h"
#include "testca.h"
#include "tlspair.h"

#define WEB    "web.emojivoto.serviceaccount.identity.linkerd.cluster.local"
#define VOTING "voting.emojivoto.serviceaccount.identity.linkerd.cluster.local"

/* Credentials of two workloads and a pair between them, as most tests want it. */
struct mesh {
	struct testca ca;
	struct tls_config client, server;
	struct tlspair pair;
};

static void mesh_init(struct mesh *m)
{
	*m = (struct mesh){0};
	testca_init(&m->ca);
	m->client = (struct tls_config){
		.creds = testca_creds(&m->ca, WEB), .sni = VOTING, .expect = VOTING};
	m->server = (struct tls_config){
		.creds = testca_creds(&m->ca, VOTING), .ask_client_cert = true};
}

static void mesh_fini(struct mesh *m)
{
	tlspair_fini(&m->pair);
	ref_put(creds_ref(m->client.creds));
	ref_put(creds_ref(m->server.creds));
	testca_fini(&m->ca);
}

TEST(a_mutual_handshake_tells_each_side_who_the_other_is)
{
	struct mesh m;

	mesh_init(&m);
	tlspair_init(&m.pair, &m.client, &m.server);
	OK(tlspair_run(&m.pair, TLSPAIR_WHOLE));
	EQ_STR(tls_peer_id(m.pair.client), VOTING);
	EQ_STR(tls_peer_id(m.pair.server), WEB);
	EQ_STR(tls_sni(m.pair.server), VOTING);
	EQ_STR(tls_alpn(m.pair.server), "");
	mesh_fini(&m);
}
