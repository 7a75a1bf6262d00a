"""The postmortem of an incident, from the ledger alone: six sections as values, then as text."""
