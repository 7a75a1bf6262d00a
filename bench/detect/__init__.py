"""Simulated traffic for the engine's own judgement, and the tables of its false and true alarms."""
