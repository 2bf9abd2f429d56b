{{- define "rrctl.name" -}}
{{- printf "%s" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "rrctl.labels" -}}
{{ include "rrctl.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "rrctl.selector" -}}
app.kubernetes.io/name: rrctl
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rrctl.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "rrctl.configMap" -}}
{{ .Values.existingConfigMap | default (include "rrctl.name" .) }}
{{- end -}}

{{/* Deployment, Service and PodDisruptionBudget of one role: (dict "root" $ "role" "webhook" "values" .Values.webhook) */}}
{{- define "rrctl.role" -}}
{{- $root := .root -}}
{{- $name := printf "%s-%s" (include "rrctl.name" $root) .role -}}
{{- $scheme := ternary ", scheme: HTTPS" "" (ne $root.Values.tls.secret "") -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "rrctl.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels:
      {{- include "rrctl.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  template:
    metadata:
      labels:
        {{- include "rrctl.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .role }}
      {{- with .values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      serviceAccountName: {{ $name }}
      automountServiceAccountToken: {{ eq .role "scheduler" }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 20
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      {{- with .values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "rrctl.selector" $root | nindent 14 }}
              app.kubernetes.io/component: {{ .role }}
      containers:
        - name: rrctl
          image: {{ include "rrctl.image" $root | quote }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            - serve
            - --role
            - {{ .role }}
            {{- if $root.Values.migrate }}
            - --migrate
            {{- end }}
            - --config
            - /etc/rrctl/rrctl.toml
          {{- if or (eq .role "scheduler") $root.Values.ingress.enabled $root.Values.tls.secret .values.extraEnv }}
          env:
            {{- if eq .role "scheduler" }}
            - name: RRCTL_CLUSTER__NAMESPACE
              value: {{ $root.Values.workers.namespace | quote }}
            {{- end }}
            {{- if $root.Values.ingress.enabled }}
            - {name: RRCTL_SERVER__BEHIND_PROXY, value: "true"}
            {{- end }}
            {{- if $root.Values.tls.secret }}
            - {name: RRCTL_SERVER__TLS_CERTIFICATE, value: /run/secrets/tls/tls.crt}
            - {name: RRCTL_SERVER__TLS_PRIVATE_KEY_FILE, value: /run/secrets/tls/tls.key}
            {{- end }}
            {{- with .values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- end }}
          ports:
            - {name: http, containerPort: 8080}
          # Until it listens: the database may be slow, or not there yet. While it migrates it is alive, and not ready.
          startupProbe:
            httpGet: {path: /health, port: http{{ $scheme }}}
            periodSeconds: 5
            timeoutSeconds: 5
            failureThreshold: 24
          livenessProbe:
            httpGet: {path: /health, port: http{{ $scheme }}}
            periodSeconds: 10
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: /ready, port: http{{ $scheme }}}
            periodSeconds: 5
            timeoutSeconds: 5
          resources:
            {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: ["ALL"]}
            privileged: false
            readOnlyRootFilesystem: true
          volumeMounts:
            - {name: configuration, mountPath: /etc/rrctl, readOnly: true}
            - {name: secrets, mountPath: /run/secrets/rrctl, readOnly: true}
            {{- if $root.Values.tls.secret }}
            - {name: tls, mountPath: /run/secrets/tls, readOnly: true}
            {{- end }}
      volumes:
        - name: configuration
          configMap: {name: {{ include "rrctl.configMap" $root }}}
        - name: secrets
          secret:
            secretName: {{ $root.Values.existingSecret }}
            defaultMode: 288
            {{- with .values.secretKeys }}
            items:
              {{- range . }}
              - {key: {{ . | quote }}, path: {{ . | quote }}}
              {{- end }}
            {{- end }}
        {{- with $root.Values.tls.secret }}
        - name: tls
          secret: {secretName: {{ . }}, defaultMode: 288}
        {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "rrctl.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  {{- with $root.Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ $root.Values.service.type }}
  selector:
    {{- include "rrctl.selector" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  ports:
    - {name: http, port: {{ $root.Values.service.port }}, targetPort: http{{ if $root.Values.tls.secret }}, appProtocol: https{{ end }}}
{{- if $root.Values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ $name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "rrctl.labels" $root | nindent 4 }}
spec:
  minAvailable: {{ $root.Values.podDisruptionBudget.minAvailable }}
  selector:
    matchLabels:
      {{- include "rrctl.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .role }}
{{- end }}
{{- end -}}
