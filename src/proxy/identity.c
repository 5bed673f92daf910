/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "api/identity.pb-c.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "http/grpc.h"
#include "proxy/control.h"
#include "proxy/renewal.h"
#include "tls/cert.h"
#include "tls/creds.h"

#define FILE_MAX_  ((size_t)1024 * 1024)
#define SLOW_START (15 * NS_PER_S)
#define ANSWER_MAX (10 * NS_PER_S) /* the identity service has to answer */
#define LOOK_EVERY NS_PER_S        /* at the anchors' file */

struct identity {
	struct loop *loop;
	const struct proxy_config *cfg;
	struct snap *creds;  /* what the proxy goes by */
	struct snap anchors; /* nobody yet, but believing the anchors */
	struct channel *channel;
	struct control_meter meter;
	struct key *key;
	struct buf csr, anchors_pem;
	struct buf
		answer; /* the last that was good: the chain, to go with new anchors */
	struct grpc_call *call;
	struct timer timer, slow, deadline;
	struct timer look;
	uint64_t stamp; /* of the anchors' file */
	struct renewal due;
	bool is_ready;
	unsigned failures;
	char problem[300];
	void (*ready)(void *arg);
	void *arg;
	_Atomic uint64_t expires, refreshed, ok, failed; /* for /metrics */
	_Atomic uint64_t anchors_ok, anchors_failed;
};

/* ---- files ---- */

static int read_file(const char *dir, const char *name, struct buf *out, struct err *e)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return file_read(path, FILE_MAX_, out, e);
}

static int write_file(const char *dir, const char *name, mode_t mode,
	struct slice bytes, struct err *e)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(e, "create %s", path);
	if (write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n) {
		err_sys(e, "write %s", path);
		close(fd);
		return -1;
	}
	return close(fd) < 0 ? err_sys(e, "write %s", path) : 0;
}

/* Key and request are made once a pod: a container that restarts finds them. */
static int make_key(struct identity *id, struct err *e)
{
	const char *dir = id->cfg->identity_dir;
	struct buf der = BUF_INIT;
	int r = -1;

	id->key = key_generate(e);
	if (id->key && key_write_der(id->key, &der, e) == 0 &&
		csr_write(id->cfg->local_name, id->key, &id->csr, e) == 0 &&
		write_file(dir, "key.p8", 0600, buf_slice(&der), e) == 0)
		r = write_file(dir, "csr.der", 0644, buf_slice(&id->csr), e);
	buf_fini(&der);
	return r;
}

static int load_key(struct identity *id, struct err *e)
{
	const char *dir = id->cfg->identity_dir;
	struct buf der = BUF_INIT;
	struct err missing;
	int r = 0;

	if (read_file(dir, "key.p8", &der, &missing) < 0 || !buf_len(&der) ||
		read_file(dir, "csr.der", &id->csr, &missing) < 0 ||
		!buf_len(&id->csr)) {
		buf_clear(&id->csr);
		r = make_key(id, e);
	} else {
		id->key = key_read(buf_slice(&der), e);
		r = id->key ? 0 : err_wrap(e, "%s/key.p8", dir);
	}
	buf_fini(&der);
	return r;
}

/* ---- certify ---- */

static void certify(struct identity *id);

static uint64_t time_left(const struct identity *id)
{
	uint64_t now = clock_wall(), end = atomic_load(&id->expires) * NS_PER_S;

	return end > now ? end - now : 0;
}

static bool is_power_of_two(unsigned n)
{
	return (n & (n - 1)) == 0;
}

/* Said less and less often, until the certificate has ended. */
static void say_failure(const struct identity *id, const char *why)
{
	uint64_t left = time_left(id);

	if (left && !is_power_of_two(id->failures))
		return;
	if (!id->is_ready)
		log_error("identity", "Failed to obtain identity", LS("error", why),
			LI("failures", id->failures));
	else
		log_error("identity", "Failed to obtain identity", LS("error", why),
			LI("failures", id->failures),
			LI("certificate_ends_in_seconds", left / NS_PER_S));
}

/* What is known stays: connections that stand, and the certificate until its end. */
static void failed(struct identity *id, const char *why)
{
	timer_clear(&id->deadline);
	id->failures++;
	atomic_fetch_add(&id->failed, 1);
	snprintf(id->problem, sizeof id->problem, "%s", why);
	say_failure(id, why);
	timer_set(&id->timer,
		renewal_retry(id->failures - 1, time_left(id), random_unit()));
}

static void plan(struct identity *id, uint64_t expires)
{
	renewal_plan(&id->due, loop_now(id->loop), clock_wall(), expires,
		id->cfg->identity_min_refresh, id->cfg->identity_max_refresh);
	timer_set(&id->timer, renewal_sleep(&id->due, loop_now(id->loop)));
}

static void succeeded(struct identity *id, struct creds *c)
{
	uint64_t expires = creds_not_after(c);
	char text[CLOCK_TEXT];

	timer_clear(&id->deadline);
	clock_rfc3339(expires, false, text);
	if (id->failures && id->is_ready)
		log_info("identity", "Certified again", LS("until", text),
			LI("failures", id->failures));
	id->failures = 0;
	atomic_fetch_add(&id->ok, 1);
	atomic_store(&id->expires, expires / NS_PER_S);
	atomic_store(&id->refreshed, clock_wall() / NS_PER_S);
	snap_set(id->creds, creds_ref(c));
	plan(id, expires);
	log_debug("identity", "Certified", LS("until", text));
	if (id->is_ready)
		return;
	id->is_ready = true;
	timer_clear(&id->slow);
	log_info("identity", "Certified identity", LS("id", id->cfg->local_name),
		LS("until", text));
	id->ready(id->arg);
}

static struct creds *creds_of(struct identity *id, struct slice message, struct err *e)
{
	struct slice chain[16];
	struct creds_spec spec = {.anchors_pem = buf_slice(&id->anchors_pem),
		.chain_der = chain,
		.key = id->key};
	Identity__CertifyResponse *m;
	struct creds *c = NULL;
	struct arena a;

	arena_init(&a, 4 * FILE_MAX_);
	m = API_READ(
		Identity__CertifyResponse, identity__certify_response, message, &a, e);
	if (m && m->n_intermediate_certificates < countof(chain)) {
		chain[0] =
			slice_bytes(m->leaf_certificate.data, m->leaf_certificate.len);
		for (size_t i = 0; i < m->n_intermediate_certificates; i++)
			chain[i + 1] = slice_bytes(m->intermediate_certificates[i].data,
				m->intermediate_certificates[i].len);
		spec.chain_der_count = 1 + m->n_intermediate_certificates;
		c = creds_new(&spec, e);
	} else if (m) {
		err_set(e, ERR_LIMIT, "a chain of %zu certificates",
			m->n_intermediate_certificates);
	}
	arena_fini(&a);
	return c;
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct identity *id = arg;
	struct creds *c;
	struct err e;

	(void)call;
	c = creds_of(id, message, &e);
	if (c && creds_check(c, id->cfg->local_name, &e) < 0) {
		ref_put(creds_ref(c));
		c = NULL;
	}
	if (!c) {
		failed(id, e.msg);
		return;
	}
	buf_clear(&id->answer);
	(void)buf_adds(&id->answer, message); /* without it: asked for anew */
	succeeded(id, c);
}

static void on_over(void *arg, struct grpc_call *call, int status, const char *text)
{
	struct identity *id = arg;
	char why[400];

	(void)call;
	id->call = NULL;
	if (status == GRPC_OK)
		return;
	snprintf(why, sizeof why, "%s: %s", grpc_status_name(status), text);
	failed(id, why);
}

static const struct grpc_user certify_user = {on_message, on_over};

static void certify(struct identity *id)
{
	Identity__CertifyRequest m = IDENTITY__CERTIFY_REQUEST__INIT;
	struct buf token = BUF_INIT, b = BUF_INIT;
	struct err e;

	if (id->call)
		grpc_call_end(id->call);
	id->call = NULL;
	if (file_read(id->cfg->token_file, FILE_MAX_, &token, &e) < 0) {
		failed(id, e.msg);
		buf_fini(&token);
		return;
	}
	m.identity = (char *)id->cfg->local_name;
	m.token = (ProtobufCBinaryData){
		buf_len(&token), (uint8_t *)(buf_slice(&token).p)};
	m.certificate_signing_request = (ProtobufCBinaryData){
		buf_len(&id->csr), (uint8_t *)(buf_slice(&id->csr).p)};
	err_set(&e, ERR_LIMIT, "no memory for a request");
	if (api_write(&m, &b) == 0)
		id->call = grpc_call_begin(id->channel, API_CERTIFY, buf_slice(&b),
			false, &certify_user, id, &e);
	buf_fini(&b);
	buf_fini(&token);
	if (id->call)
		timer_set(&id->deadline, ANSWER_MAX);
	else
		failed(id, e.msg);
}

static void on_timer(struct timer *t)
{
	struct identity *id = container_of(t, struct identity, timer);
	uint64_t now = loop_now(id->loop);

	if (id->failures || renewal_is_due(&id->due, now, clock_wall()))
		certify(id);
	else
		timer_set(t, renewal_sleep(&id->due, now));
}

static void on_deadline(struct timer *t)
{
	struct identity *id = container_of(t, struct identity, deadline);

	if (id->call)
		grpc_call_end(id->call);
	id->call = NULL;
	failed(id, "the identity service does not answer");
}

static void on_slow(struct timer *t)
{
	struct identity *id = container_of(t, struct identity, slow);

	log_warn("identity",
		"waiting for identity to be certified: nothing is meshed until then",
		LS("id", id->cfg->local_name), LS("error", id->problem));
	timer_set(t, SLOW_START);
}

/* ---- metrics ---- */

static void identity_metrics(void *arg, struct buf *out)
{
	struct identity *id = arg;

	buf_printf(out,
		"# HELP control_identity_cert_expiration_timestamp_seconds When the "
		"proxy's certificate expires.\n"
		"# TYPE control_identity_cert_expiration_timestamp_seconds gauge\n"
		"control_identity_cert_expiration_timestamp_seconds %llu\n"
		"# HELP control_identity_cert_refresh_timestamp_seconds When it was "
		"renewed last.\n"
		"# TYPE control_identity_cert_refresh_timestamp_seconds gauge\n"
		"control_identity_cert_refresh_timestamp_seconds %llu\n"
		"# HELP control_identity_cert_refreshes_total Renewals, by result.\n"
		"# TYPE control_identity_cert_refreshes_total counter\n"
		"control_identity_cert_refreshes_total{result=\"ok\"} %llu\n"
		"control_identity_cert_refreshes_total{result=\"error\"} %llu\n"
		"# HELP control_identity_trust_anchors_updates_total Changes of the "
		"trust "
		"anchors' file, by result.\n"
		"# TYPE control_identity_trust_anchors_updates_total counter\n"
		"control_identity_trust_anchors_updates_total{result=\"ok\"} %llu\n"
		"control_identity_trust_anchors_updates_total{result=\"error\"} %llu\n",
		(unsigned long long)atomic_load(&id->expires),
		(unsigned long long)atomic_load(&id->refreshed),
		(unsigned long long)atomic_load(&id->ok),
		(unsigned long long)atomic_load(&id->failed),
		(unsigned long long)atomic_load(&id->anchors_ok),
		(unsigned long long)atomic_load(&id->anchors_failed));
}

/* ---- whom it believes ---- */

/* For the channel to the identity service, which knows us by our token. */
static int trust(struct identity *id, struct slice pem, struct err *e)
{
	struct creds_spec spec = {.anchors_pem = pem};
	struct creds *c;

	if (!pem.n)
		return err_set(e, ERR_SYNTAX, "no trust anchors");
	c = creds_new(&spec, e);
	if (!c)
		return -1;
	snap_set(&id->anchors, creds_ref(c));
	buf_clear(&id->anchors_pem);
	return buf_adds(&id->anchors_pem, pem) < 0
		       ? err_set(e, ERR_LIMIT, "no memory for anchors")
		       : 0;
}

/*
 * The same certificate and the new anchors.  When they do not cover it, those who have
 * them too would refuse it: another is asked for at once.
 */
static void renew_trust(struct identity *id)
{
	struct creds *c = creds_of(id, buf_slice(&id->answer), NULL);
	struct err e;

	if (c && creds_check(c, id->cfg->local_name, &e) == 0) {
		snap_set(id->creds, creds_ref(c));
		return;
	}
	log_warn("identity", "the new trust anchors do not cover our certificate",
		LS("error", c ? e.msg : "it cannot be read again"));
	if (c)
		snap_set(id->creds, creds_ref(c));
	certify(id);
}

static void anchors_changed(struct identity *id, struct slice pem)
{
	struct err e;

	if (slice_eq(pem, buf_slice(&id->anchors_pem)))
		return;
	if (trust(id, pem, &e) < 0) {
		atomic_fetch_add(&id->anchors_failed, 1);
		log_error("identity",
			"the new trust anchors cannot be used: the old ones stay",
			LS("file", id->cfg->trust_anchors_file), LE(&e));
		return;
	}
	atomic_fetch_add(&id->anchors_ok, 1);
	log_info("identity", "Trust anchors replaced",
		LS("file", id->cfg->trust_anchors_file));
	if (id->is_ready)
		renew_trust(id);
	else
		certify(id);
}

/* A mounted ConfigMap changes by a link that is set anew: only looking tells. */
static void on_look(struct timer *t)
{
	struct identity *id = container_of(t, struct identity, look);
	uint64_t stamp = file_stamp(id->cfg->trust_anchors_file);
	struct buf pem = BUF_INIT;

	timer_set(t, LOOK_EVERY);
	if (stamp == id->stamp || !stamp)
		return;
	id->stamp = stamp;
	if (file_read(id->cfg->trust_anchors_file, FILE_MAX_, &pem, NULL) == 0)
		anchors_changed(id, buf_slice(&pem));
	buf_fini(&pem);
}

/* The file when it can be read, else the variable. */
static int first_trust(struct identity *id, struct err *e)
{
	const char *file = id->cfg->trust_anchors_file;
	struct buf pem = BUF_INIT;
	int r = -1;

	if (*file) {
		timer_set(&id->look, LOOK_EVERY);
		id->stamp = file_stamp(file);
		r = file_read(file, FILE_MAX_, &pem, e);
	}
	if (r == 0) {
		r = trust(id, buf_slice(&pem), e);
		r = r < 0 ? err_wrap(e, "%s", file) : 0;
	} else if (*id->cfg->trust_anchors) {
		r = trust(id, slice_of(id->cfg->trust_anchors), e);
		r = r < 0 ? err_wrap(e, "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS") : 0;
	}
	buf_fini(&pem);
	return r;
}

/* ---- life ---- */

struct identity *proxy_identity_start(struct loop *l, struct dns *d,
	const struct proxy_config *cfg, struct snap *creds, struct metrics *metrics,
	void (*ready)(void *arg), void *arg, struct err *e)
{
	struct identity *id = calloc(1, sizeof *id);

	if (!id) {
		err_set(e, ERR_LIMIT, "no memory for an identity");
		return NULL;
	}
	*id = (struct identity){
		.loop = l, .cfg = cfg, .creds = creds, .ready = ready, .arg = arg};
	pthread_mutex_init(&id->anchors.lock, NULL);
	timer_init(&id->timer, l, on_timer);
	timer_init(&id->slow, l, on_slow);
	timer_init(&id->deadline, l, on_deadline);
	timer_init(&id->look, l, on_look);
	snprintf(id->problem, sizeof id->problem, "no answer yet");
	if (first_trust(id, e) < 0 || load_key(id, e) < 0) {
		proxy_identity_free(id);
		return NULL;
	}
	control_meter_init(&id->meter, metrics, CLIENT_IDENTITY, &cfg->identity);
	id->channel =
		control_channel(l, d, &cfg->identity, &id->anchors, &id->meter, e);
	if (!id->channel) {
		proxy_identity_free(id);
		return NULL;
	}
	metrics_extra(metrics, identity_metrics, id);
	timer_set(&id->slow, SLOW_START);
	certify(id);
	return id;
}

const char *proxy_identity_problem(const struct identity *id)
{
	return id->is_ready ? NULL : id->problem;
}

void proxy_identity_free(struct identity *id)
{
	if (!id)
		return;
	if (id->call)
		grpc_call_end(id->call);
	timer_clear(&id->timer);
	timer_clear(&id->slow);
	timer_clear(&id->deadline);
	timer_clear(&id->look);
	channel_free(id->channel);
	key_free(id->key);
	buf_fini(&id->csr);
	buf_fini(&id->anchors_pem);
	buf_fini(&id->answer);
	snap_set(&id->anchors, NULL);
	free(id);
}
