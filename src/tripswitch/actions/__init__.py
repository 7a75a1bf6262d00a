"""Carrying out what the engine decided: the outbox's executor, rollback targets, notifiers."""
