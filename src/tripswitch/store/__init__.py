"""The ledger: incidents, timeline, outbox."""
