"""Which range an evaluation's scores have: configured, or learnt from its scores.

No convention defines a range. It is never guessed from one value, since a rater of 1 to 5 gives a 1
too. What decides:

- a score strictly between 0 and 1, all others inside 0..1: the range is 0..1, at once;
- a score of 0 or 1 with a label that says the same (1 and "pass"): 0..1, at once;
- otherwise, after `_ENOUGH` scores, the smallest usual range that holds all of them: 0..1, 1..5
  and 0..5 for whole numbers, 0..10, 0..100, -1..1.

Until then a score is kept as it came and judged by nothing. A range grows when a score falls
outside it and never shrinks. Source: `docs/explanation` of score ranges; the usual ranges are those
of the evaluation libraries read.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

_ENOUGH: Final = 50
# Evaluations have few names; a hostile sender as many as it likes.
_MAX_NAMES: Final = 1024


class ScoreRange(NamedTuple):
    """The lowest and the highest score, and whether it was learnt from the scores."""

    low: float
    high: float
    is_learnt: bool = True


@dataclass(slots=True)
class _Learnt:
    samples: int = 0
    lowest: float = float("inf")
    highest: float = float("-inf")
    only_whole: bool = True
    is_unit: bool = False


class ScoreRanges:
    """Learns the range of every evaluation by name; `get` gives None while it is not known."""

    def __init__(self, state: dict[str, dict[str, Any]] | None = None) -> None:
        self._learnt = {name: _Learnt(**kept) for name, kept in (state or {}).items()}

    def state(self) -> dict[str, dict[str, Any]]:
        """Return what was learnt as plain values, to be given to the next instance."""
        return {name: asdict(learnt) for name, learnt in self._learnt.items()}

    def update(self, name: str, score: float, label_agrees: bool | None) -> None:
        """Learn from one score; ``label_agrees`` says that its label means the same as a 0 or 1."""
        learnt = self._learnt.get(name)
        if learnt is None:
            if len(self._learnt) >= _MAX_NAMES:
                return
            learnt = self._learnt[name] = _Learnt()
        learnt.samples += 1
        learnt.lowest = min(learnt.lowest, score)
        learnt.highest = max(learnt.highest, score)
        learnt.only_whole = learnt.only_whole and float(score).is_integer()
        if (0 < score < 1) or (score in (0, 1) and label_agrees):
            learnt.is_unit = True

    def get(self, name: str) -> ScoreRange | None:
        """Return the range of an evaluation's scores, if it is known."""
        learnt = self._learnt.get(name)
        if learnt is None:
            return None
        if learnt.is_unit and learnt.lowest >= 0 and learnt.highest <= 1:
            return ScoreRange(0.0, 1.0)
        if learnt.samples < _ENOUGH:
            return None
        return _smallest_usual(learnt)

    def known(self) -> dict[str, ScoreRange]:
        """Return every learnt range by name."""
        found = {name: self.get(name) for name in self._learnt}
        return {name: learnt for name, learnt in found.items() if learnt is not None}


def _smallest_usual(learnt: _Learnt) -> ScoreRange | None:
    low, high = learnt.lowest, learnt.highest
    if low < 0:
        return ScoreRange(-1.0, 1.0) if low >= -1 and high <= 1 else None
    if high <= 1:
        return ScoreRange(0.0, 1.0)
    if high <= 5 and learnt.only_whole:
        return ScoreRange(1.0 if low >= 1 else 0.0, 5.0)
    if high <= 10:
        return ScoreRange(0.0, 10.0)
    return ScoreRange(0.0, 100.0) if high <= 100 else None
