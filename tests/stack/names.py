"""The metrics that are documented, and those that an expression asks for."""

from __future__ import annotations

import functools
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `(tripswitch_\w+)` \| \w+ \| ([\w, ]*) \|", re.MULTILINE)
_METRIC = re.compile(r"\b(?:tripswitch_\w+|up(?=\{))")
_GROUPED = re.compile(r"\b(?:by|without|on|group_left) \(([^)]*)\)")
_MATCHED = re.compile(r"[{,](\w+)(?:=~|!~|!=|=)")
_SHOWN = re.compile(r"\{\{ ?(?:\$labels\.)?(\w+) ?\}\}")

# Prometheus' own: every scraped sample carries these, and `up` tells of the scrape.
OF_PROMETHEUS = {"job", "instance"}


@functools.cache
def documented() -> dict[str, frozenset[str]]:
    """Return the labels of each metric of docs/reference/metrics.md, by its name."""
    page = (ROOT / "docs/reference/metrics.md").read_text("utf-8")
    return {
        name: frozenset(label.strip() for label in labels.split(",") if label.strip())
        for name, labels in _ROW.findall(page)
    }


def metrics_in(expression: str) -> set[str]:
    """Return the metrics that a PromQL expression names."""
    return set(_METRIC.findall(expression))


def labels_in(expression: str) -> set[str]:
    """Return the labels that a PromQL expression matches or groups by."""
    grouped = {
        label.strip()
        for text in _GROUPED.findall(expression)
        for label in text.split(",")
        if label.strip()
    }
    return grouped | set(_MATCHED.findall(expression))


def labels_shown(text: str) -> set[str]:
    """Return the labels that a legend or an annotation shows."""
    return set(_SHOWN.findall(text)) - {"value"}


def unknown_in(expression: str, *texts: str) -> set[str]:
    """Return the metrics and labels of an expression and its texts that do not exist."""
    known = documented()
    named = metrics_in(expression)
    labels = OF_PROMETHEUS.union(*(known.get(name, frozenset()) for name in named))
    asked = labels_in(expression).union(*(labels_shown(text) for text in texts))
    return (named - {"up"} - set(known)) | (asked - labels)
