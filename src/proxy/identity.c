/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "api/identity.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/grpc.h"
#include "proxy/control.h"
#include "tls/cert.h"
#include "tls/creds.h"

#define FILE_MAX_  ((size_t)1024 * 1024)
#define SLOW_START (15 * NS_PER_S)

struct identity {
	struct loop *loop;
	const struct proxy_config *cfg;
	struct snap *creds;  /* what the proxy goes by */
	struct snap anchors; /* nobody yet, but believing the anchors */
	struct channel *channel;
	struct control_meter meter;
	struct key *key;
	struct buf csr;
	struct grpc_call *call;
	struct timer timer, slow;
	bool is_ready;
	unsigned failures;
	void (*ready)(void *arg);
	void *arg;
	_Atomic uint64_t expires, refreshed, ok, failed; /* for /metrics */
};

/* ---- files ---- */

static int read_file(const char *dir, const char *name, struct buf *out, struct err *e)
{
	char path[4096];
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof path, "%s%s%s", dir ? dir : "", dir ? "/" : "", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	out->limit = FILE_MAX_;
	do {
		char *to = buf_room(out, 4096);

		n = to ? read(fd, to, 4096) : -1;
		if (n > 0)
			buf_added(out, (size_t)n);
	} while (n > 0);
	close(fd);
	return n < 0 ? err_sys(e, "read %s", path) : 0;
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

static void retry_in(struct identity *id, uint64_t ns)
{
	timer_set(&id->timer, ns);
}

/* 70 % of what is left, within the limits that are set, but never past 90 % of it. */
static uint64_t refresh_in(const struct identity *id, uint64_t expires)
{
	uint64_t now = clock_wall(), left = expires > now ? expires - now : 0;
	uint64_t ns = left / 10 * 7;

	if (ns < id->cfg->identity_min_refresh)
		ns = id->cfg->identity_min_refresh;
	if (ns > id->cfg->identity_max_refresh)
		ns = id->cfg->identity_max_refresh;
	if (ns > left / 10 * 9)
		ns = left / 10 * 7;
	return ns > NS_PER_S ? ns : NS_PER_S;
}

static void failed(struct identity *id, const char *why)
{
	static const uint64_t waits[] = {
		200 * NS_PER_MS, NS_PER_S, 2 * NS_PER_S, 5 * NS_PER_S};
	unsigned i = id->failures < countof(waits) ? id->failures : countof(waits) - 1;

	id->failures++;
	atomic_fetch_add(&id->failed, 1);
	log_error("identity", "Failed to obtain identity", LS("error", why));
	retry_in(id, waits[i]);
}

static void succeeded(struct identity *id, struct creds *c)
{
	uint64_t expires = creds_not_after(c);
	char text[CLOCK_TEXT];

	clock_rfc3339(expires, false, text);
	id->failures = 0;
	atomic_fetch_add(&id->ok, 1);
	atomic_store(&id->expires, expires / NS_PER_S);
	atomic_store(&id->refreshed, clock_wall() / NS_PER_S);
	snap_set(id->creds, creds_ref(c));
	retry_in(id, refresh_in(id, expires));
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
	struct creds_spec spec = {.anchors_pem = slice_of(id->cfg->trust_anchors),
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
	if (c && creds_check(c, id->cfg->local_name, e) < 0) {
		ref_put(creds_ref(c));
		c = NULL;
	}
	return c;
}

static void on_message(void *arg, struct grpc_call *call, struct slice message)
{
	struct identity *id = arg;
	struct creds *c;
	struct err e;

	(void)call;
	c = creds_of(id, message, &e);
	if (c)
		succeeded(id, c);
	else
		failed(id, e.msg);
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
	if (read_file(NULL, id->cfg->token_file, &token, &e) < 0) {
		failed(id, e.msg);
		buf_fini(&token);
		return;
	}
	m.identity = (char *)id->cfg->local_name;
	m.token = (ProtobufCBinaryData){
		buf_len(&token), (uint8_t *)(buf_slice(&token).p)};
	m.certificate_signing_request = (ProtobufCBinaryData){
		buf_len(&id->csr), (uint8_t *)(buf_slice(&id->csr).p)};
	if (api_write(&m, &b) == 0)
		id->call = grpc_call_begin(id->channel, API_CERTIFY, buf_slice(&b),
			false, &certify_user, id, &e);
	buf_fini(&b);
	buf_fini(&token);
}

static void on_timer(struct timer *t)
{
	certify(container_of(t, struct identity, timer));
}

static void on_slow(struct timer *t)
{
	struct identity *id = container_of(t, struct identity, slow);

	log_warn("identity",
		"waiting for identity to be certified: no connections are taken until "
		"then",
		LS("id", id->cfg->local_name));
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
		"control_identity_cert_refreshes_total{result=\"error\"} %llu\n",
		(unsigned long long)atomic_load(&id->expires),
		(unsigned long long)atomic_load(&id->refreshed),
		(unsigned long long)atomic_load(&id->ok),
		(unsigned long long)atomic_load(&id->failed));
}

/* ---- life ---- */

static int trust(struct identity *id, struct err *e)
{
	struct creds_spec spec = {.anchors_pem = slice_of(id->cfg->trust_anchors)};
	struct creds *c = creds_new(&spec, e);

	if (!c)
		return err_wrap(e, "LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS");
	snap_set(&id->anchors, creds_ref(c));
	return 0;
}

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
	if (trust(id, e) < 0 || load_key(id, e) < 0) {
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

void proxy_identity_free(struct identity *id)
{
	if (!id)
		return;
	if (id->call)
		grpc_call_end(id->call);
	timer_clear(&id->timer);
	timer_clear(&id->slow);
	channel_free(id->channel);
	key_free(id->key);
	buf_fini(&id->csr);
	snap_set(&id->anchors, NULL);
	free(id);
}
