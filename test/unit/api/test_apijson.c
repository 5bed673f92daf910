/* SPDX-License-Identifier: Apache-2.0 */
#include "api/apijson.h"

#include "api/destination.pb-c.h"
#include "api/http_types.pb-c.h"
#include "base/obj.h"
#include "t.h"

static void check(const void *m, const char *want)
{
	struct buf out = BUF_INIT;

	OK(api_json(m, &out) == 0);
	buf_char(&out, '\0');
	EQ_STR(out.p, want);
	buf_fini(&out);
}

TEST(values_are_written_as_people_write_them)
{
	Common__Label pod = COMMON__LABEL__INIT, quoted = COMMON__LABEL__INIT;
	Common__Label *labels[] = {&pod, &quoted};
	Net__IPAddress ip = NET__IPADDRESS__INIT;
	Net__TcpAddress addr = NET__TCP_ADDRESS__INIT;
	Destination__ProtocolHint hint = DESTINATION__PROTOCOL_HINT__INIT;
	Common__Empty h2 = COMMON__EMPTY__INIT;
	Destination__WeightedAddr m = DESTINATION__WEIGHTED_ADDR__INIT;

	pod.key = (char *)"pod";
	pod.value = (char *)"web-1";
	quoted.key = (char *)"q";
	quoted.value = (char *)"a\"b";
	ip.ip_case = NET__IPADDRESS__IP_IPV4;
	ip.ipv4 = 0x0af40107;
	addr.ip = &ip;
	addr.port = 8080;
	hint.protocol_case = DESTINATION__PROTOCOL_HINT__PROTOCOL_H2;
	hint.h2 = &h2;
	m.addr = &addr;
	m.weight = 10000;
	m.n_metric_labels = countof(labels);
	m.metric_labels = labels;
	m.protocol_hint = &hint;
	check(&m, "{\"addr\":{\"ip\":\"10.244.1.7\",\"port\":8080},\"weight\":10000,"
		  "\"metric_labels\":{\"pod\":\"web-1\",\"q\":\"a\\\"b\"},"
		  "\"protocol_hint\":{\"h2\":{}}}");
}

static const struct {
	int64_t seconds;
	int32_t nanos;
	const char *text;
} times[] = {
	{0, 0, "\"0s\""},
	{10, 0, "\"10s\""},
	{1, 500000000, "\"1.5s\""},
	{100, 1, "\"100.000000001s\""},
};

TEST(durations_are_seconds)
{
	for (size_t i = 0; i < countof(times); i++) {
		Common__Duration d = COMMON__DURATION__INIT;

		d.seconds = times[i].seconds;
		d.nanos = times[i].nanos;
		check(&d, times[i].text);
	}
}

TEST(a_choice_that_is_zero_is_written_and_the_others_are_not)
{
	HttpTypes__HttpMethod get = HTTP_TYPES__HTTP_METHOD__INIT;
	Destination__RetryBudget budget = DESTINATION__RETRY_BUDGET__INIT;

	check(&get, "{}");
	get.type_case = HTTP_TYPES__HTTP_METHOD__TYPE_REGISTERED;
	check(&get, "{\"registered\":\"GET\"}");
	budget.retry_ratio = 0.25f;
	check(&budget, "{\"retry_ratio\":0.25}");
}

TEST(a_buffer_that_is_full_is_told)
{
	Common__Label m = COMMON__LABEL__INIT;
	struct buf out = BUF_LIMIT(4);

	m.key = (char *)"a key";
	OK(api_json(&m, &out) < 0);
	buf_fini(&out);
}
