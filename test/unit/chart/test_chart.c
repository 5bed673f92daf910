/* SPDX-License-Identifier: Apache-2.0 */
/* What the charts say, beyond what helm says of them as well (test/chart). */
#include "chart/chart.h"

#include "base/obj.h"
#include "chart/files.h"
#include "chart/values.h"
#include "ctl/inject_docs.h"
#include "t.h"
#include "tls/key.h"
#include "wire/yaml.h"

static const struct tmpl_host host = {.sha256_hex = sha256_hex};

/* The control plane with more values. */
static struct json *render(const char *more, struct json **values)
{
	struct json *own = json_object(), *objects;
	struct chart_job job = {.chart = "control",
		.release = "mesh",
		.namespace = "mesh",
		.service = "CLI",
		.host = &host};
	struct err e = {0};

	OK(values_set(own,
		   "identityTrustAnchorsPEM=anchors,identity.issuer.tls.crtPEM=crt,"
		   "identity.issuer.tls.keyPEM=key,proxyInjector.crtPEM=hook,"
		   "proxyInjector.keyPEM=hookkey",
		   VALUES_TYPED, NULL, NULL) == 0);
	if (values_set(own, more, VALUES_TYPED, NULL, &e) ||
		!(*values = chart_values("control", own, &e)))
		T_FAIL("%s: %s", more, e.msg);
	job.values = *values;
	objects = chart_render(&job, &e);
	if (!objects)
		T_FAIL("%s: %s", more, e.msg);
	json_free(own);
	return objects;
}

static const struct json *find(
	const struct json *objects, const char *kind, const char *name)
{
	json_each(o, objects)
	{
		if (strcmp(json_text_or(o, "kind", ""), kind) == 0 &&
			strcmp(json_text_or(o, "metadata.name", ""), name) == 0)
			return o;
	}
	T_FAIL("no %s %s", kind, name);
}

TEST(every_chart_is_understood_and_of_this_version)
{
	struct err e = {0};
	size_t charts = 0;

	if (chart_check(&e))
		T_FAIL("%s", e.msg);
	for (size_t i = 0; i < chart_files_count; i++) {
		struct chart_file f = chart_files_at(i);
		struct json *meta;

		if (!slice_ends(slice_of(f.path), SLICE("/Chart.yaml")))
			continue;
		meta = yaml_parse(f.text, NULL);
		EQ_STR(json_text_or(meta, "version", ""), MESH_VERSION);
		EQ_STR(json_text_or(meta, "appVersion", ""), MESH_VERSION);
		json_free(meta);
		charts++;
	}
	OK(charts >= 2);
}

/* ---- the chart's proxies and the injector's ---- */

static void drop_named(struct json *list, const char *name)
{
	for (struct json *it = json_first(list), *next; it; it = next) {
		next = json_next(it);
		if (strcmp(json_text_or(it, "name", ""), name) == 0)
			json_free(json_detach(list, it));
	}
}

/* The Deployment without what injection adds. */
static struct json *bare(const struct json *deployment)
{
	static const char *const labels[] = {"linkerd.io/control-plane-ns",
		"linkerd.io/proxy-deployment", "linkerd.io/workload-ns"};
	static const char *const annotations[] = {"linkerd.io/created-by",
		"linkerd.io/proxy-version", "linkerd.io/trust-root-sha256"};
	struct json *d = json_copy(deployment);
	struct json *meta = json_path(d, "spec.template.metadata");
	struct json *spec = json_path(d, "spec.template.spec");

	for (size_t i = 0; i < countof(labels); i++) {
		json_remove(json_get(meta, "labels"), labels[i]);
		json_remove(json_get(meta, "annotations"), annotations[i]);
	}
	json_remove(spec, "initContainers");
	drop_named(json_get(spec, "containers"), "mesh-proxy");
	drop_named(json_get(spec, "containers"), "mesh-debug");
	drop_named(json_get(spec, "volumes"), "mesh-identity-end-entity");
	drop_named(json_get(spec, "volumes"), "mesh-identity-trust-roots");
	drop_named(json_get(spec, "volumes"), "mesh-identity-token");
	return d;
}

static struct json *injected(const struct json *d, const struct json *values)
{
	struct docs_job job = {.what = DOCS_INJECT, .values = values};
	struct docs_report report = {0};
	struct buf in = BUF_INIT, out = BUF_INIT;
	struct json *j;

	OK(yaml_write(d, &in) == 0);
	OK(docs_transform(&job, buf_slice(&in), &out, &report, NULL) == 0);
	j = yaml_parse(buf_slice(&out), NULL);
	OK(j);
	docs_report_fini(&report);
	buf_fini(&in);
	buf_fini(&out);
	return j;
}

/* Who made it is the one difference; an empty list is none. */
static struct json *comparable(struct json *d)
{
	struct json *spec = json_path(d, "spec.template.spec");

	json_remove(json_path(d, "spec.template.metadata.annotations"),
		"linkerd.io/created-by");
	if (json_count(json_get(spec, "volumes")) == 0)
		json_remove(spec, "volumes");
	return d;
}

static void check_same(const char *set, const struct json *d, const struct json *values)
{
	struct json *without = bare(d), *want, *got;
	struct buf a = BUF_INIT, b = BUF_INIT;

	want = comparable(injected(without, values));
	got = comparable(json_copy(d));
	if (!json_equal(got, want)) {
		yaml_write(got, &a);
		yaml_write(want, &b);
		buf_char(&a, '\0');
		buf_char(&b, '\0');
		for (const char *x = a.p, *y = b.p; *x && *y; x++, y++)
			if (*x != *y)
				T_FAIL("%s: %s: the chart has \"%.60s\", the injector "
				       "\"%.60s\"",
					set, json_text_or(d, "metadata.name", ""), x,
					y);
		T_FAIL("%s: one is longer", set);
	}
	json_free(without);
	json_free(want);
	json_free(got);
}

TEST(the_charts_proxies_are_as_the_injector_makes_them)
{
	static const char *const sets[] = {
		"",
		"cniEnabled=true",
		"proxy.nativeSidecar=false",
		"proxy.nativeSidecar=false,proxy.await=false",
		"disableIPv6=false,clusterDomain=example.org,proxy.gid=7",
		"identityTrustDomain=corp.example,identity."
		"serviceAccountTokenProjection="
		"false",
		"proxy.resources.cpu.limit=1500m,proxy.resources.cpu.request=100m",
		"proxy.resources.cpu.limit=2,proxy.resources.cpu.request=3",
		"proxy.resources.memory.limit=250Mi,proxy.cores=4",
		"proxy.runtime.workers.maximumCPURatio=0.5,proxy.runtime.workers."
		"minimum=2",
		"proxy.accessLog=apache,proxy.opaquePorts=,proxy.isGateway=true",
		"proxy.isIngress=true,proxy.metrics.hostnameLabels=true",
		"proxy.enableExternalProfiles=true,proxy.shutdownGracePeriod=30s",
		"proxy.additionalEnv[0].name=A,proxy.additionalEnv[0].value=b",
		"proxy.disableInboundProtocolDetectTimeout=true",
		"proxy.disableOutboundProtocolDetectTimeout=true",
		"proxy.requireIdentityOnInboundPorts=80,proxy.podInboundPorts=81",
		"proxy.requireTLSOnInboundPorts=82,proxy.waitBeforeExitSeconds=5",
		"proxyInit.closeWaitTimeoutSecs=60",
		"proxyInit.runAsRoot=true,proxyInit.skipSubnets=10.0.0.0/8",
		"proxyInit.ignoreInboundPorts=,proxyInit.ignoreOutboundPorts=,"
		"proxyInit.kubeAPIServerPorts=",
		"proxyInit.image.name=a/b,proxyInit.image.version=v1,"
		"proxyInit.resources.cpu.limit=100m",
		"proxy.image.version=v9,proxy.image.name=a/proxy,proxy.uid=1000660000",
		"proxy.startupProbe.initialDelaySeconds=3",
		"debugContainer.enabled=true,linkerdVersion=v3",
		"networkValidator.timeout=20s,cniEnabled=true",
	};
	static const char *const names[] = {
		"mesh-identity", "mesh-destination", "mesh-injector"};

	for (size_t i = 0; i < countof(sets); i++) {
		struct json *complete, *values;
		struct json *objects = render(sets[i], &complete);
		const struct json *config = find(objects, "ConfigMap", "mesh-config");

		values = inject_values_read(
			slice_of(json_text_or(config, "data.values", "")), NULL);
		OK(values);
		for (size_t k = 0; k < countof(names); k++)
			check_same(
				sets[i], find(objects, "Deployment", names[k]), values);
		json_free(values);
		json_free(complete);
		json_free(objects);
	}
}

/* ---- what pods may ---- */

static void check_container(const struct json *c, bool may_redirect)
{
	const struct json *s = json_get(c, "securityContext");
	const struct json *add = json_path(s, "capabilities.add");

	OK(json_bool_at(s, "readOnlyRootFilesystem", false));
	OK(json_bool_at(s, "runAsNonRoot", false));
	OK(!json_bool_at(s, "allowPrivilegeEscalation", true));
	OK(!json_bool_at(s, "privileged", false));
	EQ_STR(json_text_or(s, "seccompProfile.type", ""), "RuntimeDefault");
	EQ_STR(json_text_or(s, "capabilities.drop.0", ""), "ALL");
	if (may_redirect && strcmp(json_text_or(c, "name", ""), "mesh-init") == 0)
		EQ_STR(json_text_or(add, "0", ""), "NET_ADMIN");
	else
		OK(json_count(add) == 0);
}

TEST(no_container_may_more_than_it_needs)
{
	for (int cni = 0; cni < 2; cni++) {
		struct json *values,
			*objects = render(
				cni ? "cniEnabled=true" : "cniEnabled=false", &values);

		json_each(o, objects)
		{
			json_each(c, json_path(o, "spec.template.spec.containers"))
			{
				check_container(c, !cni);
			}
			json_each(c, json_path(o, "spec.template.spec.initContainers"))
			{
				check_container(c, !cni);
			}
		}
		json_free(values);
		json_free(objects);
	}
}

static bool may_evict(const char *sets)
{
	struct json *values, *objects = render(sets, &values);
	bool yes = false;

	json_each(rule,
		json_get(find(objects, "ClusterRole", "mesh-mesh-injector"), "rules"))
	{
		yes |= strcmp(json_text_or(rule, "resources.0", ""), "pods/eviction") ==
		       0;
	}
	json_free(values);
	json_free(objects);
	return yes;
}

TEST(the_injector_may_evict_only_where_it_is_to_repair)
{
	OK(may_evict(""));
	OK(!may_evict("proxyInjector.repairPods=false"));
}

/* ---- keys ---- */

TEST(no_key_is_in_the_config_that_others_read)
{
	struct json *values, *objects = render("", &values);
	const char *config = json_text_or(
		find(objects, "ConfigMap", "mesh-config"), "data.values", "");

	OK(strstr(config, "identityTrustAnchorsPEM: anchors"));
	OK(!strstr(config, "keyPEM") && !strstr(config, "hookkey"));
	json_free(values);
	json_free(objects);
}

TEST(what_is_somebody_elses_is_not_made)
{
	struct json *values, *objects = render("identity.issuer.scheme=kubernetes.io/"
					       "tls,identity.externalCA=true,"
					       "proxyInjector.externalSecret=true",
				     &values);

	json_each(o, objects)
	{
		OK(strcmp(json_text_or(o, "kind", ""), "Secret") != 0);
		OK(strcmp(json_text_or(o, "metadata.name", ""),
			   "mesh-identity-trust-roots") != 0);
	}
	json_free(values);
	json_free(objects);
}
