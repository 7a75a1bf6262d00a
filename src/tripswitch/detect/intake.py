"""Intake: calls, scores and requests into the rings of every scope they belong to.

Batches move as columns: what Python would do row by row is done here once a leaf (see `leaves`),
of which a batch has few. A call goes to the slot of its end, moved to now when its clock runs
ahead; one that ended longer ago than the rings reach, or lies further in the future, is counted as
skewed, once as a call, and not judged.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.counted import MEASURED, Batch, Counted, Flags, count
from tripswitch.detect.leaks import Leaks
from tripswitch.detect.leaves import NOWHERE, UNMADE, WIDTHS, Leaves
from tripswitch.detect.named import Named, named_rows
from tripswitch.detect.signals import (
    CALLS,
    COST,
    ERROR,
    FIXED,
    RATIOS,
    REFUSAL,
    RIGHT_REFUSAL,
    SLOW,
    TOKENS,
    TTFT,
    WRONG_REFUSAL,
)
from tripswitch.detect.tools import take_tools
from tripswitch.model.calls import Calls, IntColumn
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.windows.rings import Floats
from tripswitch.windows.scopes import Measure, Scopes

# Tokens, and dollars, beyond any agent's longest run; their squares are far from what a float can
# hold.
_MOST: Final[Floats] = np.array([[1e8], [1e5]])

_CALLS, _REFUSAL, _WRONG_REFUSAL, _RIGHT_REFUSAL, _TTFT, _ERROR, _SLOW = map(
    FIXED.index, (CALLS, REFUSAL, WRONG_REFUSAL, RIGHT_REFUSAL, TTFT, ERROR, SLOW)
)


def _places(of_tokens: Measure, of_cost: Measure) -> slice:
    """Return the places of a measure of tokens and of the same one of costs."""
    first, last = FIXED.index(of_tokens), FIXED.index(of_cost)
    return slice(first, last + 1, last - first)


_RAW: Final = _places(*[raw for raw, _ in RATIOS.values()])
_OF_SUCCESS: Final = _places(*[of_success for _, of_success in RATIOS.values()])
_SPENT_BADLY: Final = _places(*RATIOS)
_SPENT: Final = slice(MEASURED.index(TOKENS), MEASURED.index(COST) + 1)


class Intake:
    """Adds batches to the rings; one instance an engine."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.leaves = Leaves(scopes, comparisons)
        self.skewed = 0
        self.refused_rubrics = 0
        self.refused_tokens = 0
        self.refused_costs = 0
        self.refused_tools = 0
        self.unpriced_requests = 0
        self.leaks = Leaks()

    def add(
        self,
        config: Config,
        now_ns: IntColumn,
        *,
        calls: Calls,
        scores: Scores,
        requests: Requests,
    ) -> Counted:
        """Count calls, scores and closed requests, in this order the kinds of what is returned.

        ``now_ns`` holds the time of each OTLP request by request index, never going back.
        """
        is_chat = np.array(calls.is_chat, dtype=np.bool_)
        counted = count(
            [
                Batch(calls.by_scope(), calls.end, calls.request_index, is_chat),
                Batch(scores.scopes, scores.end, scores.request_index),
                Batch(requests.by_scope(), requests.end, requests.request_index),
            ],
            now_ns,
            int(config.windows.max_skew * NS_PER_S),
        )
        of_calls, of_scores, of_requests = counted.kinds
        self.skewed += int(np.count_nonzero(is_chat)) - (of_calls.stop - of_calls.start)
        if not len(counted.rows):
            return counted
        counted.meet(self.leaves)
        # By place in `FIXED`, NaN where a row has no value of a measure.
        values = np.full((len(FIXED), len(counted.rows)), np.nan)
        self._take_calls(calls, counted, of_calls, values)
        self._take_requests(requests, counted, of_requests, values)
        of_fixed = self._fixed(values, counted, config.detect)
        of_rubrics = self._rubrics(scores, counted, of_scores, config.detect)
        of_leaks = self.leaks.take(
            scores, counted, of_scores, of_rubrics.values, self.leaves, config.detect
        )
        of_tools, refused = take_tools(self.leaves, calls, counted, of_calls, config.detect)
        self.refused_tools += refused
        self._add([of_fixed, of_rubrics, of_leaks, of_tools], counted)
        return counted

    def forget(self, scope: Scope) -> None:
        """Drop what is remembered of scopes that ``scope``, which made way, belongs to."""
        self.leaves.forget(scope)

    def _take_calls(self, calls: Calls, counted: Counted, kind: slice, values: Floats) -> None:
        """Take chat calls and, of those that were answered, refusals and first tokens."""
        rows = counted.rows[kind]
        if not len(rows):
            return
        answered = np.array([error is None for error in calls.error_class], dtype=np.bool_)
        refused = np.array(calls.refusal, dtype=np.bool_)
        answered, refused = answered.take(rows), refused.take(rows)
        values[_CALLS, kind] = 1.0
        values[_REFUSAL, kind] = np.where(answered, refused, np.nan)
        if calls.refusal_kind and _tells_any_apart(calls, counted):
            _put_refusals_apart(calls, counted, kind, answered, refused, values)
        if len(calls.ttft):
            ttft = calls.ttft.take(rows)
            said = answered & (ttft >= 0)
            if said.any():
                ttft = np.where(said, ttft, np.nan)
                self.scopes.first_tokens.add_widely(counted.ids(kind), ttft)
                values[_TTFT, kind] = _above(ttft, counted.limit(TTFT, kind))

    def _take_requests(
        self, requests: Requests, counted: Counted, kind: slice, values: Floats
    ) -> None:
        """Take closed requests: errors, latency, tokens and cost by success."""
        rows = counted.rows[kind]
        if not len(rows):
            return
        ids = counted.ids(kind)
        error = np.array(requests.error, dtype=np.bool_).take(rows)
        success = np.array(requests.success, dtype=np.bool_).take(rows)
        latency = np.where(error, np.nan, requests.latency.take(rows))
        values[_ERROR, kind] = error
        values[_SLOW, kind] = _above(latency, counted.limit(SLOW, kind))
        self.scopes.latencies.add_widely(ids, latency)

        # Tokens, then costs.
        spent = np.array([requests.tokens, requests.cost_usd]).take(rows, axis=1)
        absurd = spent > _MOST
        if absurd.any():
            spent[absurd] = np.nan
            refused = np.count_nonzero((ids != NOWHERE) & absurd[:, :, None], axis=(1, 2))
            self.refused_tokens += int(refused[0])
            self.refused_costs += int(refused[1])
        unsaid = np.isnan(spent)
        # Of tokens without a price nobody knows what they cost, also when the request failed.
        unknown = unsaid[1] & (absurd[1] | ~unsaid[0])
        self.unpriced_requests += int(np.count_nonzero(unknown & ~absurd[1]))
        for histogram, of_each in zip((self.scopes.tokens, self.scopes.costs), spent, strict=True):
            some = of_each > 0
            if some.any():
                histogram.add_widely(ids, np.where(some, of_each, np.nan))
        # A failure spent nothing where it does not say; any other that did not say is left out.
        is_free = np.array([error, error & ~unknown])
        amount = np.where(unsaid & is_free, 0.0, spent)
        values[_RAW, kind] = amount
        values[_OF_SUCCESS, kind] = np.where(success, amount, np.nan)
        # As `Yardstick.badness`.
        codes = counted.codes[kind]
        usual = counted.usual[_SPENT].take(codes, axis=1)
        limit = counted.limits[_SPENT].take(codes, axis=1)
        badness = np.minimum(amount, limit) + np.where(success, 0.0, usual)
        values[_SPENT_BADLY, kind] = badness / (limit + usual)

    def _fixed(self, values: Floats, counted: Counted, detect: Detect) -> Named:
        """Return what there is of ``values`` with its ring rows."""
        size = values.shape[1]
        there = (values == values).reshape(-1).nonzero()[0]
        place = there // size
        index = there - place * size
        codes = counted.codes.take(index)
        rows_at = codes * len(FIXED) + place
        rows = counted.fixed().take(rows_at, axis=0)
        unmade = (rows[:, 0] == UNMADE).nonzero()[0]
        if len(unmade):
            pairs = zip(place[unmade].tolist(), codes[unmade].tolist(), strict=True)
            for one_place, code in dict.fromkeys(pairs):
                leaf = counted.leaves[code]
                assert leaf is not None
                self.leaves.make(leaf, one_place, detect)
            rows = counted.fixed().take(rows_at, axis=0)
        return Named(rows, index, values.reshape(-1).take(there))

    def _rubrics(self, scores: Scores, counted: Counted, kind: slice, detect: Detect) -> Named:
        """Return the badness of scores with its ring rows, of those too that have no room."""
        at = counted.rows[kind]
        if not len(at):
            return Named.nothing()
        known: dict[tuple[str, str], int] = {}
        names = zip(scores.signal, scores.rubric, strict=True)
        numbers = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
        measures = [Measure(signal, rubric or None) for signal, rubric in known]
        rows, refused = named_rows(
            self.leaves, counted, counted.codes[kind], measures, numbers.take(at), detect
        )
        self.refused_rubrics += refused
        counted.refused[kind] = rows[:, 0] == NOWHERE
        return Named(rows, np.arange(kind.start, kind.stop), 1.0 - scores.score.take(at))

    def _add(self, parts: list[Named], counted: Counted) -> None:
        """Add values to the rings, those that have room."""
        some = [part for part in parts if len(part.index)]
        flat = np.concatenate([part.rows for part in some]).reshape(-1)
        minutes = counted.moment_ns // NS_PER_MINUTE
        minutes = minutes.take(np.concatenate([part.index for part in some]))
        values = np.concatenate([part.values for part in some])
        there = (flat != NOWHERE).nonzero()[0]
        each = there // WIDTHS
        self.scopes.rings.add(flat.take(there), minutes.take(each), values.take(each))


def _tells_any_apart(calls: Calls, counted: Counted) -> bool:
    return (
        "legitimate" in calls.refusal_kind
        or "illegitimate" in calls.refusal_kind
        or any(leaf is not None and leaf.family.tells_refusals_apart for leaf in counted.leaves)
    )


def _put_refusals_apart(
    calls: Calls,
    counted: Counted,
    kind: slice,
    answered: Flags,
    refused: Flags,
    values: Floats,
) -> None:
    """Put refusals that were wrong, and those that were right, of the answers where one can tell.

    A family takes part from its first refusal on that an evaluation called one or the other.
    """
    sorts = [calls.refusal_kind[row] for row in counted.rows[kind].tolist()]
    told = np.array([sort in ("legitimate", "illegitimate") for sort in sorts], dtype=np.bool_)
    codes = counted.codes[kind]
    for code in dict.fromkeys(codes[answered & told].tolist()):
        leaf = counted.leaves[code]
        assert leaf is not None
        leaf.family.tells_refusals_apart = True
    tells = [leaf is not None and leaf.family.tells_refusals_apart for leaf in counted.leaves]
    takes_part = answered & np.array(tells, dtype=np.bool_).take(codes) & (told | ~refused)
    for place, wanted in ((_WRONG_REFUSAL, "illegitimate"), (_RIGHT_REFUSAL, "legitimate")):
        is_it = np.array([sort == wanted for sort in sorts], dtype=np.bool_)
        values[place, kind] = np.where(takes_part, is_it, np.nan)


def _above(numbers: Floats, limits: Floats) -> Floats:
    """Return 1 for each number above its limit, 0 for any other, NaN where either is NaN."""
    return np.heaviside(numbers - limits, 0.0)
