"""Tests of the genai room."""
