"""The three scenes of a change: on a scope's own past, beside a control, in place of a version.

Each puts many independent routes into one world, the same kind of change at the same minute on all
of them, and returns what was raised on each, in minutes since the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from bench.detect.signals import SCORE
from bench.detect.traffic import ON_TIME, Course, Law, Signal, run
from bench.detect.world import Alarm, World

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.decision import PAGE
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison
from tripswitch.windows.rings import Floats


@dataclass(slots=True)
class Plan:
    """What happens on N routes; the courses give one value a route.

    ``usual`` is what everybody sees, and ``change`` what the arm under test adds from its change
    on, by the minute since. ``per_minute`` and ``control_per_minute`` are judged values.
    """

    detect: Detect
    per_minute: Course
    change: Course
    minutes: float
    warm_minutes: float
    usual: Course
    alike: Floats
    signal: Signal = SCORE
    control_per_minute: Course | None = None
    judged_share: float = 1.0
    lateness: Sequence[tuple[int, float]] = ON_TIME
    stops_at_page: bool = True

    def law(
        self,
        scopes: list[Scope],
        per_minute: Course,
        worse: Course,
        *,
        begins: float = 0.0,
        ends: float = float("inf"),
    ) -> Law:
        """Return the law of one arm on every route."""
        return Law(
            scopes,
            self.signal,
            per_minute,
            worse,
            self.alike,
            judged_share=self.judged_share,
            begins_minute=begins,
            ends_minute=ends,
            lateness=self.lateness,
        )


@dataclass(slots=True)
class Outcome:
    """What was raised on one route in minutes since the change, None for never.

    ``page`` counts whatever the comparison, ``rollback`` only what may move a canary back: a page
    against a control or the version before that is not common to all arms. ``pages`` counts those
    after an hour's silence again; ``early`` is a page before the change.
    """

    look: float | None = None
    page: float | None = None
    rollback: float | None = None
    pages: int = 0
    early: int = 0


def alone(plan: Plan, rng: np.random.Generator) -> list[Outcome]:
    """Let arms that are alone go on for the warm-up, then change."""
    scopes = [Scope(f"/{index}", "bot", "v1") for index in range(len(plan.alike))]
    return _watched(plan, [plan.law(scopes, plan.per_minute, _since(plan))], scopes, rng)


def beside(plan: Plan, rng: np.random.Generator) -> list[Outcome]:
    """Let a canary begin beside a control after the warm-up, changed from its first call."""
    assert plan.control_per_minute is not None
    routes = range(len(plan.alike))
    control = [Scope(f"/{index}", "bot", "v17", "control") for index in routes]
    canary = [Scope(f"/{index}", "bot", "v18", "canary") for index in routes]
    laws = [
        plan.law(control, plan.control_per_minute, plan.usual),
        plan.law(canary, plan.per_minute, _since(plan), begins=plan.warm_minutes),
    ]
    return _watched(plan, laws, canary, rng)


def replaced(plan: Plan, rng: np.random.Generator) -> list[Outcome]:
    """Let one version take the place of another at once after the warm-up."""
    routes = range(len(plan.alike))
    old = [Scope(f"/{index}", "bot", "v17") for index in routes]
    new = [Scope(f"/{index}", "bot", "v18") for index in routes]
    laws = [
        plan.law(old, plan.per_minute, plan.usual, ends=plan.warm_minutes),
        plan.law(new, plan.per_minute, _since(plan), begins=plan.warm_minutes),
    ]
    return _watched(plan, laws, new, rng)


def _since(plan: Plan) -> Course:
    def worse(minute: float) -> Floats:
        since = minute - plan.warm_minutes
        return plan.usual(minute) + plan.change(since) if since >= 0 else plan.usual(minute)

    return worse


def _watched(
    plan: Plan, laws: list[Law], scopes: list[Scope], rng: np.random.Generator
) -> list[Outcome]:
    world = World(plan.detect, 8 * len(scopes) + 16)
    outcomes = [Outcome() for _ in scopes]
    routes = {scope.route: outcome for scope, outcome in zip(scopes, outcomes, strict=True)}
    watched = {scope.arm() for scope in scopes}

    def take(alarms: list[Alarm]) -> bool:
        for alarm in alarms:
            _note(routes[alarm.verdict.scope.route], alarm, plan.warm_minutes, watched)
        alarms.clear()
        return plan.stops_at_page and all(one.page is not None for one in outcomes)

    alarms = run(world, laws, plan.warm_minutes + plan.minutes, rng, is_done=take)
    take(alarms)
    return outcomes


def _note(outcome: Outcome, alarm: Alarm, warm_minutes: float, watched: set[Scope]) -> None:
    verdict, since = alarm.verdict, alarm.minute - warm_minutes
    if since <= 0:
        outcome.early += alarm.level == PAGE
        return
    if outcome.look is None:
        outcome.look = since
    if alarm.level != PAGE:
        return
    outcome.pages += 1
    if outcome.page is None:
        outcome.page = since
    blames = not verdict.is_common and verdict.scope in watched
    concurrent = verdict.comparison in (Comparison.CONTROL, Comparison.PREVIOUS)
    if blames and concurrent and outcome.rollback is None:
        outcome.rollback = since
