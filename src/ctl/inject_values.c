/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/obj.h"
#include "ctl/inject_int.h"
#include "wire/patch.h"
#include "wire/yaml.h"

/* The chart's names; what is not here has no effect. */
static const char presets[] =
	""
	"namespace: mesh\n"
	"linkerdVersion: ''\n"
	"clusterDomain: cluster.local\n"
	"clusterNetworks: "
	"10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8\n"
	"identityTrustDomain: ''\n"
	"identityTrustAnchorsPEM: ''\n"
	"identity:\n"
	"  serviceAccountTokenProjection: true\n"
	"cniEnabled: false\n"
	"disableIPv6: true\n"
	"proxy:\n"
	"  image: {name: mesh/proxy, version: '" MESH_VERSION
	"', pullPolicy: IfNotPresent}\n"
	"  ports: {admin: 4191, control: 4190, inbound: 4143, outbound: 4140}\n"
	"  resources:\n"
	"    cpu: {limit: '', request: ''}\n"
	"    memory: {limit: '', request: ''}\n"
	"    ephemeral-storage: {limit: '', request: ''}\n"
	"  runtime: {workers: {minimum: 1, maximumCPURatio: ''}}\n"
	"  uid: 2102\n"
	"  gid: -1\n"
	"  cores: 0\n"
	"  logLevel: warn,linkerd=info\n"
	"  logFormat: plain\n"
	"  logHTTPHeaders: 'off'\n"
	"  accessLog: ''\n"
	"  opaquePorts: 25,587,3306,4444,5432,6379,9300,11211\n"
	"  podInboundPorts: ''\n"
	"  requireIdentityOnInboundPorts: ''\n"
	"  requireTLSOnInboundPorts: ''\n"
	"  enableExternalProfiles: false\n"
	"  inboundConnectTimeout: 100ms\n"
	"  outboundConnectTimeout: 1000ms\n"
	"  inboundDiscoveryCacheUnusedTimeout: 90s\n"
	"  outboundDiscoveryCacheUnusedTimeout: 5s\n"
	"  disableInboundProtocolDetectTimeout: false\n"
	"  disableOutboundProtocolDetectTimeout: false\n"
	"  defaultInboundPolicy: all-unauthenticated\n"
	"  isGateway: false\n"
	"  isIngress: false\n"
	"  await: true\n"
	"  nativeSidecar: true\n"
	"  shutdownGracePeriod: ''\n"
	"  enableShutdownEndpoint: false\n"
	"  waitBeforeExitSeconds: 0\n"
	"  metrics: {hostnameLabels: false}\n"
	"  additionalEnv: []\n"
	"  control: {streams: {initialTimeout: 3s, idleTimeout: 5m, lifetime: 1h}}\n"
	"  inbound: {server: {http2: {keepAliveInterval: 10s, keepAliveTimeout: 3s}}}\n"
	"  outbound: {server: {http2: {keepAliveInterval: 10s, keepAliveTimeout: "
	"3s}}}\n"
	"  startupProbe: {initialDelaySeconds: 0, periodSeconds: 1, failureThreshold: "
	"120}\n"
	"  livenessProbe: {initialDelaySeconds: 10, timeoutSeconds: 1}\n"
	"  readinessProbe: {initialDelaySeconds: 2, timeoutSeconds: 1}\n"
	"proxyInit:\n"
	"  image: {name: '', version: '', pullPolicy: ''}\n"
	"  ignoreInboundPorts: 4567,4568\n"
	"  ignoreOutboundPorts: 4567,4568\n"
	"  kubeAPIServerPorts: 443,6443\n"
	"  skipSubnets: ''\n"
	"  closeWaitTimeoutSecs: 0\n"
	"  runAsRoot: false\n"
	"  runAsUser: 65534\n"
	"  runAsGroup: 65534\n"
	"  logLevel: info\n"
	"  logFormat: plain\n"
	"  resources:\n"
	"    cpu: {limit: '', request: ''}\n"
	"    memory: {limit: '', request: ''}\n"
	"    ephemeral-storage: {limit: '', request: ''}\n"
	"networkValidator:\n"
	"  logLevel: info\n"
	"  logFormat: plain\n"
	"  connectAddr: 1.1.1.1:20001\n"
	"  listenAddr: 0.0.0.0:4140\n"
	"  timeout: 10s\n"
	"debugContainer:\n"
	"  enabled: false\n"
	"  image: {name: mesh/debug, version: '" MESH_VERSION
	"', pullPolicy: IfNotPresent}\n";

static const struct {
	const char *path, *from; /* an empty one is as the other */
} fallbacks[] = {
	{"identityTrustDomain", "clusterDomain"},
	{"proxyInit.image.name", "proxy.image.name"},
	{"proxyInit.image.version", "proxy.image.version"},
	{"proxyInit.image.pullPolicy", "proxy.image.pullPolicy"},
};

struct json *inject_values_read(struct slice yaml, struct err *e)
{
	struct json *values = yaml_parse(SLICE(presets), NULL), *own;
	struct err why = {0};
	int r = 0;

	must(values);
	own = yaml_parse(yaml, &why);
	if (own && json_kind(own) != JSON_OBJECT)
		r = err_set(e, ERR_SYNTAX, "values: not a map");
	else if (own)
		r = patch_merge(&values, own, e);
	else if (why.code != ERR_MISSING)
		r = err_set(e, why.code, "values: %s", why.msg);
	json_free(own);
	if (r == 0 && settings_check(values, e) == 0)
		return values;
	json_free(values);
	return NULL;
}

void inject_values_set_anchors(struct json *values, struct slice pem)
{
	json_set(values, "identityTrustAnchorsPEM", json_string_n(pem));
}

/* ---- by path ---- */

const char *value_text(const struct json *values, const char *path, char out[64])
{
	const struct json *j = json_path(values, path);

	switch (json_kind(j)) {
	case JSON_TEXT:
		return json_text(j);
	case JSON_INT:
		snprintf(out, 64, "%" PRId64, json_int(j, 0));
		return out;
	case JSON_REAL:
		snprintf(out, 64, "%g", json_real(j, 0));
		return out;
	case JSON_BOOL:
		return json_bool_at(values, path, false) ? "true" : "false";
	case JSON_NONE:
	case JSON_NULL:
	case JSON_LIST:
	case JSON_OBJECT:
		break;
	}
	return "";
}

static const char *with_fallback(
	const struct json *values, const char *path, char out[64])
{
	const char *text = value_text(values, path, out);

	for (size_t i = 0; i < countof(fallbacks) && !*text; i++)
		if (strcmp(fallbacks[i].path, path) == 0)
			text = value_text(values, fallbacks[i].from, out);
	return text;
}

bool value_is_set(const struct json *values, const char *path)
{
	const struct json *j = json_path(values, path);
	char out[64];
	const char *text = value_text(values, path, out);

	if (json_kind(j) == JSON_LIST || json_kind(j) == JSON_OBJECT)
		return json_count(j) > 0;
	return *text && strcmp(text, "false") != 0 && strcmp(text, "0") != 0;
}

void value_set(struct json *values, const char *path, struct json *value)
{
	struct slice rest = slice_of(path), part;
	char key[64];

	while (slice_cut(&rest, '.', &part)) {
		snprintf(key, sizeof key, "%.*s", SLICE_FMT(part));
		if (!rest.n)
			break;
		values = json_need_object(values, key);
	}
	json_set(values, key, value);
}

void value_expand(const struct json *values, const char *text, struct buf *out)
{
	char path[96], number[64];

	while (*text) {
		size_t plain = strcspn(text, "<"), n;

		buf_add(out, text, plain);
		text += plain;
		if (!*text)
			return;
		n = strcspn(text, ">");
		must(text[n] && n < sizeof path);
		snprintf(path, sizeof path, "%.*s", (int)n - 1, text + 1);
		buf_text(out, with_fallback(values, path, number));
		text += n + 1;
	}
}

struct json *value_string(const struct json *values, const char *text)
{
	struct buf b = BUF_INIT;
	struct json *j;

	value_expand(values, text, &b);
	j = json_string_n(buf_slice(&b));
	buf_fini(&b);
	return j;
}
