{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}

{{- /* "." is the root in these. */ -}}

{{- define "mesh.version" -}}
{{ .Values.linkerdVersion | default .Chart.AppVersion }}
{{- end -}}

{{- define "mesh.trustDomain" -}}
{{ .Values.identityTrustDomain | default .Values.clusterDomain }}
{{- end -}}

{{- define "mesh.controller.image" -}}
image: {{ .Values.controllerImage }}:{{ .Values.controllerImageVersion | default (include "mesh.version" .) }}
imagePullPolicy: {{ .Values.imagePullPolicy }}
{{- end -}}

{{- define "mesh.controller.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: {{ .Values.controllerUID | int64 }}
  {{- if gt (int64 .Values.controllerGID) -1 }}
  runAsGroup: {{ .Values.controllerGID | int64 }}
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- /* "." is one of the …Resources.  Nothing where nothing is said. */ -}}
{{- define "mesh.resources" -}}
{{- $limits := dict -}}
{{- $requests := dict -}}
{{- range $what, $bound := . -}}
{{- if $bound.limit }}{{ $_ := set $limits $what (toString $bound.limit) }}{{ end -}}
{{- if $bound.request }}{{ $_ := set $requests $what (toString $bound.request) }}{{ end -}}
{{- end -}}
{{- if or $limits $requests -}}
resources:
{{- with $limits }}
  limits:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- with $requests }}
  requests:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end -}}
{{- end -}}

{{- /*
  "." of these is one of the control plane's parts:
    root        the root
    name        of its Deployment and service account
    component   its label
    ports       that its container listens on
    resources   of its proxy
*/ -}}

{{- define "mesh.labels" -}}
linkerd.io/control-plane-component: {{ .component }}
linkerd.io/control-plane-ns: {{ .root.Release.Namespace }}
{{- end -}}

{{- /* All of a Deployment down to the metadata of its pods. */ -}}
{{- define "mesh.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mesh.labels" . | nindent 4 }}
spec:
  replicas: {{ .root.Values.controllerReplicas | int }}
  revisionHistoryLimit: {{ .root.Values.revisionHistoryLimit | int }}
  minReadySeconds: 3 {{- /* the Services' rules on the nodes come a moment after a pod is ready */}}
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
  {{- with .root.Values.deploymentStrategy }}
  strategy:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  template:
    metadata:
      annotations:
        config.linkerd.io/default-inbound-policy: all-unauthenticated
        {{- with .opaque }}
        config.linkerd.io/opaque-ports: {{ . | quote }}
        {{- end }}
        {{- include "mesh.proxy.annotations" . | nindent 8 }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      labels:
        {{- include "mesh.labels" . | nindent 8 }}
        linkerd.io/proxy-deployment: {{ .name }}
        linkerd.io/workload-ns: {{ .root.Release.Namespace }}
        {{- with .root.Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{- /* Of a pod: where it may run, and as whom. */ -}}
{{- define "mesh.pod" -}}
serviceAccountName: {{ .name }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- if or .root.Values.nodeAffinity .root.Values.enablePodAntiAffinity }}
affinity:
  {{- with .root.Values.nodeAffinity }}
  nodeAffinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .root.Values.enablePodAntiAffinity }}
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
    - labelSelector:
        matchLabels: {linkerd.io/control-plane-component: {{ .component }}}
      topologyKey: kubernetes.io/hostname
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        labelSelector:
          matchLabels: {linkerd.io/control-plane-component: {{ .component }}}
        topologyKey: topology.kubernetes.io/zone
  {{- end }}
{{- end }}
{{- end -}}

{{- define "mesh.budget" -}}
{{- if .root.Values.enablePodDisruptionBudget }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mesh.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      linkerd.io/control-plane-component: {{ .component }}
{{- end }}
{{- end -}}
