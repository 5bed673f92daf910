/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/edges.h"

#include "t.h"

#define CONN(labels, n)                                                                \
	"tcp_open_connections{direction=\"outbound\",peer=\"dst\"," labels "} " n "\n"
#define DB "dst_deployment=\"db\",dst_namespace=\"data\""

static const char text[] = CONN(DB
	",tls=\"true\",server_id=\"db.data.serviceaccount.identity.mesh.td\","
	"target_addr=\"10.0.0.7:1\"",
	"2") CONN(DB
	",tls=\"true\",server_id=\"db.data.serviceaccount.identity.mesh.td\","
	"target_addr=\"10.0.0.8:1\"",
	"1") CONN("dst_deployment=\"mail\",dst_namespace=\"apps\",tls=\"no_identity\","
		  "no_tls_reason=\"not_provided_by_service_discovery\"",
	"1") CONN("dst_deployment=\"gone\",dst_namespace=\"apps\"", "0")
	CONN("target_addr=\"8.8.8.8:1\"", "4");

static struct viz_pods pods;
static struct edges edges;

static void make(const char *ns)
{
	struct json *j =
		json_parse(SLICE("{\"items\":[{\"metadata\":{\"namespace\":\"apps\","
				 "\"name\":\"web-1\","
				 "\"labels\":{\"linkerd.io/control-plane-ns\":\"mesh\","
				 "\"linkerd.io/proxy-deployment\":\"web\"}},\"spec\":{"
				 "\"serviceAccountName\":\"sa\"},\"status\":{\"phase\":"
				 "\"Running\"}}]}"),
			NULL);

	OK(j);
	viz_pods_read(j, "mesh", &pods);
	json_free(j);
	buf_text(&pods.v[0].after, text);
	edges_make(&pods, VIZ_DEPLOYMENT, ns, &edges);
}

static void done(void)
{
	edges_fini(&edges);
	viz_pods_fini(&pods);
}

TEST(edges_are_the_open_connections_between_workloads)
{
	struct buf out = BUF_INIT;

	make("");
	edges_write_table(&edges, false, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p,
		"SRC   DST    SRC_NS   DST_NS   SECURED\n"
		"web   mail   apps     apps     not_provided_by_service_discovery\n"
		"web   db     apps     data     √\n");
	buf_clear(&out);
	edges_write_table(&edges, true, &out);
	buf_char(&out, '\0');
	OK(strstr(out.p, "web   db     apps     data     sa.apps     db.data     √\n"));
	buf_fini(&out);
	done();
}

TEST(a_namespace_is_at_either_end)
{
	make("data");
	EQ_INT(edges.n, 1);
	EQ_STR(edges.v[0].dst, "db");
	done();
	make("other");
	EQ_INT(edges.n, 0);
	done();
}

TEST(the_json_has_the_keys_scripts_read)
{
	struct buf out = BUF_INIT;
	struct json *j;

	make("data");
	j = edges_json(&edges);
	json_write(j, 0, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p,
		"[{\"src\":\"web\",\"src_namespace\":\"apps\",\"dst\":\"db\","
		"\"dst_namespace\":\"data\","
		"\"client_id\":\"sa.apps.serviceaccount.identity.mesh.cluster.local\","
		"\"server_id\":\"db.data.serviceaccount.identity.mesh.td\","
		"\"no_tls_reason\":\"\"}]");
	buf_fini(&out);
	json_free(j);
	done();
}
