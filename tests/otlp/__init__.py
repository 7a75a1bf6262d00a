"""Tests of the otlp room."""
