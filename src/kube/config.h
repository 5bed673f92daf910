/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KUBE_CONFIG_H
#define KUBE_CONFIG_H

/*
 * Where the API server is, how it is reached and how to prove who we are: from
 * kubeconfigs or from what a pod is given.  Read once; what may change later (tokens,
 * the CA of a pod, what an exec plugin says) is kept as where it comes from.
 */
#include "base/buf.h"
#include "kube/execcred.h"
#include "kube/kube.h"
#include "net/via.h"

struct kube_target {
	bool tls;
	bool any_server; /* insecure-skip-tls-verify */
	char *host;      /* name or literal address, without brackets */
	uint16_t port;
	char *prefix;             /* of every path: "" or "/k8s/c-1" */
	char *server_name;        /* for the certificate, or NULL: host */
	char *namespace;          /* of the context or the pod, or NULL */
	struct buf ca, cert, key; /* PEM; empty when there is none */
	char *ca_file;            /* read again when it changes, or NULL */
	char *token;              /* or NULL */
	char *token_file;         /* read again when it changes; wins over token */
	char *basic;              /* "user:password" in base64, or NULL */
	struct exec_plugin *exec; /* says token or certificate, or NULL */
	char *as, *as_uid;        /* impersonation, or NULL */
	char *as_groups[KUBE_GROUPS_MAX];
	size_t n_as_groups;
	struct json *as_extra; /* lists of texts by name, or NULL */
	char *proxy_url;       /* as it was given, or NULL */
	/* Its parts; via.host is the API server's, borrowed from `host`. */
	char *proxy_host, *proxy_user, *proxy_password;
	uint16_t proxy_port;
	struct via via;
};

/* Fills `t`, the caller's storage; kube_target_fini() also after a failure. */
int kube_target_read(
	struct kube_target *t, const struct kube_config *cfg, struct err *e);
void kube_target_fini(struct kube_target *t);

/*
 * Kubeconfigs in order: for each name the first file that has it counts; relative paths
 * are relative to the file they are in.
 */
struct kubeconfig_file {
	char path[4096];
	char dir[4096];
	struct json *doc;
};
int kubeconfig_read(struct kube_target *t, const struct kubeconfig_file *files,
	size_t n, const char *context, struct err *e);

/* Where the server of a kubeconfig is: "https://host:port/prefix". */
int kube_set_server(struct kube_target *t, const char *server, struct err *e);

/*
 * The proxy on the way to the server: `url`, else (NULL) HTTPS_PROXY and NO_PROXY of
 * the environment, for https servers.  No proxy: proxy_host stays NULL.
 */
int kube_set_proxy(struct kube_target *t, const char *url, struct err *e);

#endif
