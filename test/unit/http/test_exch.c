/* SPDX-License-Identifier: Apache-2.0 */
#include "http/exch.h"

#include "base/obj.h"
#include "t.h"

/* Filters that write down what happens: "a>" in, "a<" out, "a!" error, "a." done. */
static char trace[1024];
static struct exch *held;

static void note(const char *who, const char *what)
{
	size_t n = strlen(trace);

	snprintf(trace + n, sizeof trace - n, "%s%s ", who, what);
}

struct script {
	const char *name;
	enum flow request, response, error;
	const struct stack *switch_to;
};

static enum flow act(struct exch *x, const struct script *s, enum flow f)
{
	if (f == FLOW_HOLD)
		held = x;
	if (f == FLOW_ABORT)
		err_set(&x->err, ERR_DENIED, "%s says no", s->name);
	if (f == FLOW_TURN)
		exch_answer(x, 403);
	return f;
}

static enum flow traced_request(struct exch *x, void *shared, void *state)
{
	struct script *s = shared;

	*(int *)state = 1;
	note(s->name, ">");
	if (s->switch_to)
		exch_switch(x, s->switch_to);
	return act(x, s, s->request);
}

static enum flow traced_response(struct exch *x, void *shared, void *state)
{
	struct script *s = shared;

	OK(*(int *)state == 1);
	note(s->name, "<");
	return act(x, s, s->response);
}

static enum flow traced_error(struct exch *x, void *shared, void *state)
{
	struct script *s = shared;

	(void)state;
	note(s->name, "!");
	return act(x, s, s->error);
}

static void traced_data(struct exch *x, void *shared, void *state, enum dir d, size_t n)
{
	char text[32];

	(void)x, (void)state;
	snprintf(text, sizeof text, "%s%zu", d == DIR_REQUEST ? "+" : "-", n);
	note(((struct script *)shared)->name, text);
}

static void traced_end(struct exch *x, void *shared, void *state, enum dir d,
	const struct fields *trailers)
{
	(void)x, (void)state, (void)trailers;
	note(((struct script *)shared)->name, d == DIR_REQUEST ? "+end" : "-end");
}

static void traced_done(struct exch *x, void *shared, void *state)
{
	(void)x, (void)state;
	note(((struct script *)shared)->name, ".");
}

static const struct filter traced = {
	.name = "traced",
	.state_size = sizeof(int),
	.on_request = traced_request,
	.on_response = traced_response,
	.on_error = traced_error,
	.on_done = traced_done,
};
static const struct filter watching = {
	.name = "watching",
	.state_size = sizeof(int),
	.on_request = traced_request,
	.on_data = traced_data,
	.on_end = traced_end,
	.on_done = traced_done,
};

/* ---- services: `shared` is how many times they fail first ---- */

static void svc_begin(struct exch *x, void *shared)
{
	int *fails = shared;
	struct err e;

	note("svc", "");
	if (fails && (*fails)-- > 0) {
		err_set(&e, ERR_CLOSED, "refused");
		exch_fail(x, &e);
		return;
	}
	exch_req_credit(x, 10);
	x->rsp = (struct rsp_head){.status = 200, .length = BODY_UNKNOWN};
	if (!x->user)
		exch_response(x);
}

static void svc_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	(void)x, (void)shared, (void)p, (void)n;
	note("svc", "+");
}

static void svc_end(struct exch *x, void *shared, const struct fields *trailers)
{
	(void)shared, (void)trailers;
	note("svc", "+end");
	if (x->user)
		return;
	exch_rsp_data(x, (const uint8_t *)"abc", 3);
	exch_rsp_end(x, NULL);
}

static void svc_cancel(struct exch *x, void *shared)
{
	(void)x, (void)shared;
	note("svc", "x");
}

static const struct service service = {
	.begin = svc_begin, .data = svc_data, .end = svc_end, .cancel = svc_cancel};

/* ---- a source ---- */

static void src_head(struct exch *x)
{
	char text[16];

	snprintf(text, sizeof text, "=%d", x->rsp.status);
	note("src", text);
	exch_rsp_credit(x, 100);
}

static void src_data(struct exch *x, const uint8_t *p, size_t n)
{
	(void)x, (void)p, (void)n;
	note("src", "-");
}

static void src_end(struct exch *x, const struct fields *trailers)
{
	(void)x, (void)trailers;
	note("src", "-end");
}

static void src_over(struct exch *x)
{
	note(errc_name(x->err.code), "$");
}

static const struct source source = {
	.head = src_head, .data = src_data, .end = src_end, .over = src_over};

static struct script a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

struct rig {
	struct stack stack;
	struct arena arena;
	struct exch x;
	int fails;
};

static void rig_make(struct rig *r, const struct filter *f)
{
	*r = (struct rig){.stack = {.service = &service, .service_shared = &r->fails}};
	stack_push(&r->stack, f, &a);
	stack_push(&r->stack, f, &b);
	stack_push(&r->stack, f, &c);
	arena_init(&r->arena, 4096);
	r->x = (struct exch){.arena = &r->arena, .source = &source};
	r->x.req.method = SLICE("GET");
}

static void rig_run(struct rig *r)
{
	exch_req_end(&r->x, NULL);
	exch_begin(&r->x, &r->stack);
}

TEST(down_through_the_filters_and_up_again)
{
	struct rig r;

	rig_make(&r, &traced);
	rig_run(&r);
	EQ_STR(trace, "a> b> c> svc c< b< a< src=200 svc+end src- src-end "
		      "c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_filter_may_answer)
{
	struct rig r;

	rig_make(&r, &traced);
	b.request = FLOW_TURN;
	rig_run(&r);
	EQ_STR(trace, "a> b> b< a< src=403 src-end b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_filter_may_wait_on_the_way_down)
{
	struct rig r;

	rig_make(&r, &traced);
	b.request = FLOW_HOLD;
	rig_run(&r);
	EQ_STR(trace, "a> b> ");
	exch_resume(held, FLOW_NEXT);
	EQ_STR(trace, "a> b> c> svc c< b< a< src=200 svc+end src- src-end "
		      "c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(an_end_that_comes_while_a_response_is_held_waits_for_its_head)
{
	struct rig r;

	rig_make(&r, &traced);
	b.response = FLOW_HOLD;
	r.x.user = &r;
	rig_run(&r);
	exch_response(&r.x);
	exch_rsp_end(&r.x, NULL);
	EQ_STR(trace, "a> b> c> svc svc+end c< b< ");
	exch_resume(held, FLOW_NEXT);
	EQ_STR(trace, "a> b> c> svc svc+end c< b< a< src=200 src-end c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(an_abort_runs_every_done_once)
{
	struct rig r;

	rig_make(&r, &traced);
	c.request = FLOW_ABORT;
	rig_run(&r);
	EQ_STR(trace, "a> b> c> c! b! a! c. b. a. denied$ ");
	EQ_STR(r.x.err.msg, "c says no");
	arena_fini(&r.arena);
}

TEST(an_abort_of_a_response_cancels_the_service)
{
	struct rig r;

	rig_make(&r, &traced);
	b.response = FLOW_ABORT;
	a.error = FLOW_TURN;
	rig_run(&r);
	EQ_STR(trace,
		"a> b> c> svc c< b< svcx c! b! a! src=403 src-end c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_failure_may_be_answered)
{
	struct rig r;

	rig_make(&r, &traced);
	b.error = FLOW_TURN;
	r.fails = 1;
	rig_run(&r);
	EQ_STR(trace, "a> b> c> svc c! b! a< src=403 src-end c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_failure_may_be_tried_again)
{
	struct rig r;

	rig_make(&r, &traced);
	c.error = FLOW_AGAIN;
	r.fails = 2;
	rig_run(&r);
	EQ_STR(trace,
		"a> b> c> svc c! svc c! svc c< b< a< src=200 svc+end src- src-end "
		"c. b. a. none$ ");
	arena_fini(&r.arena);
}

/* A service that takes the body, fails the first time, and is begun again. */
static char body_seen[64];
static bool failed_once;

static void body_begin(struct exch *x, void *shared)
{
	(void)shared;
	note("svc", "");
	exch_replay(x);
	exch_req_credit(x, 2 * EXCH_KEEP);
}

static void body_data(struct exch *x, void *shared, const uint8_t *p, size_t n)
{
	size_t at = strlen(body_seen);
	struct err e;

	(void)shared;
	if (n < sizeof body_seen - at)
		memcpy(body_seen + at, p, n);
	if (failed_once || !memchr(p, '.', n))
		return;
	failed_once = true;
	memset(body_seen, 0, sizeof body_seen);
	err_set(&e, ERR_CLOSED, "sent back");
	exch_fail(x, &e);
}

static enum flow again_if_it_may(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	return exch_may_begin_again(x) ? FLOW_AGAIN : FLOW_NEXT;
}

static enum flow keep_body(struct exch *x, void *shared, void *state)
{
	(void)shared, (void)state;
	x->keeps = true;
	return FLOW_NEXT;
}

static const struct service body_service = {.begin = body_begin, .data = body_data};
static const struct filter again = {
	.name = "again", .on_request = keep_body, .on_error = again_if_it_may};

TEST(a_short_body_is_there_again_for_the_second_service)
{
	struct rig r;

	rig_make(&r, &traced);
	r.stack = (struct stack){.service = &body_service};
	stack_push(&r.stack, &again, NULL);
	exch_begin(&r.x, &r.stack);
	exch_req_data(&r.x, (const uint8_t *)"one ", 4);
	exch_req_data(&r.x, (const uint8_t *)"two.", 4);
	exch_req_data(&r.x, (const uint8_t *)" three", 6);
	EQ_STR(trace, "svc svc ");
	EQ_STR(body_seen, "one two. three");
	exch_cancel(&r.x, &(struct err){.code = ERR_CLOSED});
	arena_fini(&r.arena);
}

TEST(a_longer_body_is_not_and_what_was_touched_is_not_begun_again)
{
	static const uint8_t more[EXCH_KEEP];
	struct rig r;

	rig_make(&r, &traced);
	r.stack = (struct stack){.service = &body_service};
	stack_push(&r.stack, &again, NULL);
	exch_begin(&r.x, &r.stack);
	exch_req_data(&r.x, more, sizeof more);
	exch_req_data(&r.x, (const uint8_t *)"x.", 2);
	EQ_STR(trace, "svc closed$ ");
	arena_fini(&r.arena);

	trace[0] = '\0';
	failed_once = false;
	rig_make(&r, &traced);
	r.stack = (struct stack){.service = &body_service};
	stack_push(&r.stack, &again, NULL);
	exch_begin(&r.x, &r.stack);
	r.x.touched = true;
	exch_req_data(&r.x, (const uint8_t *)"x.", 2);
	EQ_STR(trace, "svc closed$ ");
	arena_fini(&r.arena);
}

TEST(a_client_that_leaves_cancels_the_service)
{
	struct err gone;
	struct rig r;

	rig_make(&r, &traced);
	r.x.user = &r;
	exch_begin(&r.x, &r.stack);
	err_set(&gone, ERR_CLOSED, "client reset");
	exch_cancel(&r.x, &gone);
	exch_cancel(&r.x, &gone); /* a second report changes nothing */
	exch_fail(&r.x, &gone);
	EQ_STR(trace, "a> b> c> svc svcx c. b. a. closed$ ");
	arena_fini(&r.arena);
}

TEST(a_filter_that_gives_up_later_cancels_the_service)
{
	struct err late;
	struct rig r;

	rig_make(&r, &traced);
	r.x.user = &r;
	rig_run(&r);
	err_set(&late, ERR_TIMEOUT, "too late");
	exch_abort(&r.x, &late);
	EQ_STR(trace, "a> b> c> svc svc+end svcx c! b! a! c. b. a. timeout$ ");
	arena_fini(&r.arena);
}

TEST(a_cancel_before_the_beginning_ends_it_when_it_begins)
{
	struct err gone;
	struct rig r;

	rig_make(&r, &traced);
	err_set(&gone, ERR_CLOSED, "client reset");
	exch_cancel(&r.x, &gone);
	EQ_STR(trace, "");
	exch_begin(&r.x, &r.stack);
	EQ_STR(trace, "closed$ ");
	arena_fini(&r.arena);
}

TEST(bodies_pass_the_filters_that_watch)
{
	struct rig r;

	rig_make(&r, &watching);
	exch_begin(&r.x, &r.stack);
	EQ_INT(r.x.req_credit, 10);
	trace[0] = 0;
	exch_req_data(&r.x, (const uint8_t *)"12345", 5);
	EQ_INT(r.x.req_credit, 5);
	exch_req_end(&r.x, NULL);
	EQ_STR(trace, "a+5 b+5 c+5 svc+ a+end b+end c+end svc+end a-3 b-3 c-3 src- "
		      "a-end b-end c-end src-end c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_response_that_ends_first_ends_the_exchange)
{
	struct rig r;

	rig_make(&r, &traced);
	exch_begin(&r.x, &r.stack);
	exch_rsp_end(&r.x, NULL);
	EQ_STR(trace, "a> b> c> svc c< b< a< src=200 src-end svcx c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_tunnel_is_over_when_both_directions_ended)
{
	struct rig r;

	rig_make(&r, &traced);
	r.x.req.method = SLICE("CONNECT");
	exch_begin(&r.x, &r.stack);
	exch_rsp_end(&r.x, NULL);
	EQ_STR(trace, "a> b> c> svc c< b< a< src=200 src-end ");
	exch_req_data(&r.x, (const uint8_t *)"1", 1);
	r.x.user = &r;
	exch_req_end(&r.x, NULL);
	EQ_STR(trace, "a> b> c> svc c< b< a< src=200 src-end svc+ svc+end "
		      "c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_filter_may_switch_to_another_stack)
{
	static struct script d = {.name = "d"};
	struct stack second = {.service = &service};
	struct rig r;

	rig_make(&r, &traced);
	stack_push(&second, &traced, &d);
	c.switch_to = &second;
	rig_run(&r);
	EQ_STR(trace, "a> b> c> d> svc d< c< b< a< src=200 svc+end src- src-end "
		      "d. c. b. a. none$ ");
	arena_fini(&r.arena);
}

TEST(a_stack_may_be_a_service_alone)
{
	struct rig r;

	rig_make(&r, &traced);
	r.stack.count = 0;
	rig_run(&r);
	EQ_STR(trace, "svc src=200 svc+end src- src-end none$ ");
	arena_fini(&r.arena);
}
