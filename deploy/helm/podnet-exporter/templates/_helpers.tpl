{{/* Labels of every object. Takes (dict "root" $ "component" "agent"). */}}
{{- define "podnet.labels" -}}
{{ include "podnet.selector" . }}
app.kubernetes.io/part-of: podnet-exporter
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Labels by which pods are found; never to be changed. */}}
{{- define "podnet.selector" -}}
app.kubernetes.io/name: podnet-exporter
app.kubernetes.io/instance: {{ .root.Values.name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "podnet.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "podnet.keySecret" -}}
{{ .Values.key.existingSecret | default (printf "%s-key" .Values.name) }}
{{- end }}

{{/*
"true" if something is on. Takes (dict "root" $ "enabled" VALUE): true, false or
"auto", which is on if the cluster knows the Prometheus operator's resources.
*/}}
{{- define "podnet.enabled" -}}
{{- if kindIs "bool" .enabled -}}
{{ ternary "true" "" .enabled }}
{{- else if .root.Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}
true
{{- end -}}
{{- end }}

{{- define "podnet.scrapeAnnotations" -}}
{{- if kindIs "bool" .Values.scrapeAnnotations.enabled -}}
{{ ternary "true" "" .Values.scrapeAnnotations.enabled }}
{{- else if not (include "podnet.enabled" (dict "root" . "enabled" .Values.podMonitor.enabled)) -}}
true
{{- end -}}
{{- end }}

{{/* The downward API of both programs. */}}
{{- define "podnet.identity" -}}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- end }}

{{/* Where pods of a DaemonSet run. Takes the section of values. */}}
{{- define "podnet.placement" -}}
{{- $placement := dict -}}
{{- range $field := list "priorityClassName" "tolerations" "nodeSelector" "affinity" -}}
{{- with get $ $field -}}
{{- $_ := set $placement $field . -}}
{{- end -}}
{{- end -}}
{{- with $placement -}}
{{ toYaml . }}
{{- end -}}
{{- end }}

{{/*
The agent's configuration file: the values, with what the chart knows better.
*/}}
{{- define "podnet.config" -}}
{{- $probes := deepCopy .Values.config.probes -}}
{{- range $probe := list "tcp" "udp" -}}
{{- $_ := set $probes $probe (merge (dict "port" (int $.Values.ports.probe)) (get $probes $probe | default dict)) -}}
{{- end -}}
{{- $config := dict
  "discovery" (dict "kubernetes" (dict
    "agents_service" (printf "%s-agent" .Values.name)
    "endpoints_service" (printf "%s-endpoint" .Values.name)))
  "probes" $probes
  "responder" (dict
    "listen" (printf ":%d" (int .Values.ports.probe))
    "key_file" "/etc/podnet_exporter/key/key")
-}}
{{- range $section := list "mesh" "collectors" -}}
{{- with get $.Values.config $section -}}
{{- $_ := set $config $section . -}}
{{- end -}}
{{- end -}}
{{ toYaml $config }}
{{- end }}

{{/* A duration such as 1m30s or 800ms in milliseconds. */}}
{{- define "podnet.milliseconds" -}}
{{- $sum := 0.0 -}}
{{- range $part := regexFindAll "[0-9.]+(ms|s|m)" . -1 -}}
{{- $number := regexFind "^[0-9.]+" $part | float64 -}}
{{- $unit := regexFind "[a-z]+$" $part -}}
{{- $sum = addf $sum (mulf $number (get (dict "ms" 1.0 "s" 1000.0 "m" 60000.0) $unit)) -}}
{{- end -}}
{{ $sum }}
{{- end }}

{{/* What the schema cannot say: one value that does not go with another. */}}
{{- define "podnet.check" -}}
{{- if eq (int .Values.ports.metrics) (int .Values.ports.probe) -}}
{{- fail (printf "ports.metrics and ports.probe are both %d: the agent needs two ports of the node" (int .Values.ports.probe)) -}}
{{- end -}}
{{- $defaults := dict
  "icmp" (list "2s" "800ms") "tcp" (list "2s" "800ms") "udp" (list "2s" "800ms")
  "path" (list "10s" "2s") "pmtu" (list "15s" "500ms") -}}
{{- range $probe, $default := $defaults -}}
{{- $values := get $.Values.config.probes $probe | default dict -}}
{{- $interval := get $values "interval" | default (index $default 0) -}}
{{- $timeout := get $values "timeout" | default (index $default 1) -}}
{{- $milliseconds := include "podnet.milliseconds" $interval | float64 -}}
{{- if or (lt $milliseconds 10.0) (gt $milliseconds 600000.0) -}}
{{- fail (printf "config.probes.%s.interval is %s: allowed are 10ms to 10m" $probe $interval) -}}
{{- end -}}
{{- if ge (include "podnet.milliseconds" $timeout | float64) $milliseconds -}}
{{- fail (printf "config.probes.%s.timeout is %s, not shorter than the interval of %s: probes of one target would overlap" $probe $timeout $interval) -}}
{{- end -}}
{{- end -}}
{{- range $probe, $values := $.Values.config.probes -}}
{{- with $values.interval_on_loss -}}
{{- $milliseconds := include "podnet.milliseconds" . | float64 -}}
{{- if or (lt $milliseconds 10.0) (gt $milliseconds 600000.0) -}}
{{- fail (printf "config.probes.%s.interval_on_loss is %s: allowed are 10ms to 10m" $probe .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.podMonitor.basicAuth (not .Values.web.existingSecret) -}}
{{- fail "podMonitor.basicAuth is given, and the agents ask for no password: give web.existingSecret as well" -}}
{{- end -}}
{{- end }}
