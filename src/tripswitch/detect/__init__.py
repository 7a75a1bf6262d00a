"""Signals, baselines, thresholds, evidence, verdicts and their explanations."""
