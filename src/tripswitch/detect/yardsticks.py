"""Yardsticks of a family: what "slow" and "many tokens" mean there, fixed before judging.

All arms of one family (a prompt on a route) are measured with the same yardstick, taken from its
reference arm: the share of requests slower than twice the usual p99 is the same statement as a
p99 twice the usual, and can be counted. A yardstick is fixed once enough requests were seen and
moves only when the reference itself has moved by more than the histogram's resolution while
nothing was wrong; what was counted with the old one is then dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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


def measure(
    scopes: Scopes,
    reference: ScopeRecord,
    *,
    page_multiple: float,
    fewest: int,
    tokens_per_success: float | None,
) -> Yardstick | None:
    """Return the yardstick ``reference`` gives now, None with fewer than ``fewest`` requests."""
    if scopes.latencies.total(reference.id) < fewest:
        return None
    p99_s = scopes.latencies.quantile(reference.id, 0.99)
    if p99_s is None:
        return None
    cap = scopes.tokens.quantile(reference.id, 0.99)
    known = tokens_per_success is not None and scopes.tokens.total(reference.id) >= fewest
    return Yardstick(
        usual_p99_s=p99_s,
        slow_s=page_multiple * p99_s,
        token_cap=cap if known else None,
        tokens_per_success=tokens_per_success if known else None,
    )


def has_moved(old: Yardstick, new: Yardstick) -> bool:
    """Return whether ``new`` differs from ``old`` by more than the histogram can resolve."""
    if (old.token_cap is None) != (new.token_cap is None):
        return True
    pairs = [(old.slow_s, new.slow_s)]
    if old.token_cap is not None and new.token_cap is not None:
        pairs.append((old.token_cap, new.token_cap))
    return any(max(a, b) > _RESOLUTION * min(a, b) for a, b in pairs)
