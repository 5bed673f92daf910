/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include "http/serverint.h"

struct http_server *http_server_new(struct conn *c, enum http_kind kind,
	const struct http_server_config *cfg, const struct http_server_user *user,
	void *arg, struct err *e)
{
	struct http_server *s = kind == HTTP_KIND_2 ? h2_server_new(c, cfg, e)
						    : h1_server_new(c, cfg, e);

	if (!s)
		return NULL;
	s->conn = c;
	s->cfg = cfg;
	s->user = user;
	s->arg = arg;
	return s;
}

void http_server_drain(struct http_server *s)
{
	s->ops->drain(s);
}

void http_server_end(struct http_server *s)
{
	s->ops->end(s);
}

void http_server_shed(struct http_server *s, uint64_t stall)
{
	if (s->ops->shed)
		s->ops->shed(s, stall);
}

size_t http_server_open(const struct http_server *s)
{
	return s->ops->open(s);
}

struct conn *http_server_conn(struct http_server *s)
{
	return s->conn;
}

struct conn *http_server_take(struct http_server *s, struct exch *x)
{
	return s->ops->take ? s->ops->take(s, x) : NULL;
}

int status_of_error(const struct err *e)
{
	switch (e->code) {
	case ERR_SYNTAX:
		return 400;
	case ERR_LIMIT:
		return 431;
	case ERR_DENIED:
		return 403;
	case ERR_MISSING:
		return 404;
	case ERR_BUSY:
		return 503;
	case ERR_TIMEOUT:
		return 504;
	case ERR_SYS:
	case ERR_CLOSED:
		return 502;
	case ERR_NONE:
	case ERR_UNKNOWN:
	case ERR_BUG:
		break;
	}
	return 500;
}

const char *status_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} names[] = {
		{100, "Continue"},
		{101, "Switching Protocols"},
		{103, "Early Hints"},
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{206, "Partial Content"},
		{301, "Moved Permanently"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{307, "Temporary Redirect"},
		{308, "Permanent Redirect"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{406, "Not Acceptable"},
		{408, "Request Timeout"},
		{409, "Conflict"},
		{410, "Gone"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{502, "Bad Gateway"},
		{503, "Service Unavailable"},
		{504, "Gateway Timeout"},
		{505, "HTTP Version Not Supported"},
		{508, "Loop Detected"},
	};

	for (size_t i = 0; i < countof(names); i++)
		if (names[i].status == status)
			return names[i].reason;
	return "";
}
