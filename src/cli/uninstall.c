/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/uninstall.h"

#include "base/obj.h"
#include "cli/install.h"
#include "wire/yaml.h"

int install_crds(struct buf *out, struct err *e)
{
	static const struct value_flags none;

	return install_chart("crds", "default", &none, NULL, 0, out, e);
}

/* Of no namespace, in the order in which they go. */
static const char *const kinds[] = {"MutatingWebhookConfiguration",
	"ValidatingWebhookConfiguration", "ClusterRoleBinding", "ClusterRole",
	"CustomResourceDefinition", "Namespace"};

static int name_object(const struct json *object, struct buf *out)
{
	struct json *j = json_object();
	int r;

	json_set_text(j, "apiVersion", json_text_or(object, "apiVersion", ""));
	json_set_text(j, "kind", json_text_or(object, "kind", ""));
	json_set_text(json_need_object(j, "metadata"), "name",
		json_text_or(object, "metadata.name", ""));
	buf_text(out, "---\n");
	r = yaml_write(j, out);
	json_free(j);
	return r;
}

int uninstall_render(const char *namespace, struct buf *out, struct err *e)
{
	struct install_config cfg = {.namespace = namespace};
	struct buf text = BUF_INIT;
	struct json *docs = NULL;
	int r = -1;

	if (install_render(&cfg, &text, e) == 0 && install_crds(&text, e) == 0)
		docs = yaml_parse_all(buf_slice(&text), e);
	for (size_t i = 0; docs && i < countof(kinds); i++)
		json_each(d, docs)
		{
			if (strcmp(json_text_or(d, "kind", ""), kinds[i]) == 0)
				r = name_object(d, out);
		}
	json_free(docs);
	buf_fini(&text);
	return r;
}

static void add_once(struct buf *list, const char *word)
{
	struct slice rest = buf_slice(list), part;

	while (slice_cut(&rest, ' ', &part))
		if (slice_is(part, word))
			return;
	buf_printf(list, "%s%s", buf_len(list) ? " " : "", word);
}

int uninstall_left(
	struct ask *a, const char *namespace, struct buf *where, struct err *e)
{
	char path[400];
	struct json *pods;
	int n = 0;

	snprintf(path, sizeof path,
		"/api/v1/pods?labelSelector=linkerd.io/control-plane-ns%%3D%s",
		namespace);
	pods = ask_get(a, path, e);
	if (!pods)
		return -1;
	json_each(p, json_get(pods, "items"))
	{
		const char *ns = json_text_or(p, "metadata.namespace", "");

		const char *phase = json_text_or(p, "status.phase", "");

		if (strcmp(ns, namespace) != 0 && strcmp(phase, "Succeeded") != 0 &&
			strcmp(phase, "Failed") != 0 &&
			!json_path(p, "metadata.deletionTimestamp")) {
			n++;
			add_once(where, ns);
		}
	}
	json_free(pods);
	return n;
}
