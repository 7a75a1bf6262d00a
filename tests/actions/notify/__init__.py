"""Tests of the notifiers."""
