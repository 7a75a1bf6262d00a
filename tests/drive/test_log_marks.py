"""What the wire looks for in log requests is in every event that the judge reads."""

from __future__ import annotations

from tripswitch.drive.wire_parts import LOG_MARKS
from tripswitch.genai.event_names import WANTED_LOGS


def test_every_event_that_is_read_bears_a_mark() -> None:
    assert [
        event for event in WANTED_LOGS if not any(mark in event.encode() for mark in LOG_MARKS)
    ] == []
