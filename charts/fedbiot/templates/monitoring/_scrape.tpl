{{/* Scrape settings that both monitors have. */}}
{{- define "fedbiot.scrape" -}}
{{- $monitor := . -}}
{{- range $field := list "interval" "scrapeTimeout" "relabelings" "metricRelabelings" }}
{{- with get $monitor $field }}
{{ $field }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- end -}}
