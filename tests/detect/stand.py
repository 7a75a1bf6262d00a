"""A judge on its own: synthetic values go into the rings, ticks pass, verdicts come out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.config.model import Config, Windows
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import Decision
from tripswitch.detect.findings import Findings
from tripswitch.detect.intake import Intake
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import CALLS, ERROR, REFUSAL, Kind, eval_measure
from tripswitch.model.calls import Calls, Score
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.incident import Severity
from tripswitch.model.requests import Requests
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores
from tripswitch.model.verdict import Verdict
from tripswitch.windows.rings import Floats, Rows
from tripswitch.windows.scopes import Measure, Scopes

START_NS = 1_795_536_000 * NS_PER_S
TICKS_A_MINUTE = 6


@dataclass(frozen=True)
class Behaviour:
    """How an arm behaves. Scores, refusals and errors as means 0..1; no requests when None."""

    score: float = 0.90
    refusals: float = 0.04
    errors: float = 0.01
    latency_s: float | None = None
    tokens: float = 400.0


@dataclass(frozen=True)
class Traffic:
    """So many calls a minute of one scope."""

    scope: Scope
    calls: float
    behaviour: Behaviour = field(default_factory=Behaviour)


def arm(version: str | None, cohort: str | None = None, **more: str) -> Scope:
    return Scope("/chat", "bot", version, cohort)._replace(**more)


CANARY, CONTROL = arm("v18", "canary"), arm("v17", "control")


class Stand:
    """Everything the judge needs, driven by seeded traffic, a tick of ten seconds at a time."""

    def __init__(self, detect: Detect | None = None, *, seed: int = 1, max_scopes: int = 1_000):
        self.config = Config(detect=detect or Detect(), windows=Windows(max_scopes=max_scopes))
        self.scopes = Scopes(max_scopes)
        self.roster = Roster()
        self.comparisons = Comparisons(self.scopes, self.roster)
        self.intake = Intake(self.scopes, self.comparisons)
        self.judge = Judge(self.scopes, self.roster, self.comparisons)
        self.findings = Findings(self.roster, self.comparisons)
        self.rng = np.random.default_rng(seed)
        self.now_ns = START_NS
        self.scopes.rings.advance(self.now_ns)
        self.rows: Rows = np.zeros(0, dtype=np.int64)
        self.decision: Decision | None = None
        self._owed: dict[Scope, float] = {}

    @property
    def minute(self) -> int:
        """Minutes since the start."""
        return (self.now_ns - START_NS) // NS_PER_MINUTE

    # --- what arrives -----------------------------------------------------------------------------

    def put(self, scope: Scope, measure: Measure, values: Floats, *, late_minutes: int = 0) -> None:
        """Add badness values of one measure to every scope that ``scope`` belongs to."""
        leaves = self.intake.leaves
        minute = self.now_ns // NS_PER_MINUTE - late_minutes
        for record in leaves.see(scope, self.now_ns).records:
            record.last_seen_ns = self.now_ns
            row = leaves._row(record, measure, self.config.detect)
            size = len(values)
            self.scopes.rings.add(np.full(size, row), np.full(size, minute), values)

    def send(self, traffic: Traffic, ticks: int = TICKS_A_MINUTE) -> None:
        """Let one tick's share of an arm's traffic arrive."""
        owed = self._owed.get(traffic.scope, 0.0) + traffic.calls / ticks
        calls = int(owed)
        self._owed[traffic.scope] = owed - calls
        if not calls:
            return
        behaviour = traffic.behaviour
        failed = self.rng.random(calls) < behaviour.errors
        answered = int(calls - failed.sum())
        refused = self.rng.random(answered) < behaviour.refusals
        self.put(traffic.scope, CALLS, np.ones(calls))
        self.put(traffic.scope, REFUSAL, refused.astype(np.float64))
        self.put(traffic.scope, eval_measure("faithfulness"), self._badness(answered, behaviour))
        if behaviour.latency_s is None:
            self.put(traffic.scope, ERROR, failed.astype(np.float64))
            return
        refusals = np.zeros(calls, dtype=np.bool_)
        refusals[~failed] = refused
        tokens = np.maximum(np.round(behaviour.tokens * self.rng.lognormal(0, 0.4, calls)), 2)
        self.requests(
            traffic.scope,
            latency=behaviour.latency_s * self.rng.lognormal(0, 0.5, calls),
            tokens=np.where(failed, np.nan, tokens),
            failed=failed,
            refused=refusals,
        )

    def requests(
        self,
        scope: Scope,
        *,
        latency: Floats,
        tokens: Floats,
        failed: Iterable[bool],
        refused: Iterable[bool],
    ) -> None:
        """Close requests of one scope now."""
        size = len(latency)
        errors, refusals = [bool(item) for item in failed], [bool(item) for item in refused]
        batch = Requests(
            trace_id=["0" * 32] * size,
            scope=[scope] * size,
            tenant=[None] * size,
            end=np.full(size, self.now_ns, dtype=np.int64),
            latency=latency,
            tokens=tokens,
            cost_usd=np.full(size, np.nan),
            calls=np.ones(size, dtype=np.int64),
            error=errors,
            error_class=[None] * size,
            refusal=refusals,
            success=[not (bad or no) for bad, no in zip(errors, refusals, strict=True)],
            request_index=np.zeros(size, dtype=np.int64),
        )
        self.take(requests=batch)

    def take(
        self,
        *,
        calls: Calls | None = None,
        scores: Iterable[Score] = (),
        requests: Requests | None = None,
    ) -> None:
        """Let what came with one OTLP request arrive now."""
        self.intake.add(
            self.config,
            np.array([self.now_ns]),
            calls=calls or Calls(),
            scores=Scores.of(list(scores)),
            requests=requests or Requests(),
        )

    def _badness(self, count: int, behaviour: Behaviour) -> Floats:
        """Return bimodal badness with the wanted mean: zeros, a soft middle, a few ones."""
        mean = 1 - behaviour.score
        middle = (mean - 0.05) / 0.35
        values = np.clip(self.rng.normal(middle, 0.12, count), 0, 1)
        kind = self.rng.random(count)
        return np.where(kind < 0.05, 1.0, np.where(kind < 0.65, 0.0, values))

    # --- what passes ------------------------------------------------------------------------------

    def tick(self, *, is_lossy: bool = False) -> list[Verdict]:
        """Let ten seconds pass; return the verdicts that act."""
        self.now_ns += NS_PER_MINUTE // TICKS_A_MINUTE
        crossed = self.scopes.rings.advance(self.now_ns)
        if crossed:
            self.scopes.decay()
        detect = self.config.detect
        self.rows, self.decision = self.judge.tick(
            self.now_ns, detect, minute_crossed=crossed, is_lossy=is_lossy
        )
        return self.findings.regressed(
            self.rows, self.decision, detect, self.now_ns, is_lossy=is_lossy
        )

    def run(
        self, minutes: float, plan: Callable[[float], list[Traffic]] | list[Traffic]
    ) -> list[tuple[float, Verdict]]:
        """Let minutes of traffic pass; return every verdict with its minute since the start."""
        found = []
        for _ in range(round(minutes * TICKS_A_MINUTE)):
            since = (self.now_ns - START_NS) / NS_PER_MINUTE
            for traffic in plan(since) if callable(plan) else plan:
                self.send(traffic)
            found += [
                ((self.now_ns - START_NS) / NS_PER_MINUTE, verdict) for verdict in self.tick()
            ]
        return found

    # --- what is known ----------------------------------------------------------------------------

    def row(self, scope: Scope, kind: Kind) -> int:
        """Return the roster row of one kind of one scope."""
        for (known, _, of_kind), row in self.roster.by_key.items():
            if known == scope and of_kind is kind:
                return row
        raise KeyError(scope)

    def verdict(self, scope: Scope, kind: Kind) -> Verdict:
        """Return what the last tick says of one row, quiet or not."""
        assert self.decision is not None
        index = int(np.flatnonzero(self.rows == self.row(scope, kind))[0])
        return self.findings.verdict(self.rows, self.decision, index, self.config.detect)

    def evidence(self, name: str, scope: Scope, kind: Kind) -> float:
        """Return E of one of the detectors of a row."""
        row = np.array([self.row(scope, kind)])
        return float(self.roster.detectors[name].evidence(row)[0])


def pages(found: list[tuple[float, Verdict]]) -> list[tuple[float, Verdict]]:
    """Return the pages of what `Stand.run` found."""
    return [item for item in found if item[1].severity is Severity.PAGE]


def looks(found: list[tuple[float, Verdict]]) -> list[tuple[float, Verdict]]:
    """Return the investigations of what `Stand.run` found."""
    return [item for item in found if item[1].severity is Severity.INVESTIGATE]
