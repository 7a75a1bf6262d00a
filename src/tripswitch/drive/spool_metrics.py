"""The spool's numbers on the metrics page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.web.metrics import counter, gauge

if TYPE_CHECKING:
    from tripswitch.otlp.spool.spool import Spool
    from tripswitch.web.metrics import Metric


def spool_metrics(spool: Spool) -> list[Metric]:
    """Return all families of ``spool``."""
    now = spool.figures()
    return [
        gauge("exporter_queue_size", "Requests waiting on disk.", now.records),
        gauge("exporter_queue_bytes", "Bytes that the spool takes on disk.", now.bytes),
        gauge("exporter_queue_capacity_bytes", "Most bytes it may take.", now.max_bytes),
        gauge(
            "exporter_queue_oldest_age_seconds",
            "Age of the oldest request waiting on disk, 0 when none waits.",
            now.oldest_age_s,
        ),
        gauge("spool_segments", "Files of the spool.", now.segments),
        gauge("spool_full", "1 while the spool takes no more, 0 while it does.", now.is_full),
        gauge(
            "spool_paused_credentials",
            "Senders whose requests wait because the upstream refuses their credential.",
            now.paused_credentials,
        ),
        gauge("spool_dead_letters", "Dead letters kept on disk.", now.dead_letter_records),
        gauge("spool_dead_letter_bytes", "Bytes of them.", now.dead_letter_bytes),
        counter("spool_appended_requests_total", "Requests put on disk.", now.appended_total),
        counter("spool_appended_bytes_total", "Bytes of them.", now.appended_bytes_total),
        counter(
            "spool_delivered_requests_total",
            "Requests that were sent from the disk and accepted.",
            now.delivered_total,
        ),
        counter(
            "spool_refused_requests_total",
            "Requests from the disk that the upstream refused for good; dead letters now.",
            now.refused_total,
        ),
        counter(
            "spool_expired_requests_total",
            "Requests that waited longer than spool.max_age; dead letters now.",
            now.expired_total,
        ),
        counter(
            "spool_dead_letters_total", "Requests that became dead letters.", now.dead_letter_total
        ),
        counter(
            "spool_dead_letters_dropped_total",
            "Dead letters not kept, for want of room.",
            now.dead_letters_dropped_total,
        ),
        counter(
            "spool_corrupt_records_total",
            "Requests on disk that were damaged there and are lost.",
            now.corrupt_records_total,
        ),
        counter(
            "spool_torn_tails_total",
            "Files that ended in the middle of a record, as after a crash.",
            now.torn_tails_total,
        ),
        counter(
            "exporter_enqueue_failed_requests_total",
            "Requests that the disk could not take; clients were told to come again.",
            now.full_total + now.failed_total,
        ),
        counter("spool_fsyncs_total", "Times the disk was told to keep.", now.fsyncs_total),
    ]
