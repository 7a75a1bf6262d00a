"""Tests of the postmortem."""
