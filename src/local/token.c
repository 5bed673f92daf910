/* SPDX-License-Identifier: Apache-2.0 */
#include "local/token.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/meta.h"

#define TOKEN_MAX 8192

int base64url(struct buf *b, struct slice s)
{
	struct buf plain = BUF_INIT;
	struct slice text;
	int r;

	r = buf_base64(&plain, s);
	text = buf_slice(&plain);
	for (size_t i = 0; r == 0 && text.p && i < text.n && text.p[i] != '='; i++) {
		char c = text.p[i];

		r = buf_char(b, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
	}
	buf_fini(&plain);
	return r;
}

static int unbase64url(struct buf *b, struct slice s)
{
	struct buf plain = BUF_INIT;
	int r = 0;

	for (size_t i = 0; i < s.n && r == 0; i++) {
		char c = s.p[i];

		if (c == '+' || c == '/' || c == '=')
			r = -1;
		else
			r = buf_char(&plain, (char)(c == '-'    ? '+'
						     : c == '_' ? '/'
								: c));
	}
	while (r == 0 && buf_len(&plain) % 4)
		r = buf_char(&plain, '=');
	if (r == 0)
		r = buf_unbase64(b, buf_slice(&plain));
	buf_fini(&plain);
	return r;
}

/* ---- making ---- */

static struct json *set_ref(
	struct json *in, const char *kind, const char *name, const char *uid)
{
	struct json *o = json_need_object(in, kind);

	json_set_text(o, "name", name);
	json_set_text(o, "uid", uid);
	return o;
}

static struct json *claims_of(const struct token_spec *spec,
	const struct object *account, uint64_t now, uint64_t end)
{
	struct json *c = json_object(), *list = json_need_list(c, "aud"), *k;
	char text[400];

	for (size_t i = 0; i < countof(spec->audience) && spec->audience[i]; i++)
		json_push(list, json_string(spec->audience[i]));
	if (!json_first(list))
		json_push(list, json_string(TOKEN_ISSUER));
	json_set_int(c, "exp", (int64_t)(end / NS_PER_S));
	json_set_int(c, "iat", (int64_t)(now / NS_PER_S));
	json_set_int(c, "nbf", (int64_t)(now / NS_PER_S));
	json_set_text(c, "iss", TOKEN_ISSUER);
	snprintf(text, sizeof(text), "%016llx", (unsigned long long)random_u64());
	json_set_text(c, "jti", text);
	k = json_need_object(c, "kubernetes.io");
	json_set_text(k, "namespace", spec->ns);
	set_ref(k, "serviceaccount", spec->account, account->uid);
	if (spec->pod)
		set_ref(k, "pod", spec->pod, spec->pod_uid ? spec->pod_uid : "");
	snprintf(text, sizeof(text), "system:serviceaccount:%s:%s", spec->ns,
		spec->account);
	json_set_text(c, "sub", text);
	return c;
}

static int sign(
	const struct key *k, const struct json *claims, struct buf *out, struct err *e)
{
	struct buf text = BUF_INIT, jwt = BUF_INIT;
	uint8_t sig[64];
	int r;

	json_write(claims, 0, &text);
	base64url(&jwt,
		SLICE("{\"alg\":\"ES256\",\"kid\":\"mesh-local\",\"typ\":\"JWT\"}"));
	buf_char(&jwt, '.');
	base64url(&jwt, buf_slice(&text));
	r = key_sign_es256(k, buf_slice(&jwt), sig, e);
	if (r == 0) {
		buf_char(&jwt, '.');
		base64url(&jwt, slice_bytes(sig, sizeof(sig)));
		r = buf_adds(out, buf_slice(&jwt));
	}
	buf_fini(&text);
	buf_fini(&jwt);
	return r;
}

int token_make(const struct store *s, const struct key *k,
	const struct token_spec *spec, struct buf *out, uint64_t *expires,
	struct err *e)
{
	const struct object *account =
		store_find(s, "serviceaccounts", spec->ns, spec->account);
	uint64_t now = store_now(s), end;
	struct json *claims;
	int r;

	if (!account)
		return err_set(e, ERR_MISSING, "serviceaccounts \"%s\" not found",
			spec->account);
	end = now + (uint64_t)(spec->seconds > 0 ? spec->seconds : 3600) * NS_PER_S;
	claims = claims_of(spec, account, now, end);
	r = sign(k, claims, out, e);
	json_free(claims);
	if (expires)
		*expires = end;
	return r;
}

/* ---- verifying ---- */

static struct json *read_claims(const struct key *k, struct slice token, struct err *e)
{
	const char *dot = NULL;
	struct buf sig = BUF_INIT, body = BUF_INIT;
	struct slice signed_part, part, rest;
	struct json *claims = NULL;

	for (size_t i = 0; i < token.n; i++)
		if (token.p[i] == '.')
			dot = token.p + i;
	if (!dot || token.n > TOKEN_MAX) {
		err_set(e, ERR_DENIED, "not a token");
		return NULL;
	}
	signed_part = slice_bytes(token.p, (size_t)(dot - token.p));
	rest = slice_bytes(dot + 1, token.n - signed_part.n - 1);
	if (unbase64url(&sig, rest) < 0 || buf_len(&sig) != 64 ||
		key_verify_es256(k, signed_part, (const uint8_t *)buf_slice(&sig).p) !=
			0) {
		err_set(e, ERR_DENIED, "the token's signature is not ours");
		goto fini;
	}
	rest = signed_part;
	slice_cut(&rest, '.', &part);
	if (unbase64url(&body, rest) == 0)
		claims = json_parse(buf_slice(&body), NULL);
	if (!claims)
		err_set(e, ERR_DENIED, "the token's claims cannot be read");
fini:
	buf_fini(&sig);
	buf_fini(&body);
	return claims;
}

static int check_bound(
	const struct store *s, const struct token_claims *t, struct err *e)
{
	const struct object *o = store_find(s, "serviceaccounts", t->ns, t->account);

	if (!o || strcmp(o->uid, t->uid) != 0)
		return err_set(e, ERR_DENIED, "the token's account is no more");
	if (!*t->pod)
		return 0;
	o = store_find(s, "pods", t->ns, t->pod);
	if (!o || (*t->pod_uid && strcmp(o->uid, t->pod_uid) != 0))
		return err_set(e, ERR_DENIED, "the token's pod is no more");
	return 0;
}

#define COPY(to, from) snprintf(to, sizeof(to), "%s", from)

int token_verify(const struct store *s, const struct key *k, struct slice token,
	struct token_claims *out, struct err *e)
{
	struct json *c = read_claims(k, token, e);
	const struct json *bound = json_get(c, "kubernetes.io");
	int64_t now = (int64_t)(store_now(s) / NS_PER_S);

	*out = (struct token_claims){0};
	if (!c)
		return -1;
	COPY(out->user, json_text_or(c, "sub", ""));
	COPY(out->ns, json_text_or(bound, "namespace", ""));
	COPY(out->account, json_text_or(bound, "serviceaccount.name", ""));
	COPY(out->uid, json_text_or(bound, "serviceaccount.uid", ""));
	COPY(out->pod, json_text_or(bound, "pod.name", ""));
	COPY(out->pod_uid, json_text_or(bound, "pod.uid", ""));
	if (json_int_at(c, "exp", 0) <= now || json_int_at(c, "nbf", 0) > now + 60) {
		json_free(c);
		return err_set(e, ERR_DENIED, "the token has expired");
	}
	if (check_bound(s, out, e) < 0) {
		json_free(c);
		return -1;
	}
	out->audiences = json_copy(json_get(c, "aud"));
	json_free(c);
	return 0;
}

bool token_is_for(const struct token_claims *t, const char *audience)
{
	if (!audience || !*audience)
		audience = TOKEN_ISSUER;
	json_each(a, t->audiences)
	{
		if (json_text(a) && strcmp(json_text(a), audience) == 0)
			return true;
	}
	return false;
}
