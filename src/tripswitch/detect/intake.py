"""Intake: calls, scores and requests into the rings of every scope they belong to.

Batches move as columns: what Python would do row by row is done here once a leaf (see `leaves`),
of which a batch has few. A call goes to the slot of its end, moved to now when its clock runs
ahead; one that ended longer ago than the rings reach, or lies further in the future, is counted as
skewed, once as a call, and not judged.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from tripswitch.config.detect_sections import Detect
from tripswitch.config.model import Config
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.counted import Batch, Counted, count
from tripswitch.detect.leaks import Leaks
from tripswitch.detect.leaves import NOWHERE, UNMADE, WIDTHS, Leaves
from tripswitch.detect.named import named_rows
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
from tripswitch.windows.histogram import Histogram
from tripswitch.windows.rings import Floats
from tripswitch.windows.scopes import Measure, Scopes

# Beyond any agent's longest run, and its square far from what a float can hold.
_MOST_TOKENS: Final = 1e8
_MOST_DOLLARS: Final = 1e5

_PLACES: Final = {measure: place for place, measure in enumerate(FIXED)}


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
        values = _Values()
        ids = counted.ids()
        self._take_calls(calls, counted, of_calls, ids, values)
        self._take_requests(requests, counted, of_requests, ids, values)
        rows, index = self._rows_of(values, counted, config.detect)
        of_rubrics = self._score_rows(scores, counted, of_scores, config.detect)
        counted.refused[of_scores] = of_rubrics[:, 0] == NOWHERE
        badness = 1.0 - scores.score[counted.rows[of_scores]]
        of_leaks = self.leaks.take(scores, counted, of_scores, badness, self.leaves, config.detect)
        of_tools, refused = take_tools(self.leaves, calls, counted, of_calls, config.detect)
        self.refused_tools += refused
        self._add(
            np.concatenate([rows, of_rubrics, of_leaks.rows, of_tools.rows]),
            np.concatenate(
                [
                    counted.moment_ns[index],
                    counted.moment_ns[of_scores],
                    counted.moment_ns[of_leaks.index],
                    counted.moment_ns[of_tools.index],
                ]
            ),
            np.concatenate([*values.values, badness, of_leaks.values, of_tools.values]),
        )
        return counted

    def forget(self, scope: Scope) -> None:
        """Drop what is remembered of scopes that ``scope``, which made way, belongs to."""
        self.leaves.forget(scope)

    def _take_calls(
        self, calls: Calls, counted: Counted, kind: slice, ids: IntColumn, values: _Values
    ) -> None:
        """Take chat calls and, of those that were answered, refusals and first tokens."""
        rows, codes = counted.rows[kind], counted.codes[kind]
        if not len(rows):
            return
        values.put(CALLS, np.arange(kind.start, kind.stop), np.ones(len(rows)))
        answered = np.array([error is None for error in calls.error_class], dtype=np.bool_)
        chosen = answered[rows].nonzero()[0]
        refused = np.array(calls.refusal, dtype=np.bool_)[rows[chosen]]
        values.put(REFUSAL, chosen + kind.start, refused.astype(np.float64))
        tells = any(calls.refusal_kind) or any(
            leaf is not None and leaf.family.tells_refusals_apart for leaf in counted.leaves
        )
        if tells and calls.refusal_kind:
            _put_refusals_apart(calls, counted, chosen + kind.start, refused, values)
        if len(calls.ttft):
            ttft = calls.ttft[rows[chosen]]
            said = (ttft >= 0).nonzero()[0]
            self.scopes.first_tokens.add_widely(ids[codes[chosen[said]]], ttft[said])
            _put_slow(TTFT, counted, chosen[said] + kind.start, ttft[said], values)

    def _take_requests(
        self, requests: Requests, counted: Counted, kind: slice, ids: IntColumn, values: _Values
    ) -> None:
        """Take closed requests: errors, latency, tokens by success."""
        rows, codes = counted.rows[kind], counted.codes[kind]
        if not len(rows):
            return
        of_each = ids[codes]
        error = np.array(requests.error, dtype=np.bool_)[rows]
        values.put(ERROR, np.arange(kind.start, kind.stop), error.astype(np.float64))
        answered = (~error).nonzero()[0]
        latency = requests.latency[rows[answered]]
        self.scopes.latencies.add_widely(of_each[answered], latency)
        _put_slow(SLOW, counted, answered + kind.start, latency, values)

        tokens = requests.tokens[rows]
        absurd = tokens > _MOST_TOKENS
        if absurd.any():
            self.refused_tokens += int(np.count_nonzero(of_each[absurd] != NOWHERE))
            tokens = np.where(absurd, np.nan, tokens)
        success = np.array(requests.success, dtype=np.bool_)[rows]
        _add_spent(self.scopes.tokens, of_each, tokens)
        _put_spent(TOKENS, counted, kind, tokens, error, success, values)
        cost = requests.cost_usd[rows]
        unpriced = np.isnan(cost) & ~np.isnan(tokens)
        self.unpriced_requests += int(np.count_nonzero(unpriced))
        absurd = cost > _MOST_DOLLARS
        self.refused_costs += int(np.count_nonzero(of_each[absurd] != NOWHERE))
        cost = np.where(absurd, np.nan, cost)
        # Of tokens without a price nobody knows what they cost, also when the request failed.
        is_free = error & ~unpriced & ~absurd
        _add_spent(self.scopes.costs, of_each, cost)
        _put_spent(COST, counted, kind, cost, is_free, success, values)

    def _rows_of(
        self, values: _Values, counted: Counted, detect: Detect
    ) -> tuple[IntColumn, IntColumn]:
        """Return the ring rows of ``values``, shape (N, WIDTHS), and their place in ``counted``."""
        index = np.concatenate([_NONE, *values.index])
        sizes = [len(part) for part in values.index]
        place = np.repeat(np.array(values.places, dtype=np.int64), sizes)
        codes = counted.codes[index]
        rows = counted.fixed()[codes, place]
        unmade = (rows[:, 0] == UNMADE).nonzero()[0]
        if len(unmade):
            pairs = zip(place[unmade].tolist(), codes[unmade].tolist(), strict=True)
            for one_place, code in dict.fromkeys(pairs):
                leaf = counted.leaves[code]
                assert leaf is not None
                self.leaves.make(leaf, one_place, detect)
            rows = counted.fixed()[codes, place]
        return rows, index

    def _score_rows(
        self, scores: Scores, counted: Counted, kind: slice, detect: Detect
    ) -> IntColumn:
        """Return the ring rows of the scores, shape (N, WIDTHS)."""
        known: dict[tuple[str, str], Measure] = {}
        measures = []
        for row in counted.rows[kind].tolist():
            named = (scores.signal[row], scores.rubric[row])
            measure = known.get(named)
            if measure is None:
                measure = known[named] = Measure(named[0], named[1] or None)
            measures.append(measure)
        rows, refused = named_rows(self.leaves, counted, counted.codes[kind], measures, detect)
        self.refused_rubrics += refused
        return rows

    def _add(self, rows: IntColumn, moments_ns: IntColumn, values: Floats) -> None:
        flat = rows.ravel()
        there = (flat != NOWHERE).nonzero()[0]
        each = there // WIDTHS
        minutes = moments_ns // NS_PER_MINUTE
        self.scopes.rings.add(flat[there], minutes[each], values[each])


class _Values:
    """Values of fixed measures, collected until all of a batch are there.

    One entry a measure: its place in `FIXED`, and for each value its position in `Counted`.
    """

    def __init__(self) -> None:
        self.places: list[int] = []
        self.index: list[IntColumn] = []
        self.values: list[Floats] = []

    def put(self, measure: Measure, index: IntColumn, values: Floats) -> None:
        self.places.append(_PLACES[measure])
        self.index.append(index)
        self.values.append(values)


_NONE: Final[IntColumn] = np.zeros(0, dtype=np.int64)


def _put_refusals_apart(
    calls: Calls,
    counted: Counted,
    index: IntColumn,
    refused: npt.NDArray[np.bool_],
    values: _Values,
) -> None:
    """Put refusals that were wrong, and those that were right, of the answers where one can tell.

    A family takes part from its first refusal on that an evaluation called one or the other.
    """
    sorts = [calls.refusal_kind[row] for row in counted.rows[index].tolist()]
    told = np.array([sort in ("legitimate", "illegitimate") for sort in sorts], dtype=np.bool_)
    for code in dict.fromkeys(counted.codes[index[told]].tolist()):
        leaf = counted.leaves[code]
        assert leaf is not None
        leaf.family.tells_refusals_apart = True
    tells = [leaf is not None and leaf.family.tells_refusals_apart for leaf in counted.leaves]
    takes_part = np.array(tells, dtype=np.bool_)[counted.codes[index]] & (told | ~refused)
    for measure, wanted in ((WRONG_REFUSAL, "illegitimate"), (RIGHT_REFUSAL, "legitimate")):
        is_it = np.array([sort == wanted for sort in sorts], dtype=np.float64)
        values.put(measure, index[takes_part], is_it[takes_part])


def _put_slow(
    measure: Measure, counted: Counted, index: IntColumn, latency: Floats, values: _Values
) -> None:
    """Put whether each is slow by the family's yardstick; nothing where there is none yet."""
    limit = counted.yardsticks(measure)[1][counted.codes[index]]
    known = (~np.isnan(limit)).nonzero()[0]
    values.put(measure, index[known], (latency[known] > limit[known]).astype(np.float64))


def _put_spent(
    measure: Measure,
    counted: Counted,
    kind: slice,
    spent: Floats,
    is_free: npt.NDArray[np.bool_],
    success: npt.NDArray[np.bool_],
    values: _Values,
) -> None:
    """Put what every request of ``kind`` spent, raw and as badness; NaN where nobody said.

    What ``is_free`` spent nothing where it does not say: a failure. Any other that did not say is
    left out.
    """
    unsaid = np.isnan(spent)
    said = (is_free | ~unsaid).nonzero()[0]
    amount, succeeded = np.where(unsaid, 0.0, spent)[said], success[said]
    position = said + kind.start
    codes = counted.codes[position]
    raw, of_success = RATIOS[measure]
    values.put(raw, position, amount)
    values.put(of_success, position[succeeded], amount[succeeded])
    # As `Yardstick.badness`.
    usual, limit = (column[codes] for column in counted.yardsticks(measure))
    badness = (np.minimum(amount, limit) + np.where(succeeded, 0.0, usual)) / (limit + usual)
    known = (~np.isnan(badness)).nonzero()[0]
    values.put(measure, position[known], badness[known])


def _add_spent(histogram: Histogram, ids: IntColumn, spent: Floats) -> None:
    """Count in all its scopes what each request spent, where it did."""
    histogram.add_widely(ids, np.where(spent > 0, spent, np.nan))
