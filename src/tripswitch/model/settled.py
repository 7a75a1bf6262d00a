"""What became of traces that were put together: calls, requests, and scores."""

from __future__ import annotations

from dataclasses import dataclass, field

from tripswitch.model.calls import Calls, Score
from tripswitch.model.incident import Change
from tripswitch.model.requests import Requests


@dataclass(slots=True)
class Settled:
    """Calls whose trace is settled, the requests that closed, the scores that found a call, and
    what was seen for the first time.

    A score may be of a call that was settled long before. Order is that of settling and depends on
    nothing but what came and when.
    """

    calls: Calls = field(default_factory=Calls)
    requests: Requests = field(default_factory=Requests)
    scores: list[Score] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
