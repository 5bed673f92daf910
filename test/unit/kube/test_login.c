/* SPDX-License-Identifier: Apache-2.0 */
/* Requests as a kubeconfig's user: exec plugins, impersonation, proxies. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/config.h"
#include "script.h"
#include "t.h"

static struct loop *loop;
static struct dns *dns;
static char dir[64];
static int status;
static struct err failure;

static const char *file(const char *name, const char *fmt, ...) PRINTF_LIKE(2, 3);
static const char *file(const char *name, const char *fmt, ...)
{
	static char path[2][200];
	static unsigned turn;
	char *p = path[turn++ % 2];
	va_list ap;
	FILE *f;

	if (!*dir) {
		snprintf(dir, sizeof dir, "/tmp/mesh-login-XXXXXX");
		OK(mkdtemp(dir));
	}
	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	f = fopen(p, "w");
	OK(f);
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
	chmod(p, 0755);
	return p;
}

static void cleanup(void)
{
	char command[100];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	OK(system(command) == 0);
}

static void on_answer(void *arg, int code, const struct json *body, const struct err *e)
{
	(void)arg, (void)body;
	status = code;
	failure = *e;
	loop_stop(loop);
}

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static struct kube *begin(const struct kube_config *cfg, struct err *e)
{
	log_filter_set(SLICE("off"), NULL);
	loop = loop_new(e);
	dns = dns_new(loop, NULL, e);
	return kube_new(loop, dns, cfg, e);
}

static void end(struct kube *k)
{
	if (k)
		kube_free(k);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
}

static void get(struct kube *k, const char *path)
{
	(void)kube_request(k, "GET", path, NULL, NULL, on_answer, NULL);
	OK(loop_run(loop, NULL) == 0);
}

#define CONFIG(port, user)                                                             \
	"current-context: a\n"                                                         \
	"contexts: [{name: a, context: {cluster: a, user: a}}]\n"                      \
	"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d', "               \
	"extensions: [{name: client.authentication.k8s.io/exec, extension: {x: "       \
	"z}}]}}]\n"                                                                    \
	"users: [{name: a, user: {" user "}}]\n",                                      \
		port
#define EXEC(version, more)                                                            \
	"exec: {command: ./plugin, apiVersion: client.authentication.k8s.io/" version  \
	", " more "}"
#define SAYS(version, status)                                                          \
	"echo '{\"kind\": \"ExecCredential\", \"apiVersion\": "                        \
	"\"client.authentication.k8s.io/" version "\", \"status\": {" status "}}'\n"

/* What the plugin says, with each run added to the file "runs". */
static void plugin(const char *says)
{
	file("plugin", "#!/bin/sh\ncd \"${0%%/*}\"\necho run >>runs\n%s", says);
}

static int runs(void)
{
	char path[100];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/runs", dir);
	f = fopen(path, "r");
	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

TEST(a_plugins_token_is_used_and_kept_until_it_expires)
{
	static const struct script_step steps[] = {
		{"GET /one ", "uthorization: Bearer t-a", SCRIPT_OK "{}"},
		{"GET /two ", "uthorization: Bearer t-a", SCRIPT_OK "{}"},
	};
	struct kube_config cfg = {0};
	struct script s;
	struct err e = {0};
	struct kube *k;

	script_start(&s, steps, countof(steps));
	plugin(SAYS("v1beta1", "\"token\": \"t-a\", \"expirationTimestamp\": "
			       "\"2999-01-01T00:00:00Z\""));
	cfg.kubeconfig = file("config", CONFIG(s.port, EXEC("v1beta1", "")));
	k = begin(&cfg, &e);
	if (!k)
		T_FAIL("%s", e.msg);
	get(k, "/one");
	get(k, "/two");
	EQ_INT(status, 200);
	EQ_INT(runs(), 1);
	end(k);
	OK(script_passed(&s));
	cleanup();
}

TEST(a_plugin_is_asked_again_when_its_token_has_expired_or_was_refused)
{
	static const struct script_step steps[] = {
		{"GET /one ", NULL, SCRIPT_STATUS("401 Unauthorized") "{}"},
		{"GET /two ", "Bearer t-2", SCRIPT_OK "{}"},
	};
	static const struct script_step later[] = {
		{"GET /one ", "Bearer t-4", SCRIPT_OK "{}"},
		{"GET /two ", "Bearer t-5", SCRIPT_OK "{}"},
	};
	struct kube_config cfg = {0};
	struct script s;
	struct err e = {0};
	struct kube *k;

	file("plugin", "#!/bin/sh\ncd \"${0%%/*}\"\necho run >>runs\n"
		       "n=$(wc -l <runs)\n"
		       "test $n -gt 2 && past=', \"expirationTimestamp\": "
		       "\"2000-01-01T00:00:00Z\"'\n"
		       "echo '{\"kind\": \"ExecCredential\", \"apiVersion\": "
		       "\"client.authentication.k8s.io/v1\", \"status\": {\"token\": "
		       "\"t-'$n'\"'$past'}}'\n");
	script_start(&s, steps, countof(steps));
	cfg.kubeconfig = file("config", CONFIG(s.port, EXEC("v1", "")));
	k = begin(&cfg, &e);
	OK(k);
	get(k, "/one");
	EQ_INT(status, 401);
	get(k, "/two");
	EQ_INT(status, 200);
	end(k);
	OK(script_passed(&s));
	script_start(&s, later, countof(later)); /* from the third run on: expired */
	cfg.kubeconfig = file("config", CONFIG(s.port, EXEC("v1", "")));
	k = begin(&cfg, &e);
	OK(k);
	get(k, "/one");
	get(k, "/two");
	EQ_INT(status, 200);
	EQ_INT(runs(), 5);
	end(k);
	OK(script_passed(&s));
	cleanup();
}

TEST(a_plugin_has_its_words_its_environment_and_what_it_is_told_of_the_cluster)
{
	static const struct script_step steps[] = {
		{"GET /one ", "Bearer get-token,b c,from-config,", SCRIPT_OK "{}"}};
	struct kube_config cfg = {0};
	struct script s;
	struct err e = {0};
	struct kube *k;
	char info[2000] = "", path[100];
	FILE *f;

	script_start(&s, steps, countof(steps));
	setenv("LOGIN_TEST", "from-outside", 1);
	plugin("echo \"$KUBERNETES_EXEC_INFO\" >info\n" SAYS(
		"v1", "\"token\": \"'\"$1,$2,$LOGIN_TEST,\"'\""));
	cfg.kubeconfig = file("config",
		CONFIG(s.port, EXEC("v1", "args: [get-token, 'b c'], "
					  "env: [{name: LOGIN_TEST, value: "
					  "from-config}], provideClusterInfo: true, "
					  "interactiveMode: Never")));
	k = begin(&cfg, &e);
	if (!k)
		T_FAIL("%s", e.msg);
	get(k, "/one");
	EQ_INT(status, 200);
	snprintf(path, sizeof path, "%s/info", dir);
	f = fopen(path, "r");
	OK(f && fgets(info, sizeof info, f));
	fclose(f);
	OK(strstr(info, "\"interactive\":false"));
	OK(strstr(info, "\"config\":{\"x\":\"z\"}"));
	OK(strstr(info, "\"server\":\"http://127.0.0.1:"));
	end(k);
	OK(script_passed(&s));
	cleanup();
}

static const struct {
	const char *plugin, *user, *says;
} broken[] = {
	{NULL, EXEC("v1", "installHint: 'Install it: apt install plugin'"),
		"Install it: apt install plugin"},
	{"exit 3", EXEC("v1", ""), "plugin ends with 3"},
	{"kill -9 $$", EXEC("v1", ""), "plugin ends by signal 9"},
	{"echo hello", EXEC("v1", ""), "does not write an ExecCredential as JSON"},
	{"echo '{\"kind\": \"Pod\"}'", EXEC("v1", ""), "it writes the kind \"Pod\""},
	{SAYS("v1beta1", "\"token\": \"t\""), EXEC("v1", ""),
		"speaks client.authentication.k8s.io/v1beta1"},
	{SAYS("v1", ""), EXEC("v1", ""), "neither a token nor a certificate"},
	{SAYS("v1", "\"clientKeyData\": \"t\""), EXEC("v1", ""),
		"it says clientKeyData alone"},
	{SAYS("v1", "\"token\": \"t\", \"expirationTimestamp\": \"soon\""),
		EXEC("v1", ""), "\"soon\" is no time"},
	{SAYS("v1", "\"token\": \"t\""), EXEC("v1", "interactiveMode: Always"),
		"there is no terminal"},
};

TEST(what_is_wrong_with_a_plugin_is_said)
{
	OK(freopen("/dev/null", "r", stdin));
	for (size_t i = 0; i < countof(broken); i++) {
		struct kube_config cfg = {0};
		struct err e = {0};
		struct kube *k;

		*dir = '\0';
		if (broken[i].plugin)
			plugin(broken[i].plugin);
		cfg.kubeconfig = file("config",
			"current-context: a\n"
			"contexts: [{name: a, context: {cluster: a, user: a}}]\n"
			"clusters: [{name: a, cluster: {server: 'http://x'}}]\n"
			"users: [{name: a, user: {%s}}]\n",
			broken[i].user);
		k = begin(&cfg, &e);
		OK(!k);
		if (!strstr(e.msg, broken[i].says))
			T_FAIL("want %s, got %s", broken[i].says, e.msg);
		end(k);
		cleanup();
	}
}

TEST(one_may_act_for_another)
{
	static const struct script_step steps[] = {
		{"GET /one ", "mpersonate-user: jane\r\n", SCRIPT_OK "{}"},
		{"GET /two ",
			"mpersonate-group: dev\r\nimpersonate-group: ops\r\n"
			"impersonate-extra-a%2Fb: 1\r\n",
			SCRIPT_OK "{}"},
		{"GET /one ", "mpersonate-user: joe\r\n", SCRIPT_OK "{}"},
	};
	struct kube_config cfg = {.as_groups = {"ops"}, .n_as_groups = 1};
	struct script s;
	struct err e = {0};
	struct kube *k;

	script_start(&s, steps, countof(steps));
	cfg.kubeconfig = file("config",
		CONFIG(s.port, "username: u, password: p, as: jane, as-groups: [dev], "
			       "as-user-extra: {a/b: ['1']}"));
	k = begin(&cfg, &e);
	OK(k);
	get(k, "/one");
	get(k, "/two");
	end(k);
	cfg.as = "joe";
	k = begin(&cfg, &e);
	OK(k);
	get(k, "/one");
	EQ_INT(status, 200);
	end(k);
	OK(script_passed(&s));
	cleanup();
}

TEST(a_group_alone_is_nobody)
{
	struct kube_config cfg = {.as_groups = {"ops"}, .n_as_groups = 1};
	struct kube_target t;
	struct err e = {0};

	cfg.kubeconfig = file("config", CONFIG(1, "token: t"));
	OK(kube_target_read(&t, &cfg, &e));
	OK(strstr(e.msg, "--as-group needs --as"));
	kube_target_fini(&t);
	cleanup();
}

TEST(files_of_KUBECONFIG_are_read_together_and_the_first_wins)
{
	struct kube_config cfg = {0};
	struct kube_target t;
	struct err e = {0};
	char list[300];

	mkdir(file("sub", "x"), 0700);
	file("ca.pem", "ca of the second");
	file("one", "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
		    "users: [{name: u, user: {token: first}}]\n");
	file("two", "current-context: a\n"
		    "contexts: [{name: a, context: {cluster: none}}]\n"
		    "clusters: [{name: c, cluster: {server: 'https://h', "
		    "certificate-authority: ca.pem}}]\n"
		    "users: [{name: u, user: {token: second}}]\n");
	snprintf(list, sizeof list, "%s/missing:%s/one::%s/two", dir, dir, dir);
	setenv("KUBECONFIG", list, 1);
	if (kube_target_read(&t, &cfg, &e))
		T_FAIL("%s", e.msg);
	EQ_STR(t.host, "h");
	EQ_INT(t.port, 443);
	EQ_STR(t.token, "first");
	OK(slice_is(buf_slice(&t.ca), "ca of the second"));
	kube_target_fini(&t);
	snprintf(list, sizeof list, "%s/missing:%s/gone", dir, dir);
	setenv("KUBECONFIG", list, 1);
	OK(kube_target_read(&t, &cfg, &e));
	OK(strstr(e.msg, "KUBECONFIG: no such file: "));
	kube_target_fini(&t);
	cleanup();
}

/* ---- proxies ---- */

static const struct {
	const char *server, *url, *env, *except;
	const char *host; /* NULL: no proxy */
	int port;
	const char *user, *password;
} ways[] = {
	{"https://api:6443", NULL, NULL, NULL, NULL, 0, NULL, NULL},
	{"https://api:6443", NULL, "http://p:3128", NULL, "p", 3128, NULL, NULL},
	{"https://api:6443", NULL, "p:3128", NULL, "p", 3128, NULL, NULL},
	{"https://api:6443", NULL, "http://[::1]:1/", NULL, "::1", 1, NULL, NULL},
	{"https://api:6443", NULL, "http://u:a%40b@p", NULL, "p", 80, "u", "a@b"},
	{"https://api:6443", "socks5://q", "http://p", NULL, "q", 1080, NULL, NULL},
	{"http://api:8080", NULL, "http://p", NULL, NULL, 0, NULL, NULL},
	{"http://api:8080", "http://p", NULL, NULL, "p", 80, NULL, NULL},
	{"https://localhost:6443", NULL, "http://p", NULL, NULL, 0, NULL, NULL},
	{"https://127.0.0.1", NULL, "http://p", NULL, NULL, 0, NULL, NULL},
	{"https://10.1.2.3", NULL, "http://p", "x, 10.0.0.0/8", NULL, 0, NULL, NULL},
	{"https://11.1.2.3", NULL, "http://p", "10.0.0.0/8", "p", 80, NULL, NULL},
	{"https://a.corp", NULL, "http://p", "corp", NULL, 0, NULL, NULL},
	{"https://acorp", NULL, "http://p", "corp", "p", 80, NULL, NULL},
	{"https://a.CORP", NULL, "http://p", ".corp", NULL, 0, NULL, NULL},
	{"https://corp", NULL, "http://p", ".corp", "p", 80, NULL, NULL},
	{"https://corp:1", NULL, "http://p", "corp:2", "p", 80, NULL, NULL},
	{"https://corp:2", NULL, "http://p", "corp:2", NULL, 0, NULL, NULL},
	{"https://corp", "http://p", NULL, "*", "p", 80, NULL, NULL},
	{"https://corp", NULL, "http://p", "*", NULL, 0, NULL, NULL},
};

static void set_env(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

TEST(which_proxy_is_used)
{
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	for (size_t i = 0; i < countof(ways); i++) {
		struct kube_target t = {0};
		struct err e = {0};

		set_env("HTTPS_PROXY", ways[i].env);
		set_env("NO_PROXY", ways[i].except);
		OK(kube_set_server(&t, ways[i].server, &e) == 0);
		if (kube_set_proxy(&t, ways[i].url, &e))
			T_FAIL("way %zu: %s", i, e.msg);
		if (!t.proxy_host != !ways[i].host)
			T_FAIL("way %zu: %s", i, t.proxy_host ? t.proxy_host : "none");
		if (t.proxy_host) {
			EQ_STR(t.proxy_host, ways[i].host);
			EQ_INT(t.proxy_port, ways[i].port);
			EQ_STR(t.via.host, t.host);
			EQ_STR(t.proxy_user ? t.proxy_user : "",
				ways[i].user ? ways[i].user : "");
			EQ_STR(t.proxy_password ? t.proxy_password : "",
				ways[i].password ? ways[i].password : "");
		}
		kube_target_fini(&t);
	}
}

/* A proxy of one connection: reads a head, connects to where the test says, and passes
 * bytes on; ends with 1 when the head is not as it should be. */
static int dial_loopback(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return connect(fd, (struct sockaddr *)&to, sizeof to) ? -1 : fd;
}

static void pass_on(int a, int b)
{
	struct pollfd p[2] = {{.fd = a, .events = POLLIN}, {.fd = b, .events = POLLIN}};
	char part[4096];

	while (poll(p, 2, 5000) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t n = p[i].revents ? read(p[i].fd, part, sizeof part) : 1;

			if (n <= 0)
				return;
			if (p[i].revents && write(p[1 - i].fd, part, (size_t)n) != n)
				return;
		}
}

static void serve_proxy(int listener, const char *want, uint16_t to)
{
	static const char yes[] = "HTTP/1.1 200 Fine\r\nX: y\r\n\r\n";
	char head[2000] = "";
	int fd = accept(listener, NULL, NULL);
	size_t n = 0;

	while (!strstr(head, "\r\n\r\n") && n < sizeof head - 1) {
		ssize_t got = read(fd, head + n, sizeof head - 1 - n);

		if (got <= 0)
			_exit(2);
		n += (size_t)got;
	}
	if (strcmp(head, want) != 0) {
		printf("# the proxy is asked: %s\n", head);
		fflush(stdout);
		_exit(1);
	}
	OK(write(fd, yes, sizeof yes - 1) == sizeof yes - 1);
	pass_on(fd, dial_loopback(to));
	_exit(0);
}

static pid_t proxy(uint16_t *port, const char *want, uint16_t to)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	pid_t pid;

	OK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 4) == 0);
	OK(getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	*port = ntohs(at.sin_port);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		serve_proxy(fd, want, to);
	close(fd);
	return pid;
}

#define THROUGH                                                                        \
	"current-context: a\n"                                                         \
	"contexts: [{name: a, context: {cluster: a}}]\n"                               \
	"clusters: [{name: a, cluster: {server: 'http://api.test:8080/x', "            \
	"proxy-url: 'http://me:pw@127.0.0.1:%d'}}]\n"

TEST(calls_go_through_a_proxy_which_resolves_the_name)
{
	static const struct script_step steps[] = {
		{"GET /x/one HTTP/1.1\r\n", "ost: api.test:8080\r\n", SCRIPT_OK "{}"}};
	struct kube_config cfg = {0};
	struct script s;
	struct err e = {0};
	uint16_t port;
	struct kube *k;
	int how;
	pid_t pid;

	script_start(&s, steps, countof(steps));
	pid = proxy(&port,
		"CONNECT api.test:8080 HTTP/1.1\r\nHost: api.test:8080\r\n"
		"Proxy-Authorization: Basic bWU6cHc=\r\n\r\n",
		s.port);
	cfg.kubeconfig = file("config", THROUGH, port);
	k = begin(&cfg, &e);
	if (!k)
		T_FAIL("%s", e.msg);
	get(k, "/one");
	if (status != 200)
		T_FAIL("%d %s", status, failure.msg);
	end(k);
	OK(script_passed(&s));
	OK(waitpid(pid, &how, 0) == pid && how == 0);
	cleanup();
}

TEST(a_proxy_that_refuses_is_quoted)
{
	static const struct script_step steps[] = {
		{"CONNECT api.test:8080 ", NULL, SCRIPT_STATUS("403 Not for you")}};
	struct kube_config cfg = {0};
	struct script s;
	struct err e = {0};
	struct kube *k;

	script_start(&s, steps, countof(steps));
	cfg.kubeconfig = file("config", THROUGH, s.port);
	k = begin(&cfg, &e);
	OK(k);
	alarm(20); /* the channel tries for ten seconds */
	get(k, "/one");
	EQ_INT(status, 0);
	OK(strstr(failure.msg, "no connection"));
	end(k);
	OK(script_passed(&s));
	cleanup();
}
