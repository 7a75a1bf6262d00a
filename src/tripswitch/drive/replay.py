"""Replay: recorded OTLP through the engine, on the time in the data. It never calls out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tripswitch.config.model import Clock, Config
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.messages import Event
from tripswitch.otlp.files import read_requests

_BATCH_REQUESTS: Final = 256
_BATCH_BYTES: Final = 1 << 20


def replay(
    config: Config, paths: Sequence[Path], session: Session | None = None
) -> Iterator[Event]:
    """Yield every event that the recording in ``paths`` leads to, in order.

    ``session`` may be given to look at its counters afterwards. Raises TripswitchError for a file
    that is not there or not readable at all; a bad line is counted and passed over.
    """
    if session is None:
        session = replay_session(config)
    for arrivals in _batches(paths):
        yield from _events(session.feed(arrivals))
    yield from _events(session.finish())


def _batches(paths: Sequence[Path]) -> Iterator[list[Arrival]]:
    """Yield the trace requests of a recording, some at a time: many at once cost less."""
    batch: list[Arrival] = []
    size_bytes = 0
    for stored in read_requests(paths):
        if stored.signal != "traces":
            continue
        batch.append(Arrival(stored.body, 0))
        size_bytes += len(stored.body)
        if len(batch) >= _BATCH_REQUESTS or size_bytes >= _BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    yield batch


def replay_session(config: Config) -> Session:
    """Return a session whose clock is the recording's, whatever the configuration says."""
    return Session(config.model_copy(update={"clock": Clock(source="telemetry")}))


def _events(commands: Sequence[object]) -> Iterator[Event]:
    return (command for command in commands if isinstance(command, Event))
