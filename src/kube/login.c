/* SPDX-License-Identifier: Apache-2.0 */
/* Who we are: certificates for the connection, fields for each request. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/obj.h"
#include "kube/call.h"
#include "tls/creds.h"

#define TOKEN_MAX ((size_t)64 * 1024)
#define CA_MAX    ((size_t)1024 * 1024)

static int load_creds(struct kube *k, struct err *e)
{
	const struct kube_target *t = &k->target;
	struct creds_spec spec = {
		.anchors_pem = buf_slice(&t->ca),
		.chain_pem = buf_slice(&t->cert),
	};
	struct key *key = NULL;
	struct creds *c;

	if (buf_len(&t->key)) {
		key = key_read(buf_slice(&t->key), e);
		if (!key)
			return err_wrap(e, "client key");
		spec.key = key;
	}
	c = creds_new(&spec, e);
	key_free(key);
	if (!c)
		return -1;
	snap_set(&k->creds, creds_ref(c));
	return 0;
}

/* Both files of a pod change while it runs: the kubelet renews them. */
static void reload_ca(struct kube *k)
{
	struct kube_target *t = &k->target;
	uint64_t stamp = t->ca_file ? file_stamp(t->ca_file) : 0;
	struct buf fresh = BUF_INIT;
	struct err e = {0};

	if (stamp == 0 || stamp == k->ca_stamp)
		return;
	k->ca_stamp = stamp;
	if (file_read(t->ca_file, CA_MAX, &fresh, &e) == 0) {
		struct buf old = t->ca;

		t->ca = fresh;
		fresh = old;
		if (load_creds(k, &e) == 0)
			goto out;
		fresh = t->ca;
		t->ca = old;
	}
	log_warn("kube", "the CA cannot be read again", LE(&e));
out:
	buf_fini(&fresh);
}

static void reload_token(struct kube *k)
{
	struct kube_target *t = &k->target;
	uint64_t stamp = t->token_file ? file_stamp(t->token_file) : 0;
	struct buf text = BUF_INIT;
	struct err e = {0};

	if (stamp == 0 || stamp == k->token_stamp)
		return;
	k->token_stamp = stamp;
	if (file_read(t->token_file, TOKEN_MAX, &text, &e)) {
		log_warn("kube", "the token cannot be read again", LE(&e));
	} else {
		free(t->token);
		t->token = slice_dup(slice_trim(buf_slice(&text)));
		must(t->token);
	}
	buf_fini(&text);
}

/* ---- the plugin ---- */

/* Takes what `said` has. */
static int believe(struct kube *k, struct exec_creds *said, struct err *e)
{
	struct kube_target *t = &k->target;
	bool has_cert = buf_len(&said->cert);

	free(t->token);
	t->token = said->token;
	said->token = NULL;
	k->exec_until = said->expires ? said->expires : UINT64_MAX;
	if (!has_cert)
		return 0;
	buf_fini(&t->cert);
	buf_fini(&t->key);
	t->cert = said->cert;
	t->key = said->key;
	said->cert = said->key = BUF_INIT;
	return load_creds(k, e) ? err_wrap(e, "the exec plugin's certificate") : 0;
}

static int ask_plugin(struct kube *k, struct err *e)
{
	struct exec_creds said;
	int rc;

	if (!k->target.exec || clock_wall() < k->exec_until)
		return 0;
	if (exec_plugin_ask(k->target.exec, &said, e))
		return -1;
	rc = believe(k, &said, e);
	exec_creds_fini(&said);
	return rc;
}

void kube_login_refused(struct kube *k)
{
	k->exec_until = 0;
}

int kube_login_begin(struct kube *k, struct err *e)
{
	if (k->target.tls && load_creds(k, e))
		return -1;
	if (k->target.ca_file)
		k->ca_stamp = file_stamp(k->target.ca_file);
	return ask_plugin(k, e); /* its certificate is needed to connect */
}

/* ---- fields ---- */

void kube_fields_add(struct kube_fields *f, const char *name, struct slice value)
{
	if (f->n < KUBE_FIELDS_MAX)
		f->v[f->n++] = (struct field){.name = slice_of(name), .value = value};
}

void kube_fields_fini(struct kube_fields *f)
{
	if (f->text.p)
		explicit_bzero(f->text.p, f->text.cap);
	buf_fini(&f->text);
	buf_fini(&f->names);
}

static int add_authorization(const struct kube_target *t, struct kube_fields *f)
{
	if (t->token)
		buf_printf(&f->text, "Bearer %s", t->token);
	else if (t->basic)
		buf_printf(&f->text, "Basic %s", t->basic);
	if (buf_len(&f->text))
		kube_fields_add(f, "authorization", buf_slice(&f->text));
	return f->text.failed ? -1 : 0;
}

static void add_values(struct kube_fields *f, const char *name, const struct json *list)
{
	json_each(v, list)
	{
		kube_fields_add(f, name, slice_of(json_text(v) ? json_text(v) : ""));
	}
}

/* The names first, all of them: they must not move any more. */
static void add_extra(const struct json *extra, struct kube_fields *f)
{
	const char *name;

	json_each(x, extra)
	{
		buf_text(&f->names, "impersonate-extra-");
		kube_escape(&f->names, json_key(x));
		buf_char(&f->names, '\0');
	}
	name = f->names.failed ? NULL : f->names.p;
	json_each(x, name ? extra : NULL)
	{
		add_values(f, name, x);
		name += strlen(name) + 1;
	}
}

static void add_impersonation(const struct kube_target *t, struct kube_fields *f)
{
	if (!t->as)
		return;
	kube_fields_add(f, "impersonate-user", slice_of(t->as));
	if (t->as_uid)
		kube_fields_add(f, "impersonate-uid", slice_of(t->as_uid));
	for (size_t i = 0; i < t->n_as_groups; i++)
		kube_fields_add(f, "impersonate-group", slice_of(t->as_groups[i]));
	add_extra(t->as_extra, f);
}

int kube_login_fields(struct kube *k, struct kube_fields *out, struct err *e)
{
	*out = (struct kube_fields){0};
	reload_ca(k);
	reload_token(k);
	if (ask_plugin(k, e))
		return -1;
	kube_fields_add(out, "user-agent", slice_of(k->component));
	add_impersonation(&k->target, out);
	if (add_authorization(&k->target, out)) {
		kube_fields_fini(out);
		return err_set(e, ERR_LIMIT, "out of memory");
	}
	return 0;
}
