"""The registry of scopes and their series: who owns which row, bounded.

A scope gets an id when it is first seen and keeps it until it makes way. When the bound is
reached, new scopes are folded into one overflow scope, visibly counted; at each tick the least
recently seen scopes make way again, except pinned ones (an open incident, a control).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.histogram import COST_CUTS_USD, LATENCY_CUTS_S, TOKEN_CUTS, Histogram
from tripswitch.windows.rings import Rings

OVERFLOW: Final = Scope(route="(overflow)")


class Measure(NamedTuple):
    """What a series measures, for instance ``("eval_score", "faithfulness")``."""

    name: str
    rubric: str | None = None


@dataclass(slots=True)
class ScopeRecord:
    """What is known of one scope besides its numbers. Times are ns since the epoch.

    ``found_running`` says that it was there when watching began, so its start was not seen.
    ``series`` are its ring rows by measure, ``tools`` its rows of `Scopes.tool_latencies` by name.
    """

    id: int
    scope: Scope
    first_seen_ns: int
    last_seen_ns: int
    found_running: bool
    series: dict[Measure, int] = field(default_factory=dict)
    tools: dict[str, int] = field(default_factory=dict)


class Scopes:
    """Scopes by id, their series' rows in `rings`, and their histograms.

    ``latencies`` and ``first_tokens`` (s), ``tokens`` and ``costs`` (US dollars) have a row by id;
    ``tool_latencies`` (s) one for each tool of a scope, see `ScopeRecord.tools`.
    """

    _BY_ID: Final = ("latencies", "first_tokens", "tokens", "costs")

    def __init__(self, max_scopes: int) -> None:
        self.max_scopes = max_scopes
        self.rings = Rings()
        self.latencies = Histogram(LATENCY_CUTS_S)
        self.first_tokens = Histogram(LATENCY_CUTS_S)
        self.tokens = Histogram(TOKEN_CUTS)
        self.costs = Histogram(COST_CUTS_USD)
        self.tool_latencies = Histogram(LATENCY_CUTS_S)
        self.records: dict[Scope, ScopeRecord] = {}
        self.revision = 0
        """Another whenever a scope, a series or a tool is made, joins a family, or makes way."""
        self.folded_values = 0
        self.evicted_scopes = 0
        self._newcomers: list[ScopeRecord] = []
        self._free_ids: list[int] = []
        self._free_rows: list[int] = []
        self._free_tools: list[int] = []
        self._next_id = 0
        self._next_row = 0
        self._next_tool = 0

    @property
    def ids(self) -> int:
        """Return how many ids were ever given: all are below it."""
        return self._next_id

    def see(self, scope: Scope, now_ns: int, *, found_running: bool) -> ScopeRecord:
        """Return the record of ``scope``, making it when new; the overflow's when full."""
        record = self.records.get(scope)
        if record is None:
            if len(self.records) >= self.max_scopes and scope != OVERFLOW:
                self.folded_values += 1
                return self.see(OVERFLOW, now_ns, found_running=True)
            if self._free_ids:
                scope_id = self._free_ids.pop()
            else:
                scope_id, self._next_id = self._next_id, self._next_id + 1
                for histogram in self._by_id():
                    histogram.reserve(self._next_id)
            record = ScopeRecord(scope_id, scope, now_ns, now_ns, found_running)
            self.records[scope] = record
            self.revision += 1
            self._newcomers.append(record)
        record.last_seen_ns = max(record.last_seen_ns, now_ns)
        return record

    def take_newcomers(self) -> list[ScopeRecord]:
        """Return the scopes first seen since the last call, in order."""
        taken, self._newcomers = self._newcomers, []
        return taken

    def row(self, record: ScopeRecord, measure: Measure) -> int:
        """Return the ring row of one measure of a scope, making it when new."""
        row = record.series.get(measure)
        if row is None:
            if self._free_rows:
                row = self._free_rows.pop()
            else:
                row, self._next_row = self._next_row, self._next_row + 1
                self.rings.reserve(self._next_row)
            record.series[measure] = row
            self.revision += 1
        return row

    def tool_row(self, record: ScopeRecord, tool: str) -> int:
        """Return the row of one tool's latencies in `tool_latencies`, making it when new."""
        row = record.tools.get(tool)
        if row is None:
            if self._free_tools:
                row = self._free_tools.pop()
            else:
                row, self._next_tool = self._next_tool, self._next_tool + 1
                self.tool_latencies.reserve(self._next_tool)
            record.tools[tool] = row
            self.revision += 1
        return row

    def decay(self, frozen: Iterable[ScopeRecord] = ()) -> None:
        """Let a minute pass in the histograms of every scope that is not ``frozen``."""
        by_id: npt.NDArray[np.bool_] = np.zeros(len(self.latencies.counts), dtype=np.bool_)
        by_tool: npt.NDArray[np.bool_] = np.zeros(len(self.tool_latencies.counts), dtype=np.bool_)
        for record in frozen:
            by_id[record.id] = True
            by_tool[list(record.tools.values())] = True
        for histogram in self._by_id():
            histogram.decay(by_id)
        self.tool_latencies.decay(by_tool)

    def _by_id(self) -> tuple[Histogram, ...]:
        return tuple(getattr(self, name) for name in self._BY_ID)

    def save(self, snapshot: Snapshot) -> None:
        """Put every scope, its series and its histograms into ``snapshot``."""
        records = list(self.records.values())
        measures: dict[Measure, int] = {}
        series = [
            (record.id, measures.setdefault(measure, len(measures)), row)
            for record in records
            for measure, row in record.series.items()
        ]
        snapshot.facts["scopes.measures"] = [list(measure) for measure in measures]
        names: dict[str, int] = {}
        tools = [
            (record.id, names.setdefault(tool, len(names)), row)
            for record in records
            for tool, row in record.tools.items()
        ]
        snapshot.facts["scopes.tool_names"] = list(names)
        columns: dict[str, Sequence[object]] = {
            "id": [record.id for record in records],
            "first_seen_ns": [record.first_seen_ns for record in records],
            "last_seen_ns": [record.last_seen_ns for record in records],
            "found_running": [int(record.found_running) for record in records],
            "newcomers": [record.id for record in self._newcomers],
            "free_ids": self._free_ids,
            "free_rows": self._free_rows,
            "free_tools": self._free_tools,
            "series": series,
            "tools": tools,
        }
        for name, values in columns.items():
            snapshot.arrays[f"scopes.{name}"] = np.array(values, dtype=np.int64)
        snapshot.arrays["scopes.scope"] = snapshot.numbers(record.scope for record in records)
        histograms = ((name, getattr(self, name).counts) for name in self._BY_ID)
        snapshot.put("scopes", histograms, self._next_id)
        snapshot.put("scopes", [("tool_latencies", self.tool_latencies.counts)], self._next_tool)
        self.rings.save(snapshot, self._next_row)

    def restore(self, snapshot: Snapshot) -> None:
        """Take every scope, its series and its histograms from ``snapshot``; be new before."""
        self.revision += 1
        self._next_id = len(snapshot.arrays["scopes.latencies"])
        self._next_tool = len(snapshot.arrays.get("scopes.tool_latencies", ()))
        self._next_row = len(snapshot.arrays["rings.minute"])
        by_id: dict[int, ScopeRecord] = {}
        names = ("scope", "id", "first_seen_ns", "last_seen_ns", "found_running")
        for number, scope_id, first_ns, last_ns, found_running in zip(
            *(snapshot.whole(f"scopes.{name}") for name in names), strict=True
        ):
            scope = snapshot.scope(number)
            assert scope is not None
            record = ScopeRecord(scope_id, scope, first_ns, last_ns, bool(found_running))
            self.records[scope] = by_id[scope_id] = record
        measures = [Measure(*measure) for measure in snapshot.facts["scopes.measures"]]
        for scope_id, measure, row in snapshot.arrays["scopes.series"].reshape(-1, 3).tolist():
            by_id[scope_id].series[measures[measure]] = row
        self._newcomers = [by_id[scope_id] for scope_id in snapshot.whole("scopes.newcomers")]
        self._free_ids = snapshot.whole("scopes.free_ids")
        self._free_rows = snapshot.whole("scopes.free_rows")
        if self._next_tool:
            self._free_tools = snapshot.whole("scopes.free_tools")
            tools = snapshot.facts["scopes.tool_names"]
            for scope_id, tool, row in snapshot.arrays["scopes.tools"].reshape(-1, 3).tolist():
                by_id[scope_id].tools[tools[tool]] = row
        sizes = dict.fromkeys(self._BY_ID, self._next_id) | {"tool_latencies": self._next_tool}
        for name, size in sizes.items():
            histogram: Histogram = getattr(self, name)
            histogram.reserve(size)
            kept = snapshot.column(f"scopes.{name}", histogram.counts.shape[1:])
            if kept is not None:
                histogram.counts[:size] = kept[:size]
        self.rings.restore(snapshot, self._next_row)

    def pass_minutes(self, minutes: int) -> None:
        """Let a gap pass in every histogram in which nothing was counted."""
        for histogram in (*self._by_id(), self.tool_latencies):
            histogram.pass_minutes(minutes)

    def make_way(self, pinned: set[Scope]) -> list[ScopeRecord]:
        """Evict the least recently seen scopes once 95 % full, down to 90 %; return them.

        Of those last seen at the same time the youngest go first: a flood of new scopes does not
        drive out what was there before it.
        """
        if len(self.records) < 0.95 * self.max_scopes:
            return []
        candidates = sorted(
            (record for record in self.records.values() if record.scope not in pinned),
            key=lambda record: (record.last_seen_ns, -record.first_seen_ns, record.id),
        )
        gone = candidates[: max(0, len(self.records) - int(0.9 * self.max_scopes))]
        self.revision += len(gone)
        for record in gone:
            del self.records[record.scope]
            for row in record.series.values():
                self.rings.clear(row)
                self._free_rows.append(row)
            for histogram in self._by_id():
                histogram.clear(record.id)
            for row in record.tools.values():
                self.tool_latencies.clear(row)
                self._free_tools.append(row)
            self._free_ids.append(record.id)
        self.evicted_scopes += len(gone)
        return gone
