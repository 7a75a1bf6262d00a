"""Every number on the metrics page: the wire's own, and the last that a judge gave.

The names keep to the OpenTelemetry Collector's manner (``receiver_*``, ``exporter_*``), so that
its dashboards and habits carry over. The page is served by the wire and therefore also exists
while there is no judge.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from tripswitch.drive.spool_metrics import spool_metrics
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.pipeline import Kind, Outcome, ProtocolName
from tripswitch.web.metrics import Metric, Sample, by_label, counter, gauge, named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.drive.wire import Wire

JUDGE_TEXTS = {
    "judge_batches_total": "Batches of requests that the judge was fed.",
    "judge_requests_total": "Requests that the judge was fed.",
    "judge_ticks_total": "Times everything was judged.",
    "reader_spans_total": "Spans read.",
    "reader_calls_total": "LLM calls found among them, each counted once.",
    "reader_unreadable_requests_total": "Requests that were forwarded but are no readable OTLP.",
    "reader_lost_requests_total": "Requests that were forwarded but never read.",
    "reader_rejected_facts_total": "Facts that were there but could not be used, by fact.",
    "reader_skewed_spans_total": "Spans too far from now, counted and not judged.",
    "api_changes_total": "Changes posted to the API.",
    "api_instructions_total": "What people told the API to do about incidents.",
    "api_scores_total": "Scores posted to the API.",
    "evidence_failures_total": "Bundles of evidence that could not be written.",
    "evidence_recent_bytes": "Memory for recent spans while evidence capture is on.",
    "evidence_removed_total": "Incidents whose evidence was removed: past its time, or no room.",
    "evidence_sealed_total": "Bundles of evidence that were sealed.",
    "reader_late_calls_total": "Calls that came after their request was closed.",
    "reader_expired_total": "Traces settled without their root span.",
    "reader_evicted_total": "Traces settled early to make room.",
    "reader_repeated_spans_total": "Calls that came again, as retried exports do.",
    "reader_double_counted_total": "Spans that repeat a call another span tells of.",
    "reader_ignored_changes_total": "First sights not told of: more than 256 of a kind on a route.",
    "reader_model_judge_calls_total": "Calls that served an evaluator or a guardrail.",
    "reader_late_scores_total": "Scores that found a call settled before.",
    "reader_repeated_scores_total": "Late scores that came again.",
    "reader_unjoined_scores_total": "Scores that found no call in time.",
    "reader_late_verdicts_total": "Guardrail verdicts that came after their call was settled.",
    "reader_held_traces": "Traces held, waiting for more or remembered for what comes late.",
    "reader_remembered_calls": "Calls that a late score can still find.",
    "windows_scopes": "Scopes watched.",
    "windows_evicted_scopes_total": "Scopes that made way for newer ones.",
    "windows_folded_values_total": "Times a new scope was folded into the overflow scope.",
    "windows_refused_rubrics_total": "Scores of more rubrics than a scope may have.",
    "windows_refused_tools_total": "Runs of tools beyond those that a scope has room for.",
    "windows_refused_tokens_total": "Token figures too large to be true.",
    "windows_refused_costs_total": "Costs too large to be true.",
    "windows_refused_traffic_total": "Minutes of routes beyond those whose traffic is followed.",
    "windows_unpriced_requests_total": "Requests with tokens whose cost nobody knows, left out.",
    "incidents_open": "Incidents open now.",
    "incidents_paging": "Those of them that page.",
    "incidents_untold_changes_total": "Changes beyond 60 a minute: known, but not in the ledger.",
    "judge_errors_total": "Faults inside the judge; each cost the batch or step it arose in.",
    "ledger_errors_total": "Times the ledger on disk refused to be written by the judge.",
    "ledger_unrecorded_commands": "Commands waiting for a ledger that cannot be written.",
    "ledger_pruned_rows_total": "Rows of the ledger that went because they were past their time.",
    "ledger_dropped_commands_total": "Commands given up because the ledger never took them.",
    "comms_drafts_total": "Status updates drafted, each held for a person.",
    "comms_drafts_skipped_total": "Changes not drafted for: a flood, or templates of no use.",
    "snapshots_written_total": "Times what the judge knows was written to disk.",
    "snapshots_failed_total": "Times that it could not be; the snapshot before stayed.",
    "snapshots_put_aside_total": "Snapshots found at the start that could not be taken up.",
    "snapshot_bytes": "Size of the snapshot written last.",
    "snapshot_left_out": "What the last one had no room for, by kind: calls, exemplars, routes.",
    "snapshot_copy_seconds": "How long judging waited while the last one was taken.",
    "config_reloads_total": "Edits of the configuration taken into force.",
    "config_reload_failures_total": "Edits of the configuration refused; the old one stayed.",
    "config_last_reload_ok": "1 when the configuration on disk is in force, 0 after a bad edit.",
    "actions_attempts_total": "Attempts to call a rollback target or notifier, by result.",
    "actions_settled_total": "Effects that came to their end, by result.",
    "actions_read_backs_total": "Questions to a target what became of a rollback, by answer.",
    "actions_rollback_enabled": "1 while rollbacks are allowed, 0 while the kill switch is on.",
    "actions_waiting": "Effects written down that have not come to their end, by kind.",
    "actions_recovered_total": "Effects that a crash had cut off and that were settled after it.",
    "actions_told_together_total": "Messages that another told: in a group, or with an update.",
    "actions_renewals_total": "Times the open alerts of a notifier were renewed, by result.",
    "actions_notifier_failing": "Attempts in a row that failed, by notifier; 0 where it works.",
    "actions_notifier_failures_total": "Failures of a notifier that the others are told of.",
    "actions_faults_total": "Faults inside the executor.",
    "own_spans_total": "Spans of its own that were sent by OTLP, failed to be, or were dropped.",
    "actions_ledger_errors_total": "Times the ledger on disk refused to be read or written.",
}


def wire_metrics(wire: Wire) -> list[Metric]:
    """Return all families."""
    return [
        *_receiver_metrics(wire),
        *_exporter_metrics(wire),
        *([] if wire.spool is None else spool_metrics(wire.spool)),
        *_tap_metrics(wire),
        *_process_metrics(wire),
        *named({**wire.supervisor.last_counters, **_reloads(wire)}, JUDGE_TEXTS),
        gauge(
            "config_needs_restart",
            "Edited fields of the configuration that wait for a restart.",
            len(wire.reloads.for_restart),
        ),
    ]


def _reloads(wire: Wire) -> dict[str, float]:
    """Return what the wire counts under the same names as the judge."""
    reloads = wire.reloads
    return {
        "config_reloads_total;process=wire": reloads.taken,
        "config_reload_failures_total;process=wire": reloads.refused,
        "config_last_reload_ok;process=wire": reloads.is_last_ok,
    }


def _receiver_metrics(wire: Wire) -> list[Metric]:
    pipeline = wire.pipeline
    in_flight = {"grpc": wire.grpc.in_flight, "http": wire.http.in_flight}
    limits = {
        "grpc": wire.grpc.max_concurrent_rpcs,
        "http": wire.http.max_concurrent_requests,
    }
    return [
        Metric(
            "receiver_requests_total",
            "counter",
            "Requests by what became of them: accepted by the upstream; spooled, which is accepted "
            "too; refused by the upstream for good; failed for now; overloaded (refused here, too "
            "much in flight); unauthenticated; transport_refused (no whole request arrived in "
            "time, or too large a one); unsupported; cancelled by the client.",
            tuple(
                Sample(
                    float(count),
                    (
                        ("outcome", kind.outcome),
                        ("protocol", kind.protocol),
                        ("signal", kind.signal.value),
                    ),
                )
                for kind, count in sorted(_with_zeros(pipeline.requests).items())
            ),
        ),
        counter(
            "receiver_bytes_total",
            "Bytes of request bodies received, as they came.",
            pipeline.received_bytes,
        ),
        _by_protocol("receiver_in_flight_requests", "Requests under way.", in_flight),
        _by_protocol(
            "receiver_max_in_flight_requests",
            "Most requests under way at once; more are refused for now.",
            limits,
        ),
        gauge(
            "receiver_in_flight_bytes",
            "Bytes of requests under way, over all protocols.",
            pipeline.admission.in_flight_bytes,
        ),
        gauge(
            "receiver_max_in_flight_bytes",
            "Most bytes of requests under way; more are refused for now.",
            pipeline.admission.max_bytes,
        ),
        counter(
            "receiver_restarts_total",
            "Times that gRPC's server ended at a request it could not take and was started anew.",
            wire.grpc.restarts,
        ),
    ]


def _exporter_metrics(wire: Wire) -> list[Metric]:
    acceptance = wire.pipeline.acceptance
    codes = acceptance.upstream_codes
    return [
        Metric(
            "exporter_requests_total",
            "counter",
            "Requests sent upstream, at once or from the disk, by what came of it: sent, which is "
            "accepted; failed for now; refused for good.",
            tuple(
                Sample(
                    float(count),
                    (
                        ("outcome", sent.outcome),
                        ("protocol", sent.protocol),
                        ("signal", sent.signal.value),
                    ),
                )
                for sent, count in sorted(acceptance.answers.items())
            ),
        ),
        by_label(
            "exporter_responses_total",
            "Answers to forwarded requests by gRPC code or HTTP status; UNAVAILABLE and "
            "DEADLINE_EXCEEDED also when there was none.",
            "code",
            {code: float(count) for code, count in codes.items()},
        ),
        counter(
            "exporter_sent_bytes_total",
            "Bytes of request bodies that the upstream accepted.",
            acceptance.sent_bytes,
        ),
        gauge("exporter_in_flight_requests", "Requests at the upstream.", wire.upstream.in_flight),
    ]


def _tap_metrics(wire: Wire) -> list[Metric]:
    tap, reading = wire.tap, wire.pipeline.reading
    return [
        gauge("tap_queued_requests", "Forwarded requests waiting to be judged.", len(tap)),
        gauge("tap_queued_bytes", "Bytes of them, with what keeping them costs.", tap.queued_bytes),
        gauge("tap_capacity_bytes", "Most bytes that may wait.", tap.max_bytes),
        gauge(
            "tap_lag_seconds",
            "Age of the oldest request not yet taken in.",
            wire.supervisor.lag_s(),
        ),
        counter("tap_offered_requests_total", "Requests offered to the tap.", tap.offered_requests),
        counter(
            "tap_dropped_requests_total",
            "Requests forwarded but not judged because the tap was full.",
            tap.dropped_requests + reading.dropped,
        ),
        counter("tap_dropped_bytes_total", "Bytes of those.", tap.dropped_bytes),
        counter(
            "tap_lost_requests_total",
            "Requests that a judge had taken and had not acknowledged when it died.",
            tap.lost_requests,
        ),
        counter(
            "tap_skipped_requests_total",
            "Requests not judged because the upstream refused them for good.",
            reading.skipped,
        ),
        counter(
            "tap_own_requests_total",
            "Requests not judged because a tripswitch sent them about itself.",
            reading.own,
        ),
        counter(
            "tap_unreadable_requests_total",
            "Requests forwarded but not judged because their encoding or JSON cannot be read.",
            reading.unreadable,
        ),
        counter("tap_errors_total", "Faults of the tap itself.", reading.errors),
    ]


def _with_zeros(requests: Mapping[Kind, int]) -> dict[Kind, int]:
    """Return the counts with the outcomes that a rate is asked of before they first happen."""
    outcomes: tuple[Outcome, ...] = ("accepted", "spooled", "refused", "failed")
    protocols: tuple[ProtocolName, ...] = ("grpc", "http")
    zeros = {
        Kind(protocol, Signal.TRACES, outcome): 0 for protocol in protocols for outcome in outcomes
    }
    return zeros | dict(requests)


def _by_protocol(name: str, text: str, values: Mapping[str, int]) -> Metric:
    samples = tuple(
        Sample(float(value), (("protocol", protocol),)) for protocol, value in values.items()
    )
    return Metric(name, "gauge", text, samples)


def _process_metrics(wire: Wire) -> list[Metric]:
    supervisor = wire.supervisor
    memory = {"wire": _resident_bytes("self")}
    if supervisor.pid is not None:
        memory["judge"] = _resident_bytes(str(supervisor.pid))
    samples = tuple(
        Sample(resident, (("process", process),))
        for process, resident in memory.items()
        if resident is not None
    )
    build = Sample(1, (("version", version("tripswitch")),))
    return [
        gauge("judge_up", "1 while a judge is ready, 0 while none is.", supervisor.is_up),
        counter("judge_restarts_total", "Judges started after the first.", supervisor.restarts),
        gauge("start_time_seconds", "When the wire started, s since the epoch.", wire.started_s),
        by_label(
            "own_metrics_exports_total",
            "Exports of these metrics by OTLP: sent; failed; dropped, one being under way still.",
            "result",
            dict(wire.own_metrics_results()),
        ),
        Metric("process_resident_bytes", "gauge", "Memory resident, by process.", samples),
        Metric("build_info", "gauge", "The version that runs; always 1.", (build,)),
    ]


def _resident_bytes(pid: str) -> float | None:
    """Return the resident memory of a process, None where the system does not say."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError):
        return None
    return None
