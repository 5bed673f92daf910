/* SPDX-License-Identifier: Apache-2.0 */
/* One Certify call: checks, token review, signature, answer. */
#include <stdlib.h>

#include "api/api.h"
#include "api/identity.pb-c.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "ctl/identityint.h"
#include "tls/cert.h"
#include "tls/key.h"

#define TOKEN_MAX  ((size_t)16 * 1024)
#define ARENA_MAX  ((size_t)128 * 1024)
#define REVIEW_URL "/apis/authentication.k8s.io/v1/tokenreviews"
#define AUDIENCE   "identity.l5d.io"
#define LABEL_MAX  63

/* One call.  Lives as long as the gRPC request does. */
struct certify {
	struct identity *id;
	struct grpc_request *request;
	struct arena arena;
	Identity__CertifyRequest *q;
	struct kube_call *review; /* on its way, or NULL */
	struct sign_call *sign;   /* on its way, or NULL */
	bool any_audience;        /* the review was repeated without ours */
	uint64_t issuer;          /* it is being signed by: id->updates then */
	char ns[LABEL_MAX + 1], account[SIGNER_NAME_MAX + 1];
};

static void on_gone(struct grpc_request *r)
{
	struct certify *c = grpc_get(r);

	if (c->review)
		kube_cancel(c->review);
	if (c->sign)
		sign_cancel(c->sign);
	arena_fini(&c->arena);
	free(c);
}

/* Ends the call; `c` is gone. */
static void refuse(struct certify *c, enum grpc_status status, const char *text)
{
	log_info("identity", "certificate refused",
		LS("identity", c->q ? c->q->identity : ""), LS("reason", text));
	c->id->refused++;
	grpc_end(c->request, status, text);
}

/* ---- what is asked for ---- */

static bool is_dns_name(const char *name)
{
	size_t n = strlen(name), label = 0;

	for (size_t i = 0; i < n; i++) {
		char ch = name[i];

		if (ch == '.' && label == 0)
			return false;
		label = ch == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
		if (ch != '.' && ch != '-' && !(ch >= 'a' && ch <= 'z') &&
			!(ch >= '0' && ch <= '9'))
			return false;
	}
	return n > 0 && n <= SIGNER_NAME_MAX && label > 0;
}

static bool is_printable(const ProtobufCBinaryData *b)
{
	for (size_t i = 0; i < b->len; i++)
		if (b->data[i] <= 0x20 || b->data[i] >= 0x7f)
			return false;
	return true;
}

/* NULL when all is well, else what is wrong with the arguments. */
static const char *check_request(const Identity__CertifyRequest *q)
{
	if (!*q->identity)
		return "missing identity";
	if (!is_dns_name(q->identity))
		return "malformed identity";
	if (q->token.len == 0)
		return "missing token";
	if (q->token.len > TOKEN_MAX || !is_printable(&q->token))
		return "malformed token";
	if (q->certificate_signing_request.len == 0)
		return "missing certificate signing request";
	if (q->certificate_signing_request.len > SIGNER_CSR_MAX)
		return "certificate signing request too large";
	return NULL;
}

static struct slice csr_of(const struct certify *c)
{
	return slice_bytes(c->q->certificate_signing_request.data,
		c->q->certificate_signing_request.len);
}

/* False when the call has been refused. */
static bool check_csr(struct certify *c)
{
	const char *name = c->q->identity;
	struct csr csr;
	struct err e = {0};

	if (csr_read(csr_of(c), &csr, &e)) {
		refuse(c, GRPC_INVALID_ARGUMENT, e.msg);
		return false;
	}
	if (csr.dns_count != 1 || strcmp(csr.dns, name) != 0 || csr.other_san_count)
		err_set(&e, ERR_DENIED,
			"the request must have exactly one name: %.100s", name);
	else if (csr.common_name[0] && strcmp(csr.common_name, name) != 0)
		err_set(&e, ERR_DENIED, "the common name must be %.100s", name);
	else if (!csr.key_is_ecdsa_p256)
		err_set(&e, ERR_DENIED, "the key must be ECDSA P-256");
	else if (!csr.self_signed_ok)
		err_set(&e, ERR_DENIED, "the request's signature is bad");
	else
		return true;
	refuse(c, GRPC_FAILED_PRECONDITION, e.msg);
	return false;
}

/* ---- whose token it is ---- */

static bool is_label(struct slice s)
{
	if (s.n == 0 || s.n > LABEL_MAX || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '-' && !(s.p[i] >= 'a' && s.p[i] <= 'z') &&
			!(s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

/* Names of service accounts may have dots. */
static bool is_account(struct slice s)
{
	struct slice label;

	if (s.n == 0 || s.n > SIGNER_NAME_MAX)
		return false;
	while (slice_cut(&s, '.', &label))
		if (!is_label(label))
			return false;
	return true;
}

int certify_name(const struct identity_config *cfg, const char *username, char *ns,
	char *account, char *out, size_t size)
{
	struct slice rest = slice_of(username), part[4], extra;
	int n;

	for (size_t i = 0; i < countof(part); i++)
		if (!slice_cut(&rest, ':', &part[i]))
			return -1;
	if (slice_cut(&rest, ':', &extra) || !slice_is(part[0], "system") ||
		!slice_is(part[1], "serviceaccount") || !is_label(part[2]) ||
		!is_account(part[3]))
		return -1;
	snprintf(ns, LABEL_MAX + 1, "%.*s", SLICE_FMT(part[2]));
	snprintf(account, SIGNER_NAME_MAX + 1, "%.*s", SLICE_FMT(part[3]));
	n = snprintf(out, size, "%s.%s.serviceaccount.identity.%s.%s", account, ns,
		cfg->namespace, cfg->trust_domain);
	return n > 0 && (size_t)n < size ? 0 : -1;
}

static void begin_review(struct certify *c);
static void begin_sign(struct certify *c);

static void reviewed(struct certify *c, const struct json *status)
{
	const char *error = json_text_or(status, "error", "");
	const char *user = json_text_or(status, "user.username", "");
	char name[SIGNER_NAME_MAX + 1];

	if (strstr(error, "token audiences") && !c->any_audience) {
		/* an API server that knows no audiences but its own */
		c->any_audience = true;
		begin_review(c);
	} else if (*error) {
		refuse(c, GRPC_INVALID_ARGUMENT, error);
	} else if (!json_bool_at(status, "authenticated", false)) {
		refuse(c, GRPC_FAILED_PRECONDITION, "token could not be authenticated");
	} else if (certify_name(
			   c->id->cfg, user, c->ns, c->account, name, sizeof name)) {
		refuse(c, GRPC_INVALID_ARGUMENT, "the token is no service account's");
	} else if (strcmp(name, c->q->identity) != 0) {
		refuse(c, GRPC_FAILED_PRECONDITION,
			"requested identity did not match provided token");
	} else {
		begin_sign(c);
	}
}

static void on_review(
	void *arg, int status, const struct json *body, const struct err *e)
{
	struct certify *c = arg;
	const struct json *found = json_get(body, "status");

	c->review = NULL;
	if (status >= 200 && status < 300 && found) {
		reviewed(c, found);
		return;
	}
	log_warn("identity", "the token could not be reviewed", LI("status", status),
		LS("error", status ? json_text_or(body, "message", "") : e->msg));
	if (status == 0 || status == 429 || status >= 500)
		refuse(c, GRPC_UNAVAILABLE, "the API server is not available");
	else
		refuse(c, GRPC_INTERNAL, "the token could not be reviewed");
}

static void begin_review(struct certify *c)
{
	struct json *body = json_object(), *spec;

	json_set_text(body, "apiVersion", "authentication.k8s.io/v1");
	json_set_text(body, "kind", "TokenReview");
	spec = json_need_object(body, "spec");
	json_set(spec, "token",
		json_string_n(slice_bytes(c->q->token.data, c->q->token.len)));
	if (!c->any_audience)
		json_push(json_need_list(spec, "audiences"), json_string(AUDIENCE));
	c->review =
		kube_request(c->id->kube, "POST", REVIEW_URL, NULL, body, on_review, c);
	json_free(body);
}

/* ---- the certificate ---- */

static void tell_issued(struct certify *c, struct slice der, uint64_t not_after)
{
	struct json *about = json_object(), *meta;
	char text[512], end[CLOCK_TEXT], hash[2 * SHA256_SIZE + 1];

	clock_rfc3339(not_after, false, end);
	sha256_hex(der, hash);
	snprintf(text, sizeof text, "issued certificate for %s until %s: %s",
		c->q->identity, end, hash);
	json_set_text(about, "apiVersion", "v1");
	json_set_text(about, "kind", "ServiceAccount");
	meta = json_need_object(about, "metadata");
	json_set_text(meta, "namespace", c->ns);
	json_set_text(meta, "name", c->account);
	kube_event(c->id->kube, about, "Normal", "IssuedLeafCertificate", text);
	json_free(about);
	log_info("identity", "certificate issued", LS("identity", c->q->identity),
		LS("until", end));
}

static ProtobufCBinaryData binary_of(struct slice s)
{
	return (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
}

static void answer(struct certify *c, struct slice der, uint64_t not_after)
{
	const struct issuer *issuer = &c->id->issuer;
	Identity__CertifyResponse m = IDENTITY__CERTIFY_RESPONSE__INIT;
	Common__Timestamp until = COMMON__TIMESTAMP__INIT;
	ProtobufCBinaryData chain[SIGNER_CHAIN_MAX];
	struct grpc_request *r = c->request;
	struct buf out = BUF_INIT;

	m.leaf_certificate = binary_of(der);
	for (size_t i = 0; i < issuer->nchain; i++)
		chain[i] = binary_of(buf_slice(&issuer->chain[i]));
	m.n_intermediate_certificates = issuer->nchain;
	m.intermediate_certificates = chain;
	until.seconds = (int64_t)(not_after / NS_PER_S);
	until.nanos = (int32_t)(not_after % NS_PER_S);
	m.valid_until = &until;
	if (api_write(&m, &out)) {
		refuse(c, GRPC_INTERNAL, "out of memory");
	} else {
		c->id->issued++;
		if (not_after > c->id->leaves_end)
			c->id->leaves_end = not_after;
		tell_issued(c, der, not_after);
		grpc_send(r, buf_slice(&out));
		grpc_end(r, GRPC_OK, NULL);
	}
	buf_fini(&out);
}

static void on_signed(
	void *arg, struct slice der, uint64_t not_after, const struct err *e)
{
	struct certify *c = arg;

	c->sign = NULL;
	if (e->code == ERR_NONE && c->issuer != c->id->updates)
		begin_sign(c); /* the chain that we have now is the next issuer's */
	else if (e->code == ERR_NONE)
		answer(c, der, not_after);
	else
		refuse(c,
			e->code == ERR_CLOSED ? GRPC_UNAVAILABLE
					      : GRPC_FAILED_PRECONDITION,
			e->msg);
}

static void begin_sign(struct certify *c)
{
	const struct identity_config *cfg = c->id->cfg;
	uint64_t now = clock_wall();
	struct sign_order order = {
		.name = c->q->identity,
		.csr = csr_of(c),
		.not_before = now - cfg->skew,
		.not_after = now + cfg->lifetime + cfg->skew,
	};
	struct err e = {0};

	c->issuer = c->id->updates;
	if (identity_check(c->id, &e) == 0)
		c->sign = signer_sign(c->id->signer, &order, on_signed, c, &e);
	if (!c->sign)
		refuse(c, GRPC_UNAVAILABLE, e.msg);
}

/* False when the call has been refused. */
static bool check_issuer(struct certify *c)
{
	struct err e = {0};

	if (identity_check(c->id, &e) == 0)
		return true;
	if (e.code == ERR_DENIED)
		identity_event(c->id, "Warning", "IssuerValidationFailed", e.msg);
	refuse(c, GRPC_UNAVAILABLE, e.msg);
	return false;
}

void certify_on_message(struct grpc_request *r, struct slice message)
{
	struct certify *c;
	const char *wrong;
	struct err e = {0};

	if (grpc_get(r)) { /* unary: one message */
		grpc_end(r, GRPC_INVALID_ARGUMENT, "more than one message");
		return;
	}
	c = calloc(1, sizeof *c);
	must(c);
	c->id = grpc_server_arg(r);
	c->request = r;
	arena_init(&c->arena, ARENA_MAX);
	grpc_set(r, c, on_gone);
	c->q = API_READ(Identity__CertifyRequest, identity__certify_request, message,
		&c->arena, &e);
	wrong = c->q ? check_request(c->q) : e.msg;
	if (wrong)
		refuse(c, GRPC_INVALID_ARGUMENT, wrong);
	else if (check_issuer(c) && check_csr(c))
		begin_review(c);
}
