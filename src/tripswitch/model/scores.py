"""Scores as columns, for what takes many of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tripswitch.model.calls import FloatColumn, IntColumn, Score, Text
from tripswitch.model.scope import ScopeColumn


@dataclass(slots=True)
class Scores:
    """Scores as columns of equal length, each as in `Score`."""

    trace_id: Sequence[str] = ()
    tenant: Sequence[Text] = ()
    rubric: Sequence[str] = ()
    scopes: ScopeColumn = field(default_factory=lambda: ScopeColumn.of(()))
    score: FloatColumn = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    end: IntColumn = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    request_index: IntColumn = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    signal: Sequence[str] = ()

    @classmethod
    def of(cls, scores: Sequence[Score]) -> Scores:
        """Return ``scores`` as columns."""
        if not scores:
            return cls()
        trace_id, _, scope, tenant, rubric, score, end, request_index, signal = zip(
            *scores, strict=True
        )
        return cls(
            trace_id,
            tenant,
            rubric,
            ScopeColumn.of(scope),
            np.array(score, dtype=np.float64),
            np.array(end, dtype=np.int64),
            np.fromiter(request_index, np.int64, len(scores)),
            signal,
        )

    def __len__(self) -> int:
        return len(self.trace_id)
