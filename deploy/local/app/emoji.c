/* SPDX-License-Identifier: Apache-2.0 */
/* The role that knows what there is to vote for. */
#include "api/api.h"
#include "app.h"
#include "base/obj.h"
#include "emojis.h"
#include "emojivoto.pb-c.h"
#include "rpc.h"

#define SHORTCODE_MAX 4096 /* bytes that a request may cost */

static const struct opt options[] = {PORT_OPT("GRPC_PORT")};

static void fill(Emojivoto__V1__Emoji *m, const struct emoji *from)
{
	emojivoto__v1__emoji__init(m);
	m->shortcode = (char *)from->shortcode;
	m->unicode = (char *)from->shown;
}

static void list_all(struct grpc_request *r, struct slice message)
{
	Emojivoto__V1__ListAllEmojiResponse out =
		EMOJIVOTO__V1__LIST_ALL_EMOJI_RESPONSE__INIT;
	Emojivoto__V1__Emoji all[EMOJI_COUNT], *list[EMOJI_COUNT];

	(void)message; /* it has no field */
	for (size_t i = 0; i < EMOJI_COUNT; i++) {
		fill(&all[i], &emojis[i]);
		list[i] = &all[i];
	}
	out.n_list = EMOJI_COUNT;
	out.list = list;
	rpc_reply(r, &out);
}

static void answer_one(struct grpc_request *r, const struct emoji *found)
{
	Emojivoto__V1__FindByShortcodeResponse out =
		EMOJIVOTO__V1__FIND_BY_SHORTCODE_RESPONSE__INIT;
	Emojivoto__V1__Emoji emoji;

	if (!found) {
		grpc_end(r, GRPC_NOT_FOUND, "no emoji has this shortcode");
		return;
	}
	fill(&emoji, found);
	out.emoji = &emoji;
	rpc_reply(r, &out);
}

static void find_by_shortcode(struct grpc_request *r, struct slice message)
{
	Emojivoto__V1__FindByShortcodeRequest *in;
	struct arena arena;
	struct err e = {0};

	arena_init(&arena, SHORTCODE_MAX);
	in = API_READ(Emojivoto__V1__FindByShortcodeRequest,
		emojivoto__v1__find_by_shortcode_request, message, &arena, &e);
	if (in)
		answer_one(r, emoji_find(slice_of(in->shortcode)));
	else
		grpc_end(r, GRPC_INVALID_ARGUMENT, e.msg);
	arena_fini(&arena);
}

static const struct grpc_method methods[] = {
	{"/emojivoto.v1.EmojiService/ListAll", list_all, rpc_no_message},
	{"/emojivoto.v1.EmojiService/FindByShortcode", find_by_shortcode,
		rpc_no_message},
};

static int start(struct app *app, struct err *e)
{
	struct addr at = app_listen_at(app->port);
	struct grpc_server *s = grpc_server_new(
		app->loop, &at, NULL, methods, countof(methods), NULL, e);

	app->state = s;
	if (!s)
		return -1;
	app_says_where(grpc_server_addr(s));
	return 0;
}

static void drain(struct app *app)
{
	grpc_server_drain(app->state, app_drained, app);
}

static void stop(struct app *app)
{
	grpc_server_free(app->state);
}

const struct role role_emoji = {.name = "emoji",
	.help = "tells what there is to vote for (gRPC)",
	.options = options,
	.noptions = countof(options),
	.start = start,
	.drain = drain,
	.stop = stop};
