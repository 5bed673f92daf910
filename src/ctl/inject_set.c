/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/clock.h"
#include "base/obj.h"
#include "ctl/inject_int.h"

/* What a setting may be; each says what its value becomes. */
enum rule {
	RULE_TEXT,   /* one line of printable text */
	RULE_BOOL,   /* true, false */
	RULE_SWITCH, /* enabled, disabled: a bool */
	RULE_PORT,
	RULE_PORTS,  /* 80,8000-8010 */
	RULE_OPAQUE, /* the same, and names of the pod's ports */
	RULE_SUBNETS,
	RULE_QUANTITY,
	RULE_RATIO,
	RULE_NUMBER,   /* whole, not negative; or -1 for a group */
	RULE_DURATION, /* Go's; becomes milliseconds for the proxy */
	RULE_SECONDS,  /* Go's; becomes a whole number */
	RULE_WORD,     /* one of `words` */
	RULE_ENV,      /* a JSON list of environment variables */
};

struct setting {
	const char *name; /* after config.linkerd.io/ */
	const char *path; /* in the values */
	enum rule rule;
	const char *words;
};

#define SET(name, path, rule)                                                          \
	{                                                                              \
		name, path, RULE_##rule, NULL                                          \
	}
#define WORD(name, path, words)                                                        \
	{                                                                              \
		name, path, RULE_WORD, words                                           \
	}
#define POLICIES                                                                       \
	"all-unauthenticated all-authenticated cluster-unauthenticated "               \
	"cluster-authenticated deny audit"

static const struct setting settings[] = {
	SET("proxy-image", "proxy.image.name", TEXT),
	SET("proxy-version", "proxy.image.version", TEXT),
	WORD("image-pull-policy", "proxy.image.pullPolicy",
		"Always IfNotPresent Never"),
	SET("init-image", "proxyInit.image.name", TEXT),
	SET("init-image-version", "proxyInit.image.version", TEXT),
	SET("control-port", "proxy.ports.control", PORT),
	SET("inbound-port", "proxy.ports.inbound", PORT),
	SET("outbound-port", "proxy.ports.outbound", PORT),
	SET("admin-port", "proxy.ports.admin", PORT),
	SET("pod-inbound-ports", "proxy.podInboundPorts", PORTS),
	SET("skip-inbound-ports", "proxyInit.ignoreInboundPorts", PORTS),
	SET("skip-outbound-ports", "proxyInit.ignoreOutboundPorts", PORTS),
	SET("skip-subnets", "proxyInit.skipSubnets", SUBNETS),
	SET("opaque-ports", "proxy.opaquePorts", OPAQUE),
	SET("proxy-cpu-request", "proxy.resources.cpu.request", QUANTITY),
	SET("proxy-cpu-limit", "proxy.resources.cpu.limit", QUANTITY),
	SET("proxy-cpu-ratio-limit", "proxy.runtime.workers.maximumCPURatio", RATIO),
	SET("proxy-memory-request", "proxy.resources.memory.request", QUANTITY),
	SET("proxy-memory-limit", "proxy.resources.memory.limit", QUANTITY),
	SET("proxy-ephemeral-storage-request",
		"proxy.resources.ephemeral-storage.request", QUANTITY),
	SET("proxy-ephemeral-storage-limit", "proxy.resources.ephemeral-storage.limit",
		QUANTITY),
	SET("proxy-uid", "proxy.uid", NUMBER),
	SET("proxy-gid", "proxy.gid", NUMBER),
	SET("proxy-log-level", "proxy.logLevel", TEXT),
	WORD("proxy-log-format", "proxy.logFormat", "plain json"),
	WORD("proxy-log-http-headers", "proxy.logHTTPHeaders", "off insecure"),
	WORD("access-log", "proxy.accessLog", "apache json"),
	SET("enable-external-profiles", "proxy.enableExternalProfiles", BOOL),
	SET("proxy-require-identity-inbound-ports",
		"proxy.requireIdentityOnInboundPorts", PORTS),
	SET("proxy-inbound-connect-timeout", "proxy.inboundConnectTimeout", DURATION),
	SET("proxy-outbound-connect-timeout", "proxy.outboundConnectTimeout", DURATION),
	SET("proxy-inbound-discovery-cache-unused-timeout",
		"proxy.inboundDiscoveryCacheUnusedTimeout", DURATION),
	SET("proxy-outbound-discovery-cache-unused-timeout",
		"proxy.outboundDiscoveryCacheUnusedTimeout", DURATION),
	SET("proxy-disable-inbound-protocol-detect-timeout",
		"proxy.disableInboundProtocolDetectTimeout", BOOL),
	SET("proxy-disable-outbound-protocol-detect-timeout",
		"proxy.disableOutboundProtocolDetectTimeout", BOOL),
	SET("enable-gateway", "proxy.isGateway", BOOL),
	SET("enable-debug-sidecar", "debugContainer.enabled", BOOL),
	SET("debug-image", "debugContainer.image.name", TEXT),
	SET("debug-image-version", "debugContainer.image.version", TEXT),
	WORD("debug-image-pull-policy", "debugContainer.image.pullPolicy",
		"Always IfNotPresent Never"),
	SET("close-wait-timeout", "proxyInit.closeWaitTimeoutSecs", SECONDS),
	WORD("default-inbound-policy", "proxy.defaultInboundPolicy", POLICIES),
	SET("proxy-await", "proxy.await", SWITCH),
	SET("shutdown-grace-period", "proxy.shutdownGracePeriod", DURATION),
	SET("proxy-admin-shutdown", "proxy.enableShutdownEndpoint", SWITCH),
	SET("proxy-metrics-hostname-labels", "proxy.metrics.hostnameLabels", BOOL),
	SET("proxy-additional-env", "proxy.additionalEnv", ENV),
	SET("proxy-enable-native-sidecar", "proxy.nativeSidecar", BOOL),
	SET("proxy-wait-before-exit-seconds", "proxy.waitBeforeExitSeconds", NUMBER),
};

/* ---- what each may be ---- */

static bool all_are(const char *text, bool (*ok)(struct slice part))
{
	struct slice rest = slice_of(text), part;

	while (slice_cut(&rest, ',', &part)) {
		part = slice_trim(part);
		if (part.n && !ok(part))
			return false;
	}
	return true;
}

static bool is_ports(struct slice part)
{
	struct portset set = {{0}};

	return portset_parse(part, &set) && !portset_has(&set, 0);
}

static bool is_subnet(struct slice part)
{
	struct cidr c;

	return cidr_parse(part, &c);
}

/* A name of a port (RFC 6335) may stand where a number may. */
static bool is_port_or_name(struct slice part)
{
	if (is_ports(part))
		return true;
	for (size_t i = 0; i < part.n; i++)
		if (!islower((unsigned char)part.p[i]) &&
			!isdigit((unsigned char)part.p[i]) && part.p[i] != '-')
			return false;
	for (size_t i = 0; i < part.n; i++)
		if (islower((unsigned char)part.p[i]))
			return part.n <= 15;
	return false;
}

static bool is_line(const char *text)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return *text && strlen(text) <= 1024;
}

/* "100m", "1.5", "64Mi", "1e3"; not negative. */
static bool is_quantity(const char *text)
{
	static const char *const units[] = {"", "n", "u", "m", "k", "M", "G", "T", "P",
		"E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
	size_t whole = strspn(text, "0123456789"), part = 0;

	text += whole;
	if (*text == '.') {
		part = strspn(text + 1, "0123456789");
		text += 1 + part;
	}
	if (!whole && !part)
		return false;
	for (size_t i = 0; i < countof(units); i++)
		if (strcmp(text, units[i]) == 0)
			return true;
	if (*text != 'e' && *text != 'E')
		return false;
	text += text[1] == '+' || text[1] == '-' ? 2 : 1;
	whole = strspn(text, "0123456789");
	return whole && whole <= 2 && !text[whole];
}

static bool is_ratio(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	return end != text && !*end && isfinite(d) && d > 0 && d <= 1;
}

static bool is_word(const char *words, const char *text)
{
	struct slice rest = slice_of(words), part;

	while (slice_cut(&rest, ' ', &part))
		if (slice_is(part, text))
			return true;
	return false;
}

static bool is_env(const struct json *list)
{
	if (json_kind(list) != JSON_LIST)
		return false;
	json_each(it, list)
	{
		const char *name = json_text_at(it, "name");
		const struct json *value = json_get(it, "value");

		if (!name || !*name || strchr(name, '='))
			return false;
		if (value && json_kind(value) != JSON_TEXT)
			return false;
	}
	return true;
}

static int64_t sign_and_number(const char *text)
{
	uint64_t n;

	if (strcmp(text, "-1") == 0)
		return -1;
	return slice_u64(slice_of(text), INT32_MAX, &n) ? (int64_t)n : -2;
}

static struct json *text_if(bool ok, const char *text)
{
	return ok ? json_string(text) : NULL;
}

static struct json *duration(const char *text, uint64_t unit)
{
	uint64_t ns;
	char out[32];

	if (!duration_parse_go(slice_of(text), &ns))
		return NULL;
	if (unit == NS_PER_S)
		return json_integer((int64_t)((ns + unit - 1) / unit));
	snprintf(out, sizeof out, "%" PRIu64 "ms", ns / NS_PER_MS);
	return json_string(out);
}

static struct json *env_list(const char *text)
{
	struct json *j = json_parse(slice_of(text), NULL);

	if (is_env(j))
		return j;
	json_free(j);
	return NULL;
}

/* What the text becomes, owned; NULL when it is not what the rule says. */
static struct json *value_of(const struct setting *s, const char *text)
{
	uint64_t n;

	switch (s->rule) {
	case RULE_TEXT:
		return text_if(is_line(text), text);
	case RULE_BOOL:
		return is_word("true false", text) ? json_boolean(*text == 't') : NULL;
	case RULE_SWITCH:
		return is_word("enabled disabled", text) ? json_boolean(*text == 'e')
							 : NULL;
	case RULE_PORT:
		return slice_u64(slice_of(text), 65535, &n) && n
			       ? json_integer((int64_t)n)
			       : NULL;
	case RULE_PORTS:
		return text_if(all_are(text, is_ports), text);
	case RULE_OPAQUE:
		return text_if(all_are(text, is_port_or_name), text);
	case RULE_SUBNETS:
		return text_if(all_are(text, is_subnet), text);
	case RULE_QUANTITY:
		return text_if(is_quantity(text), text);
	case RULE_RATIO:
		return text_if(is_ratio(text), text);
	case RULE_NUMBER:
		return sign_and_number(text) >= -1 ? json_integer(sign_and_number(text))
						   : NULL;
	case RULE_DURATION:
		return duration(text, NS_PER_MS);
	case RULE_SECONDS:
		return duration(text, NS_PER_S);
	case RULE_WORD:
		return text_if(is_word(s->words, text), text);
	case RULE_ENV:
		return env_list(text);
	}
	return NULL;
}

static const char *expected(const struct setting *s)
{
	static const char *const texts[] = {[RULE_TEXT] = "a line of text",
		[RULE_BOOL] = "true or false",
		[RULE_SWITCH] = "enabled or disabled",
		[RULE_PORT] = "a port from 1 to 65535",
		[RULE_PORTS] = "ports such as 80,8000-8010",
		[RULE_OPAQUE] = "ports, ranges or names of ports",
		[RULE_SUBNETS] = "subnets such as 10.0.0.0/8",
		[RULE_QUANTITY] = "a quantity such as 100m or 64Mi",
		[RULE_RATIO] = "a ratio between 0 and 1",
		[RULE_NUMBER] = "a whole number",
		[RULE_DURATION] = "a duration such as 500ms or 1m30s",
		[RULE_SECONDS] = "a duration such as 60s",
		[RULE_ENV] = "a JSON list of environment variables"};

	return s->rule == RULE_WORD ? s->words : texts[s->rule];
}

/* ---- from annotations ---- */

/* After the prefix, or NULL when the annotation is no setting's. */
static const char *name_after_prefix(const char *annotation)
{
	static const char *const prefixes[] = {
		INJECT_CONFIG, INJECT_CONFIG_BETA, INJECT_CONFIG_ALFA};

	for (size_t i = 0; i < countof(prefixes); i++)
		if (strncmp(annotation, prefixes[i], strlen(prefixes[i])) == 0)
			return annotation + strlen(prefixes[i]);
	return NULL;
}

static const struct setting *find(const char *name)
{
	for (size_t i = 0; name && i < countof(settings); i++)
		if (strcmp(settings[i].name, name) == 0)
			return &settings[i];
	return NULL;
}

bool setting_is_known(const char *annotation)
{
	return find(name_after_prefix(annotation)) != NULL;
}

static int wrong(const struct setting *s, const char *value, struct err *e)
{
	return err_set(e, ERR_SYNTAX, "\"%.60s\" is not %s%s", value,
		s->rule == RULE_WORD ? "one of " : "", expected(s));
}

int inject_setting_check(const char *name, const char *value, struct err *e)
{
	const struct setting *s = find(name);
	struct json *j;

	if (!s)
		return err_set(e, ERR_MISSING, "no setting has the name %s", name);
	j = value_of(s, value);
	json_free(j);
	return j ? 0 : wrong(s, value, e);
}

static int refuse(const struct plan *p, const struct json *annotation,
	const struct setting *s, struct err *e)
{
	const char *key = json_key(annotation), *text = json_text(annotation);
	bool own = json_get(json_get(p->meta, "annotations"), key);
	struct err why;

	wrong(s, text ? text : "", &why);
	if (own || !p->in->namespace)
		return err_set(e, ERR_DENIED, "annotation %s: %s", key, why.msg);
	return err_set(e, ERR_DENIED, "annotation %s of namespace %s: %s", key,
		p->in->namespace, why.msg);
}

/* Annotations of this prefix that are read elsewhere, or were Linkerd's once. */
static bool is_of_others(const char *name)
{
	static const char *const names[] = {"admission-webhooks", "disable-identity",
		"disable-tap", "trace-collector", "trace-collector-service-account",
		"trust-root-sha256"};

	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int apply(struct plan *p, const struct json *annotation, struct err *e)
{
	const char *name = name_after_prefix(json_key(annotation));
	const struct setting *s = find(name);
	const char *text = json_text(annotation);
	struct json *value;

	if (!s && name && !is_of_others(name))
		plan_warn(p, "annotation %s is not known and has no effect",
			json_key(annotation));
	if (!s)
		return 0;
	value = text ? value_of(s, text) : NULL;
	if (!value)
		return refuse(p, annotation, s, e);
	value_set(p->values, s->path, value);
	json_set_text(p->out->config, s->name, text);
	return 0;
}

int settings_apply(struct plan *p, struct err *e)
{
	json_each(a, p->annotations)
	{
		if (apply(p, a, e))
			return -1;
	}
	return 0;
}

/* ---- of the installation ---- */

/* "90s": the proxy reads that as well as Go does. */
static bool is_one_unit(const char *text)
{
	text += strspn(text, "0123456789");
	return is_word("ms s m h", text);
}

/* Also gives durations the form that the proxy reads. */
static bool value_fits(const struct setting *s, struct json *values)
{
	char number[64];
	const char *text = value_text(values, s->path, number);
	struct json *j;

	if (s->rule == RULE_ENV)
		return !json_path(values, s->path) ||
		       is_env(json_path(values, s->path));
	if (!*text || (s->rule == RULE_SECONDS && sign_and_number(text) >= 0))
		return true;
	if (s->rule == RULE_SWITCH)
		return is_word("true false", text);
	j = value_of(s, text);
	if (j && s->rule == RULE_DURATION && !is_one_unit(text))
		value_set(values, s->path, j);
	else
		json_free(j);
	return j != NULL;
}

int settings_check(struct json *values, struct err *e)
{
	struct buf all = BUF_LIMIT(200);
	char number[64];
	int r = 0;

	for (size_t i = 0; i < countof(settings); i++)
		if (!value_fits(&settings[i], values))
			buf_printf(&all, "%s%s: \"%.40s\"", buf_len(&all) ? ", " : "",
				settings[i].path,
				value_text(values, settings[i].path, number));
	if (buf_len(&all))
		r = err_set(e, ERR_SYNTAX, "values: %.*s", SLICE_FMT(buf_slice(&all)));
	buf_fini(&all);
	return r;
}

int64_t quantity_cores(const char *text)
{
	char *end;
	double d = strtod(text, &end);

	if (end == text || !isfinite(d) || d <= 0 || d > 1e6)
		return 0;
	return (int64_t)ceil(strcmp(end, "m") == 0 ? d / 1000 : d);
}
