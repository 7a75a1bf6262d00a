"""The life of an incident: changes, exemplars, recovery."""
