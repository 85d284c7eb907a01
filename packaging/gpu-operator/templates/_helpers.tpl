{{- define "image" -}}
{{ .Values.operator.repository }}/{{ .Values.operator.image }}:{{ .Values.operator.version | default .Chart.AppVersion }}
{{- end }}

{{- define "pullSecrets" -}}
{{- with .Values.operator.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* One DaemonSet. Takes: root, name, container, command, node (what picks its nodes), and optionally account, uid,
       kubelet (the device-plugin directory is mounted), ports, probes, resources. */}}
{{- define "daemonset" -}}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    app: {{ .name }}
    app.kubernetes.io/part-of: gpu-operator
spec:
  selector:
    matchLabels:
      app: {{ .name }}
  updateStrategy:
    type: {{ .root.Values.daemonsets.updateStrategy }}
    {{- if eq .root.Values.daemonsets.updateStrategy "RollingUpdate" }}
    rollingUpdate:
      {{- $most := toString .root.Values.daemonsets.rollingUpdate.maxUnavailable }}
      maxUnavailable: {{ if hasSuffix "%" $most }}{{ $most | quote }}{{ else }}{{ atoi $most }}{{ end }}
    {{- end }}
  template:
    metadata:
      labels:
        app: {{ .name }}
        app.kubernetes.io/part-of: gpu-operator
        {{- with .root.Values.daemonsets.labels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .root.Values.daemonsets.annotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "pullSecrets" .root | nindent 6 }}
      priorityClassName: {{ .root.Values.daemonsets.priorityClassName }}
      serviceAccountName: {{ .account | default "gpu-operator-none" }}
      automountServiceAccountToken: {{ if .account }}true{{ else }}false{{ end }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: 5
      {{- .node | nindent 6 }}
      tolerations:
        {{- toYaml .root.Values.daemonsets.tolerations | nindent 8 }}
      securityContext:
        runAsNonRoot: {{ not .uid }}
        runAsUser: {{ .uid | default 65532 }}
        runAsGroup: {{ .uid | default 65532 }}
        seccompProfile:
          type: RuntimeDefault
      # On an emulated machine the description is in its firmware, which only root may read.
      initContainers:
        - name: find-silicon
          image: {{ include "image" .root }}
          imagePullPolicy: {{ .root.Values.operator.imagePullPolicy }}
          command: [rackwright-silicon, find]
          resources:
            {{- toYaml .root.Values.operator.resources | nindent 12 }}
          securityContext:
            runAsNonRoot: false
            runAsUser: 0
            runAsGroup: 0
            {{- include "confined" . | nindent 12 }}
          volumeMounts:
            - name: silicon
              mountPath: /etc/rackwright-silicon
            - name: firmware
              mountPath: /host/firmware
              readOnly: true
      containers:
        - name: {{ .container }}
          image: {{ include "image" .root }}
          imagePullPolicy: {{ .root.Values.operator.imagePullPolicy }}
          command: [rackwright-silicon, {{ .command }}]
          env:
            - name: DRIVER_VERSION
              value: {{ .root.Values.driver.version | quote }}
            - name: MIG_STRATEGY
              value: {{ .root.Values.mig.strategy | quote }}
            - name: NODE_NAME
              valueFrom:
                fieldRef:
                  fieldPath: spec.nodeName
          {{- with .ports }}
          ports:
            {{- . | nindent 12 }}
          {{- end }}
          {{- with .probes }}
          {{- . | nindent 10 }}
          {{- end }}
          resources:
            {{- toYaml (.resources | default .root.Values.operator.resources) | nindent 12 }}
          securityContext:
            {{- include "confined" . | nindent 12 }}
          volumeMounts:
            - name: silicon
              mountPath: /etc/rackwright-silicon
              readOnly: true
            {{- if .kubelet }}
            - name: device-plugins
              mountPath: /var/lib/kubelet/device-plugins
            {{- end }}
      volumes:
        - name: silicon
          hostPath:
            path: /etc/rackwright-silicon
            type: DirectoryOrCreate
        - name: firmware
          hostPath:
            path: /sys/firmware
            type: Directory
        {{- if .kubelet }}
        - name: device-plugins
          hostPath:
            path: /var/lib/kubelet/device-plugins
            type: Directory
        {{- end }}
{{- end }}

{{- define "deployed" -}}
nodeSelector:
  nvidia.com/gpu.deploy.{{ . }}: "true"
{{- end }}

{{- define "ready" -}}
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  periodSeconds: 3
livenessProbe:
  httpGet:
    path: /healthz
    port: health
  periodSeconds: 20
{{- end }}
