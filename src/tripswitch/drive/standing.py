"""How everything stands at one tick: the judged scopes sorted into routes, the worst first."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tripswitch.detect.decision import NOTHING, Decision
from tripswitch.engine import Engine
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Finding
from tripswitch.windows.rings import Floats, Rows


@dataclass(slots=True)
class RouteSeen:
    """One route: its scopes, and how bad the worst of them stands."""

    name: str | None
    badness: float = -1.0
    level: int = 0
    scopes: list[Scope] = field(default_factory=list)


@dataclass(slots=True)
class Seen:
    """One tick, sorted: rows, what was decided, and which positions a scope has."""

    rows: Rows
    decision: Decision
    badness: Floats
    at: dict[Scope, list[int]]
    routes: list[RouteSeen]
    known: npt.NDArray[np.bool_]
    findings: dict[str, int]


def seen_of(engine: Engine, rows: Rows, decision: Decision) -> Seen:
    """Return one tick with its scopes sorted into routes, the worst first."""
    roster = engine.roster
    judged = roster.judged[rows]
    line = roster.line_page[rows]
    line = np.where(np.isfinite(line) & (line > 0), line, 1.0)
    evidence = np.log10(np.clip(decision.evidence, 1e-12, 1e12)) / 24
    way = np.clip(decision.reading.estimate / line, -1, 1) / 100
    known = decision.is_comparable & (decision.window >= 0)
    badness: Floats = np.where(
        judged, decision.level + evidence + np.where(known, way, -0.01), -9.0
    )
    place = {int(row): at for at, row in enumerate(rows.tolist())}
    at: dict[Scope, list[int]] = {}
    routes: dict[str | None, RouteSeen] = {}
    levels, bad, is_judged = decision.level.tolist(), badness.tolist(), judged.tolist()
    for scope, own in roster.by_scope.items():
        positions = [place[row] for row in own if row in place and is_judged[place[row]]]
        if not positions:
            continue
        at[scope] = positions
        route = routes.setdefault(scope.route, RouteSeen(scope.route))
        route.scopes.append(scope)
        route.badness = max(route.badness, *(bad[one] for one in positions))
        route.level = max(route.level, *(levels[one] for one in positions))
    ordered = sorted(
        routes.values(), key=lambda one: (-one.level, -round(one.badness, 1), one.name or "")
    )
    judged_at = np.flatnonzero(judged)
    found = counted(engine, decision, known, judged_at)
    return Seen(rows, decision, badness, at, ordered, known, found)


def counted(
    engine: Engine, decision: Decision, known: npt.NDArray[np.bool_], at: Rows
) -> dict[str, int]:
    """Return how many of the rows at some positions are found how."""
    lost = len(at) if engine.is_lossy else 0
    regressed = decision.level[at] > NOTHING
    healthy = known[at] & ~regressed
    counts = {
        Finding.REGRESSED.value: int(regressed.sum()),
        Finding.HEALTHY.value: int(healthy.sum()),
        Finding.INSUFFICIENT.value: int((~known[at] & ~regressed).sum()),
    }
    if lost:
        counts = dict.fromkeys(counts, 0) | {Finding.TELEMETRY_LOST.value: lost}
    return counts


def is_arm(scope: Scope) -> bool:
    """Return whether a scope is shown beside others: an arm, or what rolls up several routes."""
    return scope == scope.arm() or scope.arm() == Scope()


def title_of(route: RouteSeen) -> str:
    """Return what a route is called; what has none may be calls without, or many routes as one."""
    if route.name is not None:
        return route.name
    is_rolled_up = all(scope.arm() == Scope() for scope in route.scopes)
    return "all routes together" if is_rolled_up else "calls without a route"
