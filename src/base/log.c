/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/obj.h"

#define VALUE_MAX   ((size_t)1024)           /* bytes shown of one */
#define LINE_MAX_   ((size_t)LOG_ATOM - 128) /* and a time, and a count */
#define RECENT      16                       /* lines whose repetition is seen */
#define RECENT_TEXT 768                      /* of one that can be told again */
#define WINDOW      NS_PER_S

struct recent {
	uint64_t hash, at; /* when it was printed; 0: free */
	unsigned repeated;
	size_t n;
	char text[RECENT_TEXT];
};

static struct {
	pthread_mutex_t lock;
	struct log_filter filter;
	struct log_tap *taps;
	atomic_int most;     /* the most talkative level of all */
	atomic_uint pending; /* lines that were counted and not told */
	_Atomic uint64_t lost;
	int fd;
	bool json;
	struct recent recent[RECENT];
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.filter.fallback = LOG_INFO,
	.most = LOG_INFO,
	.fd = STDERR_FILENO};

/* ---- who wants what ---- */

static void most_renew(void)
{
	enum log_level most = log_filter_most(&log_state.filter);

	for (const struct log_tap *t = log_state.taps; t; t = t->next)
		if (log_filter_most(&t->filter) > most)
			most = log_filter_most(&t->filter);
	atomic_store(&log_state.most, (int)most);
}

int log_filter_set(struct slice text, struct err *e)
{
	struct log_filter f;

	if (log_filter_parse(text, &f, e) < 0)
		return -1;
	pthread_mutex_lock(&log_state.lock);
	log_state.filter = f;
	most_renew();
	pthread_mutex_unlock(&log_state.lock);
	return 0;
}

void log_filter_get(char *out, size_t size)
{
	pthread_mutex_lock(&log_state.lock);
	log_filter_print(&log_state.filter, out, size);
	pthread_mutex_unlock(&log_state.lock);
}

bool log_on(enum log_level lv, const char *floor)
{
	bool wanted;

	if ((int)lv > atomic_load_explicit(&log_state.most, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&log_state.lock);
	wanted = log_filter_wants(&log_state.filter, lv, floor);
	for (const struct log_tap *t = log_state.taps; t && !wanted; t = t->next)
		wanted = log_filter_wants(&t->filter, lv, floor);
	pthread_mutex_unlock(&log_state.lock);
	return wanted;
}

void log_tap_begin(struct log_tap *t)
{
	pthread_mutex_lock(&log_state.lock);
	t->next = log_state.taps;
	log_state.taps = t;
	most_renew();
	pthread_mutex_unlock(&log_state.lock);
}

void log_tap_end(struct log_tap *t)
{
	struct log_tap **at;

	pthread_mutex_lock(&log_state.lock);
	for (at = &log_state.taps; *at && *at != t; at = &(*at)->next)
		;
	if (*at)
		*at = t->next;
	most_renew();
	pthread_mutex_unlock(&log_state.lock);
}

void log_json(bool on)
{
	log_state.json = on;
}

void log_to(int fd)
{
	log_state.fd = fd;
}

/* ---- a line ---- */

static struct slice shown(const struct log_key *k)
{
	struct slice s = k->str;

	s.n = s.n < VALUE_MAX ? s.n : VALUE_MAX;
	return s;
}

static bool needs_quotes(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=' || s.p[i] == 0x7f)
			return true;
	return s.n == 0;
}

static void value(struct buf *b, const struct log_key *k, bool quoted)
{
	if (k->kind == LOG_INT) {
		buf_printf(b, "%lld", (long long)k->num);
	} else if (!quoted && !needs_quotes(k->str)) {
		buf_adds(b, shown(k));
	} else {
		buf_char(b, '"');
		buf_json(b, shown(k));
		buf_char(b, '"');
	}
}

/* All that fit: a line is never cut inside a key. */
static void all_keys(struct buf *b, const struct log_key *keys, bool json)
{
	for (; keys->kind != LOG_END; keys++) {
		size_t end = b->end;

		buf_printf(b, json ? ",\"%s\":" : " %s=", keys->key);
		value(b, keys, json);
		if (b->failed) {
			b->failed = false;
			b->end = end;
		}
	}
}

static void plain(struct buf *b, enum log_level lv, const char *floor,
	const char *event, const struct log_key *keys)
{
	buf_printf(b, " %-5s %s: %s", log_level_name(lv), floor, event);
	all_keys(b, keys, false);
}

static void json(struct buf *b, enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys)
{
	buf_printf(b, ",\"level\":\"%s\",\"target\":\"%s\",\"message\":\"",
		log_level_name(lv), floor);
	buf_json(b, slice_of(event));
	buf_char(b, '"');
	all_keys(b, keys, true);
}

/* ---- to stderr ---- */

/* A full pipe would make the write wait: then the line is lost instead.  One that has
 * any room takes LOG_ATOM bytes at once. */
static bool write_all(struct slice s)
{
	struct pollfd p = {.fd = log_state.fd, .events = POLLOUT};

	ssize_t n = -1;

	while (poll(&p, 1, 0) > 0 && p.revents == POLLOUT) {
		n = write(log_state.fd, s.p, s.n);
		if (n >= 0 || errno != EINTR)
			break; /* of other errors there is nobody to tell */
	}
	return n == (ssize_t)s.n;
}

static void stamp(struct buf *b, struct slice rest, unsigned repeated, bool as_json)
{
	char ts[CLOCK_TEXT];

	clock_rfc3339(clock_wall(), true, ts);
	buf_printf(b, as_json ? "{\"timestamp\":\"%s\"" : "[%s]", ts);
	buf_adds(b, rest);
	if (repeated)
		buf_printf(b, as_json ? ",\"repeated\":%u" : " repeated=%u", repeated);
	buf_text(b, as_json ? "}\n" : "\n");
}

static void put(struct slice rest, unsigned repeated)
{
	struct buf b = BUF_INIT;

	stamp(&b, rest, repeated, log_state.json);
	if (b.failed || !write_all(buf_slice(&b)))
		atomic_fetch_add(&log_state.lost, 1);
	buf_fini(&b);
}

bool log_raw(struct slice lines)
{
	bool written;

	pthread_mutex_lock(&log_state.lock);
	written = write_all(lines);
	pthread_mutex_unlock(&log_state.lock);
	return written;
}

uint64_t log_lost(void)
{
	return atomic_load(&log_state.lost);
}

/* ---- repetition ---- */

/* The line's window is over; what was counted is told. */
static void recent_over(struct recent *r)
{
	if (r->repeated) {
		put(slice_bytes(r->text, r->n), r->repeated);
		atomic_fetch_sub(&log_state.pending, 1);
	}
	*r = (struct recent){.at = 0};
}

static void tick(uint64_t now)
{
	for (size_t i = 0; i < RECENT; i++)
		if (log_state.recent[i].at && now - log_state.recent[i].at >= WINDOW)
			recent_over(&log_state.recent[i]);
}

void log_tick(void)
{
	if (!atomic_load_explicit(&log_state.pending, memory_order_relaxed))
		return;
	pthread_mutex_lock(&log_state.lock);
	tick(clock_mono());
	pthread_mutex_unlock(&log_state.lock);
}

static struct recent *recent_find(uint64_t hash)
{
	for (size_t i = 0; i < RECENT; i++)
		if (log_state.recent[i].at && log_state.recent[i].hash == hash)
			return &log_state.recent[i];
	return NULL;
}

static void recent_note(struct slice rest, uint64_t hash, uint64_t now)
{
	struct recent *oldest = &log_state.recent[0];

	for (size_t i = 1; i < RECENT; i++)
		if (log_state.recent[i].at < oldest->at)
			oldest = &log_state.recent[i];
	recent_over(oldest);
	if (rest.n > RECENT_TEXT)
		return; /* too long to be told again: each one is printed */
	oldest->hash = hash;
	oldest->at = now;
	oldest->n = rest.n;
	memcpy(oldest->text, rest.p, rest.n);
}

static void print(struct slice rest)
{
	uint64_t hash = hash_bytes(rest.p, rest.n), now = clock_mono();
	struct recent *r;

	tick(now);
	r = recent_find(hash);
	if (!r) {
		recent_note(rest, hash, now);
		put(rest, 0);
	} else if (r->repeated++ == 0) {
		atomic_fetch_add(&log_state.pending, 1);
	}
}

/* ---- all of it ---- */

static void tell_taps(enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys)
{
	struct buf rest = BUF_LIMIT(LINE_MAX_), line = BUF_INIT;

	json(&rest, lv, floor, event, keys);
	stamp(&line, buf_slice(&rest), 0, true);
	for (struct log_tap *t = log_state.taps; t && !line.failed; t = t->next)
		if (log_filter_wants(&t->filter, lv, floor))
			t->fn(t, buf_slice(&line));
	buf_fini(&rest);
	buf_fini(&line);
}

void log_line(enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys)
{
	struct buf b = BUF_LIMIT(LINE_MAX_);

	if (log_state.json)
		json(&b, lv, floor, event, keys);
	else
		plain(&b, lv, floor, event, keys);
	pthread_mutex_lock(&log_state.lock);
	if (log_filter_wants(&log_state.filter, lv, floor))
		print(buf_slice(&b));
	if (log_state.taps)
		tell_taps(lv, floor, event, keys);
	pthread_mutex_unlock(&log_state.lock);
	buf_fini(&b);
}
