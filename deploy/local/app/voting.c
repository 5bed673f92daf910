/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The role that counts votes, one method for each emoji.  A vote for the doughnut
 * fails, so that there is a failure to look for.
 */
#include "app.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/obj.h"
#include "emojis.h"
#include "emojivoto.pb-c.h"
#include "rpc.h"

struct voting {
	struct grpc_server *server;
	char replica[96]; /* this start of this pod: its counts begin at nought */
	int32_t votes[EMOJI_COUNT];
};

static const struct opt options[] = {PORT_OPT("GRPC_PORT")};

static void vote(struct grpc_request *r, enum emoji_id id)
{
	Emojivoto__V1__VoteResponse out = EMOJIVOTO__V1__VOTE_RESPONSE__INIT;
	struct voting *v = grpc_server_arg(r);

	if (id == EMOJI_doughnut) {
		log_warn("demo", "a vote fails", LS("choice", emojis[id].shortcode));
		grpc_end(r, GRPC_INTERNAL, "Nobody may vote for the doughnut");
		return;
	}
	if (v->votes[id] < INT32_MAX)
		v->votes[id]++;
	rpc_reply(r, &out);
}

#define EMOJI(name, shown, method)                                                     \
	static void vote_##name(struct grpc_request *r, struct slice message)          \
	{                                                                              \
		(void)message; /* it has no field */                                   \
		vote(r, EMOJI_##name);                                                 \
	}
#include "emojis.def"
#undef EMOJI

static void results(struct grpc_request *r, struct slice message)
{
	Emojivoto__V1__ResultsResponse out = EMOJIVOTO__V1__RESULTS_RESPONSE__INIT;
	Emojivoto__V1__VotingResult all[EMOJI_COUNT], *list[EMOJI_COUNT];
	struct voting *v = grpc_server_arg(r);

	(void)message; /* it has no field */
	for (size_t i = 0; i < EMOJI_COUNT; i++) {
		if (!v->votes[i])
			continue;
		list[out.n_results] = &all[out.n_results];
		emojivoto__v1__voting_result__init(&all[out.n_results]);
		all[out.n_results].shortcode = (char *)emojis[i].shortcode;
		all[out.n_results++].votes = v->votes[i];
	}
	out.results = list;
	out.replica = v->replica;
	rpc_reply(r, &out);
}

static const struct grpc_method methods[] = {
	{"/emojivoto.v1.VotingService/Results", results, rpc_no_message},
#define EMOJI(name, shown, method)                                                     \
	{"/emojivoto.v1.VotingService/" #method, vote_##name, rpc_no_message},
#include "emojis.def"
#undef EMOJI
};

static int start(struct app *app, struct err *e)
{
	struct voting *v = app->state = calloc(1, sizeof *v);
	struct addr at = app_listen_at(app->port);

	must(v);
	snprintf(v->replica, sizeof v->replica, "%s/%llx", app->pod,
		(unsigned long long)clock_wall());
	v->server =
		grpc_server_new(app->loop, &at, NULL, methods, countof(methods), v, e);
	if (!v->server)
		return -1;
	app_says_where(grpc_server_addr(v->server));
	return 0;
}

static void drain(struct app *app)
{
	grpc_server_drain(((struct voting *)app->state)->server, app_drained, app);
}

static void stop(struct app *app)
{
	struct voting *v = app->state;

	if (!v)
		return;
	grpc_server_free(v->server);
	free(v);
}

const struct role role_voting = {.name = "voting",
	.help = "counts votes (gRPC); the doughnut cannot be voted for",
	.options = options,
	.noptions = countof(options),
	.start = start,
	.drain = drain,
	.stop = stop};
