/* SPDX-License-Identifier: Apache-2.0 */
/* A DNS message ends, and what it says can be said again. */
#include <stdlib.h>

#include "base/obj.h"
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_again(const struct dns_record *record)
{
	struct dns_head q = {.type = 1}, h;
	struct buf b = BUF_INIT;
	struct dns_record again;
	const uint8_t *p;
	size_t at;

	must(dns_write_response(&b, &q, DNS_OK, false, 1, 0) == 0);
	must(dns_write_record(&b, record) == 0);
	p = (const uint8_t *)buf_slice(&b).p;
	must(dns_read_head(p, buf_len(&b), &h, &at, NULL) == 0);
	must(dns_read_record(p, buf_len(&b), &at, &again, NULL) == 0);
	must(at == buf_len(&b));
	must(strcmp(again.name, record->name) == 0);
	must(strcmp(again.target, record->target) == 0);
	must(again.ttl == record->ttl && again.port == record->port);
	must(ip_eq(&again.ip, &record->ip));
	buf_fini(&b);
}

static bool is_known(const struct dns_record *r)
{
	return r->type == DNS_A || r->type == DNS_AAAA || r->type == DNS_CNAME ||
	       r->type == DNS_PTR || r->type == DNS_SRV || r->type == DNS_SOA;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct dns_record record;
	struct dns_head h;
	struct ip ip;
	size_t at;

	if (dns_read_head(p, n, &h, &at, NULL) < 0)
		return 0;
	while (dns_read_record(p, n, &at, &record, NULL) == 0) {
		must(strlen(record.name) <= DNS_TEXT_MAX);
		must(strlen(record.target) <= DNS_TEXT_MAX);
		(void)dns_dashed_ip(record.target, &ip);
		if (is_known(&record))
			check_again(&record);
	}
	return 0;
}
