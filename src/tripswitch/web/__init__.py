"""Health, metrics and the API."""
