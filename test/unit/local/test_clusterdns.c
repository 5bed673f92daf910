/* SPDX-License-Identifier: Apache-2.0 */
#include "local/nodeint.h"
#include "sys/nft.h"
#include "t.h"
#include "wire/dns.h"

static void add(struct store *s, const char *res, const char *text)
{
	struct json *obj = json_parse(slice_of(text), NULL);

	OK(obj);
	EQ_INT(store_create(s, res, obj, NULL, NULL), STORE_OK);
}

static struct store *filled(void)
{
	struct store_config cfg = {0};
	struct store *s = store_new(&cfg, NULL);

	OK(s);
	add(s, "namespaces", "{\"metadata\":{\"name\":\"ns\"}}");
	add(s, "services",
		"{\"metadata\":{\"name\":\"web\",\"namespace\":\"ns\"},\"spec\":{"
		"\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"name\":\"http\","
		"\"port\":80}]}}");
	add(s, "services",
		"{\"metadata\":{\"name\":\"no\",\"namespace\":\"ns\"},\"spec\":{"
		"\"clusterIP\":\"10.96.0.8\",\"ports\":[{\"port\":81}]}}");
	add(s, "services",
		"{\"metadata\":{\"name\":\"db\",\"namespace\":\"ns\"},\"spec\":{"
		"\"clusterIP\":\"None\",\"ports\":[{\"port\":5}]}}");
	add(s, "endpointslices.discovery.k8s.io",
		"{\"metadata\":{\"name\":\"db-1\",\"namespace\":\"ns\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"db\"}},\"ports\":[{\"name\":\"\","
		"\"port\":5}],\"endpoints\":[{\"addresses\":[\"10.244.0.2\"],"
		"\"hostname\":\"db-0\"},{\"addresses\":[\"10.244.0.3\"]},{"
		"\"addresses\":[\"10.244.0.4\"],\"conditions\":{\"ready\":false}}]}");
	add(s, "endpointslices.discovery.k8s.io",
		"{\"metadata\":{\"name\":\"web-1\",\"namespace\":\"ns\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"web\"}},\"ports\":[{\"name\":"
		"\"http\",\"port\":8080}],\"endpoints\":[{\"addresses\":["
		"\"10.244.0.2\"]},{\"addresses\":[\"10.244.0.3\"]}]}");
	return s;
}

static void asks(const char *name, enum dns_type type, enum dns_code code, int answers)
{
	struct store *s = filled();
	struct buf q = BUF_INIT, a = BUF_INIT;
	struct dns_head h;
	size_t at;

	OK(dns_write_query(&q, 7, name, type) == 0);
	OK(cluster_dns_answer(s, "cluster.local", buf_slice(&q), 512, &a));
	OK(dns_read_head((const uint8_t *)a.p + a.at, buf_len(&a), &h, &at, NULL) == 0);
	EQ_INT(h.id, 7);
	EQ_INT(h.code, code);
	EQ_INT(h.answers, answers);
	EQ_INT(h.authorities, !answers && code != DNS_REFUSED);
	buf_fini(&q);
	buf_fini(&a);
	store_free(s);
}

TEST(services_have_their_address)
{
	asks("web.ns.svc.cluster.local", DNS_A, DNS_OK, 1);
	asks("web.ns.svc.cluster.local", DNS_AAAA, DNS_OK, 0);
	asks("_http._tcp.web.ns.svc.cluster.local", DNS_SRV, DNS_OK, 1);
	asks("7.0.96.10.in-addr.arpa", DNS_PTR, DNS_OK, 1);
}

TEST(headless_services_have_those_of_ready_endpoints)
{
	asks("db.ns.svc.cluster.local", DNS_A, DNS_OK, 2);
	asks("db-0.db.ns.svc.cluster.local", DNS_A, DNS_OK, 1);
	asks("10-244-0-3.db.ns.svc.cluster.local", DNS_A, DNS_OK, 1);
}

TEST(pods_are_named_by_dashed_address)
{
	asks("10-1-2-3.ns.pod.cluster.local", DNS_A, DNS_OK, 1);
	asks("x.ns.pod.cluster.local", DNS_A, DNS_NO_NAME, 0);
}

TEST(other_names_are_absent_or_refused)
{
	asks("none.ns.svc.cluster.local", DNS_A, DNS_NO_NAME, 0);
	asks("example.com.ns.svc.cluster.local", DNS_A, DNS_NO_NAME, 0);
	asks("example.com", DNS_A, DNS_REFUSED, 0);
	asks("evilcluster.local", DNS_A, DNS_REFUSED, 0);
}

TEST(a_query_cut_at_any_byte_does_no_harm)
{
	struct store *s = filled();
	struct buf q = BUF_INIT;

	OK(dns_write_query(&q, 7, "_http._tcp.web.ns.svc.cluster.local", DNS_SRV) == 0);
	for (size_t n = 0; n < buf_len(&q); n++) {
		struct buf a = BUF_INIT;
		char *copy = slice_dup((struct slice){q.p + q.at, n});

		(void)cluster_dns_answer(
			s, "cluster.local", slice_bytes(copy, n), 512, &a);
		free(copy);
		buf_fini(&a);
	}
	buf_fini(&q);
	store_free(s);
}

TEST(rules_spread_services_and_refuse_empty_ones)
{
	struct store *s = filled();
	struct cidr pods;
	struct buf b = BUF_INIT;
	struct nft *t;

	OK(cidr_parse(SLICE("10.244.0.0/16"), &pods));
	t = services_rules(s, &pods);
	nft_text(t, &b);
	buf_char(&b, 0);
	OK(strstr(b.p, "ip daddr 10.96.0.7/32 meta l4proto tcp th dport 80 numgen "
		       "random mod 2 0 dnat to 10.244.0.2:8080"));
	OK(strstr(b.p, "ip daddr 10.96.0.7/32 meta l4proto tcp th dport 80 dnat to "
		       "10.244.0.3:8080"));
	OK(strstr(b.p, "ip daddr 10.96.0.8/32 meta l4proto tcp th dport 81 reject with "
		       "tcp reset"));
	OK(!strstr(b.p, "None"));
	nft_free(t);
	buf_fini(&b);
	store_free(s);
}
