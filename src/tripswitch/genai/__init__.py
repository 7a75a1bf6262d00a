"""What a span means: vocabulary tables, calls, evaluations, requests."""
