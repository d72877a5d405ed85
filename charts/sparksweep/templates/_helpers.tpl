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

{{/* Match conditions: requests of drivers' service accounts. */}}
{{- define "sparksweep.admissionPolicy.account" -}}
- name: drivers
  expression: >-
    request.userInfo.username.startsWith('system:serviceaccount:') &&
    request.userInfo.username.endsWith(':{{ .Values.driver.serviceAccount.name }}')
{{- end }}

{{/* Variables: the pod that the token was issued for, and its Experiment. Empty for another token. */}}
{{- define "sparksweep.admissionPolicy.driver" -}}
- name: driver
  expression: >-
    has(request.userInfo.extra) && 'authentication.kubernetes.io/pod-name' in request.userInfo.extra
    ? request.userInfo.extra['authentication.kubernetes.io/pod-name'][0] : ''
- name: uid
  expression: >-
    has(request.userInfo.extra) && 'authentication.kubernetes.io/pod-uid' in request.userInfo.extra
    ? request.userInfo.extra['authentication.kubernetes.io/pod-uid'][0] : ''
- name: number
  expression: "variables.driver.find('-driver-[0-9]+$').replace('-driver-', '')"
- name: experiment
  expression: >-
    variables.number == '' ? ''
    : variables.driver.substring(0, variables.driver.size() - variables.number.size() - size('-driver-'))
{{- end }}

{{/* Validation: the token is a driver's. */}}
{{- define "sparksweep.admissionPolicy.bound" -}}
- expression: "variables.experiment != '' && variables.uid != ''"
  message: "the token must be that of a driver's pod: its account may be used by nothing else"
{{- end }}

{{/* CEL: a key is one of a list, or begins with one that ends in "/". Takes CEL's variable and the list. */}}
{{- define "sparksweep.admissionPolicy.named" -}}
{{- printf "%s.exists(k, %s == k || (k.endsWith('/') && %s.startsWith(k)))" (index . 1 | default list | toJson) (index . 0) (index . 0) -}}
{{- end }}

{{/* CEL: the label `name` is the operator's or Spark's; their values are checked apart. */}}
{{- define "sparksweep.admissionPolicy.ourLabel" -}}
name.startsWith('spark-') || name in
{{- printf " " }}{{ list "app.kubernetes.io/name" "app.kubernetes.io/part-of" "app.kubernetes.io/managed-by" "app.kubernetes.io/component" "sparksweep.dev/experiment" "sparksweep.dev/role" | toJson }}
{{- end }}

{{/* Names of the Secrets with Spark's secret, as sparksweep_core.contract.names has them. */}}
{{- define "sparksweep.admissionPolicy.sparkSecret" -}}
-driver-[0-9]+-[0-9a-f]{8}$
{{- end }}

{{/* A policy's binding. Takes the policy's name and the chart's root. */}}
{{- define "sparksweep.admissionPolicy.binding" -}}
{{- $name := index . 0 -}}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "sparksweep.labels" (index . 1) | nindent 4 }}
    app.kubernetes.io/component: driver
spec:
  policyName: {{ $name }}
  validationActions: [Deny]
{{- end }}
