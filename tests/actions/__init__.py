"""Tests of the actions room."""
