"""Yardsticks of a family: what "slow" and "many tokens" mean there, fixed before judging.

All arms of one family (a prompt on a route) are measured with the same yardstick, taken from its
reference arm: the share of requests slower than twice the usual p99 is the same statement as a
p99 twice the usual, and can be counted. A yardstick is fixed once enough requests were seen and
moves only when the reference itself has moved by more than the histogram's resolution while
nothing was wrong; what was counted with the old one is then dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tripswitch.detect.signals import TOKENS_OF_SUCCESS, TOKENS_RAW
from tripswitch.windows.scopes import ScopeRecord, Scopes

_RESOLUTION: Final = 1.26


@dataclass(frozen=True, slots=True)
class Yardstick:
    """``usual_p99_s`` of the reference and ``slow_s``, the cut above which a request is slow.

    ``token_cap`` is C and ``tokens_per_success`` R of the linearised token badness (`signals`).
    """

    usual_p99_s: float
    slow_s: float
    token_cap: float | None
    tokens_per_success: float | None

    def token_badness(self, tokens: float, *, success: bool) -> float | None:
        """Return y of one request in 0..1, None while the yardstick has no token figures."""
        if self.token_cap is None or self.tokens_per_success is None:
            return None
        cap, usual = self.token_cap, self.tokens_per_success
        return (min(tokens, cap) + (0.0 if success else usual)) / (cap + usual)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a reference gives now, and the ``requests`` it stands on."""

    yardstick: Yardstick
    requests: float


def measure(
    scopes: Scopes,
    references: Sequence[ScopeRecord],
    page_multiples: Sequence[float],
    fewest: int,
) -> list[Measured | None]:
    """Return the yardstick each reference gives now, None with fewer than ``fewest`` requests.

    ``page_multiples`` holds for each the multiple of the usual p99 that is slow.
    """
    ids = np.array([reference.id for reference in references], dtype=np.int64)
    requests = scopes.latencies.totals(ids)
    found: list[Measured | None] = [None] * len(references)
    ready = (requests >= fewest).nonzero()[0]
    if not len(ready):
        return found
    chosen = [references[index] for index in ready.tolist()]
    p99_s = scopes.latencies.quantiles(ids[ready], 0.99).tolist()
    caps = scopes.tokens.quantiles(ids[ready], 0.99).tolist()
    token_requests = scopes.tokens.totals(ids[ready]).tolist()
    ratios = _tokens_per_success(scopes, chosen)
    for number, index in enumerate(ready.tolist()):
        ratio, cap = ratios[number], caps[number]
        known = ratio is not None and cap == cap and token_requests[number] >= fewest
        yardstick = Yardstick(
            usual_p99_s=p99_s[number],
            slow_s=page_multiples[index] * p99_s[number],
            token_cap=cap if known else None,
            tokens_per_success=ratio if known else None,
        )
        found[index] = Measured(yardstick, float(requests[index]))
    return found


def _tokens_per_success(scopes: Scopes, references: Sequence[ScopeRecord]) -> list[float | None]:
    """Return for each reference its usual tokens by success, None where none succeeded."""
    pairs = [
        (reference.series.get(TOKENS_RAW), reference.series.get(TOKENS_OF_SUCCESS))
        for reference in references
    ]
    # Row 0 stands in for what is not there, and is not used.
    raw = scopes.rings.history(np.array([pair[0] or 0 for pair in pairs]))[:, 1]
    successes = scopes.rings.history(np.array([pair[1] or 0 for pair in pairs]))[:, 0]
    return [
        None if None in pair or count <= 0 else tokens / count
        for pair, tokens, count in zip(pairs, raw.tolist(), successes.tolist(), strict=True)
    ]


def has_moved(old: Yardstick, new: Yardstick) -> bool:
    """Return whether ``new`` differs from ``old`` by more than the histogram can resolve."""
    if (old.token_cap is None) != (new.token_cap is None):
        return True
    pairs = [(old.slow_s, new.slow_s)]
    if old.token_cap is not None and new.token_cap is not None:
        pairs.append((old.token_cap, new.token_cap))
    return any(max(a, b) > _RESOLUTION * min(a, b) for a, b in pairs)
