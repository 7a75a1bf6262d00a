"""Leaks: which hits are the first of their trace, and which the first of an arm.

Three hits on one trace are one answer judged three times; what pages comes from several. The first
hit of an arm is a fact for the timeline and wakes nobody.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.counted import Counted
from tripswitch.detect.leaves import Leaves
from tripswitch.detect.named import Named, named_rows
from tripswitch.detect.signals import LEAK_TRACE
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.rings import Floats

_MOST_REMEMBERED: Final = 8192
# As long as the longest window of the point rule: a hit after a quiet day is a first one again.
_FORGOTTEN_NS: Final = 24 * NS_PER_HOUR


class FirstHit(NamedTuple):
    """The first leak seen of an arm; ``time_ns`` is the end of the call."""

    arm: Scope
    trace_id: str
    time_ns: int


class Leaks:
    """Remembers traces and arms with hits, bounded: the longest known are forgotten first."""

    def __init__(self) -> None:
        self.first_hits: list[FirstHit] = []
        self._traces: OrderedDict[tuple[Scope, str], None] = OrderedDict()
        self._arms: OrderedDict[Scope, int] = OrderedDict()

    def take(
        self,
        scores: Scores,
        counted: Counted,
        kind: slice,
        badness: Floats,
        leaves: Leaves,
        detect: Detect,
    ) -> Named:
        """Return a value for the first hit of each trace, and keep the first of each arm."""
        if "pii_leak" not in scores.signal:
            return Named.nothing()
        index = []
        for number in (badness > 0.5).nonzero()[0].tolist():
            position = number + kind.start
            row = int(counted.rows[position])
            leaf = counted.leaves[counted.codes[position]]
            if scores.signal[row] != "pii_leak" or leaf is None:
                continue
            trace_id, moment_ns = scores.trace_id[row], int(counted.moment_ns[position])
            if self._is_first_of_trace(leaf.arm, trace_id):
                index.append(position)
            seen_ns = self._arms.get(leaf.arm)
            if seen_ns is None or moment_ns - seen_ns > _FORGOTTEN_NS:
                self.first_hits.append(FirstHit(leaf.arm, trace_id, moment_ns))
            self._arms[leaf.arm] = max(moment_ns, seen_ns or 0)
            self._arms.move_to_end(leaf.arm)
            if len(self._arms) > _MOST_REMEMBERED:
                self._arms.popitem(last=False)
        if not index:
            return Named.nothing()
        positions = np.array(index, dtype=np.int64)
        alike = np.zeros(len(index), dtype=np.int64)
        rows, _ = named_rows(leaves, counted, counted.codes[positions], [LEAK_TRACE], alike, detect)
        return Named(rows, positions, np.ones(len(index)))

    def take_first_hits(self) -> list[FirstHit]:
        """Return the first hits since the last call, in order."""
        taken, self.first_hits = self.first_hits, []
        return taken

    def save(self, snapshot: Snapshot) -> None:
        """Put the remembered traces and arms into ``snapshot``, the longest known first."""
        snapshot.facts["leaks.traces"] = [
            [snapshot.number(arm), trace_id] for arm, trace_id in self._traces
        ]
        snapshot.facts["leaks.arms"] = [
            [snapshot.number(arm), seen_ns] for arm, seen_ns in self._arms.items()
        ]
        snapshot.facts["leaks.first_hits"] = [
            [snapshot.number(hit.arm), hit.trace_id, hit.time_ns] for hit in self.first_hits
        ]

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; nothing where it is from before there was any."""
        for number, trace_id in snapshot.facts.get("leaks.traces", ()):
            arm = snapshot.scope(number)
            if arm is not None:
                self._traces[arm, trace_id] = None
        for number, seen_ns in snapshot.facts.get("leaks.arms", ()):
            arm = snapshot.scope(number)
            if arm is not None:
                self._arms[arm] = seen_ns
        for number, trace_id, time_ns in snapshot.facts.get("leaks.first_hits", ()):
            arm = snapshot.scope(number)
            if arm is not None:
                self.first_hits.append(FirstHit(arm, trace_id, time_ns))

    def _is_first_of_trace(self, arm: Scope, trace_id: str) -> bool:
        """Return whether a trace has no hit so far; those without an id count as one trace."""
        key = (arm, trace_id)
        if key in self._traces:
            return False
        self._traces[key] = None
        if len(self._traces) > _MOST_REMEMBERED:
            self._traces.popitem(last=False)
        return True
