{{- define "sparksweep.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 48 | trimSuffix "-" -}}
{{- end }}

{{/* What every name begins with: short enough for what follows. */}}
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

{{/* What the operator's pods are found by; the instance keeps drivers and executors apart from them. */}}
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

{{/* The namespaces that the drivers' account is made in, as a JSON list. */}}
{{- define "sparksweep.driver.namespaces" -}}
{{- concat .Values.watchNamespaces .Values.driver.namespaces | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* What the operator may do where it looks for Experiments. */}}
{{- define "sparksweep.operator.rules" -}}
- apiGroups: [sparksweep.dev]
  resources: [experiments]
  verbs: [get, list, watch, delete]  # delete: ttlSecondsAfterFinished
- apiGroups: [sparksweep.dev]
  resources: [experiments/status]
  verbs: [patch]
# Where OwnerReferencesPermissionEnforcement is on, only who has this right may make what belongs to an Experiment.
- apiGroups: [sparksweep.dev]
  resources: [experiments/finalizers]
  verbs: [update]
- apiGroups: [sparksweep.dev]
  resources: [trialbatches]
  verbs: [list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, create, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{/* What a driver may do in its own namespace. */}}
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
The tolerations given, and how long to wait for a node that went away, unless they say so themselves. Kubernetes' own
answer is five minutes, in which nobody would replace the drivers that the node took with it.
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
