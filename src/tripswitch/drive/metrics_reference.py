"""The reference page of the metrics, made from the very code that serves them."""

from __future__ import annotations

import asyncio
from typing import Final

from tripswitch.config.model import Config
from tripswitch.drive.wire import Wire
from tripswitch.drive.wire_metrics import JUDGE_TEXTS

# Families that have no sample to tell their labels from before something has happened.
_LABELS: Final = {
    "actions_attempts_total": "kind, target, result",
    "actions_settled_total": "kind, target, result",
    "actions_read_backs_total": "kind, target, result",
    "actions_faults_total": "kind, target",
    "actions_waiting": "kind",
    "actions_told_together_total": "target, result",
    "actions_renewals_total": "target, result",
    "actions_notifier_failing": "target",
    "actions_notifier_failures_total": "target",
    "own_spans_total": "result",
    "config_reloads_total": "process",
    "config_reload_failures_total": "process",
    "config_last_reload_ok": "process",
    "exporter_requests_total": "outcome, protocol, signal",
    "exporter_responses_total": "code",
    "reader_rejected_facts_total": "fact",
    "snapshot_left_out": "kind",
}

_HEAD: Final = """\
# Metrics

Served in Prometheus' text format at `/metrics` on `telemetry.metrics.endpoint` (localhost:8888), by
the process that forwards, so that they are there also while the judge is not. Names keep to the
OpenTelemetry Collector's manner. Every drop, refusal and loss has a counter here.

This page is generated: `tripswitch schema --metrics`.

| name | kind | labels | meaning |
|---|---|---|---|
"""


def reference_text() -> str:
    """Return the page as Markdown: one row a metric, by name."""
    rows = asyncio.run(_wire_rows())
    for name, text in JUDGE_TEXTS.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        rows[name] = (kind, _LABELS.get(name, ""), text)
    lines = (
        f"| `tripswitch_{name}` | {kind} | {labels} | {text} |"
        for name, (kind, labels, text) in sorted(rows.items())
    )
    return _HEAD + "\n".join(lines) + "\n"


async def _wire_rows() -> dict[str, tuple[str, str, str]]:
    wire = Wire(Config(), ("no", "judge"))
    rows: dict[str, tuple[str, str, str]] = {}
    for metric in wire.metrics():
        keys = dict.fromkeys(key for sample in metric.samples for key, _ in sample.labels)
        labels = ", ".join(keys) or _LABELS.get(metric.name, "")
        rows[metric.name] = (metric.kind, labels, metric.help)
    return rows
