{{/* What pods of both services have in common; all take root and component. */}}

{{- define "graft.podMeta" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "graft.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  # A pod reads its settings once: others make other pods.
  checksum/settings: {{ toYaml $values.settings | sha256sum }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "graft.podSpec" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "graft.serviceAccount" . }}
automountServiceAccountToken: {{ $values.serviceAccount.automountToken }}
# Its variables would begin like those of the services' own settings.
enableServiceLinks: false
# The sleep before the end, the draining, and the time to write what is left.
terminationGracePeriodSeconds: {{ add $values.preStopSeconds $values.drainSeconds 10 }}
securityContext:
  runAsNonRoot: true
  runAsUser: 7400
  runAsGroup: 7400
  fsGroup: 7400
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: { type: RuntimeDefault }
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  {{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "graft.selector" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "graft.image" -}}
{{- $image := (index .root.Values .component).image -}}
image: {{ printf "%s:%s" $image.repository (default .root.Chart.AppVersion $image.tag) | quote }}
imagePullPolicy: {{ $image.pullPolicy }}
{{- end -}}

{{- define "graft.commonArgs" -}}
{{- $values := index .root.Values .component -}}
- --config=/etc/graft/settings.toml
- --log-format={{ .root.Values.logging.format }}
- {{ printf "--log-level=%s" .root.Values.logging.level | quote }}
- --drain-seconds={{ $values.drainSeconds }}
{{- end -}}

{{/* Health by gRPC. Nothing answers before the service is ready: a start has its own time. */}}
{{- define "graft.probes" -}}
{{- $values := index .root.Values .component -}}
startupProbe:
  grpc: { port: {{ .port }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add $values.startupSeconds 4) 5 }}
readinessProbe:
  grpc: { port: {{ .port }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  grpc: { port: {{ .port }} }
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
lifecycle:
  preStop:
    sleep: { seconds: {{ $values.preStopSeconds }} }
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}
