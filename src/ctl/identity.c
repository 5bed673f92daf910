/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/identity.h"

#include <stdlib.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/identityint.h"

#define AGAIN 10 /* looks, until files that were refused are read again */

static const struct {
	const char *scheme, *cert, *key;
} schemes[] = {
	{"linkerd.io/tls", "crt.pem", "key.pem"},
	{"kubernetes.io/tls", "tls.crt", "tls.key"},
};

static const struct grpc_method methods[] = {{API_CERTIFY, certify_on_message, NULL}};

/* ---- events ---- */

void identity_event(
	struct identity *id, const char *type, const char *reason, const char *message)
{
	struct json *about = json_object(), *meta;

	json_set_text(about, "apiVersion", "apps/v1");
	json_set_text(about, "kind", "Deployment");
	meta = json_need_object(about, "metadata");
	json_set_text(meta, "namespace", id->cfg->namespace);
	json_set_text(meta, "name", id->cfg->deployment);
	kube_event(id->kube, about, type, reason, message);
	json_free(about);
}

/* ---- the issuer ---- */

static uint64_t issuer_stamp(const struct identity *id)
{
	return file_stamp(id->cert_path) * 31 + file_stamp(id->key_path) * 17;
}

static bool is_same(const struct issuer *a, const struct issuer *b)
{
	bool same = a->nchain == b->nchain;

	for (size_t i = 0; same && i < a->nchain; i++)
		same = slice_eq(buf_slice(&a->chain[i]), buf_slice(&b->chain[i]));
	return same;
}

static void take_issuer(struct identity *id, const struct issuer *from)
{
	if (!is_same(&id->issuer, from)) {
		if (id->leaves_end > id->old_leaves_end)
			id->old_leaves_end = id->leaves_end;
		id->leaves_end = 0;
	}
	issuer_fini(&id->issuer);
	id->issuer = *from;
	for (size_t i = 0; i < from->nchain; i++) {
		id->issuer.chain[i] = BUF_INIT;
		must(buf_adds(&id->issuer.chain[i], buf_slice(&from->chain[i])) == 0);
	}
}

static void refused_files(struct identity *id, struct signer *s, const struct err *e)
{
	struct buf text = BUF_INIT;

	id->skipped++;
	log_error("identity", "the issuer's files were refused", LE(e));
	buf_printf(&text,
		"Skipping issuer update as certs could not be read from disk: %s",
		e->msg);
	buf_char(&text, '\0');
	if (text.p)
		identity_event(id, "Warning", "IssuerUpdateSkipped", text.p);
	buf_fini(&text);
	signer_free(s);
}

static void on_loaded(
	void *arg, struct signer *s, const struct issuer *issuer, const struct err *e)
{
	struct identity *id = arg;
	bool update = id->signer && !is_same(&id->issuer, issuer);
	char end[CLOCK_TEXT];

	id->coming = NULL;
	if (e->code != ERR_NONE) {
		refused_files(id, s, e);
		return;
	}
	if (id->signer)
		signer_retire(id->signer);
	id->signer = s;
	id->in_use = id->reading;
	take_issuer(id, issuer);
	clock_rfc3339(issuer->not_after, false, end);
	log_info("identity", "issuer loaded", LS("name", issuer->name),
		LS("until", end));
	if (!update)
		return;
	id->updates++;
	identity_event(id, "Normal", "IssuerUpdated", "Updated identity issuer");
}

/* The process ended: the files are read by a new one at the next look. */
static void on_died(void *arg, struct signer *s)
{
	struct identity *id = arg;

	log_error("identity", "the signer ended");
	if (id->signer == s)
		id->signer = NULL;
	if (id->coming == s)
		id->coming = NULL;
	signer_free(s);
	id->stamp = 0;
}

static const struct signer_user signer_user = {on_loaded, on_died};

static void read_files(struct identity *id)
{
	struct signer_files files = {id->cert_path, id->key_path, id->cfg->anchors};
	struct err e = {0};

	id->reading = issuer_stamp(id);
	id->coming = signer_new(id->loop, &files, &signer_user, id, &e);
	if (!id->coming)
		log_error("identity", "no signer", LE(&e));
}

/* Another issuer, while some proxies may not have its anchor yet; but not when the one
 * in use has lost his. */
static bool must_wait(struct identity *id)
{
	uint64_t since = loop_now(id->loop) - id->anchors_since;
	bool wait = id->signer && id->anchors_since && since < id->cfg->settle &&
		    issuer_stamp(id) != id->in_use && identity_is_trusted(id);

	if (wait && !id->waiting)
		log_info("identity",
			"the new issuer waits until every proxy has the new anchors",
			LI("seconds", (id->cfg->settle - since) / NS_PER_S));
	id->waiting = wait;
	return wait;
}

/*
 * A change is acted on when two looks agree, so that files which are written one after
 * the other are not read half-way; at the start there is nothing to wait for.
 */
static void look(struct identity *id)
{
	uint64_t now = issuer_stamp(id) + file_stamp(id->cfg->anchors);

	identity_look_at_anchors(id);
	if (!id->signer && !id->coming && ++id->looks % AGAIN == 0)
		id->stamp = 0; /* one that was not valid yet may be so by now */
	if (now != id->stamp && !id->coming && (now == id->seen || !id->signer) &&
		!must_wait(id)) {
		id->stamp = now;
		read_files(id);
	}
	id->seen = now;
	identity_warn(id);
	timer_set(&id->poll, id->cfg->poll ? id->cfg->poll : NS_PER_S);
}

static void on_poll(struct timer *t)
{
	look(container_of(t, struct identity, poll));
}

int identity_check(struct identity *id, struct err *e)
{
	uint64_t now = clock_wall();

	if (!id->signer)
		return err_set(e, ERR_MISSING, "cert issuer not ready");
	if (now < id->issuer.not_before)
		return err_set(e, ERR_DENIED, "the issuer is not valid yet");
	if (now >= id->issuer.not_after)
		return err_set(e, ERR_DENIED, "the issuer has expired");
	return 0;
}

bool identity_is_ready(void *identity)
{
	return identity_check(identity, NULL) == 0;
}

/* ---- the service ---- */

static int set_paths(struct identity *id, struct err *e)
{
	for (size_t i = 0; i < countof(schemes); i++) {
		if (strcmp(schemes[i].scheme, id->cfg->scheme) != 0)
			continue;
		snprintf(id->cert_path, sizeof id->cert_path, "%s/%s",
			id->cfg->issuer_dir, schemes[i].cert);
		snprintf(id->key_path, sizeof id->key_path, "%s/%s",
			id->cfg->issuer_dir, schemes[i].key);
		return 0;
	}
	return err_set(
		e, ERR_SYNTAX, "no issuer scheme is called \"%s\"", id->cfg->scheme);
}

struct identity *identity_new(struct loop *l, struct kube *k,
	const struct identity_config *cfg, struct err *e)
{
	struct identity *id = calloc(1, sizeof *id);

	must(id);
	id->cfg = cfg;
	id->loop = l;
	id->kube = k;
	timer_init(&id->poll, l, on_poll);
	if (set_paths(id, e) == 0)
		id->server = grpc_server_new(
			l, &cfg->at, NULL, methods, countof(methods), id, e);
	if (!id->server) {
		identity_free(id);
		return NULL;
	}
	look(id);
	return id;
}

const struct addr *identity_addr(const struct identity *id)
{
	return grpc_server_addr(id->server);
}

void identity_drain(struct identity *id, void (*done)(void *arg), void *arg)
{
	grpc_server_drain(id->server, done, arg);
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	timer_clear(&id->poll);
	if (id->server)
		grpc_server_free(id->server);
	signer_free(id->signer);
	signer_free(id->coming);
	issuer_fini(&id->issuer);
	cert_free(id->anchors);
	free(id);
}
