{{- define "sparksweep.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" -}}
{{- end }}

{{/* Beginning of every name, short enough for the longest suffix. */}}
{{- define "sparksweep.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "sparksweep.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "sparksweep.operator.name" -}}
{{- printf "%s-operator" (include "sparksweep.fullname" .) -}}
{{- end }}

{{- define "sparksweep.driver.name" -}}
{{- printf "%s-driver" (include "sparksweep.fullname" .) -}}
{{- end }}

{{- define "sparksweep.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sparksweep.operator.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "sparksweep.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "sparksweep.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: sparksweep
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Selector of the operator's pods; the label instance excludes drivers and executors. */}}
{{- define "sparksweep.operator.selector" -}}
app.kubernetes.io/name: {{ include "sparksweep.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{/* An image's reference. Takes the image's values and the chart's root. */}}
{{- define "sparksweep.image" -}}
{{- $image := index . 0 -}}
{{- $root := index . 1 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{/* Namespaces that get a service account for drivers, as a JSON list. */}}
{{- define "sparksweep.driver.namespaces" -}}
{{- concat .Values.watchNamespaces .Values.driver.namespaces | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* Rules of the operator in the namespaces that it watches. */}}
{{- define "sparksweep.operator.rules" -}}
- apiGroups: [sparksweep.dev]
  resources: [experiments]
  verbs: [get, list, watch, delete]  # delete: ttlSecondsAfterFinished
- apiGroups: [sparksweep.dev]
  resources: [experiments/status]
  verbs: [patch]
# The admission plug-in OwnerReferencesPermissionEnforcement requires this for objects owned by an Experiment.
- apiGroups: [sparksweep.dev]
  resources: [experiments/finalizers]
  verbs: [update]
- apiGroups: [sparksweep.dev]
  resources: [trialbatches]
  verbs: [list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, delete]
# ConfigMaps are immutable and named by their content: none is read or changed.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [create]
- apiGroups: [""]
  resources: [services]
  verbs: [get, create]
# Spark's secret, which driver and executors mount. The operator can't read it back.
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* Rules of a driver in its own namespace. */}}
{{- define "sparksweep.driver.rules" -}}
- apiGroups: [sparksweep.dev]
  resources: [trialbatches]
  verbs: [get, list, watch]
- apiGroups: [sparksweep.dev]
  resources: [trialbatches/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete, deletecollection]
{{- end }}

{{/*
The given tolerations, and unless they include it the time to wait for a lost node. Kubernetes' default is five minutes,
during which drivers on the same node would not be replaced.
*/}}
{{- define "sparksweep.operator.tolerations" -}}
{{- $all := .Values.tolerations -}}
{{- range $taint := list "node.kubernetes.io/not-ready" "node.kubernetes.io/unreachable" -}}
{{- $given := false -}}
{{- range $.Values.tolerations -}}
{{- if and (has .key (list nil "" $taint)) (has .effect (list nil "" "NoExecute")) -}}
{{- $given = true -}}
{{- end -}}
{{- end -}}
{{- if not $given -}}
{{- $ours := dict "key" $taint "operator" "Exists" "effect" "NoExecute" "tolerationSeconds" (int $.Values.nodeLostAfterSeconds) -}}
{{- $all = append $all $ours -}}
{{- end -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}
