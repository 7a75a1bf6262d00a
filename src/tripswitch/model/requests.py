"""Requests: what a user asked for, with every call that served it.

A *request* is the outermost GenAI or entry span of a trace, with its calls. Tokens and cost are
the sums over its calls, the outcome is its last attempt's, the latency is its own. Token, cost,
error and latency signals count requests, so that an agent that loops eight times instead of three
shows, and a throttled attempt with a good retry is no error.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tripswitch.model.calls import FloatColumn, IntColumn, Text
from tripswitch.model.scope import Scope, ScopeColumn


@dataclass(slots=True)
class Requests:
    """Closed requests as columns of equal length.

    ``scope`` is the scope of the last attempt, ``trace_id`` and ``tenant`` its own; ``end`` is ns
    since the epoch, ``latency`` seconds, ``tokens`` input plus output over all calls and
    ``cost_usd`` their cost (NaN when no call said), ``calls`` how many calls it took. ``success``
    means no error after retries and no refusal. ``request_index`` is the position of the OTLP
    request at which it closed, left empty where all closed at one. ``scopes`` is as in `Calls`.
    """

    trace_id: list[str] = field(default_factory=list)
    scope: list[Scope] = field(default_factory=list)
    tenant: list[Text] = field(default_factory=list)
    end: IntColumn = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    latency: FloatColumn = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    tokens: FloatColumn = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    cost_usd: FloatColumn = field(default_factory=lambda: np.empty(0, dtype=np.float64))
    calls: IntColumn = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    error: list[bool] = field(default_factory=list)
    error_class: list[Text] = field(default_factory=list)
    refusal: list[bool] = field(default_factory=list)
    success: list[bool] = field(default_factory=list)
    request_index: IntColumn = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    scopes: ScopeColumn | None = None

    def __len__(self) -> int:
        return len(self.trace_id)

    def by_scope(self) -> ScopeColumn:
        """Return the scopes of all rows as a column."""
        if self.scopes is None:
            self.scopes = ScopeColumn.of(self.scope)
        return self.scopes
