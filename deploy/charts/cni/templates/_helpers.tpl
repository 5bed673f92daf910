{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}

{{- define "cni.labels" -}}
linkerd.io/cni-resource: "true"
{{- end -}}

{{- define "cni.image" -}}
image: {{ .Values.image.name }}:{{ .Values.image.version | default .Chart.AppVersion }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end -}}

{{- /* "." is one of the resources.  Nothing where nothing is said. */ -}}
{{- define "cni.resources" -}}
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

{{- /* "80,90-99" as a list of JSON texts, without its brackets. */ -}}
{{- define "cni.list" -}}
{{- if . }}"{{ . | toString | replace "," "\",\"" }}"{{ end -}}
{{- end -}}

{{- /* The plugin's entry in the chain, as JSON; the installer fills in the path. */ -}}
{{- define "cni.entry" -}}
{{- $v := .Values -}}
{
  "name": "mesh-cni",
  "type": "mesh-cni",
  "log_level": {{ $v.logLevel | quote }},
  "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"},
  "linkerd": {
    "incoming-proxy-port": {{ $v.inboundProxyPort }},
    "outgoing-proxy-port": {{ $v.outboundProxyPort }},
    "proxy-uid": {{ $v.proxyUID | int64 }},
    {{- if gt (int64 $v.proxyGID) -1 }}
    "proxy-gid": {{ $v.proxyGID | int64 }},
    {{- end }}
    "ports-to-redirect": [{{ include "cni.list" $v.portsToRedirect }}],
    "inbound-ports-to-ignore": ["{{ $v.proxyControlPort }}","{{ $v.proxyAdminPort }}"
      {{- with $v.ignoreInboundPorts }},{{ include "cni.list" . }}{{ end }}],
    "outbound-ports-to-ignore": [{{ include "cni.list" $v.ignoreOutboundPorts }}],
    "subnets-to-ignore": [{{ include "cni.list" $v.skipSubnets }}],
    "ipv6": {{ not $v.disableIPv6 }}
  }
}
{{- end -}}
