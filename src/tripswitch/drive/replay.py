"""Replay: recorded OTLP through the engine, on the time in the data. It never calls out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from tripswitch.config.model import Clock, Config
from tripswitch.drive.session import Arrival, Session
from tripswitch.model.messages import Event, EventName
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.files import FileProblem, read_requests

_BATCH_BYTES: Final = 4 << 20
# Of more at once, what is read first is no longer at hand when it is judged.
_BATCH_REQUESTS: Final = 32

_OWED_TO_NOBODY: Final = frozenset({EventName.COMMS_DUE, EventName.POSTMORTEM_DUE})
"""Nobody can post an update about a recording, so none is overdue."""


def replay(
    config: Config, paths: Sequence[Path], session: Session | None = None
) -> Iterator[Event]:
    """Yield every event that the recording in ``paths`` leads to, in order.

    ``session`` may be given to look at its counters afterwards. Raises TripswitchError for a file
    that is not there or not readable at all; a bad line is counted and passed over.
    """
    if session is None:
        session = replay_session(config)
    for batch in batches(paths):
        yield from _events(session.feed(batch))
    yield from _events(session.finish())


def batches(
    paths: Sequence[Path], on_problem: Callable[[FileProblem], None] | None = None
) -> Iterator[list[Arrival]]:
    """Yield the requests of traces and logs in ``paths``, in order, some at a time.

    A request of unknown kind may be a trace request that is damaged: it is passed on as one, to be
    counted. Reading some at once costs less; what comes of it does not depend on how many.
    """
    batch: list[Arrival] = []
    batch_bytes = 0
    for stored in read_requests(paths) if on_problem is None else read_requests(paths, on_problem):
        if stored.signal == "metrics":
            continue
        signal = Signal.LOGS if stored.signal == "logs" else Signal.TRACES
        batch.append(Arrival(stored.body, 0, signal))
        batch_bytes += len(stored.body)
        if batch_bytes >= _BATCH_BYTES or len(batch) >= _BATCH_REQUESTS:
            yield batch
            batch, batch_bytes = [], 0
    if batch:
        yield batch


def replay_session(config: Config) -> Session:
    """Return a session whose clock is the recording's, whatever the configuration says."""
    return Session(config.model_copy(update={"clock": Clock(source="telemetry")}))


def _events(commands: Sequence[object]) -> Iterator[Event]:
    return (
        command
        for command in commands
        if isinstance(command, Event) and command.name not in _OWED_TO_NOBODY
    )
