"""What a rollback is planned on, besides the verdict: who serves, who served, what was done before.

`FactFinder` gathers it from the windows, the book, the change log and the mix of questions, at the
moment of the page; the guards (`guards`) look at nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.detect.families import Family, calls_in, serving_version
from tripswitch.detect.signals import ERROR
from tripswitch.genai.spellings import provider
from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.incident import RollbackPlan, RollbackState
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Verdict
from tripswitch.windows.scopes import Scopes

if TYPE_CHECKING:
    from tripswitch.config.model import Config
    from tripswitch.detect.comparison import Comparisons
    from tripswitch.incidents.book import Book
    from tripswitch.incidents.changes import ChangeLog
    from tripswitch.incidents.mix import MixLog

_RECENT_NS: Final = 24 * NS_PER_HOUR
_FEWEST_SAMPLES: Final = 30
_HEALTHY_CALLS: Final = 30
_FLAPPING_EPISODES: Final = 3
_CALLED: Final = (RollbackState.PLANNED, RollbackState.ACKNOWLEDGED, RollbackState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Where a provider's traffic may go, in the operator's word and as spans name it.

    ``is_healthy`` is what the spans say, None where it was not seen to serve.
    """

    name: str
    is_healthy: bool | None
    seen_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan needs to know besides the verdict.

    ``good_version`` is what the control serves or the version before, with ``good_calls`` in the
    last day; ``found_running`` says that the bad version's start was not seen. ``past`` are the
    plans made before, ``recent_ns`` when those of the last day that went by themselves were made,
    by target; ``busy`` the targets that have a rollback under way. ``mix_shift`` says in words how
    the questions changed with the version, ``judge_change`` which evaluator did; empty where they
    did not. ``flaps`` counts the
    episodes of this scope. ``fallbacks`` are by provider or model; ``providers_failing`` those
    with an open page besides the one at hand. ``guardrail_change`` is from what to what.
    """

    good_version: str | None
    first_seen_ns: int
    found_running: bool
    past: tuple[RollbackPlan, ...] = ()
    good_calls: int = _HEALTHY_CALLS
    recent_ns: dict[str, tuple[int, ...]] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    mix_shift: str = ""
    judge_change: str = ""
    flaps: int = 1
    fallbacks: dict[str, Fallback] = field(default_factory=dict)
    providers_failing: tuple[str, ...] = ()
    is_every_provider_failing: bool = False
    guardrail_change: tuple[str | None, str] | None = None


class FactFinder:
    """Gathers `Facts`."""

    def __init__(
        self,
        scopes: Scopes,
        comparisons: Comparisons,
        book: Book,
        changes: ChangeLog,
        mixes: MixLog,
    ) -> None:
        self.scopes = scopes
        self.comparisons = comparisons
        self.book = book
        self.changes = changes
        self.mixes = mixes

    def facts(self, verdict: Verdict, config: Config, now_ns: int) -> Facts:
        """Return what is known around ``verdict`` at this moment."""
        scope = verdict.scope
        arm = self.scopes.records.get(scope.arm())
        family = self.comparisons.families.get(scope.family())
        good = self._good_version(verdict, family)
        open_plans = [
            tracked.incident.rollback
            for tracked in self.book.open.values()
            if tracked.incident.rollback is not None
        ]
        return Facts(
            good_version=good,
            first_seen_ns=0 if arm is None else arm.first_seen_ns,
            found_running=arm is None or arm.found_running,
            past=tuple(self.book.past_rollbacks.values()),
            good_calls=0 if family is None or good is None else self._calls_of(family, good),
            recent_ns=self._recent(now_ns),
            busy=frozenset(plan.target for plan in open_plans if plan.state in _CALLED),
            mix_shift=""
            if arm is None
            else self.mixes.shift(scope.population(), arm.first_seen_ns),
            judge_change=self._judge_change(verdict, now_ns),
            flaps=self.book.episodes_of(verdict),
            fallbacks={
                key: Fallback(to, self._is_healthy(names_of(to), config), names_of(to))
                for name, to in config.rollback.failover.fallbacks.items()
                for key in names_of(name)
            },
            providers_failing=self._failing(verdict),
            is_every_provider_failing=self._is_every_provider_failing(verdict),
            guardrail_change=self._guardrail_change(scope, now_ns),
        )

    def _good_version(self, verdict: Verdict, family: Family | None) -> str | None:
        if family is None or verdict.reference is None:
            return None
        good = verdict.reference.prompt_version
        if verdict.comparison is Comparison.CONTROL and good is None:
            return serving_version(family, self.scopes, verdict.reference.population())
        return good

    def _calls_of(self, family: Family, version: str) -> int:
        return round(
            sum(
                calls_in(self.scopes, record, "24h")
                for record in family.arms.values()
                if record.scope.prompt_version == version
            )
        )

    def _recent(self, now_ns: int) -> dict[str, tuple[int, ...]]:
        found: dict[str, list[int]] = {}
        for plan in self.book.past_rollbacks.values():
            went = plan.mode == "auto" and now_ns - plan.planned_at_ns < _RECENT_NS
            if went and plan.state is not RollbackState.RELEASED:
                found.setdefault(plan.target, []).append(plan.planned_at_ns)
        return {target: tuple(sorted(times)) for target, times in found.items()}

    def _judge_change(self, verdict: Verdict, now_ns: int) -> str:
        if verdict.signal != "eval_score":
            return ""
        for change in self.changes.before(verdict.scope, now_ns):
            if change.kind == "evaluator" and change.time_ns <= verdict.onset_ns + NS_PER_HOUR:
                before = f" after {change.before}" if change.before else ""
                return f"evaluator {change.after}{before}"
        return ""

    def _guardrail_change(self, scope: Scope, now_ns: int) -> tuple[str | None, str] | None:
        for change in self.changes.before(scope, now_ns):
            if change.kind in ("guardrail", "guardrail_config"):
                return change.before, change.after
        return None

    def _is_healthy(self, names: tuple[str, ...], config: Config) -> bool | None:
        """Return whether a provider or model serves without many errors; None where none is seen.

        Its share of errors of the last 15 min must be below the page line of the error rate.
        """
        errors = samples = 0.0
        for family in self.comparisons.families.values():
            for leaves in family.leaves.values():
                for leaf, record in leaves.items():
                    if leaf.provider not in names and leaf.request_model not in names:
                        continue
                    row = record.series.get(ERROR)
                    if row is not None:
                        n, s, _ = self.scopes.rings.window(np.array([row]), "15m")[0].tolist()
                        samples, errors = samples + n, errors + s
        if samples < _FEWEST_SAMPLES:
            return None
        return errors / samples < config.detect.error_rate.page_points / 100

    def _failing(self, verdict: Verdict) -> tuple[str, ...]:
        return tuple(
            sorted(
                {
                    key.scope.provider
                    for key, tracked in self.book.open.items()
                    if key.scope.provider is not None
                    and key.scope.route is None
                    and key.scope.provider != verdict.scope.provider
                    and tracked.incident.shape is verdict.shape
                }
            )
        )

    def _is_every_provider_failing(self, verdict: Verdict) -> bool:
        """Return whether all the other providers that serve have an open page of this shape."""
        serving = {
            leaf.provider
            for family in self.comparisons.families.values()
            for leaves in family.leaves.values()
            for leaf, record in leaves.items()
            if leaf.provider is not None and calls_in(self.scopes, record, "15m") > 0
        }
        others = serving - {verdict.scope.provider}
        return bool(others) and others <= set(self._failing(verdict))


def names_of(written: str) -> tuple[str, ...]:
    """Return what a provider or model may be called in the spans, as it is written and as read."""
    return tuple(dict.fromkeys((written, provider(written))))
