/* SPDX-License-Identifier: Apache-2.0 */
/* When things end: the issuer, the trust anchors, what was signed. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "ctl/identityint.h"
#include "tls/cert.h"

#define FILE_MAX     ((size_t)1024 * 1024)
#define DAY          (86400 * NS_PER_S)
#define ANCHORS_SOON (30 * DAY) /* new ones have to get everywhere */

static bool is_in(const struct cert *list, struct slice der)
{
	struct slice other;

	for (size_t i = 0; list && (other = cert_der(list, i)).n; i++)
		if (slice_eq(other, der))
			return true;
	return false;
}

static bool has_more(const struct cert *now, const struct cert *before)
{
	struct slice der;

	for (size_t i = 0; (der = cert_der(now, i)).n; i++)
		if (!is_in(before, der))
			return true;
	return false;
}

/* What goes is missed by nobody who waits: only what comes counts. */
void identity_look_at_anchors(struct identity *id)
{
	uint64_t stamp = file_stamp(id->cfg->anchors);
	bool at_start = id->anchors_stamp == 0;
	struct buf pem = BUF_INIT;
	struct cert *c = NULL;

	if (stamp == id->anchors_stamp)
		return;
	id->anchors_stamp = stamp;
	if (file_read(id->cfg->anchors, FILE_MAX, &pem, NULL) == 0)
		c = cert_read(buf_slice(&pem), NULL);
	buf_fini(&pem);
	if (!c) /* the signer says why */
		return;
	if (!at_start && has_more(c, id->anchors))
		id->anchors_since = loop_now(id->loop);
	cert_free(id->anchors);
	id->anchors = c;
	id->anchors_end = cert_chain_end(c);
}

bool identity_is_trusted(const struct identity *id)
{
	struct buf pem = BUF_INIT;
	struct cert *c;
	bool yes;

	for (size_t i = 0; i < id->issuer.nchain; i++)
		must(pem_wrap("CERTIFICATE", buf_slice(&id->issuer.chain[i]), &pem) ==
			0);
	c = cert_read(buf_slice(&pem), NULL);
	yes = c && id->anchors && cert_verify(c, id->anchors, 0, NULL) == 0;
	cert_free(c);
	buf_fini(&pem);
	return yes;
}

static void warn(
	struct identity *id, const char *what, const char *reason, uint64_t ends)
{
	char end[CLOCK_TEXT], text[200];

	clock_rfc3339(ends, false, end);
	snprintf(text, sizeof text, "%s ends at %s: replace it before", what, end);
	log_warn("identity", text);
	identity_event(id, "Warning", reason, text);
	id->warned = loop_now(id->loop);
}

/* An issuer may live for hours or years: a tenth of that is soon. */
void identity_warn(struct identity *id)
{
	uint64_t now = clock_wall(),
		 life = id->issuer.not_after - id->issuer.not_before;

	if (id->warned && loop_now(id->loop) - id->warned < DAY)
		return;
	if (id->signer && now + life / 10 > id->issuer.not_after)
		warn(id, "The issuer", "IssuerExpiresSoon", id->issuer.not_after);
	if (id->anchors_end && now + ANCHORS_SOON > id->anchors_end)
		warn(id, "A trust anchor", "TrustAnchorExpiresSoon", id->anchors_end);
}

static double left(uint64_t end)
{
	return ((double)end - (double)clock_wall()) / (double)NS_PER_S;
}

static void gauge(struct buf *out, const char *name, double value)
{
	buf_printf(out, "# TYPE %s gauge\n%s %.0f\n", name, name, value);
}

/*
 * An anchor may be retired when no leaf hangs on it any more: after
 * identity_previous_leaves_end_timestamp_seconds.
 */
void identity_metrics(void *identity, struct buf *out)
{
	struct identity *id = identity;

	if (id->signer)
		gauge(out, "issuer_cert_ttl_seconds", left(id->issuer.not_after));
	if (id->anchors_end)
		gauge(out, "trust_anchors_ttl_seconds", left(id->anchors_end));
	gauge(out, "identity_issuer_waiting", id->waiting);
	gauge(out, "identity_previous_leaves_end_timestamp_seconds",
		(double)(id->old_leaves_end / NS_PER_S));
	buf_text(out, "# TYPE identity_issuer_updates_total counter\n");
	buf_printf(out, "identity_issuer_updates_total{result=\"ok\"} %" PRIu64 "\n",
		id->updates);
	buf_printf(out,
		"identity_issuer_updates_total{result=\"skipped\"} %" PRIu64 "\n",
		id->skipped);
	buf_text(out, "# TYPE identity_certificates_total counter\n");
	buf_printf(out, "identity_certificates_total{result=\"issued\"} %" PRIu64 "\n",
		id->issued);
	buf_printf(out, "identity_certificates_total{result=\"refused\"} %" PRIu64 "\n",
		id->refused);
	kube_metrics(id->kube, out);
}
