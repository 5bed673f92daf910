/* SPDX-License-Identifier: Apache-2.0 */
#include "proxy/disco_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "proxy/control.h"
#include "proxy/decode.h"

#define ANSWER_WAIT (3 * NS_PER_S) /* for a control plane that is away */

static void watch_free(struct disco_watch *w)
{
	map_remove(&w->disco->watches, &w->node);
	timer_clear(&w->idle);
	timer_clear(&w->wait);
	timer_clear(&w->retell);
	stream_fini(&w->main);
	stream_fini(&w->profile);
	ref_put(w->value);
	free(w);
}

static void on_idle(struct timer *t)
{
	watch_free(container_of(t, struct disco_watch, idle));
}

/* Nobody answers: what can be done without is done. */
static void on_wait(struct timer *t)
{
	struct disco_watch *w = container_of(t, struct disco_watch, wait);
	struct outbound_key key = watch_outbound_key(w);
	struct outbound_policy *p;
	struct err e;

	if (w->key.kind != WATCH_OUTBOUND || w->value)
		return;
	log_warn("proxy",
		"discovery does not answer: connections go where they were meant",
		LS("target", w->key.text));
	p = decode_outbound(stream_part(&w->main), stream_part(&w->profile), &key, &e);
	watch_publish(w, p ? &p->ref : NULL);
}

static bool in_networks(const struct proxy_config *cfg, const struct ip *ip)
{
	for (size_t i = 0; i < cfg->nprofile_networks; i++)
		if (cidr_has(&cfg->profile_networks[i], ip))
			return true;
	return false;
}

/* "host:port" instead of an address: only its port is put there. */
static struct slice host_of(struct disco_watch *w)
{
	struct slice host = slice_of(w->name);
	const char *colon = strrchr(w->name, ':');
	uint64_t port;

	w->dst = (struct addr){.port = 0};
	if (!colon || !slice_u64(slice_of(colon + 1), 65535, &port))
		return host;
	w->dst.port = (uint16_t)port;
	host.n = (size_t)(colon - w->name);
	return host;
}

/* May the destination service be asked for its profile? */
static bool is_discoverable(struct disco_watch *w)
{
	const struct proxy_config *cfg = w->disco->cfg;

	if (addr_parse(slice_of(w->name), &w->dst))
		return in_networks(cfg, &w->dst.ip);
	return name_in_suffixes(host_of(w), cfg->profile_suffixes);
}

static void watch_start(struct disco_watch *w)
{
	const struct proxy_config *cfg = w->disco->cfg;
	struct inbound_policy *p;

	switch (w->key.kind) {
	case WATCH_INBOUND:
		w->dst.port = (uint16_t)strtoul(w->name, NULL, 10);
		p = default_inbound(cfg, w->dst.port);
		watch_publish(w, p ? &p->ref : NULL);
		break;
	case WATCH_OUTBOUND:
		if (is_discoverable(w))
			stream_open(&w->profile);
		else
			w->profile.at = PART_NONE;
		timer_set(&w->wait, ANSWER_WAIT);
		break;
	case WATCH_ENDPOINTS:
		break;
	}
	stream_open(&w->main);
}

struct disco_watch *watch_new(struct disco *d, const struct watch_key *key)
{
	struct disco_watch *w = calloc(1, sizeof *w);

	if (!w)
		return NULL;
	w->disco = d;
	w->key = *key;
	w->name = strchr(w->key.text, ' ') + 1;
	list_init(&w->subs);
	timer_init(&w->idle, d->loop, on_idle);
	timer_init(&w->wait, d->loop, on_wait);
	timer_init(&w->retell, d->loop, watch_retell);
	stream_init(&w->main, w);
	stream_init(&w->profile, w);
	if (map_insert(&d->watches, &w->node, slice_of(w->key.text)) < 0) {
		free(w);
		return NULL;
	}
	watch_start(w);
	return w;
}

struct disco *disco_new(struct loop *l, const struct proxy_config *cfg,
	struct channel *destination, struct channel *policy)
{
	struct disco *d = calloc(1, sizeof *d);

	if (!d)
		return NULL;
	d->loop = l;
	d->cfg = cfg;
	d->destination = destination;
	d->policy = policy;
	return d;
}

void disco_metrics(void *disco, struct buf *out)
{
	static const char *const kinds[] = {"inbound", "outbound", "endpoints"};
	const struct disco *d = disco;

	buf_text(out, "# HELP control_invalid_messages_total Messages of discovery and "
		      "policy that make no sense.\n"
		      "# TYPE control_invalid_messages_total counter\n");
	for (size_t i = 0; i < countof(kinds); i++)
		buf_printf(out, "control_invalid_messages_total{kind=\"%s\"} %llu\n",
			kinds[i], (unsigned long long)d->invalid[i]);
}

void disco_free(struct disco *d)
{
	struct disco_watch *w;

	map_each(w, &d->watches, node) watch_free(w);
	map_fini(&d->watches);
	free(d);
}
