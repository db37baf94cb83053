{{- define "fedbiot.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The prefix of all names. It leaves room for the longest suffix, that of a dashboard. */}}
{{- define "fedbiot.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $whole := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $whole | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "fedbiot.serviceAccountName" -}}
{{- $made := ternary (printf "%s-operator" (include "fedbiot.fullname" .)) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $made -}}
{{- end -}}

{{/* Selector labels: (list $ "component"). */}}
{{- define "fedbiot.selectorLabels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "fedbiot.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "fedbiot.labels" -}}
{{- $root := index . 0 -}}
{{ include "fedbiot.selectorLabels" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
app.kubernetes.io/part-of: fedbiot
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of an object's metadata: (list $ "component"), optionally followed by more labels and annotations. */}}
{{- define "fedbiot.metadata" -}}
{{- $root := index . 0 -}}
{{- $labels := fromYaml (include "fedbiot.labels" .) -}}
{{- $annotations := deepCopy $root.Values.commonAnnotations -}}
{{- if gt (len .) 2 }}{{ $labels = merge (deepCopy (index . 2)) $labels }}{{ end -}}
{{- if gt (len .) 3 }}{{ $annotations = merge (deepCopy (index . 3)) $annotations }}{{ end -}}
labels:
  {{- toYaml $labels | nindent 2 }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod: (list $ "component" labels annotations). The chart's version is not among them, so that an upgrade replaces pods only if necessary. */}}
{{- define "fedbiot.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $own := fromYaml (include "fedbiot.selectorLabels" .) -}}
labels:
  {{- toYaml (merge $own (deepCopy (index . 2)) $root.Values.commonLabels) | nindent 2 }}
{{- with merge (deepCopy (index . 3)) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image reference: (list image default-tag). */}}
{{- define "fedbiot.image" -}}
{{- $image := index . 0 -}}
{{- $name := $image.registry | empty | ternary $image.repository (printf "%s/%s" $image.registry $image.repository) -}}
{{- $image.digest | empty | ternary (printf "%s:%s" $name ($image.tag | default (index . 1))) (printf "%s@%s" $name $image.digest) -}}
{{- end -}}

{{- define "fedbiot.secretKey.secretName" -}}
{{- .Values.secretKey.existingSecret.name | default (printf "%s-secret-key" (include "fedbiot.fullname" .)) -}}
{{- end -}}

{{- define "fedbiot.redis.fullname" -}}
{{- printf "%s-redis" (include "fedbiot.fullname" .) -}}
{{- end -}}

{{- define "fedbiot.redis.secretName" -}}
{{- .Values.redis.existingSecret.name | default (include "fedbiot.redis.fullname" .) -}}
{{- end -}}

{{- define "fedbiot.redis.secretKey" -}}
{{- .Values.redis.existingSecret.name | empty | ternary "password" .Values.redis.existingSecret.key -}}
{{- end -}}

{{- define "fedbiot.tests.namespace" -}}
{{- .Values.tests.namespace | default (first (append .Values.watchNamespaces .Release.Namespace)) -}}
{{- end -}}

{{/* Checks that a JSON schema cannot express. */}}
{{- define "fedbiot.validate" -}}
{{- if and .Values.redis.enabled .Values.redis.external.urlFrom.name -}}
{{- fail "redis.external.urlFrom.name names a Redis, and redis.enabled is true: set redis.enabled to false to use the external one" -}}
{{- end -}}
{{- if and .Values.redis.external.tls.caSecret.name (not .Values.redis.external.urlFrom.name) -}}
{{- fail "redis.external.tls.caSecret.name is given without redis.external.urlFrom.name: name the Secret with the URL too" -}}
{{- end -}}
{{- if and (not .Values.leaderElection.enabled) (gt (int .Values.replicas) 1) -}}
{{- fail "leaderElection.enabled is false: set replicas to 1, as two operators without a leader would both write" -}}
{{- end -}}
{{- if and .Values.tests.namespace .Values.watchNamespaces (not (has .Values.tests.namespace .Values.watchNamespaces)) -}}
{{- fail "tests.namespace is none of watchNamespaces: the operator would not see the test's job" -}}
{{- end -}}
{{- end -}}
