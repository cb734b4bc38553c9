{{- define "ftx.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 40 characters, so that the name of a profile can follow. */ -}}
{{- define "ftx.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "ftx.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ftx.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* top (the root context), profile (its name, or ""). */ -}}
{{- define "ftx.daemonSetName" -}}
{{- include "ftx.fullname" .top }}{{ with .profile }}-{{ . }}{{ end -}}
{{- end -}}

{{- define "ftx.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "ftx.selector" -}}
app.kubernetes.io/name: {{ include "ftx.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ftx.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{ include "ftx.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "ftx.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ftx.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* top (the root context), image. */ -}}
{{- define "ftx.image" -}}
{{- $image := .image -}}
{{- with default $image.registry .top.Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{- $image.repository }}:{{ default .top.Chart.AppVersion $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- /* Secrets are maps as in Kubernetes, or names. */ -}}
{{- define "ftx.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.imagePullSecrets (default list .Values.global.imagePullSecrets) -}}
{{- $secrets = append $secrets (ternary (dict "name" .) . (kindIs "string" .)) -}}
{{- end -}}
{{- with uniq $secrets }}{{ toYaml . }}{{ end -}}
{{- end -}}

{{- /* Node labels of a DaemonSet: those at the top, and over them the profile's; `null` removes a label. */ -}}
{{- define "ftx.nodeSelector" -}}
{{- $labels := dict -}}
{{- range $key, $value := mergeOverwrite (deepCopy .top.Values.nodeSelector) (deepCopy (default dict .own.nodeSelector)) -}}
{{- if not (kindIs "invalid" $value) }}{{ $_ := set $labels $key $value }}{{ end -}}
{{- end -}}
{{- toYaml $labels -}}
{{- end -}}

{{- /*
Two pods on a node cannot have the same port of the node: the second would wait forever. `pods` are the node labels that the
DaemonSets require; a label with different values keeps them apart. Affinities are ignored.
*/ -}}
{{- define "ftx.portsApart" -}}
{{- $pods := .pods -}}
{{- range $i, $one := $pods -}}
{{- range $j, $other := $pods -}}
{{- if and (lt $i $j) $one.port (eq (int $one.port) (int $other.port)) (empty $one.affinity) (empty $other.affinity) -}}
{{- $apart := false -}}
{{- range $key, $value := $one.labels -}}
{{- if and (hasKey $other.labels $key) (ne (toString $value) (toString (get $other.labels $key))) }}{{ $apart = true }}{{ end -}}
{{- end -}}
{{- if not $apart -}}
{{- fail (printf "%s and %s both want port %d of the same nodes: give one of them another `%s`, or a nodeSelector that keeps them apart" $one.name $other.name (int $one.port) $.key) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /*
The config of a DaemonSet, as YAML: the one at the top, and over it the profile's, with an instance of its own. A profile that
names probes runs only those, and makes only the traces that it names, so that nothing is measured twice on a node.
*/ -}}
{{- define "ftx.config" -}}
{{- $config := deepCopy (default dict .top.Values.config) -}}
{{- if .profile -}}
{{- $own := deepCopy (default dict .own.config) -}}
{{- $base := default "ftrace-exporter" $config.instance -}}
{{- $config = omit $config "instance" -}}
{{- if $own.probes -}}
{{- $probes := dict "sched" (dict "enabled" false) "block" (dict "enabled" false) "irq" (dict "enabled" false) "softirq" (dict "enabled" false) -}}
{{- range $name, $probe := $own.probes -}}
{{- $_ := set $probes $name (default dict $probe) -}}
{{- end -}}
{{- $_ := set $own "probes" $probes -}}
{{- $config = omit $config "probes" -}}
{{- if $config.spans -}}
{{- $_ := set $config "spans" (omit $config.spans "kinds") -}}
{{- if not (dig "spans" "kinds" dict $own) }}{{ $config = omit $config "spans" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $config = mergeOverwrite $config $own -}}
{{- if not $config.instance -}}
{{- $_ := set $config "instance" (printf "%s-%s" $base .profile) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Whether a probe of the config is on: "true" or "". */ -}}
{{- define "ftx.isOn" -}}
{{- $probes := default dict .config.probes -}}
{{- if hasKey $probes .probe -}}
{{- $probe := default dict (get $probes .probe) -}}
{{- if not (and (hasKey $probe "enabled") (eq (toString $probe.enabled) "false")) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{- /* "" unless a DaemonSet has metrics by container. A config in a ConfigMap is not known. */ -}}
{{- define "ftx.anyWantsContainers" -}}
{{- include "ftx.wantsContainers" (default dict .Values.config) -}}
{{- range $name, $own := .Values.profiles -}}
{{- with (default dict $own).config }}{{ include "ftx.wantsContainers" . }}{{ end -}}
{{- end -}}
{{- end -}}

{{- /* What in a config needs the containers of tasks; "" if nothing does. */ -}}
{{- define "ftx.wantsContainers" -}}
{{- $enabled := toString (dig "containers" "enabled" "auto" .) -}}
{{- $wanted := ternary "containers.enabled" "" (eq $enabled "true") -}}
{{- range $name, $probe := default dict .probes -}}
{{- if and (not $wanted) (kindIs "map" $probe) -}}
{{- if and (eq (toString $probe.per_container) "true") (ne (toString $probe.enabled) "false") -}}
{{- $wanted = printf "per_container of probe %s" $name -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $metric := default list .metrics -}}
{{- if and (not $wanted) (ne (toString .enabled) "false") -}}
{{- if eq (toString .per_container) "true" -}}
{{- $wanted = printf "per_container of metric %s" (toString .name) -}}
{{- end -}}
{{- range $label, $from := default dict .labels -}}
{{- if and (kindIs "map" $from) (eq (toString (dig "as" "" (default dict $from))) "container") -}}
{{- $wanted = printf "label %s of metric %s" $label (toString $metric.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if ne $enabled "false" }}{{ $wanted }}{{ end -}}
{{- end -}}

{{- /* What in `spans` needs the container of a traced process; "" if nothing does. */ -}}
{{- define "ftx.wantsContainersOfSpans" -}}
{{- $wanted := ternary "spans.containers" "" (eq (toString .containers) "true") -}}
{{- range $name, $kind := default dict .kinds -}}
{{- if and (not $wanted) (kindIs "map" $kind) -}}
{{- if or $kind.containers $kind.exclude_containers }}{{ $wanted = printf "containers of spans.kinds.%s" $name }}{{ end -}}
{{- end -}}
{{- end -}}
{{- $wanted -}}
{{- end -}}

{{- /* Whether a part of the host is mounted: said (the value), wanted (words for what needs it, or ""), key, what it is. */ -}}
{{- define "ftx.hostNeeds" -}}
{{- if and .wanted (eq .said "never") -}}
{{- fail (printf "%s needs %s, and host.%s is `never`: set `auto`, or switch it off in the config%s" .wanted .what .key .where) -}}
{{- end -}}
{{- if or (eq .said "always") (and .wanted (eq .said "auto")) -}}true{{- end -}}
{{- end -}}
