"""Tests of the rollback targets."""
