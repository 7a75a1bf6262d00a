"""Traffic: fewer calls of a route than at this minute of the week in the weeks before.

What is expected is the mean of the same quarter of an hour in earlier weeks, smoothed over its
neighbours, times how much of that the last day brought. Calls come in bursts, so the Poisson bets
are divided by the over-dispersion that was measured (it was 1.6 at 3 calls a minute and 57 at 300).
All versions and cohorts of a route count together: what a rollback moves from one to the other is
no drop. Until two weeks are known nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.detect.evidence import MINUTES_A_MONTH
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.rings import Floats, Rows

QUARTERS_A_WEEK: Final = 7 * 24 * 4
RHOS: Final[Floats] = np.array([0.6, 0.3, 0.08])
"""The bets: so much of the null's traffic is left."""
NULL_SHARE: Final = 0.65
FEWEST_WEEKS: Final = 2
_MINUTES_KEPT: Final = 60
_STILL_MINUTES: Final = 5
_DAY: Final = 1 - 1 / 1440
_CEILING: Final = 1e12
_SUSPICIOUS: Final = 0.1
_CAP_MINUTES: Final = 3
_SHRINK_MINUTES: Final = 120
# Until the over-dispersion has been seen for a while, nobody knows what a drop is.
FEWEST_SEEN: Final = 240
_LEVELS: Final = (0.1, 10.0)


@dataclass(frozen=True, slots=True)
class Drop:
    """One route's drop: calls and what was expected over ``minutes``, evidence and onset minute."""

    scope: Scope
    calls: float
    expected: float
    minutes: int
    evidence: float
    onset_minute: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of one route: calls and what was expected over ``minutes``, and the evidence.

    ``weeks`` went into what is expected now, ``minutes_seen`` into the over-dispersion ``spread``;
    ``is_known`` says that both are enough.
    """

    calls: float
    expected: float
    minutes: int
    evidence: float
    weeks: int
    minutes_seen: float
    spread: float
    is_known: bool


class TrafficWatch:
    """Expected traffic and evidence by family, all of them side by side; R families at most.

    ``table`` (R, 672) holds calls a minute by quarter of the week, ``weeks`` how many went in.
    3.5 kB a family.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.refused = 0
        self.rows: dict[Scope, int] = {}
        self._free: list[int] = []
        self._arrays = (
            "table",
            "weeks",
            "_state",
            "_bets",
            "_path",
            "_recent",
            "_onset",
            "good_minutes",
        )
        self.table: npt.NDArray[np.float32] = np.zeros((16, QUARTERS_A_WEEK), dtype=np.float32)
        self.weeks: npt.NDArray[np.uint8] = np.zeros((16, QUARTERS_A_WEEK), dtype=np.uint8)
        # Sum and minutes of this quarter, calls and expected calls of the last day, and the sum
        # and weight of the over-dispersion.
        self._state: Floats = np.zeros((16, 6))
        self._bets: Floats = np.zeros((16, len(RHOS)))
        self._path: Floats = np.zeros((16, 2, len(RHOS)))
        self._recent: Floats = np.zeros((16, _MINUTES_KEPT, 2))
        self._onset: Rows = np.zeros((16, len(RHOS)), dtype=np.int64)
        self.good_minutes: Rows = np.zeros(16, dtype=np.int64)

    def row(self, scope: Scope) -> int | None:
        """Return the row of a family, making it when new; None (and counted) when there is none."""
        row = self.rows.get(scope)
        if row is None:
            if len(self.rows) >= self.most:
                self.refused += 1
                return None
            row = self._free.pop() if self._free else len(self.rows)
            self._reserve(row + 1)
            # Minutes passed over it while it was nobody's.
            self._clear(row)
            self.rows[scope] = row
        return row

    def _reserve(self, rows: int) -> None:
        size = len(self.table)
        while rows > size:
            for name in self._arrays:
                old = getattr(self, name)
                grown = np.zeros((2 * size, *old.shape[1:]), dtype=old.dtype)
                grown[:size] = old
                setattr(self, name, grown)
            size *= 2

    def forget(self, scope: Scope) -> None:
        """Drop a family that made way."""
        row = self.rows.pop(scope, None)
        if row is not None:
            self._clear(row)
            self._free.append(row)

    def _clear(self, row: int) -> None:
        for name in self._arrays:
            getattr(self, name)[row] = 0

    def pass_minute(self, minute: int, calls: Floats, *, is_marked: bool, alpha: float) -> None:
        """Take the calls of every row in one absolute minute.

        A marked minute (telemetry was lost, or came from nobody) teaches and proves nothing.
        """
        quarter = minute // 15 % QUARTERS_A_WEEK
        if minute % 15 == 0:
            self._close_quarter((quarter - 1) % QUARTERS_A_WEEK)
        self._recent[:, minute % _MINUTES_KEPT] = 0
        if is_marked:
            return
        expected, known = self._expected(quarter)
        suspicious = self.evidence() >= _SUSPICIOUS
        state, taught = self._state, ~suspicious
        state[:, 0] += np.where(taught, calls, 0.0)
        state[:, 1] += taught
        likely = np.zeros(len(calls))
        if known.any():
            base = np.where(known, expected, 0.0)
            likely = self._weigh(calls, base, known & taught, alpha)
        # The onset is the last minute at which a bet's running sum was at its lowest.
        path, lowest = self._path[:, 0], self._path[:, 1]
        is_lowest = path <= lowest
        np.copyto(lowest, path, where=is_lowest)
        np.copyto(self._onset, minute, where=is_lowest)
        self._recent[:, minute % _MINUTES_KEPT] = np.stack([calls, likely], axis=1)
        last = self._recent[:, (minute - np.arange(_STILL_MINUTES)) % _MINUTES_KEPT].sum(axis=1)
        is_low = last[:, 0] < NULL_SHARE * last[:, 1]
        self.good_minutes = np.where(is_low, 0, self.good_minutes + 1)

    def _weigh(
        self, calls: Floats, base: Floats, learns: npt.NDArray[np.bool_], alpha: float
    ) -> Floats:
        """Weigh the calls of a minute against ``base``, what is usual; return what was likely."""
        # The level of the day and the over-dispersion are learnt only while nothing is suspect.
        # Both are taken before this minute: a centre that includes it biases towards alarms.
        state, likely = self._state, base * self._level(base)
        spread = np.maximum(state[:, 4] / np.maximum(state[:, 5], 1.0), 1.0)
        state[:, 2:4] = np.where(
            learns[:, None], state[:, 2:4] * _DAY + np.stack([calls, base], axis=1), state[:, 2:4]
        )
        surprise = (calls - likely) ** 2 / np.maximum(likely, 1e-9)
        fresh = np.stack([surprise, np.ones(len(calls))], axis=1)
        learns = learns & (likely > 0)
        state[:, 4:6] = np.where(learns[:, None], state[:, 4:6] * _DAY + fresh, state[:, 4:6])
        self._bet(calls, likely, spread, alpha)
        return likely

    def evidence(self) -> Floats:
        """Return E of every row; a crossing at 1."""
        return np.asarray(self._bets.mean(axis=1))

    def drops(self, minute: int, page_share: float, min_expected: float) -> list[Drop]:
        """Return the families whose traffic dropped: both locks, and not over yet."""
        found = []
        loud = (self.evidence() >= 1).nonzero()[0].tolist()
        scopes = {row: scope for scope, row in self.rows.items()} if loud else {}
        for row in loud:
            for minutes in (15, _MINUTES_KEPT):
                calls, expected = self._sums(row, minute, minutes)
                if expected >= min_expected:
                    break
            last_calls, last_expected = self._sums(row, minute, _STILL_MINUTES)
            is_over = last_calls >= NULL_SHARE * last_expected
            if row not in scopes or expected < min_expected or is_over:
                continue
            if calls < page_share * expected:
                evidence = float(self.evidence()[row])
                onset = int(self._onset[row, int(np.argmax(self._bets[row]))])
                found.append(Drop(scopes[row], calls, expected, minutes, evidence, onset))
        return sorted(found, key=lambda drop: tuple(part or "" for part in drop.scope))

    def seen(self, row: int, minute: int, min_expected: float) -> Seen:
        """Return what was seen of a row up to an absolute minute."""
        for minutes in (15, _MINUTES_KEPT):
            calls, expected = self._sums(row, minute, minutes)
            if expected >= min_expected:
                break
        around = (minute // 15 + np.arange(-1, 2)) % QUARTERS_A_WEEK
        weeks = int(self.weeks[row, around].min())
        surprise, minutes_seen = self._state[row, 4:6].tolist()
        return Seen(
            calls,
            expected,
            minutes,
            float(self.evidence()[row]),
            weeks,
            minutes_seen,
            max(surprise / max(minutes_seen, 1.0), 1.0),
            weeks >= FEWEST_WEEKS and minutes_seen >= FEWEST_SEEN,
        )

    def save(self, snapshot: Snapshot) -> None:
        """Put what is expected, and all evidence, into ``snapshot``."""
        size = len(self.rows) + len(self._free)
        snapshot.facts["traffic.rows"] = [
            [snapshot.number(scope), row] for scope, row in self.rows.items()
        ]
        snapshot.facts["traffic.free"] = list(self._free)
        columns = ((name.removeprefix("_"), getattr(self, name)) for name in self._arrays)
        snapshot.put("traffic", columns, size)

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; a column that is not there begins empty."""
        kept = snapshot.facts.get("traffic.rows", ())
        self._free = list(snapshot.facts.get("traffic.free", ()))
        size = len(kept) + len(self._free)
        self._reserve(size)
        for number, row in kept:
            scope = snapshot.scope(number)
            if scope is not None:
                self.rows[scope] = row
        for name in self._arrays:
            column = getattr(self, name)
            found = snapshot.column(f"traffic.{name.removeprefix('_')}", column.shape[1:])
            if found is not None:
                column[:size] = found[:size]

    def lower(self, factor: float) -> None:
        """Lower all evidence, because its budget is smaller now."""
        self._bets *= factor

    def restart(self) -> None:
        """Drop all evidence; what is expected stays."""
        self._bets[:] = self._path[:] = 0.0
        self._onset[:] = self.good_minutes[:] = 0

    def _sums(self, row: int, minute: int, minutes: int) -> tuple[float, float]:
        slots = (minute - np.arange(minutes)) % _MINUTES_KEPT
        calls, expected = self._recent[row, slots].sum(axis=0).tolist()
        return calls, expected

    def _bet(self, calls: Floats, likely: Floats, spread: Floats, alpha: float) -> None:
        some = (likely > 0) & (self._state[:, 5] >= FEWEST_SEEN)
        gain = (calls[:, None] * np.log(RHOS) + (1 - RHOS) * NULL_SHARE * likely[:, None]) / spread[
            :, None
        ]
        inject = alpha / MINUTES_A_MONTH
        gain = np.clip(gain, -700.0, np.log(1 / inject) / _CAP_MINUTES)
        stepped = np.minimum((self._bets + inject) * np.exp(gain), _CEILING)
        self._bets = np.where(some[:, None], stepped, self._bets)
        self._path[:, 0] += np.where(some[:, None], gain, 0.0)

    def _level(self, base: Floats) -> Floats:
        """Return how much of what was expected the last day brought, shrunk to 1 at its start."""
        calls, expected = (self._state[:, column] + _SHRINK_MINUTES * base for column in (2, 3))
        known = expected > 0
        ratio = calls / np.where(known, expected, 1.0)
        return np.where(known, np.clip(ratio, *_LEVELS), 1.0)

    def _expected(self, quarter: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return calls a minute of earlier weeks, and where enough weeks are known."""
        around = (quarter + np.arange(-1, 2)) % QUARTERS_A_WEEK
        mean = self.table[:, around].astype(np.float64) @ np.array([0.25, 0.5, 0.25])
        known = (self.weeks[:, around] >= FEWEST_WEEKS).all(axis=1)
        return mean, np.asarray(known)

    def _close_quarter(self, quarter: int) -> None:
        sums, minutes = self._state[:, 0], self._state[:, 1]
        # A quarter that was mostly not seen says little of its week.
        whole = minutes >= 10
        mean = sums / np.maximum(minutes, 1.0)
        weeks = self.weeks[:, quarter]
        held = self.table[:, quarter]
        learnt = np.where(weeks == 0, mean, (held + mean) / 2)
        self.table[:, quarter] = np.where(whole, learnt, held)
        self.weeks[:, quarter] = np.where(whole, np.minimum(weeks + 1, 250), weeks)
        self._state[:, :2] = 0.0
