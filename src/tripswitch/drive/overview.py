"""What the pages show of an engine: whether all is well, the routes worst first, one route whole.

Everything is made from the rows and the decision of the last tick, only when somebody asks, and
once for a tick: sorting is a few array operations over all rows, and sentences are written for the
scopes on the page alone. So a page costs the same whether 20 scopes are watched or 2,000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tripswitch.detect.families import calls_in
from tripswitch.detect.signals import SIGNALS, Kind
from tripswitch.drive.explaining import explain_of
from tripswitch.drive.series import SPANS, Span, calls_of, page_line, points_of, unit_of
from tripswitch.drive.standing import RouteSeen, Seen, counted, is_arm, seen_of, title_of
from tripswitch.engine import Engine
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.incident import Severity
from tripswitch.model.scope import Scope

MOST_ROUTES: Final = 50
WHOLE_ROUTES: Final = 6
"""Routes of a page that are written out; of the others a line says how they stand."""

MOST_ARMS: Final = 8
"""Arms of a route that are written out beside each other; the rest is counted."""

MOST_ARMS_ALONE: Final = 24
"""The same on the page of the route alone."""

_MOST_LEAVES: Final = 24
_MOST_EXPLAINED: Final = 16
_LEVELS: Final = {0: None, 1: Severity.INVESTIGATE.value, 2: Severity.PAGE.value}


class Overview:
    """Answers the pages about one engine. ``engine`` returns the one in force."""

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine
        self._made_of: object = None
        self._made: Seen | None = None
        self._revision = 0

    @property
    def now_ns(self) -> int:
        """Return the engine's time, 0 before it has any."""
        return self._engine().now_ns

    @property
    def revision(self) -> int:
        """Return a number that is another one after every tick."""
        self._note_tick()
        return self._revision

    def now(self) -> dict[str, Any]:
        """Return how everything stands, as JSON: the time, what is judged, how it is found."""
        engine, seen = self._engine(), self._seen()
        return {
            "now": rfc3339(engine.now_ns) if engine.last is not None else None,
            "is_lossy": engine.is_lossy,
            "scopes": len(seen.at) if seen else 0,
            "routes": len(seen.routes) if seen else 0,
            "signals": len(seen.rows) if seen else 0,
            "findings": dict(seen.findings) if seen else {},
            "kill_switch": not engine.config.rollback.enabled,
            "disabled_routes": list(engine.config.rollback.disabled_routes)[:MOST_ROUTES],
        }

    def open_incidents(self) -> list[dict[str, Any]]:
        """Return every incident that is not resolved, oldest first, as JSON."""
        tracked = self._engine().book.open.values()
        ordered = sorted(tracked, key=lambda one: one.incident.detected_at_ns)
        return [one.incident.as_json() for one in ordered]

    def routes(self, limit: int, offset: int = 0, words: str = "") -> dict[str, Any]:
        """Return ``limit`` routes from ``offset`` on, the worst first, as JSON.

        The first `WHOLE_ROUTES` are written out with their arms; of the others it is said how many
        signals are found how, so that many routes cost little. ``words`` must all be found in a
        route's name or in the label of one of its scopes.
        """
        seen = self._seen()
        wanted = words.lower().split()
        found = [] if seen is None else [one for one in seen.routes if _has(one, wanted)]
        shown = found[offset : offset + min(limit, MOST_ROUTES)]
        engine = self._engine()
        return {
            "now": rfc3339(engine.now_ns) if engine.last is not None else None,
            "total": len(found),
            "offset": offset,
            "routes": []
            if seen is None
            else [
                self._route(seen, one, MOST_ARMS)
                if place < WHOLE_ROUTES
                else self._brief(seen, one)
                for place, one in enumerate(shown)
            ],
        }

    def route(self, name: str, span: Span) -> dict[str, Any] | None:
        """Return one route whole, as JSON: arms with their course, explanations; None for none."""
        seen = self._seen()
        if seen is None:
            return None
        found = next((one for one in seen.routes if (one.name or "") == name), None)
        if found is None:
            return None
        engine = self._engine()
        whole = self._route(seen, found, MOST_ARMS_ALONE)
        arms = [Scope(**one["scope"]) for one in whole["arms"]]
        _, minutes = SPANS[span]
        now_minute = engine.scopes.rings.now_minute
        whole["span"] = span
        whole["slot_minutes"] = minutes
        whole["until"] = rfc3339((now_minute // minutes + 1) * minutes * 60_000_000_000)
        for arm, shown in zip(arms, whole["arms"], strict=True):
            shown["course"] = self._course(seen, arm, span)
        leaves = [scope for scope in found.scopes if not is_arm(scope)][:_MOST_LEAVES]
        whole["leaves"] = [self._arm(seen, leaf, {}) for leaf in leaves]
        whole["now"] = rfc3339(engine.now_ns)
        whole["explained"] = self._explained(name)
        return whole

    def changes(self, limit: int) -> list[dict[str, Any]]:
        """Return what changed in the last day, newest first, as JSON."""
        engine = self._engine()
        return [change.as_json() for change in engine.changes.latest(engine.now_ns, limit)]

    def _explained(self, route: str) -> list[dict[str, Any]]:
        # A route's name may hold what the language of questions reads as one; equality cannot.
        explained = explain_of(
            self._engine(), most=_MOST_EXPLAINED, scope_is=lambda scope: scope.route == route
        )
        return list(explained["scopes"])

    def _note_tick(self) -> None:
        last = self._engine().last
        if last is not self._made_of:
            self._made_of, self._made = last, None
            self._revision += 1

    def _seen(self) -> Seen | None:
        self._note_tick()
        engine = self._engine()
        if self._made is None and engine.last is not None:
            self._made = seen_of(engine, *engine.last)
        return self._made

    def _route(self, seen: Seen, route: RouteSeen, most_arms: int) -> dict[str, Any]:
        engine = self._engine()
        records = engine.scopes.records
        calls = {
            scope: 0.0
            if (record := records.get(scope)) is None
            else calls_in(engine.scopes, record, "15m")
            for scope in route.scopes
            if is_arm(scope)
        }
        arms = sorted(calls, key=lambda arm: (_worst(seen, arm) < 1, -calls[arm], _texts(arm)))
        controls = self._controls(seen, arms)
        shown = sorted(
            arms[:most_arms],
            key=lambda arm: (calls[arm] == 0, arm not in controls, -calls[arm], _texts(arm)),
        )
        return {
            "route": route.name,
            "title": title_of(route),
            "severity": _LEVELS[route.level],
            "calls_15m": int(self._total(calls)),
            "scopes": len(route.scopes),
            "arms": [self._arm(seen, arm, calls) for arm in shown],
            "more_arms": len(arms) - len(shown),
        }

    def _controls(self, seen: Seen, arms: list[Scope]) -> set[Scope]:
        """Return those of ``arms`` that others are compared with."""
        roster = self._engine().roster
        positions = [at for arm in arms for at in seen.at.get(arm, [])]
        references = {roster.references[int(seen.rows[at])] for at in positions}
        return {arm for arm in arms if arm in references or arm.population() in references}

    def _total(self, calls: dict[Scope, float]) -> float:
        """Return the calls of arms together; roll-ups have the same calls once more."""
        rollups = self._engine().comparisons.rollups
        own = [count for scope, count in calls.items() if rollups.of(scope) is None]
        return sum(own) if own else max(calls.values(), default=0.0)

    def _brief(self, seen: Seen, route: RouteSeen) -> dict[str, Any]:
        engine = self._engine()
        records = engine.scopes.records
        calls = {
            scope: calls_in(engine.scopes, record, "15m")
            for scope in route.scopes
            if is_arm(scope) and (record := records.get(scope)) is not None
        }
        at = np.array([one for scope in route.scopes for one in seen.at[scope]], dtype=np.int64)
        return {
            "route": route.name,
            "title": title_of(route),
            "severity": _LEVELS[route.level],
            "calls_15m": int(self._total(calls)),
            "scopes": len(route.scopes),
            "findings": counted(engine, seen.decision, seen.known, at),
        }

    def _arm(self, seen: Seen, scope: Scope, calls: dict[Scope, float]) -> dict[str, Any]:
        engine = self._engine()
        record = engine.scopes.records.get(scope)
        own = calls.get(scope)
        if own is None:
            own = 0.0 if record is None else calls_in(engine.scopes, record, "15m")
        total = self._total(calls)
        is_rollup = engine.comparisons.rollups.of(scope) is not None
        positions = seen.at.get(scope, [])
        p99_s = None if record is None else engine.scopes.latencies.quantile(record.id, 0.99)
        references = {engine.roster.references[int(seen.rows[at])] for at in positions}
        against = [one for one in references if one is not None]
        reference = min(against, key=_texts, default=None)
        return {
            "scope": scope.as_json(),
            "label": scope.label(),
            "calls_15m": int(own),
            "is_rollup": is_rollup,
            "share": round(own / total, 4) if total > 0 and not is_rollup else None,
            "first_seen": None if record is None else rfc3339(record.first_seen_ns),
            "last_seen": None if record is None else rfc3339(record.last_seen_ns),
            "found_running": record is not None and record.found_running,
            "against": None if reference is None else reference.label(),
            "p99_s": None if p99_s is None else round(p99_s, 3),
            "traffic": calls_of(engine.scopes.rings, record),
            "signals": self._cells(seen, positions),
        }

    def _cells(self, seen: Seen, positions: list[int]) -> list[dict[str, Any]]:
        """Return one cell a signal and rubric: of its two directions the worse."""
        engine = self._engine()
        roster = engine.roster
        worst: dict[tuple[str, str], int] = {}
        for at in positions:
            row = int(seen.rows[at])
            name = (_names(Kind(roster.kind[row])), roster.rubrics[row] or "")
            if name not in worst or self._rank(seen, at) > self._rank(seen, worst[name]):
                worst[name] = at
        chosen = [worst[name] for name in sorted(worst)]
        rows = seen.rows[chosen] if chosen else np.zeros(0, dtype=np.int64)
        points = points_of(engine.scopes.rings, roster, rows)
        return [self._cell(seen, at, course) for at, course in zip(chosen, points, strict=True)]

    def _rank(self, seen: Seen, at: int) -> tuple[int, bool]:
        """Return how loud a row is; of two quiet directions that in which it is worse to rise."""
        is_mirrored = bool(self._engine().roster.mirrored[int(seen.rows[at])])
        return int(seen.decision.level[at]), not is_mirrored

    def _cell(self, seen: Seen, at: int, points: list[float | None]) -> dict[str, Any]:
        engine = self._engine()
        row = int(seen.rows[at])
        verdict = engine.findings.verdict(
            seen.rows, seen.decision, at, engine.config.detect, is_lossy=engine.is_lossy
        )
        has_usual = verdict.comparison is not None
        usual = verdict.usual if has_usual else float("nan")
        line = page_line(engine.roster, row, usual)
        # What is not known compares as false, and lines without a usual value are crossed upwards.
        is_below = line is not None and line < usual
        is_over = line is not None and (verdict.value < line if is_below else verdict.value > line)
        return {
            "signal": verdict.signal,
            "rubric": verdict.rubric,
            "direction": verdict.direction,
            "unit": unit_of(Kind(engine.roster.kind[row])),
            "finding": verdict.finding.value,
            "severity": None if verdict.severity is None else verdict.severity.value,
            "comparison": None if verdict.comparison is None else verdict.comparison.value,
            "value": _rounded(verdict.value) if verdict.samples else None,
            "usual": _rounded(usual),
            "line": _rounded(line),
            "is_over": bool(verdict.samples) and bool(is_over),
            "samples": verdict.samples,
            "evidence": _rounded(min(verdict.evidence, 1e12)),
            "why": verdict.why,
            "points": points,
        }

    def _course(self, seen: Seen, scope: Scope, span: Span) -> dict[str, Any]:
        """Return what the page of a route draws of an arm: calls, and each signal, by slot."""
        engine = self._engine()
        record = engine.scopes.records.get(scope)
        rows_of: dict[tuple[str, str], int] = {}
        for at in seen.at.get(scope, []):
            row = int(seen.rows[at])
            name = (_names(Kind(engine.roster.kind[row])), engine.roster.rubrics[row] or "")
            rows_of.setdefault(name, row)
        names = sorted(rows_of)
        rows = np.array([rows_of[name] for name in names], dtype=np.int64)
        points = points_of(engine.scopes.rings, engine.roster, rows, span) if names else []
        return {
            "calls": calls_of(engine.scopes.rings, record, span),
            "signals": [
                {
                    "signal": signal,
                    "rubric": rubric or None,
                    "unit": unit_of(Kind(engine.roster.kind[rows_of[signal, rubric]])),
                    "points": course,
                }
                for (signal, rubric), course in zip(names, points, strict=True)
            ],
        }


def _has(route: RouteSeen, wanted: list[str]) -> bool:
    if not wanted:
        return True
    texts = [(route.name or "").lower(), *(scope.label().lower() for scope in route.scopes)]
    return any(all(word in text for word in wanted) for text in texts)


def _worst(seen: Seen, scope: Scope) -> float:
    return max((float(seen.badness[at]) for at in seen.at.get(scope, [])), default=-1.0)


def _names(kind: Kind) -> str:
    return SIGNALS[kind].name


def _texts(scope: Scope) -> tuple[str, ...]:
    return tuple(part or "" for part in scope)


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.6g}")
