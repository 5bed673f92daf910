/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/query.h"

#include "t.h"

static int parse(const char *text, struct authority *out)
{
	return authority_parse(slice_of(text), "cluster.local", out, NULL);
}

TEST(a_services_name_has_a_port_or_means_80)
{
	struct authority a;

	OK(parse("web.apps.svc.cluster.local:8080", &a) == 0);
	EQ_STR(a.service, "web");
	EQ_STR(a.ns, "apps");
	EQ_STR(a.hostname, "");
	EQ_INT(a.port, 8080);
	OK(a.ip.family == 0);
	OK(parse("web.apps.svc.cluster.local", &a) == 0 && a.port == 80);
	OK(parse("web.apps.svc.cluster.local.:81", &a) == 0 && a.port == 81);
}

TEST(an_instance_has_a_name_before_the_services)
{
	struct authority a;

	OK(parse("db-0.db.apps.svc.cluster.local:5432", &a) == 0);
	EQ_STR(a.hostname, "db-0");
	EQ_STR(a.service, "db");
	EQ_STR(a.ns, "apps");
}

TEST(addresses_are_authorities)
{
	struct authority a;

	OK(parse("10.1.2.3:70", &a) == 0 && a.ip.family == 4 && a.port == 70);
	OK(parse("[fd00::1]:70", &a) == 0 && a.ip.family == 6 && a.port == 70);
	OK(parse("10.1.2.3", &a) == 0 && a.ip.family == 4 && a.port == 80);
}

TEST(what_is_no_authority_is_refused)
{
	static const char *const bad[] = {"", "web", "web.apps", "example.com:80",
		"web.apps.svc.cluster.local:0", "web.apps.svc.cluster.local:65536",
		"web.apps.svc.cluster.local:x",
		"web.apps.svc.cluster.local:", "10.0.0.1:0",
		"a.b.c.d.svc.cluster.local", ".apps.svc.cluster.local",
		"web..svc.cluster.local", "svc.cluster.local", ".svc.cluster.local",
		"we\"b.apps.svc.cluster.local", "web.apps.svc.other.local"};
	char longest[400];
	struct authority a;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (parse(bad[i], &a) == 0)
			T_FAIL("\"%s\" was taken", bad[i]);
	snprintf(longest, sizeof longest, "%0*d.apps.svc.cluster.local", 64, 1);
	OK(parse(longest, &a) < 0);
}

TEST(a_token_says_who_asks)
{
	struct asker w;

	OK(asker_parse(SLICE("{\"ns\":\"apps\",\"nodeName\":\"n1\",\"pod\":\"web-1\"}"),
		   &w, NULL) == 0);
	EQ_STR(w.ns, "apps");
	EQ_STR(w.node, "n1");
	EQ_STR(w.pod, "web-1");
	OK(asker_parse(SLICE("ns:apps"), &w, NULL) == 0);
	EQ_STR(w.ns, "apps");
	OK(asker_parse(SLICE(""), &w, NULL) == 0 && !*w.ns);
	OK(asker_parse(SLICE("{\"ns\":"), &w, NULL) < 0 && !*w.ns);
	OK(asker_parse(SLICE("[]"), &w, NULL) < 0);
	OK(asker_parse(SLICE("{\"ns\":\"a\\nb\"}"), &w, NULL) < 0 && !*w.ns);
}

TEST(a_workload_is_json_or_two_names)
{
	struct asker w;

	OK(workload_parse(SLICE("apps:web-1"), &w, NULL) == 0);
	EQ_STR(w.ns, "apps");
	EQ_STR(w.pod, "web-1");
	OK(workload_parse(SLICE("{\"ns\":\"apps\",\"pod\":\"web-1\"}"), &w, NULL) == 0);
	EQ_STR(w.pod, "web-1");
	OK(workload_parse(SLICE("apps"), &w, NULL) < 0);
	OK(workload_parse(SLICE("apps:"), &w, NULL) < 0);
	OK(workload_parse(SLICE(":web"), &w, NULL) < 0);
	OK(workload_parse(SLICE(""), &w, NULL) < 0);
	OK(workload_parse(SLICE("{\"ns\":\"apps\"}"), &w, NULL) < 0);
}
