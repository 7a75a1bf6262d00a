"""Tests of the detect room."""
