"""Rollback targets, one file a target."""
