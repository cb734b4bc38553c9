{{- /* A DaemonSet: top (the root context), profile (its name, or ""), own (its values). */ -}}
{{- define "ftx.daemonset" -}}
{{- $top := .top -}}
{{- $profile := .profile -}}
{{- $values := mergeOverwrite (deepCopy (omit .top.Values "config" "profiles" "resources" "updateStrategy" "affinity")) (omit .own "config" "nodeSelector" "resources" "updateStrategy" "affinity") -}}
{{- range $key := list "resources" "updateStrategy" "affinity" -}}
{{- $_ := set $values $key (ternary (get $.own $key) (get $top.Values $key) (hasKey $.own $key)) -}}
{{- end -}}
{{- $_ := set $values "nodeSelector" (include "ftx.nodeSelector" . | fromYaml) -}}
{{- /* The digest at the top must not override a profile's tag. */ -}}
{{- if and (dig "image" "tag" "" .own) (not (dig "image" "digest" "" .own)) }}{{ $_ := set $values.image "digest" "" }}{{ end -}}
{{- $config := include "ftx.config" . | fromYaml -}}
{{- $ownFile := dig "existingConfigMap" "name" "" .own -}}
{{- $ownConfig := ternary .own.config $top.Values.config (ne $profile "") -}}
{{- /* A profile with a config of its own does not use the file at the top. */ -}}
{{- $hasOwnFile := ternary (or (ne $ownFile "") (and (empty $ownConfig) (ne $values.existingConfigMap.name ""))) (ne $values.existingConfigMap.name "") (ne $profile "") -}}
{{- $where := ternary (printf " of profile %s" $profile) "" (ne $profile "") -}}
{{- $web := default dict $config.web -}}
{{- if $web.listen_address }}{{ fail (printf "config.web.listen_address%s: the chart sets it, use `port`" $where) }}{{ end -}}
{{- if $web.config_file }}{{ fail (printf "config.web.config_file%s: the chart sets it, use `webConfig.existingSecret`" $where) }}{{ end -}}
{{- if $config.tracefs }}{{ fail (printf "config.tracefs%s: the chart sets it, use `host.tracefs`" $where) }}{{ end -}}
{{- if and $profile (dig "web" "telemetry_path" "" (default dict .own.config)) }}{{ fail (printf "config.web.telemetry_path%s: the monitors scrape one path, set it at the top" $where) }}{{ end -}}
{{- if $config.state_dir }}{{ fail (printf "config.state_dir%s: the chart sets it, use `host.journalPath`" $where) }}{{ end -}}
{{- if and $hasOwnFile $ownConfig }}{{ fail (printf "`config` and `existingConfigMap.name`%s are both set: remove one of them" $where) }}{{ end -}}
{{- if and $values.hostNetwork $values.hostPort (ne (int $values.hostPort) (int $values.port)) -}}
{{- fail (printf "hostPort%s: with hostNetwork the agent's port is a port of the node, set `port: %d`" $where (int $values.hostPort)) -}}
{{- end -}}
{{- if and $values.hostNetwork $top.Values.networkPolicy.enabled -}}
{{- fail "networkPolicy.enabled: a NetworkPolicy does not apply to pods in the node's network, so with hostNetwork it would protect nothing" -}}
{{- end -}}
{{- $wantsJournal := "" -}}
{{- $spans := default dict $config.spans -}}
{{- if not $hasOwnFile -}}
{{- range list "blk" "function_graph" "osnoise" "timerlat" "hwlat" "wakeup" "wakeup_rt" "wakeup_dl" "irqsoff" "preemptoff" "preemptirqsoff" -}}
{{- if and (not $wantsJournal) (include "ftx.isOn" (dict "config" $config "probe" .)) }}{{ $wantsJournal = printf "probe %s" . }}{{ end -}}
{{- end -}}
{{- $metrics := toJson (default list $config.metrics) -}}
{{- range list "kprobe" "kretprobe" "uprobe" "uretprobe" -}}
{{- if and (not $wantsJournal) (contains (printf "%q:" .) $metrics) }}{{ $wantsJournal = printf "a %s in metrics" . }}{{ end -}}
{{- end -}}
{{- if and (not $wantsJournal) $spans.top_level_markers }}{{ $wantsJournal = "spans.top_level_markers" }}{{ end -}}
{{- end -}}
{{- $wantsDevices := ternary "probe blk" "" (and (not $hasOwnFile) (eq (include "ftx.isOn" (dict "config" $config "probe" "blk")) "true")) -}}
{{- $wantsContainers := ternary "" (include "ftx.wantsContainers" $config) $hasOwnFile -}}
{{- $wantsPid := default $wantsContainers (ternary "" (include "ftx.wantsContainersOfSpans" $spans) $hasOwnFile) -}}
{{- $devices := include "ftx.hostNeeds" (dict "said" $values.host.sysDevices "wanted" $wantsDevices "key" "sysDevices" "where" $where "what" "the host's /sys/devices, writable") -}}
{{- $journal := include "ftx.hostNeeds" (dict "said" $values.host.journal "wanted" $wantsJournal "key" "journal" "where" $where "what" "a directory of the host for the journal of what it changes") -}}
{{- $containers := include "ftx.hostNeeds" (dict "said" $values.host.containers "wanted" $wantsContainers "key" "containers" "where" $where "what" "the host's control groups and the names of its pods") -}}
{{- $pid := include "ftx.hostNeeds" (dict "said" $values.host.pid "wanted" $wantsPid "key" "pid" "where" $where "what" "the host's process ids (hostPID)") -}}
{{- $name := include "ftx.daemonSetName" . -}}
{{- if not $hasOwnFile }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  namespace: {{ include "ftx.namespace" $top }}
  labels: {{- include "ftx.labels" $top | nindent 4 }}
data:
  ftrace-exporter.yaml: |
    {{- toYaml $config | nindent 4 }}
---
{{- end }}
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ $name }}
  namespace: {{ include "ftx.namespace" $top }}
  labels: {{- include "ftx.labels" $top | nindent 4 }}
    app.kubernetes.io/component: {{ default "agent" $profile }}
  {{- with $values.daemonsetAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  selector:
    matchLabels: {{- include "ftx.selector" $top | nindent 6 }}
      app.kubernetes.io/component: {{ default "agent" $profile }}
  updateStrategy: {{- toYaml $values.updateStrategy | nindent 4 }}
  {{- with $values.minReadySeconds }}
  minReadySeconds: {{ . }}
  {{- end }}
  revisionHistoryLimit: {{ $values.revisionHistoryLimit }}
  template:
    metadata:
      labels: {{- include "ftx.labels" $top | nindent 8 }}
        app.kubernetes.io/component: {{ default "agent" $profile }}
        {{- with $values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        kubectl.kubernetes.io/default-container: ftrace-exporter
        {{- if not (or $hasOwnFile $values.watchConfig) }}
        checksum/config: {{ toYaml $config | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ include "ftx.serviceAccountName" $top }}
      automountServiceAccountToken: false
      # Variables of a Service called ftrace-exporter would look like the agent's own.
      enableServiceLinks: false
      hostNetwork: {{ $values.hostNetwork }}
      {{- with default (ternary "ClusterFirstWithHostNet" "" $values.hostNetwork) $values.dnsPolicy }}
      dnsPolicy: {{ . }}
      {{- end }}
      {{- with $values.dnsConfig }}
      dnsConfig: {{- toYaml . | nindent 8 }}
      {{- end }}
      hostPID: {{ eq $pid "true" }}
      hostIPC: false
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $values.runtimeClassName }}
      runtimeClassName: {{ . }}
      {{- end }}
      {{- with $values.schedulerName }}
      schedulerName: {{ . }}
      {{- end }}
      {{- with include "ftx.pullSecrets" $top }}
      imagePullSecrets: {{- . | nindent 8 }}
      {{- end }}
      {{- with $values.podSecurityContext }}
      securityContext: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- /* Before 1.29 a pod has no sidecars, which end after the other containers: there it ends beside the agent. */ -}}
      {{- $env := include "ftx.env" (dict "top" $top "profile" $profile "config" $config "values" $values "hasOwnFile" $hasOwnFile) -}}
      {{- $undo := "" -}}
      {{- $isSidecar := semverCompare ">=1.29-0" $top.Capabilities.KubeVersion.Version -}}
      {{- if $journal }}{{ $undo = include "ftx.undo" (dict "top" $top "values" $values "env" $env "hasOwnFile" $hasOwnFile "devices" $devices "isSidecar" $isSidecar) }}{{ end -}}
      {{- if or $values.extraInitContainers (and $undo $isSidecar) }}
      initContainers:
        {{- with $values.extraInitContainers }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- if and $undo $isSidecar }}{{ $undo | nindent 8 }}{{ end }}
      {{- end }}
      containers:
        - name: ftrace-exporter
          image: {{ include "ftx.image" (dict "top" $top "image" $values.image) }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          args:
            - run
            - --config.file=/etc/ftrace-exporter/{{ ternary $values.existingConfigMap.key "ftrace-exporter.yaml" $hasOwnFile }}
            - --path.tracefs=/tracing
            - --state.dir=/run/ftrace-exporter
            - --web.listen-address=:{{ $values.port }}
            {{- if $values.watchConfig }}
            - --config.watch
            {{- end }}
            {{- if $values.webConfig.existingSecret }}
            - --web.config.file=/etc/ftrace-exporter-web/{{ $values.webConfig.key }}
            {{- end }}
            {{- range $values.extraArgs }}
            - {{ . | quote }}
            {{- end }}
          env: {{- $env | nindent 12 }}
          {{- with $values.extraEnvFrom }}
          envFrom: {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            - name: metrics
              containerPort: {{ $values.port }}
              {{- with ternary $values.port $values.hostPort $values.hostNetwork }}
              hostPort: {{ . }}
              {{- end }}
              protocol: TCP
          {{- with $values.lifecycle }}
          lifecycle: {{- toYaml . | nindent 12 }}
          {{- end }}
          terminationMessagePolicy: {{ $values.terminationMessagePolicy }}
          {{- with $values.startupProbe }}
          startupProbe:
            {{- include "ftx.probe" (dict "values" $values "path" "/healthz" "headers" .httpHeaders) | nindent 12 }}
            {{- omit . "httpHeaders" | toYaml | nindent 12 }}
          {{- end }}
          {{- with $values.livenessProbe }}
          livenessProbe:
            {{- include "ftx.probe" (dict "values" $values "path" "/healthz" "headers" .httpHeaders) | nindent 12 }}
            {{- omit . "httpHeaders" | toYaml | nindent 12 }}
          {{- end }}
          {{- with $values.readinessProbe }}
          readinessProbe:
            {{- include "ftx.probe" (dict "values" $values "path" "/readyz" "headers" .httpHeaders) | nindent 12 }}
            {{- omit . "httpHeaders" | toYaml | nindent 12 }}
          {{- end }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext: {{- toYaml $values.securityContext | nindent 12 }}
          volumeMounts:
            {{- if $journal }}
            - { name: tracefs, mountPath: /tracing }
            {{- else }}
            # Events and most tracers write only in instances; a process that writes more can trace, and read, anything.
            - { name: tracefs, mountPath: /tracing, readOnly: true }
            - { name: tracefs-instances, mountPath: /tracing/instances }
            {{- end }}
            - { name: config, mountPath: /etc/ftrace-exporter, readOnly: true }
            {{- if $values.webConfig.existingSecret }}
            - { name: web-config, mountPath: /etc/ftrace-exporter-web, readOnly: true }
            {{- end }}
            {{- if $journal }}
            - { name: journal, mountPath: /run/ftrace-exporter }
            {{- end }}
            {{- if $devices }}
            - { name: sys-devices, mountPath: /sys/devices }
            {{- end }}
            {{- if $containers }}
            - { name: cgroup, mountPath: {{ dig "containers" "cgroup" "/sys/fs/cgroup" $config }}, readOnly: true }
            - { name: pod-logs, mountPath: {{ dig "containers" "pod_logs" "/var/log/pods" $config }}, readOnly: true }
            {{- end }}
            {{- with $values.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
        {{- if and $undo (not $isSidecar) }}{{ $undo | nindent 8 }}{{ end }}
        {{- with $values.extraContainers }}{{ toYaml . | nindent 8 }}{{ end }}
      volumes:
        - { name: tracefs, hostPath: { path: {{ $values.host.tracefs }}, type: Directory } }
        {{- if not $journal }}
        # Where tracefs is not mounted, the kubelet says that this is no directory, and the pod waits for it.
        - { name: tracefs-instances, hostPath: { path: {{ $values.host.tracefs }}/instances, type: Directory } }
        {{- end }}
        - { name: config, configMap: { name: {{ ternary $values.existingConfigMap.name $name $hasOwnFile }} } }
        {{- with $values.webConfig.existingSecret }}
        - { name: web-config, secret: { secretName: {{ . }} } }
        {{- end }}
        {{- if $journal }}
        - { name: journal, hostPath: { path: {{ $values.host.journalPath }}, type: DirectoryOrCreate } }
        {{- end }}
        {{- if $devices }}
        - { name: sys-devices, hostPath: { path: /sys/devices, type: Directory } }
        {{- end }}
        {{- if $containers }}
        - { name: cgroup, hostPath: { path: {{ $values.host.cgroup }}, type: Directory } }
        # Only the names of its directories are read.
        - { name: pod-logs, hostPath: { path: {{ $values.host.podLogs }}, type: Directory } }
        {{- end }}
        {{- with $values.extraVolumes }}{{ toYaml . | nindent 8 }}{{ end }}
      {{- with $values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.topologySpreadConstraints }}
      topologySpreadConstraints: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

{{- /*
The container that waits for the end of the pod and then restores what a killed agent could not: the next pod may have a
config without the mounts for it, and after an uninstall there is no next pod.
*/ -}}
{{- define "ftx.undo" -}}
- name: undo
  image: {{ include "ftx.image" (dict "top" .top "image" .values.image) }}
  imagePullPolicy: {{ .values.image.pullPolicy }}
  args:
    - cleanup
    - --on-signal
    - --config.file=/etc/ftrace-exporter/{{ ternary .values.existingConfigMap.key "ftrace-exporter.yaml" .hasOwnFile }}
    - --path.tracefs=/tracing
    - --state.dir=/run/ftrace-exporter
  env: {{- .env | nindent 4 }}
  {{- with .values.extraEnvFrom }}
  envFrom: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .isSidecar }}
  restartPolicy: Always
  {{- end }}
  resources: {{- toYaml .values.undo.resources | nindent 4 }}
  securityContext: {{- toYaml .values.securityContext | nindent 4 }}
  volumeMounts:
    - { name: tracefs, mountPath: /tracing }
    - { name: config, mountPath: /etc/ftrace-exporter, readOnly: true }
    - { name: journal, mountPath: /run/ftrace-exporter }
    {{- if .devices }}
    - { name: sys-devices, mountPath: /sys/devices }
    {{- end }}
{{- end -}}

{{- /* Identity of the pod. The variable overrides attributes of the config, so it repeats them. */ -}}
{{- define "ftx.env" -}}
{{- $said := default dict (default dict .config.otlp).resource_attributes -}}
{{- $attributes := list -}}
{{- if kindIs "string" $said -}}
{{- $attributes = list $said -}}
{{- else -}}
{{- range $key, $value := $said -}}
{{- $attributes = append $attributes (printf "%s=%s" $key (toString $value | urlquery | replace "+" "%20")) -}}
{{- end -}}
{{- end -}}
{{- if not (contains "service.instance.id=" (join "," $attributes)) -}}
{{- $attributes = prepend $attributes (printf "service.instance.id=$(K8S_NODE_NAME)%s" (ternary (printf "/%s" .profile) "" (ne .profile ""))) -}}
{{- end -}}
{{- $env := list (dict "name" "K8S_CONTAINER_NAME" "value" "ftrace-exporter") -}}
{{- range $name, $path := dict "K8S_NODE_NAME" "spec.nodeName" "K8S_NAMESPACE_NAME" "metadata.namespace" "K8S_POD_NAME" "metadata.name" "K8S_POD_UID" "metadata.uid" "K8S_POD_IP" "status.podIP" -}}
{{- $env = prepend $env (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $path))) -}}
{{- end -}}
{{- with .values.clusterName }}{{ $env = append $env (dict "name" "K8S_CLUSTER_NAME" "value" .) }}{{ end -}}
{{- $env = append $env (dict "name" "OTEL_RESOURCE_ATTRIBUTES" "value" (join "," $attributes)) -}}
{{- if and .hasOwnFile .profile }}{{ $env = append $env (dict "name" "FTRACE_EXPORTER_INSTANCE" "value" (printf "ftrace-exporter-%s" .profile)) }}{{ end -}}
{{- /* The API server refuses a list with a repeated name: variables of the values replace those of the chart. */ -}}
{{- $given := list -}}
{{- range .values.extraEnv }}{{ $given = append $given .name }}{{ end -}}
{{- $own := list -}}
{{- range $env }}{{ if not (has .name $given) }}{{ $own = append $own . }}{{ end }}{{ end -}}
{{ concat $own (default list .values.extraEnv) | toYaml }}
{{- end -}}

{{- define "ftx.probe" -}}
{{- if and .values.webConfig.existingSecret .values.webConfig.auth (not .headers) -}}
tcpSocket: { port: metrics }
{{- else -}}
httpGet:
  path: {{ .path }}
  port: metrics
  scheme: {{ ternary "HTTPS" "HTTP" (and (ne .values.webConfig.existingSecret "") .values.webConfig.tls) }}
  {{- with .headers }}
  httpHeaders: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
{{- end -}}
