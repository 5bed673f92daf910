/* SPDX-License-Identifier: Apache-2.0 */
#include "api/api.h"
#include "base/obj.h"
#include "rpc.h"
#include "web.h"
#include "wire/json.h"

#define FIND     "/emojivoto.v1.EmojiService/FindByShortcode"
#define LIST_ALL "/emojivoto.v1.EmojiService/ListAll"
#define RESULTS  "/emojivoto.v1.VotingService/Results"

/* The calls made for one request; lives in its arena. */
struct ask {
	struct call *call;
	struct web *web;
	struct rpc emoji, voting[2]; /* two: a chance to hear of two replicas */
	const struct emoji *choice;
	const Emojivoto__V1__ListAllEmojiResponse *list;
	size_t pending, heard; /* of the leaderboard */
	int status;            /* why the first call failed */
	char text[256];
};

/* ---- answers ---- */

/* Takes `j`. */
static void reply(struct call *c, int status, struct json *j)
{
	struct web *w = c->site_arg;
	struct buf out = BUF_INIT;

	must(json_write(j, 0, &out) == 0);
	json_free(j);
	call_header(c, "cache-control", "no-store");
	call_header(c, "x-served-by", w->app->pod);
	call_reply(c, status, "application/json", buf_slice(&out));
	buf_fini(&out);
}

static void fail(struct call *c, int grpc, const char *text)
{
	static const int http[] = {
		[GRPC_INVALID_ARGUMENT] = 400,
		[GRPC_NOT_FOUND] = 404,
		[GRPC_UNAVAILABLE] = 503,
		[GRPC_DEADLINE_EXCEEDED] = 504,
	};
	struct json *j = json_object();
	bool known = grpc >= 0 && (size_t)grpc < countof(http) && http[grpc];

	json_set_text(j, "error", text);
	json_set_text(j, "status", grpc_status_name(grpc));
	reply(c, known ? http[grpc] : 500, j);
}

static struct json *push_emoji(struct json *list, const Emojivoto__V1__Emoji *m)
{
	struct json *j = json_push(list, json_object());

	json_set_text(j, "shortcode", m->shortcode);
	json_set_text(j, "unicode", m->unicode);
	return j;
}

/* ---- calls ---- */

static void ask_gone(struct call *c)
{
	struct ask *a = c->arg;

	rpc_end(&a->emoji);
	for (size_t i = 0; i < countof(a->voting); i++)
		rpc_end(&a->voting[i]);
}

/* NULL: the request was answered so. */
static struct ask *ask_new(struct call *c)
{
	struct ask *a = arena_alloc(c->arena, sizeof *a);

	if (!a) {
		fail(c, GRPC_RESOURCE_EXHAUSTED, "no memory for the request");
		return NULL;
	}
	a->call = c;
	a->web = c->site_arg;
	a->emoji.arg = a;
	for (size_t i = 0; i < countof(a->voting); i++)
		a->voting[i].arg = a;
	c->arg = a;
	c->on_gone = ask_gone;
	return a;
}

static void note_failure(struct ask *a, int status, const char *text)
{
	if (a->status != GRPC_OK)
		return;
	a->status = status;
	snprintf(a->text, sizeof a->text, "%s", text);
}

/* The message of a reply, in the request's arena; NULL: why is noted. */
static void *read_reply(struct ask *a, int status, const char *text, struct slice bytes,
	const ProtobufCMessageDescriptor *type)
{
	struct err e = {0};
	void *m;

	if (status != GRPC_OK) {
		note_failure(a, status, text);
		return NULL;
	}
	m = api_read(type, bytes, a->call->arena, &e);
	if (!m)
		note_failure(a, GRPC_INTERNAL, e.msg);
	return m;
}

static void ask_emojis(struct ask *a, rpc_done *done)
{
	Emojivoto__V1__ListAllEmojiRequest in =
		EMOJIVOTO__V1__LIST_ALL_EMOJI_REQUEST__INIT;

	rpc_begin(&a->emoji, a->web->emoji, LIST_ALL, &in, done);
}

static void read_emojis(
	struct ask *a, int status, const char *text, struct slice message)
{
	a->list = read_reply(a, status, text, message,
		&emojivoto__v1__list_all_emoji_response__descriptor);
}

/* ---- the list ---- */

static void list_done(struct rpc *r, int status, const char *text, struct slice message)
{
	struct ask *a = r->arg;
	struct json *list;

	read_emojis(a, status, text, message);
	if (!a->list) {
		fail(a->call, a->status, a->text);
		return;
	}
	list = json_list();
	for (size_t i = 0; i < a->list->n_list; i++)
		push_emoji(list, a->list->list[i]);
	reply(a->call, 200, list);
}

void ask_list(struct call *c)
{
	struct ask *a = ask_new(c);

	if (a)
		ask_emojis(a, list_done);
}

/* ---- a vote: is there such an emoji, then its method ---- */

static void vote_done(struct rpc *r, int status, const char *text, struct slice message)
{
	struct ask *a = r->arg;
	struct json *j;

	(void)message; /* it has no field */
	if (status != GRPC_OK) {
		fail(a->call, status, text);
		return;
	}
	j = json_object();
	json_set_text(j, "shortcode", a->choice->shortcode);
	json_set_text(j, "unicode", a->choice->shown);
	reply(a->call, 200, j);
}

static void find_done(struct rpc *r, int status, const char *text, struct slice message)
{
	Emojivoto__V1__VoteRequest in = EMOJIVOTO__V1__VOTE_REQUEST__INIT;
	struct ask *a = r->arg;
	const Emojivoto__V1__FindByShortcodeResponse *m = read_reply(a, status, text,
		message, &emojivoto__v1__find_by_shortcode_response__descriptor);

	if (m && m->emoji)
		a->choice = emoji_find(slice_of(m->emoji->shortcode));
	if (m && !a->choice)
		note_failure(a, GRPC_NOT_FOUND, "this emoji cannot be voted for");
	if (a->choice)
		rpc_begin(
			&a->voting[0], a->web->voting, a->choice->path, &in, vote_done);
	else
		fail(a->call, a->status, a->text);
}

void ask_vote(struct call *c)
{
	Emojivoto__V1__FindByShortcodeRequest in =
		EMOJIVOTO__V1__FIND_BY_SHORTCODE_REQUEST__INIT;
	struct slice choice = call_param(c, "choice");
	struct ask *a;

	if (!choice.n) {
		fail(c, GRPC_INVALID_ARGUMENT, "choice=: which emoji?");
		return;
	}
	a = ask_new(c);
	in.shortcode = a ? api_text(choice, c->arena) : NULL;
	if (in.shortcode)
		rpc_begin(&a->emoji, a->web->emoji, FIND, &in, find_done);
	else if (a)
		fail(c, GRPC_RESOURCE_EXHAUSTED, "no memory for the request");
}

/* ---- the leaderboard: what there is, and what the voting service counted ---- */

struct row {
	const Emojivoto__V1__Emoji *emoji;
	int64_t votes;
};

static int by_votes(const void *a, const void *b)
{
	int64_t x = ((const struct row *)a)->votes, y = ((const struct row *)b)->votes;

	return (x < y) - (x > y);
}

static size_t fill_rows(const struct ask *a, struct row rows[EMOJI_COUNT])
{
	size_t n = 0;

	for (size_t i = 0; i < a->list->n_list && n < EMOJI_COUNT; i++) {
		const Emojivoto__V1__Emoji *m = a->list->list[i];
		const struct emoji *e = emoji_find(slice_of(m->shortcode));

		if (e && tally_votes(&a->web->tally, e - emojis))
			rows[n++] = (struct row){
				m, tally_votes(&a->web->tally, e - emojis)};
	}
	qsort(rows, n, sizeof *rows, by_votes);
	return n;
}

/* One of its calls is over; the last answers. */
static void board_next(struct ask *a)
{
	struct row rows[EMOJI_COUNT];
	struct json *list;
	size_t n;

	if (--a->pending)
		return;
	if (!a->list || !a->heard) {
		fail(a->call, a->status, a->text);
		return;
	}
	list = json_list();
	n = fill_rows(a, rows);
	for (size_t i = 0; i < n; i++)
		json_set_int(push_emoji(list, rows[i].emoji), "votes", rows[i].votes);
	reply(a->call, 200, list);
}

static void board_emojis(
	struct rpc *r, int status, const char *text, struct slice message)
{
	struct ask *a = r->arg;

	read_emojis(a, status, text, message);
	board_next(a);
}

static void board_results(
	struct rpc *r, int status, const char *text, struct slice message)
{
	struct ask *a = r->arg;
	const Emojivoto__V1__ResultsResponse *m = read_reply(
		a, status, text, message, &emojivoto__v1__results_response__descriptor);

	if (m) {
		tally_hear(&a->web->tally, m);
		a->heard++;
	}
	board_next(a);
}

void ask_leaderboard(struct call *c)
{
	Emojivoto__V1__ResultsRequest in = EMOJIVOTO__V1__RESULTS_REQUEST__INIT;
	struct ask *a = ask_new(c);

	if (!a)
		return;
	a->pending = 1 + countof(a->voting);
	for (size_t i = 0; i < countof(a->voting); i++)
		rpc_begin(&a->voting[i], a->web->voting, RESULTS, &in, board_results);
	ask_emojis(a, board_emojis);
}
