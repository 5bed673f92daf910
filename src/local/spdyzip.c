/* SPDX-License-Identifier: Apache-2.0 */
#include "base/obj.h"
#include "local/spdyint.h"

/* Draft 3, 2.6.10.1: words with their lengths before them, then plain text. */
static const char *const words[] = {"options", "head", "post", "put", "delete", "trace",
	"accept", "accept-charset", "accept-encoding", "accept-language",
	"accept-ranges", "age", "allow", "authorization", "cache-control", "connection",
	"content-base", "content-encoding", "content-language", "content-length",
	"content-location", "content-md5", "content-range", "content-type", "date",
	"etag", "expect", "expires", "from", "host", "if-match", "if-modified-since",
	"if-none-match", "if-range", "if-unmodified-since", "last-modified", "location",
	"max-forwards", "pragma", "proxy-authenticate", "proxy-authorization", "range",
	"referer", "retry-after", "server", "te", "trailer", "transfer-encoding",
	"upgrade", "user-agent", "vary", "via", "warning", "www-authenticate", "method",
	"get", "status", "200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie",
	"keep-alive", "origin"};
static const char text[] =
	"100101201202205206300302303304305306307402405406407408409410411412413414415416"
	"417502504505203 Non-Authoritative Information204 No Content301 Moved "
	"Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
	"Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar "
	"Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, "
	"Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
	"application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,"
	"deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

void spdy_dictionary(struct buf *out)
{
	for (size_t i = 0; i < countof(words); i++) {
		const char length[4] = {0, 0, 0, (char)strlen(words[i])};

		must(buf_add(out, length, sizeof(length)) == 0);
		must(buf_text(out, words[i]) == 0);
	}
	must(buf_text(out, text) == 0);
}

int spdy_unpack_init(struct spdy_unpack *u)
{
	memset(u, 0, sizeof(*u));
	u->plain = BUF_LIMIT(SPDY_HEADERS_MAX);
	return inflateInit(&u->z) == Z_OK ? 0 : -1;
}

void spdy_unpack_fini(struct spdy_unpack *u)
{
	(void)inflateEnd(&u->z); /* it can only have been misused */
	buf_fini(&u->plain);
}

static int step(struct spdy_unpack *u)
{
	struct buf dictionary = BUF_INIT;
	int rc = inflate(&u->z, Z_SYNC_FLUSH);

	if (rc != Z_NEED_DICT)
		return rc;
	spdy_dictionary(&dictionary);
	rc = inflateSetDictionary(&u->z, (const Bytef *)dictionary.p + dictionary.at,
		(uInt)buf_len(&dictionary));
	buf_fini(&dictionary);
	return rc;
}

int spdy_unpack(
	struct spdy_unpack *u, struct slice in, struct slice *out, struct err *e)
{
	char *room;

	buf_clear(&u->plain);
	room = buf_room(&u->plain, SPDY_HEADERS_MAX);
	if (!room)
		return err_set(e, ERR_LIMIT, "no room for headers");
	u->z.next_in = (z_const Bytef *)in.p;
	u->z.avail_in = (uInt)in.n;
	u->z.next_out = (Bytef *)room;
	u->z.avail_out = (uInt)SPDY_HEADERS_MAX;
	while (u->z.avail_in && u->z.avail_out)
		if (step(u) != Z_OK)
			return err_set(
				e, ERR_SYNTAX, "headers that cannot be unpacked");
	if (!u->z.avail_out)
		return err_set(e, ERR_LIMIT, "more than %zu bytes of headers",
			SPDY_HEADERS_MAX);
	buf_added(&u->plain, SPDY_HEADERS_MAX - u->z.avail_out);
	*out = buf_slice(&u->plain);
	return 0;
}
