"""Verdicts: what the detector says of one signal of one scope at one tick."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tripswitch.model.incident import Severity, Shape
from tripswitch.model.scope import Scope


class Finding(StrEnum):
    """The four verdicts; only ``regressed`` can act, and nothing read is never ``healthy``."""

    REGRESSED = "regressed"
    HEALTHY = "healthy"
    INSUFFICIENT = "insufficient"
    TELEMETRY_LOST = "telemetry_lost"


class Comparison(StrEnum):
    """What a verdict compared with: a concurrent control, the version before, or the own past."""

    CONTROL = "control"
    PREVIOUS = "previous"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One signal of one scope, with the numbers that decided. Times are ns since the epoch.

    ``estimate`` and ``line`` are in the line's unit (difference of means, share, ratio minus 1),
    ``value`` and ``usual`` in the signal's own unit; ``evidence`` is the e-value (a crossing at
    1); ``reference`` is the scope compared with, None for the own past. ``is_common`` says that
    the whole family, or all that goes through one provider, is hit, so that no single arm is to
    blame; ``scope`` is then what they have in common, and ``measured`` the one whose numbers these
    are. ``upstream`` is the provider (and model) that all its traffic goes through, if it is one.
    ``was_bad_before`` says that the version before was beyond the line already, so that nothing may
    act on its own.
    """

    finding: Finding
    severity: Severity | None
    signal: str
    rubric: str | None
    shape: Shape
    direction: str
    scope: Scope
    comparison: Comparison | None
    reference: Scope | None
    estimate: float
    line: float
    value: float
    usual: float
    samples: int
    usual_samples: int
    window: str
    evidence: float
    onset_ns: int
    is_common: bool
    why: str
    measured: Scope = field(default_factory=Scope)
    upstream: Scope | None = None
    was_bad_before: bool = False
