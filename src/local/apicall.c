/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the API server: who asks, the REST layer, then webhooks, a watch or the
 * kubelet. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/obj.h"
#include "local/apiint.h"
#include "local/status.h"
#include "local/token.h"

#define API_CALL_MAGIC 0xa9ca1100u
#define BOOKMARK_EVERY (30 * NS_PER_S)
#define WATCH_BACKLOG  ((size_t)1024 * 1024)
#define WARNING_MAX    256 /* bytes of one */

struct api_call {
	unsigned magic;
	struct local_api *api;
	struct call *call;
	struct rest_call rest;
	struct admit *admit;
	char user[300];
	/* a watch */
	bool watching, ended;
	struct store_watch watch;
	struct later pump;
	struct timer bookmark, timeout;
};

/* ---- who asks ---- */

static bool is_open_path(struct slice path)
{
	static const char *const open[] = {"/healthz", "/readyz", "/livez", "/version"};

	for (size_t i = 0; i < countof(open); i++)
		if (slice_starts(path, slice_of(open[i])))
			return true;
	return false;
}

static bool authenticate(struct api_call *ac)
{
	struct slice h = fields_get(&ac->call->req->fields, SLICE("authorization"));
	struct token_claims t;
	bool ok;

	if (strcmp(ac->call->peer_id, PKI_ADMIN) == 0) {
		snprintf(ac->user, sizeof(ac->user), "kubernetes-admin");
		return true;
	}
	if (slice_starts(h, SLICE("Bearer ")) &&
		token_verify(ac->api->store, ac->api->pki.token_key,
			slice_trim(slice_bytes(h.p + 7, h.n - 7)), &t, NULL) == 0) {
		ok = token_is_for(&t, NULL);
		snprintf(ac->user, sizeof(ac->user), "%s", t.user);
		json_free(t.audiences);
		return ok;
	}
	snprintf(ac->user, sizeof(ac->user), "system:anonymous");
	return is_open_path(ac->call->path);
}

/* ---- answers ---- */

/* What webhooks warn of: `299 - "text"` (RFC 7234 5.5), which kubectl prints. */
static void add_warning(struct api_call *ac, const char *text)
{
	struct buf b = BUF_INIT;

	buf_text(&b, "299 - \"");
	for (size_t n = 0; *text && n < WARNING_MAX; text++, n++) {
		if (*text == '"' || *text == '\\')
			buf_char(&b, '\\');
		buf_char(&b, (unsigned char)*text < ' ' ? ' ' : *text);
	}
	buf_text(&b, "\"");
	buf_char(&b, '\0');
	call_header(ac->call, "warning", b.p);
	buf_fini(&b);
}

static void reply(struct api_call *ac)
{
	json_each(w, ac->rest.change.warnings)
	{
		add_warning(ac, json_text(w));
	}
	call_reply(ac->call, ac->rest.status, ac->rest.type, buf_slice(&ac->rest.out));
}

static void refuse(struct api_call *ac, struct json *status)
{
	rest_refuse(&ac->rest, status);
	reply(ac);
}

/* ---- webhooks ---- */

static void on_admitted(void *arg, struct json *refused)
{
	struct api_call *ac = obj_cast(struct api_call, arg, API_CALL_MAGIC);

	ac->admit = NULL;
	rest_commit(&ac->api->rest, &ac->rest, refused);
	reply(ac);
}

static void admit(struct api_call *ac)
{
	ac->admit = admit_begin(
		ac->api->loop, ac->api->cfg.dns, &ac->rest.change, on_admitted, ac);
	if (!ac->admit)
		on_admitted(ac, NULL);
}

/* ---- watches ---- */

static void send_out(struct api_call *ac)
{
	if (buf_len(&ac->rest.out))
		call_send(ac->call, buf_slice(&ac->rest.out));
	buf_clear(&ac->rest.out);
}

static void end_watch(struct api_call *ac)
{
	ac->ended = true;
	send_out(ac);
	call_end(ac->call);
}

static void pump(struct api_call *ac)
{
	struct store_event ev;

	while (!ac->ended &&
		call_backlog(ac->call) + buf_len(&ac->rest.out) < WATCH_BACKLOG)
		switch (store_watch_next(&ac->watch, &ev)) {
		case STORE_MORE:
			rest_watch_event(&ac->api->rest, &ac->rest, &ev, &ac->rest.out);
			break;
		case STORE_NO_MORE:
			send_out(ac);
			return;
		case STORE_EXPIRED:
			rest_watch_expired(&ac->rest.out);
			end_watch(ac);
			return;
		}
	send_out(ac);
}

static void on_pump(struct later *d)
{
	pump(container_of(d, struct api_call, pump));
}

static void on_wake(struct store_watch *w)
{
	struct api_call *ac = container_of(w, struct api_call, watch);

	loop_later(ac->api->loop, &ac->pump);
}

static void on_room(struct call *c)
{
	struct api_call *ac = obj_cast(struct api_call, c->arg, API_CALL_MAGIC);

	loop_later(ac->api->loop, &ac->pump);
}

static void on_bookmark(struct timer *t)
{
	struct api_call *ac = container_of(t, struct api_call, bookmark);

	pump(ac);
	if (ac->ended || call_backlog(ac->call))
		goto again;
	rest_watch_bookmark(&ac->api->rest, &ac->rest, ac->watch.at, &ac->rest.out);
	send_out(ac);
again:
	timer_set(t, BOOKMARK_EVERY);
}

static void on_timeout(struct timer *t)
{
	end_watch(container_of(t, struct api_call, timeout));
}

static void watch(struct api_call *ac)
{
	struct local_api *a = ac->api;

	ac->watching = true;
	call_stream(ac->call, 200, ac->rest.type);
	rest_watch_begin(&a->rest, &ac->rest, &ac->rest.out);
	send_out(ac);
	store_watch_begin(
		&ac->watch, a->store, ac->rest.kind->res, ac->rest.since, on_wake);
	ac->call->on_room = on_room;
	loop_later(a->loop, &ac->pump);
	if (ac->rest.bookmarks)
		timer_set(&ac->bookmark, BOOKMARK_EVERY);
	if (ac->rest.timeout)
		timer_set(&ac->timeout, ac->rest.timeout);
}

/* ---- the kubelet ---- */

/* The target's texts lie in the call's arena, with this api_call. */
static void ask_kubelet(struct api_call *ac)
{
	const struct podio *io = ac->api->podio;
	void (*hook)(void *arg, struct call *c, const struct podio_target *t) = NULL;

	if (io)
		switch (ac->rest.pod_op) {
		case REST_LOG:
			hook = io->logs;
			break;
		case REST_EXEC:
			hook = io->exec;
			break;
		case REST_ATTACH:
			hook = io->attach;
			break;
		case REST_FORWARD:
			hook = io->forward;
			break;
		}
	if (!hook) {
		refuse(ac,
			status_new(501, "NotImplemented", "there is no kubelet here"));
		return;
	}
	/* From here on the call is the kubelet's. */
	ac->call->arg = NULL;
	ac->call->on_gone = NULL;
	hook(io->arg, ac->call, &ac->rest.target);
}

/* ---- a call ---- */

static void on_gone(struct call *c)
{
	struct api_call *ac = obj_cast(struct api_call, c->arg, API_CALL_MAGIC);

	admit_end(ac->admit);
	if (ac->watching)
		store_watch_end(&ac->watch);
	later_clear(&ac->pump);
	timer_clear(&ac->bookmark);
	timer_clear(&ac->timeout);
}

static void fini(void *arg)
{
	struct api_call *ac = arg;

	rest_call_fini(&ac->rest);
	ac->magic = 0;
}

static struct api_call *call_begin(struct call *c)
{
	struct api_call *ac = arena_alloc(c->arena, sizeof(*ac));

	if (!ac || arena_hook(c->arena, fini, ac) < 0)
		return NULL;
	ac->magic = API_CALL_MAGIC;
	ac->api = c->site_arg;
	ac->call = c;
	later_init(&ac->pump, on_pump);
	timer_init(&ac->bookmark, c->loop, on_bookmark);
	timer_init(&ac->timeout, c->loop, on_timeout);
	ac->rest.method = c->req->method;
	ac->rest.path = c->path;
	ac->rest.query = c->query;
	ac->rest.body = c->body;
	ac->rest.content_type = fields_get(&c->req->fields, SLICE("content-type"));
	ac->rest.accept = fields_get(&c->req->fields, SLICE("accept"));
	ac->rest.user = ac->user;
	ac->rest.arena = c->arena;
	c->arg = ac;
	c->on_gone = on_gone;
	return ac;
}

void api_handle(struct call *c)
{
	struct api_call *ac = call_begin(c);

	if (!ac) {
		call_text(c, 500, "no memory for the call\n");
		return;
	}
	if (!authenticate(ac)) {
		refuse(ac, status_new(401, "Unauthorized", "Unauthorized"));
		return;
	}
	rest_handle(&ac->api->rest, &ac->rest);
	switch (ac->rest.then) {
	case REST_ANSWER:
		reply(ac);
		break;
	case REST_WATCH:
		watch(ac);
		break;
	case REST_ADMIT:
		admit(ac);
		break;
	case REST_POD:
		ask_kubelet(ac);
		break;
	}
}

/* ---- what controllers create ---- */

struct creation {
	struct list node;
	struct change change;
	struct admit *admit;
	ctrl_created *done;
	void *ctx;
};

static void creation_end(struct creation *m, struct json *refused)
{
	struct err e = {0};

	if (refused)
		err_set(&e, ERR_DENIED, "Error creating: %s",
			json_text_or(refused, "message", ""));
	json_free(refused);
	m->done(m->ctx, e.code ? &e : NULL);
	change_fini(&m->change);
	list_remove(&m->node);
	free(m);
}

static void on_creation_admitted(void *arg, struct json *refused)
{
	struct creation *m = arg;

	m->admit = NULL;
	creation_end(m, refused ? refused : change_commit(&m->change));
}

void api_create(
	void *arg, const char *res, struct json *obj, ctrl_created *done, void *ctx)
{
	struct local_api *a = arg;
	struct creation *m = calloc(1, sizeof(*m));
	struct json *refused;

	must(m);
	m->done = done;
	m->ctx = ctx;
	list_push(&a->creations, &m->node);
	m->change = (struct change){.env = &a->rest.env,
		.kind = kind_of_store(a->kinds, res),
		.verb = CHANGE_CREATE,
		.obj = obj,
		.user = "system:kube-controller-manager"};
	must(m->change.kind);
	snprintf(m->change.ns, sizeof(m->change.ns), "%s",
		json_text_or(obj, "metadata.namespace", ""));
	refused = change_prepare(&m->change);
	if (refused) {
		creation_end(m, refused);
		return;
	}
	m->admit =
		admit_begin(a->loop, a->cfg.dns, &m->change, on_creation_admitted, m);
	if (!m->admit)
		on_creation_admitted(m, NULL);
}

void api_creations_end(struct local_api *a)
{
	struct creation *m;

	list_each(m, &a->creations, node)
	{
		admit_end(m->admit);
		creation_end(m, status_new(503, "ServiceUnavailable", "shutting down"));
	}
}
