/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/discover.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/apijson.h"
#include "api/destination.pb-c.h"
#include "api/inbound.pb-c.h"
#include "api/outbound.pb-c.h"
#include "base/obj.h"
#include "cli/probe.h"
#include "viz/table.h"
#include "wire/yaml.h"

#define DEST_PORT   8086
#define POLICY_PORT 8090
#define MESSAGE_MAX ((size_t)64 * 1024 * 1024) /* what messages become in memory */
#define LABEL_MAX   256

/* ---- asking ---- */

/* The messages of an answer, each as JSON; the last that could not be read. */
struct answer {
	const ProtobufCMessageDescriptor *type;
	struct json *list;
	struct err err;
};

static void on_message(void *arg, struct slice bytes)
{
	struct answer *a = arg;
	struct arena arena = {.limit = MESSAGE_MAX};
	struct buf text = BUF_INIT;
	const void *m = api_read(a->type, bytes, &arena, &a->err);
	struct json *j = NULL;

	if (m && api_json(m, &text) == 0)
		j = json_parse(buf_slice(&text), &a->err);
	if (j)
		json_push(a->list, j);
	buf_fini(&text);
	arena_fini(&arena);
}

/* Owned: the messages that came. */
static struct json *ask(const struct discover *d, const char *pod, uint16_t port,
	const char *path, const void *request, const ProtobufCMessageDescriptor *type,
	struct err *e)
{
	struct answer answer = {.type = type, .list = json_list()};
	struct buf bytes = BUF_INIT;
	struct probe_call call = {.ns = d->control_ns,
		.pod = pod,
		.port = port,
		.path = path,
		.on_message = on_message,
		.arg = &answer};
	int rc = api_write(request, &bytes);

	call.request = buf_slice(&bytes);
	rc = rc ? err_set(e, ERR_LIMIT, "out of memory") : probe_grpc(d->ask, &call, e);
	buf_fini(&bytes);
	if (rc == 0 && answer.err.code != ERR_NONE) {
		*e = answer.err;
		rc = err_wrap(e, "its answer");
	}
	if (rc == 0)
		return answer.list;
	json_free(answer.list);
	return NULL;
}

/* The pod to ask, owned. */
static char *choose_pod(const struct discover *d, struct err *e)
{
	char path[600];
	struct json *pod;

	if (!d->pod)
		return probe_control_pod(d->ask, d->control_ns, "destination", e);
	snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s", d->control_ns,
		d->pod);
	pod = ask_get(d->ask, path, e);
	if (!pod)
		return NULL;
	json_free(pod);
	return slice_dup(slice_of(d->pod));
}

static char *token(const struct discover *d)
{
	return (char *)(d->token ? d->token : "");
}

/* ---- endpoints ---- */

static struct json *get_endpoints(
	const struct discover *d, const char *pod, const char *authority, struct err *e)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;

	m.scheme = (char *)"";
	m.path = (char *)authority;
	m.context_token = token(d);
	return ask(d, pod, DEST_PORT, API_GET, &m, &destination__update__descriptor, e);
}

static struct json *endpoint_of(const struct json *set, const struct json *addr)
{
	const struct json *labels = json_get(addr, "metric_labels");
	struct json *j = json_object();

	json_set_text(j, "namespace",
		json_text_or(json_get(set, "metric_labels"), "namespace", ""));
	json_set_text(j, "ip", json_text_or(addr, "addr.ip", ""));
	json_set_int(j, "port", json_int_at(addr, "addr.port", 0));
	json_set_text(j, "pod", json_text_or(labels, "pod", ""));
	json_set_text(j, "service",
		json_text_or(json_get(set, "metric_labels"), "service", ""));
	json_set_int(j, "weight", json_int_at(addr, "weight", 0));
	json_set(j, "http2",
		json_path(addr, "protocol_hint.h2") ? json_boolean(true)
						    : json_boolean(false));
	json_set(j, "labels", labels ? json_copy(labels) : json_object());
	return j;
}

static bool is_at(const struct json *endpoint, const struct json *addr)
{
	return strcmp(json_text_or(endpoint, "ip", ""), json_text_or(addr, "ip", "")) ==
		       0 &&
	       json_int_at(endpoint, "port", 0) == json_int_at(addr, "port", 0);
}

static void drop(struct json *list, const struct json *addr)
{
	json_each(it, list)
	{
		if (!is_at(it, addr))
			continue;
		json_free(json_detach(list, it));
		return;
	}
}

/* What the updates, one after the other, leave. */
static void add_updates(const struct json *updates, struct json *list)
{
	json_each(u, updates)
	{
		json_each(a, json_path(u, "add.addrs"))
		{
			json_push(list, endpoint_of(json_get(u, "add"), a));
		}
		json_each(a, json_path(u, "remove.addrs"))
		{
			drop(list, a);
		}
	}
}

static void write_endpoints(const struct json *list, const char *form, struct buf *out)
{
	struct table t = {.right_from = TABLE_COLUMNS};

	if (strcmp(form, "json") == 0) {
		json_write(list, 2, out);
		buf_char(out, '\n');
		return;
	}
	table_cell(&t, "NAMESPACE");
	table_cell(&t, "IP");
	table_cell(&t, "PORT");
	table_cell(&t, "POD");
	table_cell(&t, "SERVICE");
	table_end_row(&t);
	json_each(j, list)
	{
		table_cell(&t, "%s", json_text_or(j, "namespace", ""));
		table_cell(&t, "%s", json_text_or(j, "ip", ""));
		table_cell(&t, "%d", (int)json_int_at(j, "port", 0));
		table_cell(&t, "%s", json_text_or(j, "pod", ""));
		table_cell(&t, "%s.%s", json_text_or(j, "service", ""),
			json_text_or(j, "namespace", ""));
		table_end_row(&t);
	}
	table_write(&t, out);
	table_fini(&t);
}

int discover_endpoints(const struct discover *d, size_t n, char *const *authority,
	struct buf *out, size_t *found, struct err *e)
{
	char *pod = choose_pod(d, e);
	struct json *list = json_list(), *updates = NULL;
	int rc = pod ? 0 : -1;

	for (size_t i = 0; i < n && rc == 0; i++) {
		updates = get_endpoints(d, pod, authority[i], e);
		if (updates)
			add_updates(updates, list);
		else
			rc = err_wrap(e, "%s", authority[i]);
		json_free(updates);
	}
	*found = json_count(list);
	if (rc == 0 && (*found || strcmp(d->form, "json") == 0))
		write_endpoints(list, d->form, out);
	json_free(list);
	free(pod);
	return rc;
}

/* ---- profile, policy ---- */

/* The newest of the messages. */
static void write_last(const struct json *list, const char *form, struct buf *out)
{
	const struct json *last = json_at(list, json_count(list) - 1);

	if (strcmp(form, "yaml") == 0) {
		yaml_write(last, out);
		return;
	}
	json_write(last, 2, out);
	buf_char(out, '\n');
}

int discover_profile(
	const struct discover *d, const char *authority, struct buf *out, struct err *e)
{
	Destination__GetDestination m = DESTINATION__GET_DESTINATION__INIT;
	char *pod = choose_pod(d, e);
	struct json *list = NULL;

	m.scheme = (char *)"";
	m.path = (char *)authority;
	m.context_token = token(d);
	if (pod)
		list = ask(d, pod, DEST_PORT, API_GET_PROFILE, &m,
			&destination__destination_profile__descriptor, e);
	if (list)
		write_last(list, d->form, out);
	json_free(list);
	free(pod);
	return list ? 0 : -1;
}

static struct json *ask_inbound(const struct discover *d, const char *pod,
	const char *ns, const char *name, uint16_t port, struct err *e)
{
	Inbound__PortSpec m = INBOUND__PORT_SPEC__INIT;
	char workload[LABEL_MAX * 2 + 2];

	snprintf(workload, sizeof workload, "%s:%s", ns, name);
	m.workload = workload;
	m.port = port;
	return ask(d, pod, POLICY_PORT, API_INBOUND_GET, &m,
		&inbound__server__descriptor, e);
}

/* A Service is known to proxies by its address. */
static int cluster_ip(
	struct ask *a, const char *ns, const char *name, struct ip *ip, struct err *e)
{
	char path[600];
	struct json *svc;
	int rc = -1;

	snprintf(path, sizeof path, "/api/v1/namespaces/%s/services/%s", ns, name);
	svc = ask_get(a, path, e);
	if (!svc)
		return -1;
	if (ip_parse(slice_of(json_text_or(svc, "spec.clusterIP", "")), ip))
		rc = 0;
	else
		err_set(e, ERR_MISSING,
			"Service %s/%s has no address (clusterIP: %s): ask for the "
			"policy of its pods",
			ns, name, json_text_or(svc, "spec.clusterIP", "none"));
	json_free(svc);
	return rc;
}

static struct json *ask_outbound(const struct discover *d, const char *pod,
	const char *ns, const char *name, uint16_t port, struct err *e)
{
	Outbound__TrafficSpec m = OUTBOUND__TRAFFIC_SPEC__INIT;
	struct arena a = {.limit = 4096};
	struct addr at = {.port = port};
	struct json *list = NULL;

	if (cluster_ip(d->ask, ns, name, &at.ip, e))
		return NULL;
	m.source_workload = token(d);
	m.target_case = OUTBOUND__TRAFFIC_SPEC__TARGET_ADDR;
	m.addr = api_addr(&at, &a);
	must(m.addr);
	list = ask(d, pod, POLICY_PORT, API_OUTBOUND_GET, &m,
		&outbound__outbound_policy__descriptor, e);
	arena_fini(&a);
	return list;
}

static const struct {
	const char *kind;
	struct json *(*ask)(const struct discover *d, const char *pod, const char *ns,
		const char *name, uint16_t port, struct err *e);
} policies[] = {
	{"po/", ask_inbound},
	{"pod/", ask_inbound},
	{"pods/", ask_inbound},
	{"svc/", ask_outbound},
	{"service/", ask_outbound},
	{"services/", ask_outbound},
};

int discover_policy(const struct discover *d, const char *ns, const char *resource,
	uint16_t port, struct buf *out, struct err *e)
{
	char *pod = choose_pod(d, e);
	struct json *list = NULL;
	bool known = false;

	for (size_t i = 0; pod && i < countof(policies); i++) {
		size_t n = strlen(policies[i].kind);

		if (strncmp(resource, policies[i].kind, n) != 0)
			continue;
		known = true;
		list = policies[i].ask(d, pod, ns, resource + n, port, e);
	}
	if (pod && !known)
		err_set(e, ERR_SYNTAX,
			"\"%s\": a policy is of po/NAME (what it lets in) or of "
			"svc/NAME (how clients route to it)",
			resource);
	if (list)
		write_last(list, d->form, out);
	json_free(list);
	free(pod);
	return list ? 0 : -1;
}
