{{- define "graft.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The name of a component's objects; takes root and component, as all below do. */}}
{{- define "graft.component" -}}
{{- printf "%s-%s" (include "graft.fullname" .root) .component -}}
{{- end -}}

{{/* What pods are found by. */}}
{{- define "graft.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "graft.labels" -}}
{{ include "graft.selector" . }}
app.kubernetes.io/part-of: graft
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "graft.serviceAccount" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- default (include "graft.component" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{/* What the trainer takes for --extractor. */}}
{{- define "graft.extractors" -}}
{{- $own := printf "http://%s.%s.svc:7401" (include "graft.component" (dict "root" . "component" "extractor")) .Release.Namespace -}}
{{- $all := concat (ternary (list $own) list .Values.trainer.extractors.own) .Values.trainer.extractors.more -}}
{{- if not $all }}{{ fail "trainer.extractors: there is none; set own to true, or name some in more" }}{{ end -}}
{{- join "," $all -}}
{{- end -}}
