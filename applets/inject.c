/* SPDX-License-Identifier: Apache-2.0 */
/* mesh inject, mesh uninject: manifests in, manifests with (or without) the mesh out.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/obj.h"
#include "cli/ask.h"
#include "cli/command.h"
#include "ctl/inject_docs.h"
#include "wire/yaml.h"

int inject_main(int argc, char **argv);
int uninject_main(int argc, char **argv);

/* Flags that become annotations: name, setting, what --help says. */
#define SETTINGS(X)                                                                    \
	X(PROXY_IMAGE, "proxy-image", "proxy-image", "image of the proxy")             \
	X(PROXY_VERSION, "proxy-version", "proxy-version", "tag of that image")        \
	X(PULL, "image-pull-policy", "image-pull-policy", "of our images")             \
	X(IN_PORT, "inbound-port", "inbound-port", "where the proxy takes inbound")    \
	X(OUT_PORT, "outbound-port", "outbound-port", "where it takes outbound")       \
	X(CONTROL_PORT, "control-port", "control-port", "where it is tapped")          \
	X(ADMIN_PORT, "admin-port", "admin-port", "where its metrics are")             \
	X(SKIP_IN, "skip-inbound-ports", "skip-inbound-ports", "left alone, inbound")  \
	X(SKIP_OUT, "skip-outbound-ports", "skip-outbound-ports", "left alone, out")   \
	X(SUBNETS, "skip-subnets", "skip-subnets", "sources that are left alone")      \
	X(OPAQUE, "opaque-ports", "opaque-ports", "ports whose bytes are not read")    \
	X(REQUIRE, "require-identity-on-inbound-ports",                                \
		"proxy-require-identity-inbound-ports", "ports for the mesh only")     \
	X(POLICY, "default-inbound-policy", "default-inbound-policy",                  \
		"who may connect where no Server says")                                \
	X(LOG_LEVEL, "proxy-log-level", "proxy-log-level", "what the proxy logs")      \
	X(ACCESS_LOG, "access-log", "access-log", "apache or json")                    \
	X(CPU_REQUEST, "proxy-cpu-request", "proxy-cpu-request", "of the proxy")       \
	X(CPU_LIMIT, "proxy-cpu-limit", "proxy-cpu-limit", "of the proxy")             \
	X(MEM_REQUEST, "proxy-memory-request", "proxy-memory-request", "of the proxy") \
	X(MEM_LIMIT, "proxy-memory-limit", "proxy-memory-limit", "of the proxy")       \
	X(UID, "proxy-uid", "proxy-uid", "user of the proxy")                          \
	X(GID, "proxy-gid", "proxy-gid", "group of the proxy")                         \
	X(CLOSE_WAIT, "close-wait-timeout", "close-wait-timeout", "conntrack's")       \
	X(GRACE, "shutdown-grace-period", "shutdown-grace-period",                     \
		"how long the proxy drains")                                           \
	X(WAIT, "wait-before-exit-seconds", "proxy-wait-before-exit-seconds",          \
		"how long the proxy stays before it drains")

enum setting_id {
#define X(id, flag, setting, help) SETTING_##id,
	SETTINGS(X)
#undef X
		SETTING_COUNT
};

static const char *const setting_names[] = {
#define X(id, flag, setting, help) setting,
	SETTINGS(X)
#undef X
};

struct inject_app {
	const char *set[SETTING_COUNT];
	const char *output, *values, *anchors, *namespace, *kubeconfig, *context;
	bool manual, ingress, debug, native, external, verbose, offline;
};

#define AT(field) offsetof(struct inject_app, field)
#define YES(name, at, text)                                                            \
	{                                                                              \
		.flag = name, .kind = OPT_BOOL, .offset = at, .help = text             \
	}
#define SAY(name, at, a, text)                                                         \
	{                                                                              \
		.flag = name, .kind = OPT_TEXT, .offset = at, .arg = a, .help = text   \
	}
#define OUTPUT                                                                         \
	{                                                                              \
		.flag = "output", .brief = 'o', .kind = OPT_TEXT, .preset = "yaml",    \
		.offset = AT(output), .arg = "FORM", .help = "yaml or json"            \
	}

static const struct opt options[] = {
	YES("manual", AT(manual), "put the proxy in here, not in the cluster"),
	YES("ingress", AT(ingress), "for ingress controllers: route by authority"),
	YES("enable-debug-sidecar", AT(debug), "add a container to look around from"),
	YES("enable-external-profiles", AT(external), "profiles for names outside"),
	{.flag = "native-sidecar",
		.kind = OPT_BOOL,
		.preset = "true",
		.offset = AT(native),
		.help = "=false: a container as any other"},
#define X(id, name, setting, text)                                                     \
	SAY(name, AT(set) + SETTING_##id * sizeof(char *), "TEXT", text),
	SETTINGS(X)
#undef X
		SAY("values", AT(values), "FILE",
			"--manual: values; else the cluster's"),
	SAY("identity-trust-anchors-file", AT(anchors), "FILE",
		"--manual: trust anchors; else as the values or the cluster say"),
	YES("ignore-cluster", AT(offline), "--manual: ask no cluster"),
	COMMAND_CLUSTER(AT(namespace), AT(kubeconfig), AT(context)),
	YES("verbose", AT(verbose), "also say what is in order"),
	OUTPUT,
};

static const struct opt uninject_options[] = {
	YES("verbose", AT(verbose), "also say what is in order"),
	OUTPUT,
};

static void complain(void *arg, const char *what)
{
	fprintf(stderr, "mesh %s: %s\n", (const char *)arg, what);
}

/* ---- what comes in ---- */

static int read_stdin(struct buf *out, struct err *e)
{
	char piece[4096];
	size_t n;

	while ((n = fread(piece, 1, sizeof piece, stdin)) > 0)
		if (buf_len(out) > YAML_MAX || buf_add(out, piece, n))
			return err_set(e, ERR_LIMIT, "more than %zu bytes", YAML_MAX);
	return ferror(stdin) ? err_sys(e, "standard input") : 0;
}

static int is_manifest(const struct dirent *d)
{
	struct slice name = slice_of(d->d_name);

	return slice_ends(name, SLICE(".yaml")) || slice_ends(name, SLICE(".yml")) ||
	       slice_ends(name, SLICE(".json"));
}

static int read_path(const char *path, struct buf *out, struct err *e);

static int read_folder(const char *path, struct buf *out, struct err *e)
{
	struct dirent **names;
	int n = scandir(path, &names, is_manifest, alphasort), r = 0;

	if (n < 0)
		return err_sys(e, "%s", path);
	for (int i = 0; i < n; i++) {
		struct buf file = BUF_INIT;

		buf_printf(&file, "%s/%s", path, names[i]->d_name);
		buf_char(&file, '\0');
		if (r == 0)
			r = read_path(file.p, out, e);
		buf_fini(&file);
		free(names[i]);
	}
	free(names);
	return r;
}

static int read_path(const char *path, struct buf *out, struct err *e)
{
	struct stat st;
	int r;

	if (strstr(path, "://"))
		return err_set(
			e, ERR_SYNTAX, "%s: fetch it first, and give \"-\"", path);
	if (strcmp(path, "-") == 0)
		r = read_stdin(out, e);
	else if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return read_folder(path, out, e);
	else
		r = file_read(path, YAML_MAX, out, e);
	buf_text(out, "\n---\n");
	return r;
}

/* ---- the cluster ---- */

/* A member of a ConfigMap of the control plane, as text: owned. */
static char *ask_cluster(
	struct inject_app *app, const char *map, const char *key, struct err *e)
{
	struct ask *a = ask_new(app->kubeconfig, app->context, e);
	struct json *got = NULL;
	char path[512], *text = NULL;
	const char *value;

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/configmaps/%s",
		app->namespace, map);
	if (a)
		got = ask_get(a, path, e);
	if (got) {
		value = json_text(json_get(json_get(got, "data"), key));
		text = slice_dup(slice_of(value ? value : ""));
	}
	json_free(got);
	ask_free(a);
	return text;
}

static int read_setup(struct inject_app *app, const char *file, const char *map,
	const char *key, struct buf *out, struct err *e)
{
	char *text;

	if (file)
		return file_read(file, YAML_MAX, out, e);
	if (app->offline)
		return 0;
	text = ask_cluster(app, map, key, e);
	if (!text)
		return err_wrap(e, "%s of the control plane", map);
	buf_text(out, text);
	free(text);
	return 0;
}

static struct json *read_values(struct inject_app *app, struct err *e)
{
	struct buf yaml = BUF_INIT, pem = BUF_INIT;
	struct json *values = NULL;

	if (read_setup(app, app->values, "mesh-config", "values", &yaml, e) == 0)
		values = inject_values_read(buf_slice(&yaml), e);
	if (values)
		json_set_text(values, "namespace", app->namespace);
	if (values && (app->anchors ||
			      !*json_text_or(values, "identityTrustAnchorsPEM", ""))) {
		if (read_setup(app, app->anchors, "mesh-identity-trust-roots",
			    "ca-bundle.crt", &pem, e)) {
			json_free(values);
			values = NULL;
		} else
			inject_values_set_anchors(values, buf_slice(&pem));
	}
	buf_fini(&yaml);
	buf_fini(&pem);
	return values;
}

/* ---- inject ---- */

static void annotate(struct json *map, const char *setting, const char *value)
{
	char key[128];

	snprintf(key, sizeof key, INJECT_CONFIG "%s", setting);
	json_set_text(map, key, value);
}

static struct json *annotations(const struct inject_app *app, int *mistakes)
{
	struct json *map = json_object();
	struct err e;

	if (!app->manual || app->ingress)
		json_set_text(
			map, INJECT_ANNOTATION, app->ingress ? "ingress" : "enabled");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		if (!app->set[i])
			continue;
		if (inject_setting_check(setting_names[i], app->set[i], &e)) {
			fprintf(stderr, "mesh inject: %s: %s\n", setting_names[i],
				e.msg);
			++*mistakes;
		}
		annotate(map, setting_names[i], app->set[i]);
	}
	if (app->debug)
		annotate(map, "enable-debug-sidecar", "true");
	if (app->external)
		annotate(map, "enable-external-profiles", "true");
	if (!app->native)
		annotate(map, "proxy-enable-native-sidecar", "false");
	return map;
}

static int write_all(struct slice s)
{
	return (s.n && fwrite(s.p, 1, s.n, stdout) != s.n) || fflush(stdout) ? -1 : 0;
}

/* Nothing is printed but whole manifests. */
static int transform(
	const struct docs_job *job, char **paths, int n, bool verbose, struct err *e)
{
	struct docs_report report = {0};
	struct buf in = BUF_INIT, out = BUF_INIT, said = BUF_INIT;
	int r = 0;

	for (int i = 0; i < n && r == 0; i++)
		r = read_path(paths[i], &in, e);
	if (r == 0)
		r = docs_transform(job, buf_slice(&in), &out, &report, e);
	if (r == 0 && write_all(buf_slice(&out)))
		r = err_sys(e, "write");
	if (r == 0) {
		docs_report_write(&report, verbose, &said);
		fwrite(said.p + said.at, 1, buf_len(&said), stderr);
	}
	docs_report_fini(&report);
	buf_fini(&in);
	buf_fini(&out);
	buf_fini(&said);
	return r;
}

static int check_words(const char *verb, const struct inject_app *app, int n)
{
	if (n == 0)
		fprintf(stderr, "mesh %s: which file? (\"-\": standard input)\n", verb);
	if (strcmp(app->output, "yaml") != 0 && strcmp(app->output, "json") != 0) {
		fprintf(stderr, "mesh %s: -o: neither yaml nor json\n", verb);
		n = 0;
	}
	return n == 0 ? -1 : 0;
}

static int end(const char *verb, int r, const struct err *e)
{
	if (r)
		fprintf(stderr, "mesh %s: %s\n", verb, e->msg);
	return r ? 1 : 0;
}

int inject_main(int argc, char **argv)
{
	struct inject_app app = {0};
	struct docs_job job = {.what = DOCS_ANNOTATE};
	struct json *map, *values = NULL;
	struct err e = {0};
	int n = 0, mistakes = 0, r = 0;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh inject [option...] FILE|DIR|-...",
			"Prints manifests whose workloads will have a proxy.", options,
			countof(options));
		return 0;
	}
	if (opt_read(options, countof(options), &app, argc, argv, &n, complain,
		    (void *)"inject") ||
		check_words("inject", &app, n))
		return 64;
	map = annotations(&app, &mistakes);
	if (mistakes) {
		json_free(map);
		return 64;
	}
	job.annotations = map;
	job.json = strcmp(app.output, "json") == 0;
	if (app.manual) {
		job.what = DOCS_INJECT;
		job.values = values = read_values(&app, &e);
		r = values ? 0 : -1;
	}
	if (r == 0)
		r = transform(&job, argv + 1, n, app.verbose, &e);
	json_free(map);
	json_free(values);
	return end("inject", r, &e);
}

int uninject_main(int argc, char **argv)
{
	struct inject_app app = {0};
	struct docs_job job = {.what = DOCS_UNINJECT};
	struct err e = {0};
	int n = 0;

	if (opt_asks_help(argc, argv)) {
		opt_help(stdout, "mesh uninject [option...] FILE|DIR|-...",
			"Prints manifests without what mesh inject put in.",
			uninject_options, countof(uninject_options));
		return 0;
	}
	if (opt_read(uninject_options, countof(uninject_options), &app, argc, argv, &n,
		    complain, (void *)"uninject") ||
		check_words("uninject", &app, n))
		return 64;
	job.json = strcmp(app.output, "json") == 0;
	return end("uninject", transform(&job, argv + 1, n, app.verbose, &e), &e);
}
