/* SPDX-License-Identifier: Apache-2.0 */
#include "viz/stat.h"

#include "base/obj.h"
#include "t.h"

/* Two pods of the Deployment web, one of them without a proxy, and one of a DaemonSet.
 */
static const char pods_json[] =
	"{\"items\":["
	"{\"metadata\":{\"namespace\":\"apps\",\"name\":\"web-h-1\",\"labels\":{"
	"\"pod-template-hash\":\"h\",\"linkerd.io/control-plane-ns\":\"mesh\"},"
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-h\"}]},"
	"\"spec\":{\"serviceAccountName\":\"sa\",\"initContainers\":[{\"name\":\"mesh-"
	"proxy\","
	"\"env\":[{\"name\":\"_l5d_trustdomain\",\"value\":\"td\"}],"
	"\"ports\":[{\"name\":\"linkerd-admin\",\"containerPort\":4999}]}]},"
	"\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.1\"}},"
	"{\"metadata\":{\"namespace\":\"apps\",\"name\":\"web-h-2\",\"labels\":{"
	"\"pod-template-hash\":\"h\"},"
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-h\"}]},"
	"\"status\":{\"phase\":\"Pending\"}},"
	"{\"metadata\":{\"namespace\":\"apps\",\"name\":\"log-x\",\"labels\":{"
	"\"linkerd.io/control-plane-ns\":\"mesh\",\"linkerd.io/"
	"proxy-daemonset\":\"log\"}},"
	"\"spec\":{},\"status\":{\"phase\":\"Running\",\"podIP\":\"10.0.0.3\"}},"
	"{\"metadata\":{\"namespace\":\"apps\",\"name\":\"web-h-old\",\"labels\":{"
	"\"pod-template-hash\":\"h\"},"
	"\"ownerReferences\":[{\"kind\":\"ReplicaSet\",\"name\":\"web-h\"}]},"
	"\"status\":{\"phase\":\"Succeeded\"}}]}";

#define IN(class) "response_total{direction=\"inbound\",classification=\"" class "\"} "
#define LE(le)    "response_latency_ms_bucket{direction=\"inbound\",le=\"" le "\"} "

static const char before[] = IN("success") "100\n" IN("failure") "7\n" LE(
	"1") "50\n" LE("10") "100\n" LE("+Inf") "100\n"
						"tcp_read_bytes_total{direction="
						"\"inbound\",peer=\"src\"} 1000\n";
static const char after[] =
	IN("success") "108\n" IN("failure") "2\n" LE("1") "55\n" LE("10") "109\n" LE(
		"+Inf") "110\n"
			"tcp_open_connections{direction=\"inbound\",peer=\"src\"} 3\n"
			"tcp_open_connections{direction=\"inbound\",peer=\"dst\"} 9\n"
			"tcp_read_bytes_total{direction=\"inbound\",peer=\"src\"} "
			"1500\n"
			"tcp_write_bytes_total{direction=\"inbound\",peer=\"src\"} 20\n"
			"response_total{direction=\"outbound\",dst_deployment=\"db\","
			"dst_namespace=\"data\","
			"dst_service=\"db-svc\",classification=\"success\"} 5\n"
			"response_total{direction=\"outbound\",dst_deployment=\"mail\","
			"dst_namespace="
			"\"apps\",classification=\"success\"} 1\n";

static struct viz_pods pods;
static struct stat_query q;
static struct stat_rows rows;

static void make(void)
{
	struct json *j = json_parse(slice_of(pods_json), NULL);

	OK(j);
	viz_pods_read(j, "mesh", &pods);
	json_free(j);
	EQ_INT(pods.n, 4);
	buf_text(&pods.v[0].before, before);
	buf_text(&pods.v[0].after, after);
	q.seconds = 5;
	q.of = (struct viz_resource){VIZ_DEPLOYMENT, "", ""};
	q.to.kind = q.from.kind = VIZ_KINDS;
}

static void done(void)
{
	stat_rows_fini(&rows);
	viz_pods_fini(&pods);
}

TEST(pods_are_known_by_owner_and_identity)
{
	make();
	EQ_STR(pods.v[0].owner[VIZ_DEPLOYMENT], "web");
	EQ_STR(pods.v[0].owner[VIZ_REPLICASET], "web-h");
	EQ_STR(pods.v[0].owner[VIZ_STATEFULSET], "");
	EQ_STR(pods.v[0].identity, "sa.apps.serviceaccount.identity.mesh.td");
	EQ_INT(pods.v[0].admin.port, 4999);
	OK(pods.v[0].meshed && !pods.v[1].meshed && pods.v[1].counted);
	EQ_STR(pods.v[2].owner[VIZ_DAEMONSET], "log");
	EQ_INT(pods.v[2].admin.port, 4191);
	OK(!pods.v[3].counted);
	done();
}

TEST(what_grew_between_two_readings_counts)
{
	make();
	stat_rows_make(&pods, &q, &rows);
	EQ_INT(rows.n, 1);
	EQ_STR(rows.v[0].name, "web");
	EQ_INT(rows.v[0].meshed, 1);
	EQ_INT(rows.v[0].running, 2);
	OK(rows.v[0].success == 8);
	OK(rows.v[0].failure == 2); /* it was reset: the proxy was restarted */
	OK(rows.v[0].connections == 3 && rows.v[0].read == 500);
	done();
}

TEST(quantiles_are_interpolated_in_their_bucket)
{
	make();
	stat_rows_make(&pods, &q, &rows);
	OK(stat_quantile(&rows.v[0], 0.5) == 1); /* 5 of 10 are below 1 ms */
	OK(stat_quantile(&rows.v[0], 0.7) == 1 + 9 * 2.0 / 4);
	OK(stat_quantile(&rows.v[0], 0.99) == 10); /* in the last one: its beginning */
	rows.v[0].nbuckets = 0;
	OK(stat_quantile(&rows.v[0], 0.5) == 0);
	done();
}

TEST(the_table_is_as_users_know_it)
{
	struct stat_form form = {.seconds = 5};
	struct buf out = BUF_INIT;

	make();
	stat_rows_make(&pods, &q, &rows);
	stat_write_table(&rows, &form, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p,
		"NAME   MESHED   SUCCESS      RPS   LATENCY_P50   LATENCY_P95   "
		"LATENCY_P99   TCP_CONN\n"
		"web       1/2    80.00%   2.0rps           1ms          10ms          "
		"10ms          3\n");
	buf_clear(&out);
	form = (struct stat_form){
		.seconds = 5, .wide = true, .with_ns = true, .prefix = true};
	stat_write_table(&rows, &form, &out);
	buf_char(&out, '\0');
	OK(strstr(out.p, "NAMESPACE   NAME         MESHED"));
	OK(strstr(out.p, "apps        deploy/web      1/2"));
	OK(strstr(out.p, "100.0B/s            4.0B/s\n"));
	buf_fini(&out);
	done();
}

TEST(the_json_has_the_keys_scripts_read)
{
	struct stat_form form = {.seconds = 5};
	struct json *list = json_list();
	struct buf out = BUF_INIT;

	make();
	q.unmeshed = true;
	stat_rows_make(&pods, &q, &rows);
	stat_add_json(&rows, &form, list);
	json_write(list, 0, &out);
	buf_char(&out, '\0');
	EQ_STR(out.p,
		"[{\"namespace\":\"apps\",\"kind\":\"deployment\",\"name\":\"web\","
		"\"meshed\":\"1/2\",\"success\":0.8,\"rps\":2,\"latency_ms_p50\":1,"
		"\"latency_ms_p95\":10,\"latency_ms_p99\":10,\"tcp_open_connections\":"
		"3,"
		"\"tcp_read_bytes_rate\":100,\"tcp_write_bytes_rate\":4}]");
	buf_fini(&out);
	json_free(list);
	done();
}

TEST(requests_are_counted_by_where_they_go_and_where_they_come_from)
{
	make();
	q.to = (struct viz_resource){VIZ_DEPLOYMENT, "db", ""};
	stat_rows_make(&pods, &q, &rows);
	EQ_INT(rows.n, 1);
	EQ_STR(rows.v[0].name, "web");
	OK(rows.v[0].success == 5);
	stat_rows_fini(&rows);

	q.to.kind = VIZ_KINDS;
	q.from = (struct viz_resource){VIZ_DEPLOYMENT, "web", "apps"};
	stat_rows_make(&pods, &q, &rows);
	EQ_INT(rows.n, 2);
	EQ_STR(rows.v[0].name, "mail");
	EQ_STR(rows.v[1].name, "db");
	EQ_STR(rows.v[1].ns, "data");
	stat_rows_fini(&rows);

	q.from.kind = VIZ_KINDS;
	q.of = (struct viz_resource){VIZ_SERVICE, "", ""};
	stat_rows_make(&pods, &q, &rows);
	EQ_INT(rows.n, 1);
	EQ_STR(rows.v[0].name, "db-svc");
	done();
}

TEST(nothing_is_a_dash)
{
	struct stat_form form = {.seconds = 5};
	struct buf out = BUF_INIT;

	make();
	q.of.kind = VIZ_DAEMONSET;
	stat_rows_make(&pods, &q, &rows);
	stat_write_table(&rows, &form, &out);
	buf_char(&out, '\0');
	OK(strstr(out.p, "\nlog       1/1         -     -             -"));
	buf_fini(&out);
	done();
}

TEST(kinds_have_many_names)
{
	enum viz_kind k;

	OK(viz_kind_parse(SLICE("deploy"), &k) && k == VIZ_DEPLOYMENT);
	OK(viz_kind_parse(SLICE("deployments"), &k) && k == VIZ_DEPLOYMENT);
	OK(viz_kind_parse(SLICE("ns"), &k) && k == VIZ_NAMESPACE);
	OK(!viz_kind_parse(SLICE("dep"), &k) && !viz_kind_parse(SLICE(""), &k));
}
