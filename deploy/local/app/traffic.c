/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role that keeps the others busy: looks at the list and votes, one request after
 * the other, at a steady rate; every twentieth looks at the leaderboard.
 */
#include "app.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "wire/json.h"

#define BODY_MAX    ((size_t)256 * 1024)
#define PATIENCE    (5 * NS_PER_S) /* with one request */
#define TELL_EVERY  (10 * NS_PER_S)
#define BOARD_EVERY 20

enum traffic_at { TRAFFIC_LIST, TRAFFIC_VOTE, TRAFFIC_BOARD };

struct traffic {
	struct app *app;
	struct channel *web;
	struct timer tick, tell, patience;
	enum traffic_at at; /* what is asked now, or next */
	struct fetch *fetch;
	struct buf body;
	int status;
	struct json *list; /* the newest */
	char choice[64];
	uint64_t requests, votes, failed;
};

static const struct opt options[] = {
	PLACE_OPT("WEB_HOST", web, "the frontend"),
	{.env = "REQUEST_RATE",
		.kind = OPT_INT,
		.offset = offsetof(struct app, rate),
		.preset = "10",
		.min = 1,
		.max = 1000,
		.arg = "N",
		.help = "requests a second"},
	{.env = "DOUGHNUT_PERCENT",
		.kind = OPT_INT,
		.offset = offsetof(struct app, doughnut),
		.preset = "15",
		.max = 100,
		.arg = "N",
		.help = "how many votes of a hundred are for the doughnut"},
};

/* ---- one request ---- */

static void next(struct traffic *t)
{
	static const enum traffic_at after[] = {
		[TRAFFIC_LIST] = TRAFFIC_VOTE,
		[TRAFFIC_VOTE] = TRAFFIC_LIST,
		[TRAFFIC_BOARD] = TRAFFIC_LIST,
	};

	t->at = t->requests % BOARD_EVERY ? after[t->at] : TRAFFIC_BOARD;
}

static void take_list(struct traffic *t)
{
	struct json *list = json_parse(buf_slice(&t->body), NULL);

	if (!json_count(list)) {
		json_free(list);
		return;
	}
	json_free(t->list);
	t->list = list;
}

static void failed(struct traffic *t, const char *why)
{
	static const char *const what[] = {
		[TRAFFIC_LIST] = "list",
		[TRAFFIC_VOTE] = "vote",
		[TRAFFIC_BOARD] = "leaderboard",
	};

	t->failed++;
	log_warn("demo", "a request failed", LS("what", what[t->at]),
		LS("choice", t->at == TRAFFIC_VOTE ? t->choice : ""),
		LI("status", t->status), LS("error", why));
}

static void finish(struct traffic *t, const char *why)
{
	timer_clear(&t->patience);
	t->fetch = NULL;
	t->requests++;
	if (t->status != 200 || *why)
		failed(t, why);
	else if (t->at == TRAFFIC_LIST)
		take_list(t);
	else if (t->at == TRAFFIC_VOTE)
		t->votes++;
	buf_fini(&t->body);
	next(t);
}

static void on_head(void *arg, struct fetch *f, const struct rsp_head *head)
{
	(void)f;
	((struct traffic *)arg)->status = head->status;
}

static void on_data(void *arg, struct fetch *f, struct slice bytes)
{
	struct traffic *t = arg;

	(void)f;
	(void)buf_adds(&t->body, bytes); /* cut short, it is no JSON */
}

static void on_over(void *arg, struct fetch *f, const struct err *e)
{
	(void)f;
	finish(arg, e->code == ERR_NONE ? "" : e->msg);
}

static const struct fetch_user user = {on_head, on_data, on_over};

static void on_patience(struct timer *timer)
{
	struct traffic *t = container_of(timer, struct traffic, patience);

	fetch_end(t->fetch);
	finish(t, "no answer within five seconds");
}

static void choose(struct traffic *t)
{
	size_t n = json_count(t->list);
	const struct json *one = n ? json_at(t->list, random_u64() % n) : NULL;
	bool doughnut = (int64_t)(random_u64() % 100) < t->app->doughnut;

	snprintf(t->choice, sizeof t->choice, "%s",
		doughnut || !one ? ":doughnut:"
				 : json_text_or(one, "shortcode", ":doughnut:"));
}

static void ask(struct traffic *t)
{
	char path[128] = "/api/list";
	struct fetch_spec spec = {.method = "GET", .path = path};
	struct err e = {0};

	if (t->at == TRAFFIC_VOTE) {
		choose(t);
		snprintf(path, sizeof path, "/api/vote?choice=%s", t->choice);
	} else if (t->at == TRAFFIC_BOARD) {
		snprintf(path, sizeof path, "/api/leaderboard");
	}
	t->status = 0;
	t->body = BUF_LIMIT(BODY_MAX);
	timer_set(&t->patience, PATIENCE);
	t->fetch = fetch_begin(t->web, &spec, &user, t, &e);
	if (!t->fetch)
		finish(t, e.msg);
}

static void on_tick(struct timer *timer)
{
	struct traffic *t = container_of(timer, struct traffic, tick);

	timer_set(timer, NS_PER_S / (uint64_t)t->app->rate);
	if (!t->fetch)
		ask(t);
}

static void on_tell(struct timer *timer)
{
	struct traffic *t = container_of(timer, struct traffic, tell);

	timer_set(timer, TELL_EVERY);
	log_info("demo", "so far", LI("requests", t->requests), LI("votes", t->votes),
		LI("failed", t->failed));
}

/* ---- life ---- */

static int start(struct app *app, struct err *e)
{
	struct traffic *t = app->state = calloc(1, sizeof *t);
	struct channel_config cfg = {.host = app->web.host,
		.port = app->web.port,
		.kind = HTTP_KIND_1,
		.backoff_max = 2 * NS_PER_S,
		.wait_max = 4 * NS_PER_S};

	must(t);
	t->app = app;
	timer_init(&t->tick, app->loop, on_tick);
	timer_init(&t->tell, app->loop, on_tell);
	timer_init(&t->patience, app->loop, on_patience);
	t->web = channel_new(app->loop, app->dns, &cfg, e);
	if (!t->web)
		return -1;
	timer_set(&t->tick, 1);
	timer_set(&t->tell, TELL_EVERY);
	return 0;
}

static void drain(struct app *app)
{
	app_drained(app); /* it owes nobody an answer */
}

static void stop(struct app *app)
{
	struct traffic *t = app->state;

	if (!t)
		return;
	if (t->fetch)
		fetch_end(t->fetch);
	channel_free(t->web);
	timer_clear(&t->tick);
	timer_clear(&t->tell);
	timer_clear(&t->patience);
	buf_fini(&t->body);
	json_free(t->list);
	free(t);
}

const struct role role_traffic = {.name = "traffic",
	.help = "a vote bot: looks at the list and votes, for ever",
	.options = options,
	.noptions = countof(options),
	.start = start,
	.drain = drain,
	.stop = stop};
