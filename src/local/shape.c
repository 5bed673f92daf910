/* SPDX-License-Identifier: Apache-2.0 */
#include "local/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/obj.h"
#include "local/status.h"
#include "local/valid.h"

/*
 * "name:type …".  Types: s text, i whole number, b truth, q number or text, m map of
 * texts, * anything, Name another shape; in brackets a list of it.
 */
struct shape {
	const char *name, *fields;
};

#define META "apiVersion:s kind:s metadata:ObjectMeta "

/* clang-format off */
static const struct shape shapes[] = {
	{"Pod", META "spec:PodSpec status:*"},
	{"Service", META "spec:ServiceSpec status:*"},
	{"Deployment", META "spec:DeploymentSpec status:*"},
	{"ReplicaSet", META "spec:ReplicaSetSpec status:*"},
	{"Job", META "spec:JobSpec status:*"},
	{"ConfigMap", META "data:m binaryData:m immutable:b"},
	{"Secret", META "data:m stringData:m type:s immutable:b"},
	{"ServiceAccount", META "secrets:* imagePullSecrets:* automountServiceAccountToken:b"},
	{"Namespace", META "spec:* status:*"},
	{"ObjectMeta", "name:s generateName:s namespace:s selfLink:s uid:s resourceVersion:s "
		"generation:i creationTimestamp:s deletionTimestamp:s "
		"deletionGracePeriodSeconds:i labels:m annotations:m ownerReferences:[*] "
		"finalizers:[s] managedFields:[*]"},
	{"LabelSelector", "matchLabels:m matchExpressions:[*]"},
	{"DeploymentSpec", "replicas:i selector:LabelSelector template:PodTemplate "
		"strategy:DeploymentStrategy minReadySeconds:i revisionHistoryLimit:i paused:b "
		"progressDeadlineSeconds:i"},
	{"DeploymentStrategy", "type:s rollingUpdate:RollingUpdate"},
	{"RollingUpdate", "maxSurge:q maxUnavailable:q"},
	{"ReplicaSetSpec", "replicas:i selector:LabelSelector template:PodTemplate "
		"minReadySeconds:i"},
	{"JobSpec", "parallelism:i completions:i activeDeadlineSeconds:i podFailurePolicy:* "
		"successPolicy:* backoffLimit:i backoffLimitPerIndex:i maxFailedIndexes:i "
		"selector:LabelSelector manualSelector:b template:PodTemplate "
		"ttlSecondsAfterFinished:i completionMode:s suspend:b podReplacementPolicy:s "
		"managedBy:s"},
	{"PodTemplate", "metadata:ObjectMeta spec:PodSpec"},
	{"PodSpec", "volumes:[*] initContainers:[Container] containers:[Container] "
		"ephemeralContainers:[*] restartPolicy:s terminationGracePeriodSeconds:i "
		"activeDeadlineSeconds:i dnsPolicy:s nodeSelector:m serviceAccountName:s "
		"serviceAccount:s automountServiceAccountToken:b nodeName:s hostNetwork:b "
		"hostPID:b hostIPC:b shareProcessNamespace:b securityContext:* "
		"imagePullSecrets:[*] hostname:s subdomain:s affinity:* schedulerName:s "
		"tolerations:[*] hostAliases:[*] priorityClassName:s priority:i dnsConfig:* "
		"readinessGates:[*] runtimeClassName:s enableServiceLinks:b preemptionPolicy:s "
		"overhead:* topologySpreadConstraints:[*] setHostnameAsFQDN:b os:* hostUsers:b "
		"schedulingGates:[*] resourceClaims:[*] resources:*"},
	{"Container", "name:s image:s command:[s] args:[s] workingDir:s ports:[ContainerPort] "
		"envFrom:[*] env:[EnvVar] resources:* resizePolicy:[*] restartPolicy:s "
		"volumeMounts:[VolumeMount] volumeDevices:[*] livenessProbe:Probe "
		"readinessProbe:Probe startupProbe:Probe lifecycle:Lifecycle "
		"terminationMessagePath:s terminationMessagePolicy:s imagePullPolicy:s "
		"securityContext:* stdin:b stdinOnce:b tty:b"},
	{"ContainerPort", "name:s hostPort:i containerPort:i protocol:s hostIP:s"},
	{"EnvVar", "name:s value:s valueFrom:EnvVarSource"},
	{"EnvVarSource", "fieldRef:* resourceFieldRef:* configMapKeyRef:* secretKeyRef:*"},
	{"VolumeMount", "name:s readOnly:b recursiveReadOnly:s mountPath:s subPath:s "
		"mountPropagation:s subPathExpr:s"},
	{"Probe", "exec:Exec httpGet:HTTPGet tcpSocket:TCPSocket grpc:* initialDelaySeconds:i "
		"timeoutSeconds:i periodSeconds:i successThreshold:i failureThreshold:i "
		"terminationGracePeriodSeconds:i"},
	{"Lifecycle", "postStart:Handler preStop:Handler stopSignal:s"},
	{"Handler", "exec:Exec httpGet:HTTPGet tcpSocket:TCPSocket sleep:*"},
	{"Exec", "command:[s]"},
	{"HTTPGet", "path:s port:q host:s scheme:s httpHeaders:[*]"},
	{"TCPSocket", "port:q host:s"},
	{"ServiceSpec", "ports:[ServicePort] selector:m clusterIP:s clusterIPs:[s] type:s "
		"externalIPs:[s] sessionAffinity:s loadBalancerIP:s "
		"loadBalancerSourceRanges:[s] externalName:s externalTrafficPolicy:s "
		"healthCheckNodePort:i publishNotReadyAddresses:b sessionAffinityConfig:* "
		"ipFamilies:[s] ipFamilyPolicy:s allocateLoadBalancerNodePorts:b "
		"loadBalancerClass:s internalTrafficPolicy:s trafficDistribution:s"},
	{"ServicePort", "name:s protocol:s appProtocol:s port:i targetPort:q nodePort:i"},
};
/* clang-format on */

static const struct shape *shape_of(struct slice name)
{
	for (size_t i = 0; i < countof(shapes); i++)
		if (slice_is(name, shapes[i].name))
			return &shapes[i];
	return NULL;
}

static bool find_field(const struct shape *s, const char *name, struct slice *type)
{
	struct slice rest = slice_of(s->fields), field, key;

	while (rest.n && slice_cut(&rest, ' ', &field)) {
		if (!slice_cut(&field, ':', &key) || !slice_is(key, name))
			continue;
		*type = field;
		return true;
	}
	return false;
}

struct check {
	bool strict;
	struct json *bad; /* the first mistake */
};

static void check_value(struct check *c, const struct json *v, struct slice type,
	const struct field_path *at);

static void wrong_type(struct check *c, const struct json *v, const char *want,
	const struct field_path *at)
{
	static const char *const names[] = {[JSON_NONE] = "nothing",
		[JSON_NULL] = "null",
		[JSON_BOOL] = "bool",
		[JSON_INT] = "number",
		[JSON_REAL] = "number",
		[JSON_TEXT] = "string",
		[JSON_LIST] = "array",
		[JSON_OBJECT] = "object"};

	if (!c->bad)
		c->bad = status_new(400, "BadRequest",
			"the object provided cannot be decoded: json: cannot unmarshal "
			"%s "
			"into field %s of type %s",
			names[json_kind(v)], at->text, want);
}

static struct field_path below(const struct field_path *at, const char *key)
{
	return field_sub(at->text, "%s%.60s", *at->text ? "." : "", key);
}

static void check_shape(struct check *c, const struct json *v, const struct shape *s,
	const struct field_path *at)
{
	if (json_kind(v) != JSON_OBJECT) {
		wrong_type(c, v, s->name, at);
		return;
	}
	json_each(m, v)
	{
		struct field_path p = below(at, json_key(m));
		struct slice type;

		if (find_field(s, json_key(m), &type))
			check_value(c, m, type, &p);
		else if (c->strict && !c->bad)
			c->bad = status_new(400, "BadRequest",
				"strict decoding error: unknown field \"%s\"", p.text);
	}
}

static void check_list(struct check *c, const struct json *v, struct slice type,
	const struct field_path *at)
{
	size_t i = 0;

	if (json_kind(v) != JSON_LIST) {
		wrong_type(c, v, "list", at);
		return;
	}
	json_each(it, v)
	{
		struct field_path p = field_sub(at->text, "[%zu]", i++);

		check_value(c, it, slice_bytes(type.p + 1, type.n - 2), &p);
	}
}

static void check_map(
	struct check *c, const struct json *v, const struct field_path *at)
{
	if (json_kind(v) != JSON_OBJECT) {
		wrong_type(c, v, "map[string]string", at);
		return;
	}
	json_each(m, v)
	{
		struct field_path p = below(at, json_key(m));

		if (json_kind(m) != JSON_TEXT && json_kind(m) != JSON_NULL)
			wrong_type(c, m, "string", &p);
	}
}

static void check_value(struct check *c, const struct json *v, struct slice type,
	const struct field_path *at)
{
	enum json_kind have = json_kind(v);

	if (have == JSON_NULL || slice_is(type, "*"))
		return;
	if (type.p[0] == '[')
		check_list(c, v, type, at);
	else if (slice_is(type, "m"))
		check_map(c, v, at);
	else if (type.n > 1)
		check_shape(c, v, shape_of(type), at);
	else if (type.p[0] == 's' && have != JSON_TEXT)
		wrong_type(c, v, "string", at);
	else if (type.p[0] == 'i' && have != JSON_INT)
		wrong_type(c, v, "integer", at);
	else if (type.p[0] == 'b' && have != JSON_BOOL)
		wrong_type(c, v, "bool", at);
	else if (type.p[0] == 'q' && have != JSON_TEXT && have != JSON_INT)
		wrong_type(c, v, "integer or string", at);
}

struct json *shape_check(const struct kind *k, const struct json *obj, bool strict)
{
	const struct shape *s =
		k->flags & KIND_CUSTOM ? NULL : shape_of(slice_of(k->kind));
	struct field_path root = {""};
	struct check c = {.strict = strict};

	if (s)
		check_shape(&c, obj, s, &root);
	return c.bad;
}
