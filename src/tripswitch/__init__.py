"""tripswitch: an OpenTelemetry sidecar for LLM incident response."""
