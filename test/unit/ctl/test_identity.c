/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "api/api.h"
#include "api/identity.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "ctl/identityint.h"
#include "http/grpc.h"
#include "script.h"
#include "t.h"
#include "testca.h"

#define NAME "web.apps.serviceaccount.identity.mesh.cluster.local"
#define REVIEW                                                                         \
	"POST /apis/authentication.k8s.io/v1/tokenreviews ", "\"token\":\"tok.en\""
#define REVIEWED(status)                                                               \
	"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{\"status\":" status "}"
#define GOOD                                                                           \
	REVIEWED("{\"authenticated\":true,\"user\":{\"username\":"                     \
		 "\"system:serviceaccount:apps:web\"}}")
#define EVENT(ns, what)                                                                \
	{                                                                              \
		"POST /api/v1/namespaces/" ns "/events ", what,                        \
			"HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{}"          \
	}

static struct testca ca;
static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct identity *id;
static struct channel *channel;
static struct script server;
static char dir[] = "/tmp/mesh-identity-XXXXXX";
static char *kubeconfig, *anchors;
static struct buf leaf, issuer; /* of the last answer */
static struct identity_config cfg = {
	.namespace = "mesh",
	.trust_domain = "cluster.local",
	.scheme = "linkerd.io/tls",
	.deployment = "mesh-identity",
	.lifetime = 3600 * NS_PER_S,
	.skew = 10 * NS_PER_S,
	.poll = 20 * NS_PER_MS,
};

static char *path_of(const char *name)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "%s/%s", dir, name);
	return buf_steal(&b);
}

/* As the kubelet does: the new file takes the place of the old. */
static void put_file(const char *name, struct slice text)
{
	char *path = path_of(name), *fresh = path_of("fresh");
	int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	OK(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
	close(fd);
	OK(rename(fresh, path) == 0);
	free(path);
	free(fresh);
}

static void put_issuer(const struct testca *from)
{
	struct buf key = BUF_INIT;

	OK(key_write_pem(from->issuer_key, &key, NULL) == 0);
	put_file("crt.pem", buf_slice(&from->issuer_pem));
	put_file("key.pem", buf_slice(&key));
	buf_fini(&key);
}

static void put_kubeconfig(void)
{
	struct buf b = BUF_INIT;

	buf_printf(&b,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d'}}]\n",
		server.port);
	put_file("kubeconfig", buf_slice(&b));
	buf_fini(&b);
}

static const struct buf *crt_instead, *key_instead; /* its own anchor; or NULL */

static void start(const struct script_step *steps, size_t n)
{
	struct channel_config to = {.host = "127.0.0.1", .kind = HTTP_KIND_2};
	struct kube_config kc = {0};
	struct err e = {0};

	log_filter_set(SLICE("off"), NULL);
	script_start(&server, steps, n);
	OK(mkdtemp(dir));
	testca_init(&ca);
	put_issuer(&ca);
	put_file("anchors.pem", buf_slice(&ca.root_pem));
	if (crt_instead) {
		put_file("crt.pem", buf_slice(crt_instead));
		put_file("key.pem", buf_slice(key_instead));
		put_file("anchors.pem", buf_slice(crt_instead));
	}
	put_kubeconfig();
	loop = loop_new(&e);
	dns = dns_new(loop, NULL, &e);
	kubeconfig = path_of("kubeconfig");
	kc.kubeconfig = kubeconfig;
	kube = kube_new(loop, dns, &kc, &e);
	OK(loop && dns && kube);
	OK(addr_parse(SLICE("127.0.0.1:0"), &cfg.at));
	cfg.issuer_dir = dir;
	anchors = path_of("anchors.pem");
	cfg.anchors = anchors;
	id = identity_new(loop, kube, &cfg, &e);
	if (!id)
		T_FAIL("%s", e.msg);
	to.port = identity_addr(id)->port;
	channel = channel_new(loop, dns, &to, &e);
	OK(channel);
}

/* Runs the loop until `cond` holds; the test's alarm ends a wait without end. */
static bool (*condition)(void);
static void on_tick(struct timer *t)
{
	if (condition())
		loop_stop(loop);
	else
		timer_set(t, 5 * NS_PER_MS);
}

static void wait_until(bool (*cond)(void))
{
	struct timer t = {0};

	condition = cond;
	timer_init(&t, loop, on_tick);
	timer_set(&t, 0);
	OK(loop_run(loop, NULL) == 0);
	timer_clear(&t);
}

static bool is_ready(void)
{
	return identity_is_ready(id);
}

static bool script_ended(void)
{
	return script_is_over(&server);
}

/* What was put off to the turn's end is done. */
static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void stop(void)
{
	static const char *const files[] = {
		"crt.pem", "key.pem", "anchors.pem", "kubeconfig"};

	wait_until(script_ended); /* events are written behind the answer */
	for (size_t i = 0; i < countof(files); i++) {
		char *path = path_of(files[i]);

		unlink(path);
		free(path);
	}
	rmdir(dir);
	channel_free(channel);
	identity_free(id);
	kube_free(kube);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	testca_fini(&ca);
	buf_fini(&leaf);
	buf_fini(&issuer);
	free(kubeconfig);
	free(anchors);
	OK(script_passed(&server));
}

/* ---- a client ---- */

static int status;
static char text[256];
static int64_t until;

static void on_message(void *arg, struct grpc_call *c, struct slice m)
{
	struct arena a = {.limit = 65536};
	Identity__CertifyResponse *r = API_READ(
		Identity__CertifyResponse, identity__certify_response, m, &a, NULL);

	(void)arg, (void)c;
	OK(r && r->valid_until && r->n_intermediate_certificates == 1);
	buf_clear(&leaf);
	buf_clear(&issuer);
	buf_add(&leaf, r->leaf_certificate.data, r->leaf_certificate.len);
	buf_add(&issuer, r->intermediate_certificates[0].data,
		r->intermediate_certificates[0].len);
	until = r->valid_until->seconds;
	arena_fini(&a);
}

static void on_over(void *arg, struct grpc_call *c, int got, const char *why)
{
	(void)arg, (void)c;
	status = got;
	snprintf(text, sizeof text, "%s", why ? why : "");
}

static bool has_status(void)
{
	return status >= 0;
}

static const struct grpc_user client = {on_message, on_over};

/* Asks for `name` with a request for `csr_name`. */
static void ask(const char *name, const char *csr_name, const char *token)
{
	Identity__CertifyRequest q = IDENTITY__CERTIFY_REQUEST__INIT;
	struct key *k = key_generate(NULL);
	struct buf csr = BUF_INIT, out = BUF_INIT;
	struct err e = {0};

	OK(k && csr_write(csr_name, k, &csr, &e) == 0);
	q.identity = slice_dup(slice_of(name));
	q.token = (ProtobufCBinaryData){strlen(token), (uint8_t *)(uintptr_t)token};
	q.certificate_signing_request = (ProtobufCBinaryData){
		buf_len(&csr), (uint8_t *)(uintptr_t)buf_slice(&csr).p};
	OK(api_write(&q, &out) == 0);
	status = -1;
	OK(grpc_call_begin(
		channel, API_CERTIFY, buf_slice(&out), false, &client, NULL, &e));
	wait_until(has_status);
	free(q.identity);
	key_free(k);
	buf_fini(&csr);
	buf_fini(&out);
}

static void check_refused(int want, const char *says)
{
	if (status != want || !strstr(text, says))
		T_FAIL("%d %s, want %d %s", status, text, want, says);
}

TEST(a_certificate_is_issued_for_a_token)
{
	static const struct script_step steps[] = {
		{REVIEW, GOOD},
		EVENT("apps", "\"reason\":\"IssuedLeafCertificate\""),
	};
	struct cert *c, *root;
	struct cert_info info;
	struct err e = {0};
	int64_t now = (int64_t)(clock_wall() / NS_PER_S);

	start(steps, countof(steps));
	wait_until(is_ready);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	c = cert_read(buf_slice(&leaf), &e);
	OK(c);
	cert_info(c, &info);
	EQ_STR(info.name, NAME);
	OK(!info.is_ca);
	OK(until >= now + 3600 && until <= now + 3620);
	OK(info.not_after / NS_PER_S == (uint64_t)until);
	OK(info.not_before / NS_PER_S <= (uint64_t)now - 5);
	cert_free(c);

	/* leaf and issuer together verify against the root */
	{
		struct buf pem = BUF_INIT;

		pem_wrap("CERTIFICATE", buf_slice(&leaf), &pem);
		pem_wrap("CERTIFICATE", buf_slice(&issuer), &pem);
		c = cert_read(buf_slice(&pem), &e);
		root = cert_read(buf_slice(&ca.root_pem), &e);
		OK(c && root && cert_verify(c, root, 0, &e) == 0);
		cert_free(c);
		cert_free(root);
		buf_fini(&pem);
	}
	stop();
}

TEST(a_token_of_another_account_is_refused)
{
	static const struct script_step steps[] = {{REVIEW, GOOD}};

	start(steps, countof(steps));
	wait_until(is_ready);
	ask("api.apps.serviceaccount.identity.mesh.cluster.local",
		"api.apps.serviceaccount.identity.mesh.cluster.local", "tok.en");
	check_refused(GRPC_FAILED_PRECONDITION, "did not match");
	stop();
}

TEST(a_bad_token_is_refused)
{
	static const struct script_step steps[] = {
		{REVIEW, REVIEWED("{\"authenticated\":false}")},
		{REVIEW, REVIEWED("{\"error\":\"token expired\"}")},
		{REVIEW, REVIEWED("{\"authenticated\":true,\"user\":{\"username\":"
				  "\"bob\"}}")},
		{REVIEW, "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n{}"},
		{REVIEW, "HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n{}"},
	};

	start(steps, countof(steps));
	wait_until(is_ready);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_FAILED_PRECONDITION, "could not be authenticated");
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_INVALID_ARGUMENT, "token expired");
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_INVALID_ARGUMENT, "no service account's");
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_INTERNAL, "could not be reviewed");
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_UNAVAILABLE, "not available");
	stop();
}

TEST(the_review_is_repeated_without_audience_where_it_must)
{
	static const struct script_step steps[] = {
		{"POST ", "\"audiences\":[\"identity.l5d.io\"]",
			REVIEWED("{\"error\":\"token audiences [x] are not valid\"}")},
		{REVIEW, GOOD},
		EVENT("apps", "ServiceAccount"),
	};

	start(steps, countof(steps));
	wait_until(is_ready);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	stop();
}

TEST(bad_arguments_are_refused_before_anybody_is_asked)
{
	start(NULL, 0);
	wait_until(is_ready);
	ask("", NAME, "tok.en");
	check_refused(GRPC_INVALID_ARGUMENT, "missing identity");
	ask("a b", NAME, "tok.en");
	check_refused(GRPC_INVALID_ARGUMENT, "malformed identity");
	ask(NAME, NAME, "");
	check_refused(GRPC_INVALID_ARGUMENT, "missing token");
	ask(NAME, NAME, "tok en");
	check_refused(GRPC_INVALID_ARGUMENT, "malformed token");
	ask(NAME, "other.example.org", "tok.en");
	check_refused(GRPC_FAILED_PRECONDITION, "exactly one name");
	stop();
}

static bool has_new_issuer(void)
{
	return id->issuer.nchain &&
	       !slice_eq(buf_slice(&id->issuer.chain[0]), buf_slice(&issuer));
}

TEST(a_new_issuer_on_disk_is_taken)
{
	static const struct script_step steps[] = {
		{REVIEW, GOOD},
		EVENT("apps", "IssuedLeafCertificate"),
		EVENT("mesh", "\"reason\":\"IssuerUpdated\""),
		{REVIEW, GOOD},
		EVENT("apps", "IssuedLeafCertificate"),
	};
	static struct testca other;
	struct buf both = BUF_INIT, before = BUF_INIT;

	start(steps, countof(steps));
	wait_until(is_ready);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	buf_adds(&before, buf_slice(&issuer));
	testca_init(&other);
	buf_adds(&both, buf_slice(&ca.root_pem));
	buf_adds(&both, buf_slice(&other.root_pem));
	put_file("anchors.pem", buf_slice(&both));
	put_issuer(&other);
	wait_until(has_new_issuer);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	OK(!slice_eq(buf_slice(&before), buf_slice(&issuer)));
	buf_fini(&before);
	buf_fini(&both);
	testca_fini(&other);
	stop();
}

static bool is_waiting(void)
{
	return id->waiting;
}

TEST(a_new_issuer_waits_until_proxies_have_its_anchor)
{
	static const struct script_step steps[] = {
		{REVIEW, GOOD},
		EVENT("apps", "IssuedLeafCertificate"),
		EVENT("mesh", "\"reason\":\"IssuerUpdated\""),
	};
	static struct testca other;
	struct buf both = BUF_INIT;
	uint64_t begun;

	cfg.settle = 700 * NS_PER_MS;
	start(steps, countof(steps));
	wait_until(is_ready);
	ask(NAME, NAME, "tok.en");
	testca_init(&other);
	buf_adds(&both, buf_slice(&ca.root_pem));
	buf_adds(&both, buf_slice(&other.root_pem));
	begun = clock_mono();
	put_file("anchors.pem", buf_slice(&both));
	put_issuer(&other);
	wait_until(is_waiting);
	OK(!has_new_issuer() && identity_is_ready(id));
	wait_until(has_new_issuer);
	OK(clock_mono() - begun >= 700 * NS_PER_MS);
	EQ_INT(id->waiting, false);
	OK(id->old_leaves_end / NS_PER_S == (uint64_t)until);
	buf_fini(&both);
	testca_fini(&other);
	stop();
}

TEST(a_new_issuer_does_not_wait_when_the_old_one_has_lost_its_anchor)
{
	static const struct script_step steps[] = {
		EVENT("mesh", "\"reason\":\"IssuerUpdated\""),
	};
	static struct testca other;

	cfg.settle = 3600 * NS_PER_S;
	start(steps, countof(steps));
	wait_until(is_ready);
	testca_init(&other);
	put_file("anchors.pem", buf_slice(&other.root_pem));
	put_issuer(&other);
	wait_until(has_new_issuer);
	testca_fini(&other);
	stop();
}

static bool has_two_anchors(void)
{
	return id->anchors && cert_der(id->anchors, 1).n;
}

static bool has_fewer_anchors(void)
{
	return id->anchors && !cert_der(id->anchors, 1).n;
}

TEST(an_anchor_that_goes_makes_nobody_wait)
{
	static struct testca other;
	struct buf both = BUF_INIT;

	cfg.settle = 3600 * NS_PER_S;
	testca_init(&other);
	start(NULL, 0);
	wait_until(is_ready);
	buf_adds(&both, buf_slice(&ca.root_pem));
	buf_adds(&both, buf_slice(&other.root_pem));
	put_file("anchors.pem", buf_slice(&both));
	wait_until(has_two_anchors);
	OK(id->anchors_since);
	id->anchors_since = 0;
	put_file("anchors.pem", buf_slice(&ca.root_pem));
	wait_until(has_fewer_anchors);
	EQ_INT(id->anchors_since, 0);
	buf_fini(&both);
	testca_fini(&other);
	stop();
}

TEST(an_issuer_of_tomorrow_is_taken_when_its_day_has_come)
{
	static const struct script_step steps[] = {
		EVENT("mesh", "\"reason\":\"IssuerUpdateSkipped\""),
	};
	struct cert_spec spec = {.common_name = "issuer", .is_ca = true};
	struct buf crt = BUF_INIT, key = BUF_INIT;
	uint64_t begun = clock_mono();

	spec.not_before = clock_wall() + 2 * NS_PER_S;
	spec.not_after = spec.not_before + 60 * 86400 * NS_PER_S;
	OK(cert_issue_own(&spec, &crt, &key, NULL) == 0);
	crt_instead = &crt;
	key_instead = &key;
	start(steps, countof(steps));
	wait_until(is_ready);
	OK(clock_mono() - begun >= NS_PER_S);
	buf_fini(&crt);
	buf_fini(&key);
	stop();
}

TEST(an_anchor_that_ends_soon_is_told_once)
{
	static const struct script_step steps[] = {
		EVENT("mesh", "\"reason\":\"TrustAnchorExpiresSoon\""),
	};
	struct cert_spec spec = {.common_name = "issuer", .is_ca = true};
	struct buf crt = BUF_INIT, key = BUF_INIT, said = BUF_INIT;

	spec.not_before = clock_wall() - NS_PER_S;
	spec.not_after = spec.not_before + 29 * 86400 * NS_PER_S;
	OK(cert_issue_own(&spec, &crt, &key, NULL) == 0);
	crt_instead = &crt;
	key_instead = &key;
	start(steps, countof(steps));
	wait_until(is_ready);
	wait_until(script_ended);
	identity_metrics(id, &said);
	buf_char(&said, '\0');
	OK(strstr(said.p, "\ntrust_anchors_ttl_seconds 25055"));
	OK(strstr(said.p, "\nissuer_cert_ttl_seconds 25055"));
	buf_fini(&said);
	buf_fini(&crt);
	buf_fini(&key);
	stop();
}

static uint64_t stamp_before;
static bool has_looked(void)
{
	return id->stamp != stamp_before && !id->coming;
}

TEST(a_bad_issuer_on_disk_leaves_the_old_one)
{
	static const struct script_step steps[] = {
		EVENT("mesh", "\"reason\":\"IssuerUpdateSkipped\""),
		{REVIEW, GOOD},
		EVENT("apps", "IssuedLeafCertificate"),
	};

	start(steps, countof(steps));
	wait_until(is_ready);
	stamp_before = id->stamp;
	put_file("crt.pem", SLICE("nonsense"));
	wait_until(has_looked);
	OK(identity_is_ready(id));
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	stop();
}

static struct signer *old;
static bool has_another_signer(void)
{
	return id->signer && id->signer != old;
}

/* Our child of that name. */
static pid_t child_called(const char *name)
{
	char path[64], comm[32];
	FILE *children, *f;
	int pid;

	snprintf(path, sizeof path, "/proc/self/task/%d/children", getpid());
	children = fopen(path, "r");
	OK(children);
	while (fscanf(children, "%d", &pid) == 1) {
		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		f = fopen(path, "r");
		if (f && fscanf(f, "%31s", comm) == 1 && strcmp(comm, name) == 0) {
			fclose(f);
			fclose(children);
			return pid;
		}
		if (f)
			fclose(f);
	}
	T_FAIL("no child is called %s", name);
}

TEST(a_signer_that_was_killed_is_replaced)
{
	static const struct script_step steps[] = {
		{REVIEW, GOOD},
		EVENT("apps", "IssuedLeafCertificate"),
	};

	start(steps, countof(steps));
	wait_until(is_ready);
	old = id->signer;
	OK(kill(child_called("mesh-signer"), SIGKILL) == 0);
	wait_until(has_another_signer);
	ask(NAME, NAME, "tok.en");
	check_refused(GRPC_OK, "");
	stop();
}

TEST(without_an_issuer_it_is_not_ready)
{
	start(NULL, 0);
	OK(!identity_is_ready(id)); /* the signer has not spoken yet */
	ask(NAME, NAME, "");
	check_refused(GRPC_INVALID_ARGUMENT, "missing token");
	stop();
}

TEST(names_of_service_accounts_are_strict)
{
	static const struct {
		const char *user, *name;
	} samples[] = {
		{"system:serviceaccount:apps:web",
			"web.apps.serviceaccount.identity.mesh.cluster.local"},
		{"system:serviceaccount:apps:a.b",
			"a.b.apps.serviceaccount.identity.mesh.cluster.local"},
		{"system:serviceaccount:apps", NULL},
		{"system:serviceaccount:apps:web:x", NULL},
		{"system:node:apps:web", NULL},
		{"system:serviceaccount:a.b:web", NULL},
		{"system:serviceaccount::web", NULL},
		{"system:serviceaccount:apps:We", NULL},
		{"system:serviceaccount:apps:web..x", NULL},
		{"bob", NULL},
		{"", NULL},
	};
	char ns[64], account[254], name[254];

	for (size_t i = 0; i < countof(samples); i++) {
		int rc = certify_name(
			&cfg, samples[i].user, ns, account, name, sizeof name);

		EQ_INT(rc, samples[i].name ? 0 : -1);
		if (rc == 0)
			EQ_STR(name, samples[i].name);
	}
}
