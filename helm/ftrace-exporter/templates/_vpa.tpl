{{- /* Autoscaler of a DaemonSet's resources: top (the root context), name. */ -}}
{{- define "ftx.autoscaler" -}}
{{- $said := .top.Values.verticalPodAutoscaler -}}
apiVersion: autoscaling.k8s.io/v1
kind: VerticalPodAutoscaler
metadata:
  name: {{ .name }}
  namespace: {{ include "ftx.namespace" .top }}
  labels: {{- include "ftx.labels" .top | nindent 4 }}
spec:
  targetRef: { apiVersion: apps/v1, kind: DaemonSet, name: {{ .name }} }
  {{- with $said.recommenders }}
  recommenders: {{- toYaml . | nindent 4 }}
  {{- end }}
  resourcePolicy:
    containerPolicies:
      - containerName: ftrace-exporter
        controlledValues: {{ $said.controlledValues }}
        {{- range $key := list "controlledResources" "minAllowed" "maxAllowed" }}
        {{- with get $said $key }}
        {{ $key }}: {{- toYaml . | nindent 10 }}
        {{- end }}
        {{- end }}
      # It only waits.
      - { containerName: undo, mode: "Off" }
  {{- with $said.updatePolicy }}
  updatePolicy: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
