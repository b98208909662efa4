{{- /* The release's name, so that several fit into a namespace: one for each owner of keys. */ -}}
{{- define "selector" -}}
app.kubernetes.io/name: bybit-exporter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion -}}
{{ .Values.image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag }}
{{- end -}}

{{- define "config" -}}
{{- $text := toYaml .Values.config -}}
{{- if regexMatch "(?m)^[ -]*[\"']?api_(key|secret)[\"']?:" $text -}}
{{- fail "config has an api_key or api_secret, which would stand in a ConfigMap. Put it into a Secret (existingSecret), and name its file with api_key_file and api_secret_file." -}}
{{- end -}}
{{ $text }}
{{- end -}}
