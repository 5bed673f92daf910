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

#define FILTER_MAX 16
#define VALUE_MAX  ((size_t)1024) /* bytes shown of one */

struct filter_entry {
	char floor[32];
	enum log_level level;
};

static struct {
	pthread_mutex_t lock;
	struct filter_entry v[FILTER_MAX];
	size_t n;
	enum log_level fallback;
	atomic_int most; /* the most talkative level of all */
	int fd;
	bool json;

	uint64_t last_hash; /* what was printed last, and how often since */
	uint64_t last_at;
	unsigned repeated;
} log_state = {.lock = PTHREAD_MUTEX_INITIALIZER,
	.fallback = LOG_INFO,
	.most = LOG_INFO,
	.fd = STDERR_FILENO};

static const char *const level_names[] = {
	"OFF", "ERROR", "WARN", "INFO", "DEBUG", "TRACE"};

/* What the control plane's flags may say beside those. */
static const struct {
	const char *name;
	enum log_level level;
} other_names[] = {{"WARNING", LOG_WARN}, {"FATAL", LOG_ERROR}, {"PANIC", LOG_ERROR}};

/* ---- the filter ---- */

static bool level_parse(struct slice s, enum log_level *out)
{
	for (size_t i = 0; i < countof(level_names); i++)
		if (slice_ieq(s, slice_of(level_names[i]))) {
			*out = (enum log_level)i;
			return true;
		}
	for (size_t i = 0; i < countof(other_names); i++)
		if (slice_ieq(s, slice_of(other_names[i].name))) {
			*out = other_names[i].level;
			return true;
		}
	return false;
}

static bool means_all(struct slice floor)
{
	return slice_is(floor, "linkerd") || slice_is(floor, "mesh");
}

/* `of_all`: what every floor of ours does; `bare`: what applies when that is not said.
 */
struct defaults {
	enum log_level bare, of_all;
	bool all_said;
};

static int entry_parse(struct slice part, struct filter_entry *v, size_t *n,
	struct defaults *d, struct err *e)
{
	struct slice floor = SLICE_NONE, level = part;
	enum log_level lv;

	if (memchr(part.p, '=', part.n)) {
		slice_cut(&level, '=', &floor);
		floor = slice_trim(floor);
	}
	if (!level_parse(slice_trim(level), &lv))
		return err_set(e, ERR_SYNTAX,
			"log filter: \"%.*s\" is no level (off, error, warn, info, "
			"debug, "
			"trace)",
			SLICE_FMT(level));
	if (means_all(floor)) {
		d->of_all = lv;
		d->all_said = true;
		return 0;
	}
	if (!floor.n) {
		d->bare = lv;
		return 0;
	}
	if (*n == FILTER_MAX || floor.n >= sizeof v->floor)
		return err_set(e, ERR_LIMIT,
			"log filter: at most %d targets of 31 bytes", FILTER_MAX);
	memcpy(v[*n].floor, floor.p, floor.n);
	v[*n].floor[floor.n] = '\0';
	v[(*n)++].level = lv;
	return 0;
}

int log_filter_set(struct slice text, struct err *e)
{
	struct filter_entry v[FILTER_MAX] = {0};
	struct defaults d = {.bare = LOG_INFO};
	enum log_level fallback, most;
	struct slice part;
	size_t n = 0;

	while (slice_cut(&text, ',', &part)) {
		part = slice_trim(part);
		if (part.n && entry_parse(part, v, &n, &d, e) < 0)
			return -1;
	}
	most = fallback = d.all_said ? d.of_all : d.bare;
	for (size_t i = 0; i < n; i++)
		most = v[i].level > most ? v[i].level : most;
	pthread_mutex_lock(&log_state.lock);
	memcpy(log_state.v, v, sizeof v);
	log_state.n = n;
	log_state.fallback = fallback;
	atomic_store(&log_state.most, (int)most);
	pthread_mutex_unlock(&log_state.lock);
	return 0;
}

void log_filter_get(char *out, size_t size)
{
	size_t at;

	pthread_mutex_lock(&log_state.lock);
	at = (size_t)snprintf(out, size, "%s", level_names[log_state.fallback]);
	for (size_t i = 0; i < log_state.n && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, ",%s=%s",
			log_state.v[i].floor, level_names[log_state.v[i].level]);
	pthread_mutex_unlock(&log_state.lock);
	for (size_t i = 0; i < size && out[i]; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] = (char)(out[i] + 32);
}

bool log_on(enum log_level lv, const char *floor)
{
	enum log_level want;

	if ((int)lv > atomic_load_explicit(&log_state.most, memory_order_relaxed))
		return false;
	pthread_mutex_lock(&log_state.lock);
	want = log_state.fallback;
	for (size_t i = 0; i < log_state.n; i++)
		if (strcmp(log_state.v[i].floor, floor) == 0)
			want = log_state.v[i].level;
	pthread_mutex_unlock(&log_state.lock);
	return lv <= want;
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

static void plain_value(struct buf *b, const struct log_key *k)
{
	if (k->kind == LOG_INT) {
		buf_printf(b, "%lld", (long long)k->num);
		return;
	}
	if (!needs_quotes(k->str)) {
		buf_adds(b, shown(k));
		return;
	}
	buf_char(b, '"');
	buf_json(b, shown(k));
	buf_char(b, '"');
}

static void plain(struct buf *b, enum log_level lv, const char *floor,
	const char *event, const struct log_key *keys)
{
	buf_printf(b, " %-5s %s: %s", level_names[lv], floor, event);
	for (; keys->kind != LOG_END; keys++) {
		buf_printf(b, " %s=", keys->key);
		plain_value(b, keys);
	}
}

static void json(struct buf *b, enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys)
{
	buf_printf(b, ",\"level\":\"%s\",\"target\":\"%s\",\"message\":\"",
		level_names[lv], floor);
	buf_json(b, slice_of(event));
	buf_char(b, '"');
	for (; keys->kind != LOG_END; keys++) {
		buf_printf(b, ",\"%s\":", keys->key);
		if (keys->kind == LOG_INT) {
			buf_printf(b, "%lld", (long long)keys->num);
			continue;
		}
		buf_char(b, '"');
		buf_json(b, shown(keys));
		buf_char(b, '"');
	}
}

/* True when the line is the same as the last, within a second. */
static bool repeats(struct slice rest, uint64_t now, unsigned *count)
{
	uint64_t hash = hash_bytes(rest.p, rest.n);

	if (hash == log_state.last_hash && now - log_state.last_at < NS_PER_S) {
		log_state.repeated++;
		return true;
	}
	*count = log_state.repeated;
	log_state.repeated = 0;
	log_state.last_hash = hash;
	log_state.last_at = now;
	return false;
}

/* A full pipe would make the write wait: then the line is lost instead. */
static void write_line(struct slice line)
{
	struct pollfd p = {.fd = log_state.fd, .events = POLLOUT};

	while (poll(&p, 1, 0) > 0 && p.revents == POLLOUT &&
		write(log_state.fd, line.p, line.n) < 0 && errno == EINTR)
		; /* of other errors there is nobody to tell */
}

static void put(struct slice rest, unsigned repeated)
{
	struct buf b = BUF_INIT;
	char ts[CLOCK_TEXT];

	clock_rfc3339(clock_wall(), true, ts);
	buf_printf(&b, log_state.json ? "{\"timestamp\":\"%s\"" : "[%s]", ts);
	buf_adds(&b, rest);
	if (repeated)
		buf_printf(&b,
			log_state.json ? ",\"previous_repeated\":%u"
				       : " previous_repeated=%u",
			repeated);
	buf_text(&b, log_state.json ? "}\n" : "\n");
	if (!b.failed)
		write_line(buf_slice(&b));
	buf_fini(&b);
}

void log_line(enum log_level lv, const char *floor, const char *event,
	const struct log_key *keys)
{
	struct buf b = BUF_INIT;
	unsigned repeated = 0;
	struct slice rest;

	if (log_state.json)
		json(&b, lv, floor, event, keys);
	else
		plain(&b, lv, floor, event, keys);
	rest = buf_slice(&b);
	pthread_mutex_lock(&log_state.lock);
	if (!repeats(rest, clock_mono(), &repeated))
		put(rest, repeated);
	pthread_mutex_unlock(&log_state.lock);
	buf_fini(&b);
}
