/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/hookcert.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "script.h"
#include "t.h"
#include "tls/cert.h"

#define DAY (UINT64_C(86400) * NS_PER_S)

struct pair {
	struct buf crt, key;
};

static struct pair pair_of(int64_t from_days, int64_t to_days)
{
	const char *const dns[] = {"mesh-injector.mesh.svc", NULL};
	struct cert_spec spec = {.common_name = dns[0], .dns = dns, .server = true};
	struct pair p = {BUF_INIT, BUF_INIT};

	spec.not_before = clock_wall() + (uint64_t)from_days * DAY - NS_PER_S;
	spec.not_after = clock_wall() + (uint64_t)to_days * DAY;
	OK(cert_issue_own(&spec, &p.crt, &p.key, NULL) == 0);
	return p;
}

static void pair_fini(struct pair *p)
{
	buf_fini(&p->crt);
	buf_fini(&p->key);
}

static struct buf out;

static enum hookcert_step decide(
	const struct pair *p, const struct buf *bundle, uint64_t now)
{
	buf_clear(&out);
	return hookcert_decide(
		buf_slice(&p->crt), buf_slice(&p->key), buf_slice(bundle), now, &out);
}

/* ---- deciding ---- */

TEST(a_certificate_is_renewed_with_a_third_of_its_life_left)
{
	static const struct {
		int64_t from, to;
		enum hookcert_step want;
	} cases[] = {
		{0, 365, HOOKCERT_NOTHING}, {-200, 165, HOOKCERT_NOTHING},
		{-250, 115, HOOKCERT_RENEW}, {-366, -1, HOOKCERT_RENEW},
		{1, 365, HOOKCERT_RENEW}, /* not valid yet */
	};

	for (size_t i = 0; i < countof(cases); i++) {
		struct pair p = pair_of(cases[i].from, cases[i].to);

		EQ_INT(decide(&p, &p.crt, clock_wall()), cases[i].want);
		pair_fini(&p);
	}
	buf_fini(&out);
}

TEST(what_cannot_serve_is_renewed)
{
	struct pair p = pair_of(0, 365), other = pair_of(0, 365);
	struct pair mixed = {p.crt, other.key}, none = {BUF_INIT, BUF_INIT};

	EQ_INT(decide(&mixed, &p.crt, clock_wall()), HOOKCERT_RENEW);
	EQ_INT(decide(&none, &p.crt, clock_wall()), HOOKCERT_RENEW);
	pair_fini(&p);
	pair_fini(&other);
	buf_fini(&out);
}

TEST(the_old_one_is_believed_until_all_serve_with_the_new)
{
	struct pair old = pair_of(-300, 65), new = pair_of(0, 365);
	struct buf both = BUF_INIT, none = BUF_INIT;
	uint64_t now = clock_wall(), later = now + HOOKCERT_SETTLE + 120 * NS_PER_S;

	buf_adds(&both, buf_slice(&old.crt));
	buf_adds(&both, buf_slice(&new.crt));
	EQ_INT(decide(&new, &both, now), HOOKCERT_NOTHING);
	EQ_INT(decide(&new, &old.crt, now), HOOKCERT_BUNDLE);
	OK(slice_eq(buf_slice(&out), buf_slice(&both)));
	EQ_INT(decide(&new, &both, later), HOOKCERT_BUNDLE);
	OK(slice_eq(buf_slice(&out), buf_slice(&new.crt)));
	EQ_INT(decide(&new, &new.crt, later), HOOKCERT_NOTHING);
	EQ_INT(decide(&new, &none, now), HOOKCERT_BUNDLE);
	OK(slice_eq(buf_slice(&out), buf_slice(&new.crt)));
	buf_text(&none, "nonsense");
	EQ_INT(decide(&new, &none, later), HOOKCERT_BUNDLE);
	pair_fini(&old);
	pair_fini(&new);
	buf_fini(&both);
	buf_fini(&none);
	buf_fini(&out);
}

/* ---- doing it ---- */

static struct loop *loop;
static struct dns *dns;
static struct kube *kube;
static struct script server;
static const struct hookcert_config cfg = {.namespace = "mesh",
	.secret = "tls",
	.hook_kind = "mutatingwebhookconfigurations",
	.hook = "hooks",
	.service = "mesh-injector",
	.deployment = "mesh-injector",
	.poll = 20 * NS_PER_MS};

static void start(const struct script_step *steps, size_t n)
{
	char path[] = "/tmp/kubeconfig-XXXXXX";
	struct kube_config kc = {.kubeconfig = path};
	int fd = mkstemp(path);

	log_filter_set(SLICE("off"), NULL);
	script_start(&server, steps, n);
	dprintf(fd,
		"current-context: a\n"
		"contexts: [{name: a, context: {cluster: a}}]\n"
		"clusters: [{name: a, cluster: {server: 'http://127.0.0.1:%d'}}]\n",
		server.port);
	close(fd);
	loop = loop_new(NULL);
	dns = dns_new(loop, NULL, NULL);
	kube = kube_new(loop, dns, &kc, NULL);
	unlink(path);
	OK(loop && dns && kube);
}

static void on_tick(struct timer *t)
{
	if (script_is_over(&server))
		loop_stop(loop);
	else
		timer_set(t, 5 * NS_PER_MS);
}

static void turn_over(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void run(const struct script_step *steps, size_t n)
{
	struct hookcert *h;
	struct timer t = {0};

	start(steps, n);
	h = hookcert_new(loop, kube, &cfg);
	hookcert_set_active(h, true);
	timer_init(&t, loop, on_tick);
	timer_set(&t, 0);
	OK(loop_run(loop, NULL) == 0);
	hookcert_free(h);
	kube_free(kube);
	loop_post(loop, turn_over, NULL);
	OK(loop_run(loop, NULL) == 0);
	dns_free(dns);
	loop_free(loop);
	OK(script_passed(&server));
}

#define SECRET "/api/v1/namespaces/mesh/secrets/tls "
#define HOOK                                                                           \
	"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/hooks "
#define OURS                                                                           \
	SCRIPT_OK "{\"metadata\":{\"resourceVersion\":\"5\",\"annotations\":{\""       \
		  "linkerd.io/cert-renewed-by\":\"mesh-injector\"}},\"data\":{}}"
#define HOOK_NOW                                                                       \
	SCRIPT_OK "{\"metadata\":{\"resourceVersion\":\"7\"},\"webhooks\":[{"          \
		  "\"clientConfig\":{}},{\"clientConfig\":{}}]}"

TEST(the_api_server_believes_a_new_one_before_it_is_used)
{
	static const struct script_step steps[] = {
		{"GET " SECRET, NULL, OURS},
		{"GET " HOOK, NULL, HOOK_NOW},
		{"PATCH " HOOK, "\"path\":\"/webhooks/1/clientConfig/caBundle\"",
			SCRIPT_OK "{}"},
		{"PATCH " SECRET, "\"resourceVersion\":\"5\"", SCRIPT_OK "{}"},
		{"POST /api/v1/namespaces/mesh/events ", "WebhookCertificateRenewed",
			SCRIPT_STATUS("201 Created") "{}"},
	};

	run(steps, countof(steps));
}

TEST(what_fails_half_way_is_begun_again)
{
	static const struct script_step steps[] = {
		{"GET " SECRET, NULL, SCRIPT_STATUS("500 Oops") "{"},
		{"GET " SECRET, NULL, OURS},
		{"GET " HOOK, NULL, SCRIPT_OK "{nonsense"},
		{"GET " SECRET, NULL, OURS},
		{"GET " HOOK, NULL, HOOK_NOW},
		{"PATCH " HOOK, NULL, SCRIPT_STATUS("409 Conflict") "{}"},
		{"GET " SECRET, NULL, OURS},
		{"GET " HOOK, NULL, HOOK_NOW},
		{"PATCH " HOOK, "/metadata/resourceVersion\",\"value\":\"7\"",
			SCRIPT_OK "{}"},
		{"PATCH " SECRET, "tls.key", SCRIPT_OK "{}"},
		{"POST /api/v1/namespaces/mesh/events ", NULL,
			SCRIPT_STATUS("201 Created") "{}"},
	};

	run(steps, countof(steps));
}

TEST(a_secret_of_somebody_else_is_left_alone)
{
	static const struct script_step steps[] = {
		{"GET " SECRET, NULL, SCRIPT_OK "{\"metadata\":{},\"data\":{}}"},
		{"GET " SECRET, NULL, SCRIPT_OK "{\"metadata\":{},\"data\":{}}"},
	};

	run(steps, countof(steps));
}
