/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "ev/dnsint.h"

#define HOSTS_MAX 10000 /* lines that are read */

/* ---- text ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes the next word off the front of *s; false when there is none. */
static bool next_word(struct slice *s, struct slice *out)
{
	size_t n = 0;

	while (s->n && is_blank(*s->p))
		s->p++, s->n--;
	while (n < s->n && !is_blank(s->p[n]))
		n++;
	*out = (struct slice){s->p, n};
	s->p += n;
	s->n -= n;
	return n > 0;
}

/* Copies a name, without its final dot; false when it is too long to be one. */
static bool copy_name(char out[DNS_NAME_MAX], struct slice s)
{
	if (s.n && s.p[s.n - 1] == '.')
		s.n--;
	if (s.n == 0 || s.n > DNS_TEXT_MAX)
		return false;
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
	return true;
}

/* ---- resolv.conf ---- */

static void defaults(struct dns_conf *c)
{
	c->nservers = c->nsearches = 0;
	c->ndots = 1;
	c->attempts = 2;
	c->timeout = 5 * NS_PER_S;
	c->rotate = false;
}

static void add_server(struct dns_conf *c, struct slice rest)
{
	struct addr a = {.port = 53};
	struct slice word;

	if (c->nservers == DNS_SERVERS || !next_word(&rest, &word))
		return;
	if (ip_parse(word, &a.ip) || addr_parse(word, &a))
		c->servers[c->nservers++] = a;
}

static void set_search(struct dns_conf *c, struct slice rest)
{
	struct slice word;

	c->nsearches = 0; /* the last line counts */
	while (c->nsearches < DNS_SEARCHES && next_word(&rest, &word))
		if (copy_name(c->searches[c->nsearches], word))
			c->nsearches++;
}

static unsigned bounded(struct slice s, unsigned least, unsigned most)
{
	uint64_t v;

	if (!slice_u64(s, UINT32_MAX, &v))
		return least;
	return v < least ? least : v > most ? most : (unsigned)v;
}

static void set_options(struct dns_conf *c, struct slice rest)
{
	struct slice word, key;

	while (next_word(&rest, &word)) {
		(void)slice_cut(&word, ':', &key);
		if (slice_is(key, "ndots"))
			c->ndots = bounded(word, 0, 15);
		else if (slice_is(key, "timeout"))
			c->timeout = bounded(word, 1, 30) * NS_PER_S;
		else if (slice_is(key, "attempts"))
			c->attempts = bounded(word, 1, 5);
		else if (slice_is(key, "rotate"))
			c->rotate = true;
	}
}

static void resolv_line(struct dns_conf *c, struct slice line)
{
	static const struct {
		const char *key;
		void (*fn)(struct dns_conf *c, struct slice rest);
	} keys[] = {{"nameserver", add_server}, {"search", set_search},
		{"domain", set_search}, {"options", set_options}};
	struct slice key;

	if (!next_word(&line, &key))
		return;
	for (size_t i = 0; i < countof(keys); i++)
		if (slice_is(key, keys[i].key))
			keys[i].fn(c, line);
}

/* ---- hosts ---- */

static void clear_hosts(struct dns_conf *c)
{
	struct dns_host *h;

	while ((h = list_first(&c->hosts, struct dns_host, node))) {
		list_remove(&h->node);
		free(h);
	}
}

static void hosts_line(struct dns_conf *c, struct slice all)
{
	struct slice line, word;
	struct dns_host *h;
	struct ip ip;

	(void)slice_cut(&all, '#', &line);
	if (!next_word(&line, &word) || !ip_parse(word, &ip))
		return;
	while (next_word(&line, &word)) {
		h = calloc(1, sizeof *h);
		if (!h)
			return;
		h->ip = ip;
		list_init(&h->node);
		if (copy_name(h->name, word))
			list_push(&c->hosts, &h->node);
		else
			free(h);
	}
}

/* Every name under localhost is this machine (RFC 6761 §6.3). */
static bool is_localhost(struct slice name)
{
	static const struct slice local = SLICE("localhost"),
				  under = SLICE(".localhost");

	return slice_ieq(name, local) ||
	       (name.n > under.n &&
		       slice_ieq((struct slice){name.p + name.n - under.n, under.n},
			       under));
}

size_t dns_conf_hosts(
	const struct dns_conf *c, struct slice name, struct ip *out, size_t max)
{
	struct dns_host *h;
	size_t n = 0;

	if (name.n && name.p[name.n - 1] == '.')
		name.n--;
	list_each(h, &c->hosts, node) if (n < max && slice_ieq(slice_of(h->name), name))
		out[n++] = h->ip;
	if (n || max < 2 || !is_localhost(name))
		return n;
	out[0] = (struct ip){4, {127, 0, 0, 1}};
	out[1] = (struct ip){6, {[15] = 1}};
	return 2;
}

/* ---- files ---- */

static void read_lines(struct dns_conf *c, FILE *f,
	void (*line_fn)(struct dns_conf *c, struct slice line))
{
	char line[4096];

	for (int i = 0; i < HOSTS_MAX && fgets(line, sizeof line, f); i++)
		if (line[0] != '#' && line[0] != ';')
			line_fn(c, slice_of(line));
}

/* Whether the file is another than the one that was read. */
static bool has_changed(struct dns_file *f)
{
	struct stat st;
	bool there = f->path[0] && stat(f->path, &st) == 0;
	bool same = f->was_read && there == f->was_there;

	if (same && there)
		same = st.st_ino == f->inode && st.st_size == f->size &&
		       st.st_mtim.tv_sec == f->changed.tv_sec &&
		       st.st_mtim.tv_nsec == f->changed.tv_nsec;
	f->was_read = true;
	f->was_there = there;
	if (there) {
		f->inode = st.st_ino;
		f->size = st.st_size;
		f->changed = st.st_mtim;
	}
	return !same;
}

static void read_file(struct dns_conf *c, const struct dns_file *f,
	void (*line_fn)(struct dns_conf *c, struct slice line))
{
	FILE *in = f->was_there ? fopen(f->path, "re") : NULL;

	if (!in)
		return; /* as if it were empty */
	read_lines(c, in, line_fn);
	(void)fclose(in);
}

void dns_conf_refresh(struct dns_conf *c)
{
	if (has_changed(&c->resolv)) {
		defaults(c);
		read_file(c, &c->resolv, resolv_line);
		if (c->nservers == 0)
			add_server(c, SLICE("127.0.0.1"));
	}
	if (has_changed(&c->hosts_file)) {
		clear_hosts(c);
		read_file(c, &c->hosts_file, hosts_line);
	}
}

int dns_conf_init(struct dns_conf *c, const char *resolv, const char *hosts)
{
	memset(c, 0, sizeof *c);
	list_init(&c->hosts);
	c->resolv.path = slice_dup(slice_of(resolv));
	c->hosts_file.path = slice_dup(slice_of(hosts));
	if (!c->resolv.path || !c->hosts_file.path) {
		dns_conf_fini(c);
		return -1;
	}
	dns_conf_refresh(c);
	return 0;
}

void dns_conf_fini(struct dns_conf *c)
{
	clear_hosts(c);
	free(c->resolv.path);
	free(c->hosts_file.path);
}
