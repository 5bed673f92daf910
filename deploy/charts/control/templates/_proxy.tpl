{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- /*
  The proxies of the control plane's own pods: as the injector would make them, which it is not
  asked to.  A unit test holds the two against each other.  For "." see _helpers.tpl.
*/ -}}

{{- /* init: it stays beside the others; first: they wait for it; last */ -}}
{{- define "mesh.proxy.place" -}}
{{- if eq .component "identity" -}}
last
{{- else if .root.Values.proxy.nativeSidecar -}}
init
{{- else -}}
{{ ternary "first" "last" .root.Values.proxy.await }}
{{- end -}}
{{- end -}}

{{- define "mesh.proxy.version" -}}
{{ .Values.proxy.image.version | default (include "mesh.version" .) }}
{{- end -}}

{{- define "mesh.proxy.annotations" -}}
linkerd.io/created-by: mesh/chart {{ .root.Chart.AppVersion }}
linkerd.io/proxy-version: {{ include "mesh.proxy.version" .root | quote }}
linkerd.io/trust-root-sha256: {{ .root.Values.identityTrustAnchorsPEM | trim | sha256sum | quote }}
{{- end -}}

{{- /* A CPU quantity, rounded up to whole ones; empty: empty. */ -}}
{{- define "mesh.cores" -}}
{{- $cpu := toString . -}}
{{- if hasSuffix "m" $cpu -}}
{{ div (add (int (trimSuffix "m" $cpu)) 999) 1000 }}
{{- else if $cpu -}}
{{ ceil (float64 $cpu) }}
{{- end -}}
{{- end -}}

{{- /* Of "." the resources: how many workers the proxy has. */ -}}
{{- define "mesh.proxy.cores" -}}
{{- $cpu := .resources.cpu | default dict -}}
{{- $most := include "mesh.cores" ($cpu.limit | default "") | default "0" | int -}}
{{- $least := include "mesh.cores" ($cpu.request | default "") | default "0" | int -}}
{{- if and $most (gt $least $most) }}{{ $least = $most }}{{ end -}}
{{- $cores := .root.Values.proxy.cores | int | default $most -}}
{{- $workers := .root.Values.proxy.runtime.workers -}}
{{- if $cores }}
- name: LINKERD2_PROXY_CORES
  value: {{ $cores | quote }}
{{- end }}
- name: LINKERD2_PROXY_CORES_MIN
  value: {{ $least | default (int $workers.minimum) | quote }}
{{- if $most }}
- name: LINKERD2_PROXY_CORES_MAX
  value: {{ $most | quote }}
{{- end }}
{{- if $workers.maximumCPURatio }}
- name: LINKERD2_PROXY_CORES_MAX_RATIO
  value: {{ $workers.maximumCPURatio | toString | quote }}
{{- end }}
{{- end -}}

{{- define "mesh.proxy.fieldEnv" }}
- name: {{ .name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ .field }}
{{- end -}}

{{- /* Nothing when the value is empty. */ -}}
{{- define "mesh.proxy.optionalEnv" -}}
{{- if .value }}
- name: LINKERD2_PROXY_{{ .name }}
  value: {{ .value | toString | quote }}
{{- end -}}
{{- end -}}

{{- define "mesh.proxy.env" -}}
{{- $v := .root.Values -}}
{{- $proxy := $v.proxy -}}
{{- $ns := .root.Release.Namespace -}}
{{- $trust := include "mesh.trustDomain" .root -}}
{{- $domain := printf "%s.svc.%s." $ns $v.clusterDomain -}}
{{- $any := ternary "0.0.0.0" "[::]" $v.disableIPv6 -}}
{{- $isDestination := eq .component "destination" -}}
{{- $isIdentity := eq .component "identity" -}}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_name" "field" "metadata.name") }}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_ns" "field" "metadata.namespace") }}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_uid" "field" "metadata.uid") }}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_ip" "field" "status.podIP") }}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_nodeName" "field" "spec.nodeName") }}
- name: _pod_containerName
  value: mesh-proxy
{{- include "mesh.proxy.cores" . }}
- name: LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED
  value: {{ $proxy.enableShutdownEndpoint | quote }}
{{- include "mesh.proxy.optionalEnv" (dict "name" "SHUTDOWN_GRACE_PERIOD" "value" $proxy.shutdownGracePeriod) }}
{{- include "mesh.proxy.optionalEnv" (dict "name" "INBOUND_PORTS_REQUIRE_IDENTITY" "value" $proxy.requireIdentityOnInboundPorts) }}
{{- include "mesh.proxy.optionalEnv" (dict "name" "INBOUND_PORTS_REQUIRE_TLS" "value" $proxy.requireTLSOnInboundPorts) }}
- name: LINKERD2_PROXY_LOG
  value: {{ $proxy.logLevel | quote }}
- name: LINKERD2_PROXY_LOG_FORMAT
  value: {{ $proxy.logFormat | quote }}
- name: LINKERD2_PROXY_DESTINATION_SVC_ADDR
  value: {{ ternary "localhost." (printf "mesh-dst-headless.%s" $domain) $isDestination }}:8086
- name: LINKERD2_PROXY_DESTINATION_PROFILE_NETWORKS
  value: {{ $v.clusterNetworks | quote }}
- name: LINKERD2_PROXY_POLICY_SVC_ADDR
  value: {{ ternary "localhost." (printf "mesh-policy.%s" $domain) $isDestination }}:8090
- name: LINKERD2_PROXY_POLICY_WORKLOAD
  value: '{"ns":"$(_pod_ns)", "pod":"$(_pod_name)"}'
- name: LINKERD2_PROXY_INBOUND_DEFAULT_POLICY
  value: all-unauthenticated
- name: LINKERD2_PROXY_POLICY_CLUSTER_NETWORKS
  value: {{ $v.clusterNetworks | quote }}
- name: LINKERD2_PROXY_CONTROL_STREAM_INITIAL_TIMEOUT
  value: {{ $proxy.control.streams.initialTimeout | quote }}
- name: LINKERD2_PROXY_CONTROL_STREAM_IDLE_TIMEOUT
  value: {{ $proxy.control.streams.idleTimeout | quote }}
- name: LINKERD2_PROXY_CONTROL_STREAM_LIFETIME
  value: {{ $proxy.control.streams.lifetime | quote }}
- name: LINKERD2_PROXY_INBOUND_CONNECT_TIMEOUT
  value: {{ $proxy.inboundConnectTimeout | quote }}
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_TIMEOUT
  value: {{ $proxy.outboundConnectTimeout | quote }}
- name: LINKERD2_PROXY_OUTBOUND_DISCOVERY_IDLE_TIMEOUT
  value: {{ $proxy.outboundDiscoveryCacheUnusedTimeout | quote }}
- name: LINKERD2_PROXY_INBOUND_DISCOVERY_IDLE_TIMEOUT
  value: {{ $proxy.inboundDiscoveryCacheUnusedTimeout | quote }}
{{- if $proxy.disableInboundProtocolDetectTimeout }}
- name: LINKERD2_PROXY_INBOUND_DETECT_TIMEOUT
  value: 365d
{{- end }}
{{- if $proxy.disableOutboundProtocolDetectTimeout }}
- name: LINKERD2_PROXY_OUTBOUND_DETECT_TIMEOUT
  value: 365d
{{- end }}
- name: LINKERD2_PROXY_CONTROL_LISTEN_ADDR
  value: "{{ $any }}:{{ $proxy.ports.control }}"
- name: LINKERD2_PROXY_ADMIN_LISTEN_ADDR
  value: "{{ $any }}:{{ $proxy.ports.admin }}"
- name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDR
  value: 127.0.0.1:{{ $proxy.ports.outbound }}
- name: LINKERD2_PROXY_OUTBOUND_LISTEN_ADDRS
  value: 127.0.0.1:{{ $proxy.ports.outbound }}{{ if not $v.disableIPv6 }},[::1]:{{ $proxy.ports.outbound }}{{ end }}
- name: LINKERD2_PROXY_INBOUND_LISTEN_ADDR
  value: "{{ $any }}:{{ $proxy.ports.inbound }}"
{{- include "mesh.proxy.fieldEnv" (dict "name" "LINKERD2_PROXY_INBOUND_IPS" "field" "status.podIPs") }}
- name: LINKERD2_PROXY_INBOUND_PORTS
  value: {{ $proxy.podInboundPorts | default .ports | quote }}
{{- if $proxy.isIngress }}
- name: LINKERD2_PROXY_INGRESS_MODE
  value: "true"
{{- end }}
{{- if $proxy.isGateway }}
- name: LINKERD2_PROXY_INBOUND_GATEWAY_SUFFIXES
  value: svc.{{ $v.clusterDomain }}.
{{- end }}
- name: LINKERD2_PROXY_DESTINATION_PROFILE_SUFFIXES
  value: {{ ternary "." (printf "svc.%s." $v.clusterDomain) $proxy.enableExternalProfiles | quote }}
- name: LINKERD2_PROXY_INBOUND_ACCEPT_KEEPALIVE
  value: 10000ms
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_KEEPALIVE
  value: 10000ms
- name: LINKERD2_PROXY_INBOUND_ACCEPT_USER_TIMEOUT
  value: 30s
- name: LINKERD2_PROXY_OUTBOUND_CONNECT_USER_TIMEOUT
  value: 30s
- name: LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL
  value: {{ $proxy.inbound.server.http2.keepAliveInterval | quote }}
- name: LINKERD2_PROXY_INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT
  value: {{ $proxy.inbound.server.http2.keepAliveTimeout | quote }}
- name: LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL
  value: {{ $proxy.outbound.server.http2.keepAliveInterval | quote }}
- name: LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT
  value: {{ $proxy.outbound.server.http2.keepAliveTimeout | quote }}
{{- include "mesh.proxy.optionalEnv" (dict "name" "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION" "value" (.opaque | default $proxy.opaquePorts)) }}
- name: LINKERD2_PROXY_DESTINATION_CONTEXT
  value: '{"ns":"$(_pod_ns)", "nodeName":"$(_pod_nodeName)", "pod":"$(_pod_name)"}'
{{- if $proxy.metrics.hostnameLabels }}
- name: LINKERD2_PROXY_OUTBOUND_METRICS_HOSTNAME_LABELS
  value: "true"
{{- end }}
{{- include "mesh.proxy.optionalEnv" (dict "name" "ACCESS_LOG" "value" $proxy.accessLog) }}
{{- include "mesh.proxy.fieldEnv" (dict "name" "_pod_sa" "field" "spec.serviceAccountName") }}
- name: _l5d_ns
  value: {{ $ns }}
- name: _l5d_trustdomain
  value: {{ $trust }}
- name: LINKERD2_PROXY_IDENTITY_DIR
  value: /var/run/linkerd/identity/end-entity
- name: LINKERD2_PROXY_IDENTITY_TOKEN_FILE
  value: {{ ternary "/var/run/secrets/tokens/mesh-identity-token" "/var/run/secrets/kubernetes.io/serviceaccount/token" $v.identity.serviceAccountTokenProjection }}
- name: LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS_FILE
  value: /var/run/linkerd/identity/trust-roots/ca-bundle.crt
- name: LINKERD2_PROXY_IDENTITY_SVC_ADDR
  value: {{ ternary "localhost." (printf "mesh-identity-headless.%s" $domain) $isIdentity }}:8080
- name: LINKERD2_PROXY_IDENTITY_LOCAL_NAME
  value: $(_pod_sa).$(_pod_ns).serviceaccount.identity.{{ $ns }}.{{ $trust }}
{{- /* Without a name the proxy speaks plainly, to its own pod only. */}}
{{- if not $isIdentity }}
- name: LINKERD2_PROXY_IDENTITY_SVC_NAME
  value: mesh-identity.{{ $ns }}.serviceaccount.identity.{{ $ns }}.{{ $trust }}
{{- end }}
{{- if not $isDestination }}
- name: LINKERD2_PROXY_DESTINATION_SVC_NAME
  value: mesh-destination.{{ $ns }}.serviceaccount.identity.{{ $ns }}.{{ $trust }}
- name: LINKERD2_PROXY_POLICY_SVC_NAME
  value: mesh-destination.{{ $ns }}.serviceaccount.identity.{{ $ns }}.{{ $trust }}
{{- end }}
- name: LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS
  valueFrom:
    configMapKeyRef:
      name: mesh-identity-trust-roots
      key: ca-bundle.crt
{{- with $proxy.additionalEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "mesh.proxy.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{- range $what, $n := .probe }}
{{- if $n }}
{{ $what }}: {{ $n }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "mesh.proxy.lifecycle" -}}
{{- $proxy := .root.Values.proxy -}}
{{- $awaits := eq (include "mesh.proxy.place" .) "first" -}}
{{- $wait := int $proxy.waitBeforeExitSeconds -}}
{{- if or $awaits $wait }}
lifecycle:
  {{- if $awaits }}
  postStart:
    exec:
      command: [mesh-await, --timeout=2m, --port={{ $proxy.ports.admin }}]
  {{- end }}
  {{- if $wait }}
  preStop:
    sleep:
      seconds: {{ $wait }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "mesh.proxy" -}}
{{- $proxy := .root.Values.proxy -}}
{{- $admin := $proxy.ports.admin -}}
- name: mesh-proxy
  image: {{ $proxy.image.name }}:{{ include "mesh.proxy.version" .root }}
  imagePullPolicy: {{ $proxy.image.pullPolicy }}
  args: [proxy]
  env:
  {{- include "mesh.proxy.env" . | nindent 2 }}
  ports:
  - name: linkerd-proxy
    containerPort: {{ $proxy.ports.inbound }}
  - name: linkerd-admin
    containerPort: {{ $admin }}
  {{- if eq (include "mesh.proxy.place" .) "init" }}
  restartPolicy: Always
  startupProbe:
    {{- include "mesh.proxy.probe" (dict "path" "/ready" "port" $admin "probe" $proxy.startupProbe) | nindent 4 }}
  {{- end }}
  livenessProbe:
    {{- include "mesh.proxy.probe" (dict "path" "/live" "port" $admin "probe" $proxy.livenessProbe) | nindent 4 }}
  readinessProbe:
    {{- include "mesh.proxy.probe" (dict "path" "/ready" "port" $admin "probe" $proxy.readinessProbe) | nindent 4 }}
  {{- include "mesh.proxy.lifecycle" . | nindent 2 }}
  {{- include "mesh.resources" .resources | nindent 2 }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: {{ $proxy.uid | int64 }}
    {{- if gt (int64 $proxy.gid) -1 }}
    runAsGroup: {{ $proxy.gid | int64 }}
    {{- end }}
    seccompProfile: {type: RuntimeDefault}
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
  - name: mesh-identity-end-entity
    mountPath: /var/run/linkerd/identity/end-entity
  - name: mesh-identity-trust-roots
    mountPath: /var/run/linkerd/identity/trust-roots
  {{- if .root.Values.identity.serviceAccountTokenProjection }}
  - name: mesh-identity-token
    mountPath: /var/run/secrets/tokens
  {{- end }}
{{- end -}}

{{- /* Values of a list, without gaps. */ -}}
{{- define "mesh.commas" -}}
{{- $all := "" -}}
{{- range . -}}
{{- if . }}{{ $all = printf "%s%s%v" $all (ternary "," "" (ne $all "")) . }}{{ end -}}
{{- end -}}
{{ $all }}
{{- end -}}

{{- define "mesh.init" -}}
{{- $v := .root.Values -}}
{{- $proxy := $v.proxy -}}
{{- $init := $v.proxyInit -}}
{{- $privileged := gt (int $init.closeWaitTimeoutSecs) 0 -}}
{{- $root := or $privileged $init.runAsRoot -}}
- name: mesh-init
  image: {{ $init.image.name | default $proxy.image.name }}:{{ $init.image.version | default (include "mesh.proxy.version" .root) }}
  imagePullPolicy: {{ $init.image.pullPolicy | default $proxy.image.pullPolicy }}
  args:
  - init
  - --ipv6={{ not $v.disableIPv6 }}
  - --incoming-proxy-port
  - {{ $proxy.ports.inbound | quote }}
  - --outgoing-proxy-port
  - {{ $proxy.ports.outbound | quote }}
  - --proxy-uid
  - {{ $proxy.uid | int64 | quote }}
  - --log-level
  - {{ $init.logLevel | quote }}
  - --log-format
  - {{ $init.logFormat | quote }}
  {{- if gt (int64 $proxy.gid) -1 }}
  - --proxy-gid
  - {{ $proxy.gid | int64 | quote }}
  {{- end }}
  - --inbound-ports-to-ignore
  - {{ include "mesh.commas" (list $proxy.ports.control $proxy.ports.admin $init.ignoreInboundPorts) | quote }}
  {{- if or $init.ignoreOutboundPorts $init.kubeAPIServerPorts }}
  - --outbound-ports-to-ignore
  - {{ include "mesh.commas" (list $init.ignoreOutboundPorts $init.kubeAPIServerPorts) | quote }}
  {{- end }}
  {{- if $init.skipSubnets }}
  - --subnets-to-ignore
  - {{ $init.skipSubnets | quote }}
  {{- end }}
  {{- if $privileged }}
  - --timeout-close-wait-secs
  - {{ $init.closeWaitTimeoutSecs | quote }}
  {{- end }}
  {{- include "mesh.resources" $init.resources | nindent 2 }}
  securityContext:
    allowPrivilegeEscalation: {{ $privileged }}
    capabilities: {add: [NET_ADMIN], drop: [ALL]}
    privileged: {{ $privileged }}
    readOnlyRootFilesystem: true
    runAsNonRoot: {{ not $root }}
    runAsUser: {{ ternary 0 (int64 $init.runAsUser) $root }}
    runAsGroup: {{ ternary 0 (int64 $init.runAsGroup) $root }}
    seccompProfile: {type: RuntimeDefault}
  terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- define "mesh.validator" -}}
{{- $v := .root.Values -}}
{{- $proxy := $v.proxy -}}
{{- $validator := $v.networkValidator -}}
- name: mesh-network-validator
  image: {{ $proxy.image.name }}:{{ include "mesh.proxy.version" .root }}
  imagePullPolicy: {{ $proxy.image.pullPolicy }}
  args:
  - validator
  - --connect-addr
  - {{ $validator.connectAddr | default (ternary "1.1.1.1:20001" "1.1.1.1:20001,[fd00::1]:20001" $v.disableIPv6) | quote }}
  - --listen-addr
  - {{ $validator.listenAddr | default (printf "%s:%v" (ternary "0.0.0.0" "[::]" $v.disableIPv6) $proxy.ports.outbound) | quote }}
  - --timeout
  - {{ $validator.timeout | quote }}
  - --log-level
  - {{ $validator.logLevel | quote }}
  - --log-format
  - {{ $validator.logFormat | quote }}
  {{- include "mesh.resources" $proxy.resources | nindent 2 }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: true
    runAsNonRoot: true
    runAsUser: 65534
    runAsGroup: 65534
    seccompProfile: {type: RuntimeDefault}
  terminationMessagePolicy: FallbackToLogsOnError
{{- end -}}

{{- define "mesh.initContainers" -}}
initContainers:
{{ include (ternary "mesh.validator" "mesh.init" .root.Values.cniEnabled) . }}
{{- if eq (include "mesh.proxy.place" .) "init" }}
{{ include "mesh.proxy" . }}
{{- end }}
{{- end -}}

{{- /* Beside the container of the pod: what is before it, and what is behind it. */ -}}
{{- define "mesh.proxy.first" -}}
{{- if eq (include "mesh.proxy.place" .) "first" -}}
{{ include "mesh.proxy" . }}
{{- end -}}
{{- end -}}

{{- define "mesh.proxy.last" -}}
{{- $debug := .root.Values.debugContainer -}}
{{- if $debug.enabled -}}
- name: mesh-debug
  image: {{ $debug.image.name }}:{{ $debug.image.version | default (include "mesh.version" .root) }}
  imagePullPolicy: {{ $debug.image.pullPolicy }}
  terminationMessagePolicy: FallbackToLogsOnError
{{- end }}
{{- if eq (include "mesh.proxy.place" .) "last" }}
{{ include "mesh.proxy" . }}
{{- end }}
{{- end -}}

{{- define "mesh.proxy.volumes" -}}
- name: mesh-identity-end-entity
  emptyDir: {medium: Memory}
- name: mesh-identity-trust-roots
  configMap:
    name: mesh-identity-trust-roots
    optional: true
{{- if .root.Values.identity.serviceAccountTokenProjection }}
- name: mesh-identity-token
  projected:
    sources:
    - serviceAccountToken:
        audience: identity.l5d.io
        expirationSeconds: 86400
        path: mesh-identity-token
{{- end }}
{{- end -}}
