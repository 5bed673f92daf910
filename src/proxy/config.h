/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

/*
 * The proxy's settings: the LINKERD2_PROXY_* environment of spec proxy.md §2 as a
 * constant struct.  Every mistake is reported at once; then the program ends with
 * status 64.
 */
#include "base/addr.h"
#include "base/err.h"

struct control_addr { /* <BASE>_ADDR and <BASE>_NAME */
	char host[256];
	uint16_t port;
	char name[256]; /* expected identity; "" : plaintext (loopback only) */
	bool set;
};

struct h2_settings {
	uint32_t stream_window, conn_window, max_streams, max_frame, max_header_list;
	uint64_t ping_every, ping_timeout;
	bool adaptive;
};

struct side_config { /* what inbound and outbound both have */
	uint64_t detect_timeout, connect_timeout;
	uint64_t backoff_min, backoff_max;
	double backoff_jitter;
	uint32_t queue_capacity;
	uint64_t failfast;
	uint32_t max_in_flight, max_idle_conns;
	uint64_t pool_idle, discovery_idle;
	uint64_t accept_keepalive, connect_keepalive, accept_user_timeout,
		connect_user_timeout;
	uint32_t backlog;
	struct h2_settings h2_server;
};

struct proxy_config {
	struct addr outbound_listen[2], inbound_listen, control_listen, admin_listen;
	size_t noutbound_listen;
	struct side_config in, out;
	struct h2_settings h2_client;
	struct control_addr destination, policy, identity, tap_svc, trace;
	const char *workload, *context;
	const char *identity_dir, *trust_anchors, *trust_anchors_file, *token_file;
	const char *local_name, *server_id, *server_name;
	uint64_t identity_min_refresh, identity_max_refresh;
	const char *profile_suffixes;
	struct cidr *profile_networks; /* each list has its count behind it */
	size_t nprofile_networks;
	struct cidr *cluster_networks;
	size_t ncluster_networks;
	uint64_t stream_initial, stream_idle, stream_lifetime, profile_initial;
	const char *default_policy; /* one of the names of §7.2 */
	uint16_t *inbound_ports;    /* watched from the start */
	size_t ninbound_ports;
	struct portset opaque_ports; /* INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION */
	struct ip *inbound_ips;
	size_t ninbound_ips;
	const char *gateway_suffixes;
	uint64_t shutdown_grace, metrics_retain;
	bool shutdown_endpoint, ingress, no_informational, hostname_labels,
		authority_labels;
	const char *log_filter, *log_format, *access_log, *authority_option;
	bool log_json;
	uint32_t cores;
	uint32_t out_tcp_queue;
	uint64_t out_tcp_failfast;
	uint64_t dns_min_ttl, dns_max_ttl;
	const char *tap_identity;
	uint32_t head_max; /* bytes, of any head or trailers */
	uint64_t head_timeout;
	uint64_t h2_stall;
	uint32_t memory_limit_mb; /* 0: the cgroup's */
};

/* Returns the number of mistakes, each printed on stderr with its variable's name. */
int proxy_config_read(struct proxy_config *c);
void proxy_config_free(struct proxy_config *c);

/* Is the host name one of these domains ("svc.cluster.local.,example.com"), or below
 * one?  "." has all; the case and a last dot do not count. */
bool name_in_suffixes(struct slice host, const char *suffixes);

#endif
