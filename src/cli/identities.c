/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/identities.h"

#include <stdio.h>

#include "base/obj.h"
#include "cli/probe.h"
#include "kube/kube.h"
#include "tls/cert.h"
#include "viz/pods.h"

/* Each returns a PodList, owned. */
static struct json *select_pods(const struct identities *q, struct err *e)
{
	struct buf path = BUF_INIT;
	struct json *list;

	buf_printf(&path, "/api/v1/namespaces/%s/pods?labelSelector=", q->ns);
	kube_escape(&path, q->selector);
	buf_char(&path, '\0');
	list = ask_get(q->ask, path.p, e);
	buf_fini(&path);
	if (!list || json_count(json_get(list, "items")))
		return list;
	json_free(list);
	err_set(e, ERR_MISSING, "no pod in namespace %s has the labels %s", q->ns,
		q->selector);
	return NULL;
}

static struct json *name_pods(const struct identities *q, struct err *e)
{
	struct json *list = json_object(), *pod;
	char path[600];

	for (size_t i = 0; i < q->n; i++) {
		snprintf(path, sizeof path, "/api/v1/namespaces/%s/pods/%s", q->ns,
			q->pod[i]);
		pod = ask_get(q->ask, path, e);
		if (!pod) {
			json_free(list);
			return NULL;
		}
		json_push(json_need_list(list, "items"), pod);
	}
	return list;
}

static int add_certificate(const struct identities *q, const struct viz_pod *pod,
	struct buf *out, struct err *e)
{
	struct buf pem = BUF_INIT;
	struct cert *c = NULL;
	int rc;

	if (!pod->meshed)
		return err_set(e, ERR_MISSING, "it has no proxy of %s", q->control_ns);
	if (strcmp(pod->phase, "Running") != 0)
		return err_set(e, ERR_MISSING, "it does not run: it is %s", pod->phase);
	rc = probe_certificate(
		q->ask, q->ns, pod->name, pod->admin.port, pod->identity, &pem, e);
	if (rc == 0)
		c = cert_read(buf_slice(&pem), e);
	buf_fini(&pem);
	if (!c)
		return -1;
	rc = cert_write_text(c, out);
	cert_free(c);
	return rc;
}

static void add_pods(const struct identities *q, const struct viz_pods *pods,
	struct buf *out, size_t *failed)
{
	for (size_t i = 0; i < pods->n; i++) {
		struct err why = {0};

		buf_printf(out, "POD %s (%zu of %zu)\n\n", pods->v[i].name, i + 1,
			pods->n);
		if (add_certificate(q, &pods->v[i], out, &why)) {
			buf_printf(out, "ERROR %s\n", why.msg);
			(*failed)++;
		}
		buf_char(out, '\n');
	}
}

int identities_write(
	const struct identities *q, struct buf *out, size_t *failed, struct err *e)
{
	struct json *list = q->selector ? select_pods(q, e) : name_pods(q, e);
	struct viz_pods pods;

	*failed = 0;
	if (!list)
		return -1;
	viz_pods_read(list, q->control_ns, &pods);
	add_pods(q, &pods, out, failed);
	viz_pods_fini(&pods);
	json_free(list);
	return 0;
}
