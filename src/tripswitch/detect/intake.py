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
from tripswitch.detect.counted import Batch, Counted, count
from tripswitch.detect.leaves import NOWHERE, UNMADE, WIDTHS, Leaves
from tripswitch.detect.signals import (
    CALLS,
    ERROR,
    FIXED,
    REFUSAL,
    SLOW,
    TOKENS,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    eval_measure,
)
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

_PLACES: Final = {measure: place for place, measure in enumerate(FIXED)}


class Intake:
    """Adds batches to the rings; one instance an engine."""

    def __init__(self, scopes: Scopes, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.leaves = Leaves(scopes, comparisons)
        self.skewed = 0
        self.refused_rubrics = 0
        self.refused_tokens = 0

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
        _take_calls(calls, counted, of_calls, values)
        self._take_requests(requests, counted, of_requests, values)
        rows, index = self._rows_of(values, counted, config.detect)
        of_rubrics = self._rubric_rows(scores, counted, of_scores, config.detect)
        counted.refused[of_scores] = of_rubrics[:, 0] == NOWHERE
        badness = 1.0 - scores.score[counted.rows[of_scores]]
        self._add(
            np.concatenate([rows, of_rubrics]),
            np.concatenate([counted.moment_ns[index], counted.moment_ns[of_scores]]),
            np.concatenate([*values.values, badness]),
        )
        return counted

    def forget(self, scope: Scope) -> None:
        """Drop what is remembered of scopes that ``scope``, which made way, belongs to."""
        self.leaves.forget(scope)

    def _take_requests(
        self, requests: Requests, counted: Counted, kind: slice, values: _Values
    ) -> None:
        """Take closed requests: errors, latency, tokens by success."""
        rows, codes = counted.rows[kind], counted.codes[kind]
        if not len(rows):
            return
        ids = counted.ids()[codes]
        error = np.array(requests.error, dtype=np.bool_)[rows]
        values.put(ERROR, np.arange(kind.start, kind.stop), error.astype(np.float64))
        answered = (~error).nonzero()[0]
        latency = requests.latency[rows[answered]]
        _add_widely(self.scopes.latencies, ids[answered], latency)
        slow_s = counted.by_yardstick(lambda yardstick: yardstick.slow_s)[codes[answered]]
        known = (~np.isnan(slow_s)).nonzero()[0]
        is_slow = latency[known] > slow_s[known]
        values.put(SLOW, answered[known] + kind.start, is_slow.astype(np.float64))

        tokens = requests.tokens[rows]
        absurd = tokens > _MOST_TOKENS
        if absurd.any():
            self.refused_tokens += int(np.count_nonzero(ids[absurd] != NOWHERE))
            tokens = np.where(absurd, np.nan, tokens)
        unsaid = np.isnan(tokens)
        # A failure that cost nothing is a request without tokens; a success that did not say is
        # left out.
        said = (error | ~unsaid).nonzero()[0]
        tokens = np.where(unsaid, 0.0, tokens)[said]
        success = np.array(requests.success, dtype=np.bool_)[rows[said]]
        some = (tokens > 0).nonzero()[0]
        _add_widely(self.scopes.tokens, ids[said[some]], tokens[some])
        position = said + kind.start
        values.put(TOKENS_RAW, position, tokens)
        values.put(TOKENS_OF_SUCCESS, position[success], tokens[success])
        # As `Yardstick.token_badness`.
        cap = counted.by_yardstick(lambda yardstick: yardstick.token_cap)[codes[said]]
        usual = counted.by_yardstick(lambda one: one.tokens_per_success)[codes[said]]
        badness = (np.minimum(tokens, cap) + np.where(success, 0.0, usual)) / (cap + usual)
        known = (~np.isnan(badness)).nonzero()[0]
        values.put(TOKENS, position[known], badness[known])

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

    def _rubric_rows(
        self, scores: Scores, counted: Counted, kind: slice, detect: Detect
    ) -> IntColumn:
        """Return the ring rows of the scores, shape (N, WIDTHS)."""
        rubrics = [scores.rubric[row] for row in counted.rows[kind].tolist()]
        pairs: dict[tuple[int, str], int] = {}
        numbers = [
            pairs.setdefault(pair, len(pairs))
            for pair in zip(counted.codes[kind].tolist(), rubrics, strict=True)
        ]
        rows = np.full((len(pairs), WIDTHS), NOWHERE)
        refused = np.zeros(len(pairs), dtype=np.int64)
        for (code, rubric), number in pairs.items():
            leaf = counted.leaves[code]
            assert leaf is not None
            found = self.leaves.of_rubric(leaf, eval_measure(rubric), detect)
            rows[number] = found
            refused[number] = found[: len(leaf.records)].count(NOWHERE)
        of_score = np.array(numbers, dtype=np.int64)
        self.refused_rubrics += int(refused[of_score].sum())
        return rows[of_score]

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


def _take_calls(calls: Calls, counted: Counted, kind: slice, values: _Values) -> None:
    """Take chat calls and, of those that were answered, the refusals."""
    rows = counted.rows[kind]
    if not len(rows):
        return
    values.put(CALLS, np.arange(kind.start, kind.stop), np.ones(len(rows)))
    answered = np.array([error is None for error in calls.error_class], dtype=np.bool_)
    chosen = answered[rows].nonzero()[0]
    refused = np.array(calls.refusal, dtype=np.bool_)[rows[chosen]]
    values.put(REFUSAL, chosen + kind.start, refused.astype(np.float64))


def _add_widely(histogram: Histogram, ids: IntColumn, values: Floats) -> None:
    """Count each of ``values`` in all its scopes; ``ids`` is of shape (N, WIDTHS)."""
    flat = ids.ravel()
    there = (flat != NOWHERE).nonzero()[0]
    histogram.add(flat[there], values[there // WIDTHS])
