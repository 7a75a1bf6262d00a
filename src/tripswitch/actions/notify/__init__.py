"""Notifiers, one file a notifier."""
