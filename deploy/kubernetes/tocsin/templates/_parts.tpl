{{- define "tocsin.name" -}}
{{- $name := .Release.Name -}}
{{- if not (contains "tocsin" $name) -}}{{- $name = printf "%s-tocsin" $name -}}{{- end -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The labels by which the pods of a component are chosen: (list $ component) */}}
{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "tocsin.labels" -}}
{{ include "tocsin.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{/* (list $ image) */}}
{{- define "tocsin.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default (index . 0).Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* TOCSIN_CARRIER_NETWORKS: what the policies of the network say, the program is told, too. */}}
{{- define "tocsin.carrierNetworks" -}}
{{- $said := list -}}
{{- range $channel := .Values.channels -}}
{{- range $carrier := $channel.carriers -}}
{{- range $channel.networks -}}{{- $said = append $said (printf "%s=%s" $carrier .) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- join " " $said -}}
{{- end -}}

{{- define "tocsin.environment" -}}
{{- $set := dict "TOCSIN_ALIVE_FOLDER" "/run/tocsin" -}}
{{- $_ := set $set "TOCSIN_DATABASE_HOST" (printf "%s:%v" .Values.database.host .Values.database.port) -}}
{{- with .Values.database.readHost -}}{{- $_ := set $set "TOCSIN_READ_HOST" (printf "%s:%v" . $.Values.database.port) -}}{{- end -}}
{{- $_ := set $set "TOCSIN_REDIS_HOST" (printf "%s:%v" .Values.valkey.host .Values.valkey.port) -}}
{{- with .Values.network.trustedProxies -}}{{- $_ := set $set "TOCSIN_TRUSTED_PROXIES" (join "," .) -}}{{- end -}}
{{- with .Values.network.webhooks -}}{{- $_ := set $set "TOCSIN_WEBHOOK_NETWORKS" (join "," .) -}}{{- end -}}
{{- with include "tocsin.carrierNetworks" . -}}{{- $_ := set $set "TOCSIN_CARRIER_NETWORKS" . -}}{{- end -}}
{{- $all := merge (dict) $set .Values.settings -}}
{{- range $name := keys $all | sortAlpha }}
- name: {{ $name }}
  value: {{ get $all $name | toString | quote }}
{{- end -}}
{{- end -}}

{{/* Files of the secrets: a list of (dict "secret" NAME "keys" LIST). */}}
{{- define "tocsin.secrets" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
    {{- range . }}
      - secret:
          name: {{ .secret }}
          items:
          {{- range .keys }}
            - {key: {{ . }}, path: {{ . }}}
          {{- end }}
    {{- end }}
{{- end -}}

{{- define "tocsin.serviceSecrets" -}}
{{- list (dict "secret" .Values.secrets.service "keys" (list "master_key" "service_password" "valkey_password")) | toJson -}}
{{- end -}}

{{/*
The spec of a pod. The dictionary has: root, component, image, args, resources, secrets (as above, in
JSON), tmp (the volume for /tmp), and perhaps environment (more of it), mounts, volumes, probes,
ports, restart.
*/}}
{{- define "tocsin.pod" -}}
{{- $root := .root -}}
automountServiceAccountToken: false
# Kubernetes' own variables for a Service `tocsin-api` would be called like a setting of ours.
enableServiceLinks: false
terminationGracePeriodSeconds: 60
{{- with .restart }}
restartPolicy: {{ . }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: {{ $root.Values.spread }}
    labelSelector:
      matchLabels: {{- include "tocsin.selector" (list $root .component) | nindent 8 }}
containers:
  - name: {{ .component }}
    image: {{ include "tocsin.image" (list $root .image) }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    args: {{- toYaml .args | nindent 6 }}
    env: {{- include "tocsin.environment" $root | nindent 6 }}
    {{- range $name, $value := .environment }}
      - name: {{ $name }}
        value: {{ $value | quote }}
    {{- end }}
    {{- with $root.Values.settingsSecret }}
    envFrom:
      - secretRef: {name: {{ . }}}
    {{- end }}
    {{- with .ports }}
    ports: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .probes }}
    {{- . | nindent 4 }}
    {{- end }}
    resources: {{- toYaml .resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities: {drop: [ALL]}
    volumeMounts:
      - {name: run, mountPath: /run/tocsin}
      - {name: tmp, mountPath: /tmp}
    {{- if .secrets }}
      - {name: secrets, mountPath: /run/secrets, readOnly: true}
    {{- end }}
    {{- with .mounts }}
    {{- toYaml . | nindent 6 }}
    {{- end }}
volumes:
  - name: run
    emptyDir: {medium: Memory, sizeLimit: 16Mi}
  - name: tmp
    emptyDir: {{- toYaml .tmp | nindent 6 }}
{{- with .secrets }}
{{- include "tocsin.secrets" (fromJsonArray .) | nindent 2 }}
{{- end }}
{{- with .volumes }}
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Whether it gives a sign of life: killed if not. Whether it does its work: no new pod before. */}}
{{- define "tocsin.alive" -}}
startupProbe: # how long it may take to its first sign, as with `tocsin up`
  exec: {command: [python, /usr/local/lib/tocsin/health.py, alive]}
  periodSeconds: 5
  timeoutSeconds: 6
  failureThreshold: 24
livenessProbe:
  exec: {command: [python, /usr/local/lib/tocsin/health.py, alive]}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 3
{{- end -}}

{{- define "tocsin.works" -}}
{{ include "tocsin.alive" . }}
readinessProbe:
  exec: {command: [python, /usr/local/lib/tocsin/health.py]}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 3
{{- end -}}

{{- define "tocsin.ready" -}}
lifecycle: # until no proxy sends anybody there any more; the API takes no new connection after SIGTERM
  preStop:
    exec: {command: [sleep, "5"]}
{{ include "tocsin.alive" . }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 10
  timeoutSeconds: 6
  failureThreshold: 3
{{- end -}}

{{/* One pod after the other: (list $ component) */}}
{{- define "tocsin.disruption" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tocsin.name" (index . 0) }}-{{ index . 1 }}
  labels: {{- include "tocsin.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "tocsin.selector" . | nindent 6 }}
{{- end -}}

{{/* Who does nothing but work: the dictionary of `tocsin.pod`, with replicas. */}}
{{- define "tocsin.deployment" -}}
{{- $who := list .root .component -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tocsin.name" .root }}-{{ .component }}
  labels: {{- include "tocsin.labels" $who | nindent 4 }}
spec:
  replicas: {{ .replicas }}
  revisionHistoryLimit: 3
  selector:
    matchLabels: {{- include "tocsin.selector" $who | nindent 6 }}
  strategy: {{- toYaml (.strategy | default (dict "type" "RollingUpdate" "rollingUpdate" (dict "maxSurge" 1 "maxUnavailable" 0))) | nindent 4 }}
  template:
    metadata:
      labels: {{- include "tocsin.labels" $who | nindent 8 }}
    spec: {{- include "tocsin.pod" . | nindent 6 }}
{{- end -}}
