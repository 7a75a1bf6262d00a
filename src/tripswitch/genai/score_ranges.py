"""Which range an evaluation's scores have, learnt from the scores where nobody configured it.

No convention defines a range, and a 1 may be the best of 0..1 or the worst of 1..5. What settles
it, by the evaluation's name:

- at once: a fraction strictly between 0 and 1 (0..1), a fraction between -1 and 0 (-1..1), or a 0
  or 1 whose label says the same (1 and "pass") or that was sent as a boolean;
- after `_ENOUGH_OF_BOTH` scores: nothing but 0 and 1, and both of them (0..1);
- after `_ENOUGH` scores: the smallest usual range that holds all of them: 0..1, 1..5, 0..5, 0..10,
  0..100, -1..1. Where none does, the range stays unknown.

So the rubric that gives fractions, as most do, counts from its first score on; one that gives whole
numbers from its tenth or fiftieth. Until then a score is kept as it came and judged by nothing.

A settled range holds against what lies outside: one evaluator that answers -1 or 999 for "cannot
say" must not squeeze everybody's scores into a corner and look like a drift. It is given up for the
next usual one that holds them all when of `_ENOUGH` scores at least `_FEW` lie outside and differ
among themselves. A range that changed says so (``revision``), since scores before and after it do
not compare.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENOUGH: Final = 50
_ENOUGH_OF_BOTH: Final = 10
_FEW: Final = 3
# Evaluations have few names; a hostile sender as many as it likes.
MAX_NAMES: Final = 1024


class ScoreRange(NamedTuple):
    """The lowest and the highest score; whether that was learnt, and how often it was revised."""

    low: float
    high: float
    is_learnt: bool = True
    revision: int = 0


_UNIT: Final = (0.0, 1.0)
_BOTH_SIGNS: Final = (-1.0, 1.0)
# The usual ranges, smallest first; of two that hold all scores the first is taken.
_USUAL: Final = ((0.0, 1.0), (1.0, 5.0), (0.0, 5.0), (0.0, 10.0), (0.0, 100.0), (-1.0, 1.0))


@dataclass(slots=True)
class _Learnt:
    """What is known of one evaluation; plain values only.

    ``lowest`` and ``highest`` are of all scores that counted. ``low`` and ``high`` are the settled
    range, None before. ``window`` counts the scores since the last look at what lies ``outside``.
    """

    samples: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")
    is_binary: bool = True
    low: float | None = None
    high: float | None = None
    revision: int = 0
    window: int = 0
    outside: int = 0
    lowest_outside: float = float("inf")
    highest_outside: float = float("-inf")

    def learn(self, score: float, *, is_unit: bool) -> None:
        """Take one score before the range is settled; settle it if that is enough."""
        self.samples += 1
        self._extend(score)
        self.is_binary = self.is_binary and score in (0, 1)
        if self.lowest >= 0 and self.highest <= 1:
            has_both = self.is_binary and self.lowest == 0 and self.highest == 1
            if is_unit or 0 < score < 1 or (has_both and self.samples >= _ENOUGH_OF_BOTH):
                self.low, self.high = _UNIT
                return
        elif -1 < score < 0 and self.lowest >= -1 and self.highest <= 1:
            self.low, self.high = _BOTH_SIGNS
            return
        found = _smallest_usual(self.lowest, self.highest)
        if self.samples >= _ENOUGH and found is not None:
            self.low, self.high = found

    def watch(self, score: float) -> None:
        """Take one score after the range is settled; revise it if too much lies outside."""
        assert self.low is not None
        assert self.high is not None
        self.window += 1
        if self.low <= score <= self.high:
            self._extend(score)
        else:
            self.outside += 1
            self.lowest_outside = min(self.lowest_outside, score)
            self.highest_outside = max(self.highest_outside, score)
            if self.outside >= _FEW and self.lowest_outside < self.highest_outside:
                self._revise()
        if self.window >= _ENOUGH:
            self.window = self.outside = 0
            self.lowest_outside, self.highest_outside = float("inf"), float("-inf")

    def range(self) -> ScoreRange | None:
        """Return the range that is settled, None before."""
        if self.low is None or self.high is None:
            return None
        return ScoreRange(self.low, self.high, revision=self.revision)

    def _revise(self) -> None:
        lowest = min(self.lowest, self.lowest_outside)
        highest = max(self.highest, self.highest_outside)
        found = _smallest_usual(lowest, highest)
        if found is not None:
            self.lowest, self.highest = lowest, highest
            self.low, self.high = found
            self.revision += 1
            self.window = _ENOUGH

    def _extend(self, score: float) -> None:
        if score < self.lowest:
            self.lowest = score
        if score > self.highest:
            self.highest = score


class ScoreRanges:
    """Learns the range of every evaluation by name; `get` gives None while it is not known.

    Nothing is learnt of names beyond the first `MAX_NAMES`.
    """

    def __init__(self, state: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._learnt: dict[str, _Learnt] = {}
        # Of those that are settled what is learnt, and the range as `_Learnt.range` gives it.
        self._settled: dict[str, tuple[_Learnt, ScoreRange]] = {}
        self.restore(state or {})

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what was learnt as plain values, to be given to the next instance."""
        return {name: asdict(learnt) for name, learnt in self._learnt.items()}

    def restore(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Know again what `state` returned."""
        for name, kept in state.items():
            restored = _restored(kept)
            if restored is not None and len(self._learnt) < MAX_NAMES:
                self._learnt[name] = restored
                self._note(name, restored)

    def update(self, name: str, score: float, *, is_unit: bool = False) -> ScoreRange | None:
        """Learn from one finite score, and return the range that holds now.

        ``is_unit`` says that what came with the score leaves only 0..1: a label that means the same
        as the 0 or 1, a boolean, a thumb.
        """
        settled = self._settled.get(name)
        if settled is None:
            learnt = self._learnt.get(name)
            if learnt is None:
                if len(self._learnt) >= MAX_NAMES:
                    return None
                learnt = self._learnt[name] = _Learnt()
            learnt.learn(score, is_unit=is_unit)
            return self._note(name, learnt)
        learnt, known = settled
        if learnt.lowest <= score <= learnt.highest and learnt.window < _ENOUGH - 1:
            # What most scores do, as `watch` has it: they lie where others lay.
            learnt.window += 1
            return known
        learnt.watch(score)
        return self._note(name, learnt)

    def get(self, name: str) -> ScoreRange | None:
        """Return the range of an evaluation's scores, if it is known."""
        settled = self._settled.get(name)
        return None if settled is None else settled[1]

    def known(self) -> dict[str, ScoreRange]:
        """Return every learnt range by name."""
        return {name: self._settled[name][1] for name in self._learnt if name in self._settled}

    def _note(self, name: str, learnt: _Learnt) -> ScoreRange | None:
        """Return the range that is settled now, and keep it."""
        found = learnt.range()
        if found is not None:
            self._settled[name] = (learnt, found)
        return found


def _smallest_usual(lowest: float, highest: float) -> tuple[float, float] | None:
    return next((usual for usual in _USUAL if usual[0] <= lowest and highest <= usual[1]), None)


def _restored(kept: Mapping[str, Any]) -> _Learnt | None:
    """Return what an instance knew; None for what is no such thing, from another version say."""
    known = {field.name for field in fields(_Learnt)}
    if not isinstance(kept, dict) or not kept.keys() <= known:
        return None
    if not all(value is None or isinstance(value, int | float) for value in kept.values()):
        return None
    return _Learnt(**kept)
