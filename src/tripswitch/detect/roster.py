"""The roster: every judged row, what it is compared with, and the evidence it has.

A row is one direction of one signal (and rubric) of one scope. Rows are columns here, so that a
tick is a few array operations whatever their number. A comparison belongs to its reference: when
the control changes, the evidence against the old one is dropped, never carried over.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.evidence import EDetector
from tripswitch.detect.lines import Lines
from tripswitch.detect.signals import ABSOLUTE, SIGNALS, Kind
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import STRATA, Floats, Rows
from tripswitch.windows.scopes import Measure, ScopeRecord

NONE: Final = -1

SUSPICIOUS: Final = 0.1
"""Evidence from which a series stops teaching its own baseline."""

DETECTORS: Final = ("page_own", "page_control", "look_own", "look_control")


class Roster:
    """Judged rows as columns of capacity R.

    ``series``, ``raw`` and ``of_success`` are ring rows; the last two are the companions of what is
    spent by success, ``raw`` also that of leaks (their traces), else -1;
    ``control*`` the same of the control, -1 without one. ``pending`` (R, 2, 5, 3) holds unpaired
    arrivals of suspect and control by stratum. ``previous_*`` is the frozen baseline taken from
    the version before, samples 0 without one; ``bad_before`` says that this one was beyond the line
    already. ``held_*`` count minutes. ``*_share`` is the part of
    the start budget that the running evidence began with: 1 the first time, half as much each time
    the comparison is begun anew, so that all of them together spend it twice at most.

    ``evidence`` is all ``detectors`` in one, in the order of `DETECTORS`, each of capacity R.
    ``revision`` is another whenever rows, or what they are compared with, may have changed.
    """

    _INTS: Final = (
        "kind",
        "series",
        "raw",
        "of_success",
        "control",
        "control_raw",
        "control_of_success",
        "own_mode",
    )
    _FLOATS: Final = (
        "line_look",
        "line_page",
        "multiple",
        "fewest",
        "fewest_look",
        "fewest_events",
        "fewest_traces",
        "usual_share",
        "control_n",
        "control_s",
        "control_share",
        "previous_share",
        "previous_samples",
        "previous_mean",
        "previous_error",
        "previous_effect",
        "previous_ratio",
        "previous_ratio_error",
        "held_half",
        "held_look",
        "held_recent",
    )
    _FLAGS: Final = (
        "used",
        "judged",
        "mirrored",
        "two_sided",
        "is_rate",
        "is_absolute",
        "seen_start",
        "bad_before",
    )
    GIVEN: Final = ("used", "kind", "series", "mirrored", "two_sided", "is_rate", "is_absolute")
    """What a row is made with and never changes: of the code, not of what was seen."""

    def __init__(self) -> None:
        self.scopes: list[Scope | None] = []
        self.rubrics: list[str | None] = []
        self.references: list[Scope | None] = []
        self.previous_scopes: list[Scope | None] = []
        self.first_seen_ns: list[int] = []
        self.by_key: dict[tuple[Scope, Measure, Kind], int] = {}
        self.by_scope: dict[Scope, list[int]] = {}
        self._keys: list[tuple[Scope, Measure, Kind] | None] = []
        self._compared_with: dict[Scope, set[int]] = {}
        self.kind: Rows
        self.series: Rows
        self.raw: Rows
        self.of_success: Rows
        self.control: Rows
        self.control_raw: Rows
        self.control_of_success: Rows
        self.line_look: Floats
        self.line_page: Floats
        self.multiple: Floats
        self.fewest: Floats
        self.fewest_look: Floats
        self.fewest_events: Floats
        self.fewest_traces: Floats
        self.usual_share: Floats
        self.control_n: Floats
        self.control_s: Floats
        self.control_share: Floats
        self.previous_share: Floats
        self.previous_samples: Floats
        self.previous_mean: Floats
        self.previous_error: Floats
        self.previous_effect: Floats
        self.previous_ratio: Floats
        self.previous_ratio_error: Floats
        self.own_mode: Rows
        self.held_half: Floats
        self.held_look: Floats
        self.held_recent: Floats
        self.used: npt.NDArray[np.bool_]
        self.judged: npt.NDArray[np.bool_]
        self.mirrored: npt.NDArray[np.bool_]
        self.two_sided: npt.NDArray[np.bool_]
        self.is_rate: npt.NDArray[np.bool_]
        self.is_absolute: npt.NDArray[np.bool_]
        self.seen_start: npt.NDArray[np.bool_]
        self.bad_before: npt.NDArray[np.bool_]
        for name in self._INTS:
            setattr(self, name, np.full(64, NONE, dtype=np.int64))
        for name in self._FLOATS:
            setattr(self, name, np.zeros(64))
        for name in self._FLAGS:
            setattr(self, name, np.zeros(64, dtype=np.bool_))
        self.pending: Floats = _no_pending(64)
        self.detectors: dict[str, EDetector] = {name: EDetector() for name in DETECTORS}
        self.evidence = EDetector.side_by_side([*self.detectors.values()], 64)
        self.revision = 0
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self.scopes)

    def rows(self) -> Rows:
        """Return the indices of all rows in use, in order of making."""
        return np.flatnonzero(self.used[: len(self.scopes)])

    def add(
        self,
        record: ScopeRecord,
        measure: Measure,
        kind: Kind,
        *,
        series: int,
        raw: int,
        of_success: int,
        lines: Lines,
        is_two_sided: bool,
    ) -> int:
        """Make the row of one kind of one measure of one scope, with no evidence yet."""
        self.revision += 1
        signal = SIGNALS[kind]
        if self._free:
            row = self._free.pop()
        else:
            row = len(self.scopes)
            self._grow(row + 1)
            self.scopes.append(None)
            self.rubrics.append(None)
            self.references.append(None)
            self.previous_scopes.append(None)
            self.first_seen_ns.append(0)
            self._keys.append(None)
        self.scopes[row] = record.scope
        self.rubrics[row] = measure.rubric
        self.references[row] = self.previous_scopes[row] = None
        self.first_seen_ns[row] = record.first_seen_ns
        self._keys[row] = (record.scope, measure, kind)
        self.by_key[record.scope, measure, kind] = row
        self.by_scope.setdefault(record.scope, []).append(row)
        for name in self._FLOATS:
            getattr(self, name)[row] = 0.0
        self.kind[row], self.series[row] = int(kind), series
        self.raw[row], self.of_success[row] = raw, of_success
        self.control[row] = self.control_raw[row] = self.control_of_success[row] = NONE
        self.own_mode[row] = NONE
        self.used[row] = self.judged[row] = True
        self.mirrored[row], self.is_rate[row] = signal.is_mirrored, signal.is_rate
        self.is_absolute[row] = signal.rule in ABSOLUTE
        self.two_sided[row] = is_two_sided
        self.seen_start[row] = not record.found_running
        self.bad_before[row] = False
        self.pending[row] = 0.0
        self.set_lines(row, lines)
        for detector in self.detectors.values():
            detector.start(row, 0.0, record.first_seen_ns)
        return row

    def key(self, row: int) -> tuple[Scope, Measure, Kind]:
        """Return what a row judges: scope, measure and kind."""
        key = self._keys[row]
        assert key is not None
        return key

    def measure(self, row: int) -> Measure:
        """Return the measure that a row judges."""
        return self.key(row)[1]

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return every array that holds one row each, by name, those of the detectors too."""
        names = (*self._INTS, *self._FLOATS, *self._FLAGS, "pending")
        of_detectors = {
            f"{detector}.{name}": column
            for detector, found in self.detectors.items()
            for name, column in found.columns().items()
        }
        return {name: getattr(self, name) for name in names} | of_detectors

    def lay_out(self, size: int) -> None:
        """Make a new roster ``size`` rows long, none of them in use."""
        self._grow(size)
        self.scopes, self.rubrics = [None] * size, [None] * size
        self.references, self.previous_scopes = [None] * size, [None] * size
        self.first_seen_ns, self._keys = [0] * size, [None] * size

    @property
    def free(self) -> list[int]:
        """The rows that are not in use; the last is the next to be."""
        return self._free

    @free.setter
    def free(self, rows: list[int]) -> None:
        self._free = rows

    def set_lines(self, row: int, lines: Lines) -> None:
        """Set the configured lines of a row; its evidence stays, its nulls do not use them."""
        self.revision += 1
        self.line_look[row], self.line_page[row] = lines.investigate, lines.page
        self.multiple[row] = lines.page_multiple
        self.fewest[row], self.fewest_look[row] = lines.samples, lines.samples_investigate
        self.fewest_events[row], self.fewest_traces[row] = lines.events, lines.traces
        self.usual_share[row] = lines.usual

    def refer(self, row: int, scope: Scope | None) -> None:
        """Note the scope that a row is compared with at the same time, None for none."""
        self.revision += 1
        old = self.references[row]
        if old is not None:
            rows = self._compared_with[old]
            rows.discard(row)
            if not rows:
                del self._compared_with[old]
        self.references[row] = scope
        if scope is not None:
            self._compared_with.setdefault(scope, set()).add(row)

    def restart(self, row: int, now_ns: int) -> None:
        """Drop all evidence of a row, because what it measures changed its meaning."""
        self.revision += 1
        for detector in self.detectors.values():
            detector.start(row, 0.0, now_ns)
        self.pending[row] = 0.0
        self.control_n[row] = self.control_s[row] = 0.0
        self.previous_samples[row] = 0.0
        self.held_half[row] = self.held_look[row] = self.held_recent[row] = 0.0

    def drop_scope(self, scope: Scope) -> None:
        """Forget the rows of a scope that made way, and every comparison with its series."""
        self.revision += 1
        for row in self.by_scope.pop(scope, []):
            key = self._keys[row]
            assert key is not None
            del self.by_key[key]
            self.refer(row, None)
            self.used[row] = self.judged[row] = False
            self.scopes[row] = self._keys[row] = None
            self._free.append(row)
        for row in sorted(self._compared_with.get(scope, ())):
            self.refer(row, None)
            self.control[row] = self.control_raw[row] = self.control_of_success[row] = NONE

    def _grow(self, size: int) -> None:
        old = len(self.kind)
        if size <= old:
            return
        capacity = max(size, 2 * old)
        for name in (*self._INTS, *self._FLOATS, *self._FLAGS):
            array = getattr(self, name)
            grown = np.zeros(capacity, dtype=array.dtype)
            grown[:old] = array
            setattr(self, name, grown)
        pending, self.pending = self.pending, _no_pending(capacity)
        self.pending[:old] = pending
        self.evidence = EDetector.side_by_side([*self.detectors.values()], capacity)


def _no_pending(rows: int) -> Floats:
    # What is paired is taken stratum by stratum, each number of all rows.
    return np.zeros((STRATA + 1, 2, 3, rows)).transpose(3, 1, 0, 2)
