"""What changed lately: versions seen in the telemetry, other first sights, what people posted."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from tripswitch.model.clocktext import NS_PER_HOUR
from tripswitch.model.incident import Change
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot

if TYPE_CHECKING:
    from tripswitch.model.scores import Scores

_MOST_POPULATIONS: Final = 20_000
_MOST_CHANGES: Final = 1_000
_LOOK_BACK_NS: Final = 24 * NS_PER_HOUR
_MOST_RUBRICS: Final = 2_000


class ChangeLog:
    """What changed lately, bounded. A version that was there when watching began is no change."""

    def __init__(self) -> None:
        self._serving: OrderedDict[Scope, str | None] = OrderedDict()
        self._changes: deque[Change] = deque(maxlen=_MOST_CHANGES)
        self._rubrics: OrderedDict[str, None] = OrderedDict()

    def see_arm(self, arm: Scope, first_seen_ns: int, *, found_running: bool) -> Change | None:
        """Note that ``arm`` was seen for the first time; return the change, if it is one."""
        population = arm.population()
        before = self._serving.get(population)
        self._serving[population] = arm.prompt_version
        self._serving.move_to_end(population)
        if len(self._serving) > _MOST_POPULATIONS:
            self._serving.popitem(last=False)
        if found_running or arm.prompt_version is None:
            return None
        change = Change("prompt_version", first_seen_ns, arm, before, arm.prompt_version)
        self._changes.append(change)
        return change

    def see_rubrics(self, scores: Scores) -> list[Change]:
        """Return the evaluators that speak in another version than before.

        Another version is another series, ``name (version)``, see `genai.appraisal`.
        """
        latest = list(dict.fromkeys(reversed(scores.rubric)))
        if all(rubric in self._rubrics for rubric in latest):
            for rubric in reversed(latest):
                self._rubrics.move_to_end(rubric)
            return []
        found = []
        for row, rubric in enumerate(scores.rubric):
            if rubric in self._rubrics:
                self._rubrics.move_to_end(rubric)
                continue
            name, opening, _ = rubric.partition(" (")
            before = [known for known in self._rubrics if known.partition(" (")[0] == name]
            self._rubrics[rubric] = None
            if len(self._rubrics) > _MOST_RUBRICS:
                # The one not heard of for longest: a flood of names must not blind us to a change.
                self._rubrics.popitem(last=False)
            if opening and before:
                scope = scores.scopes.distinct[int(scores.scopes.codes[row])]
                moment_ns = int(scores.end[row])
                change = Change("evaluator", moment_ns, Scope(scope.route), before[-1], rubric)
                found.append(change)
        return found

    def note(self, change: Change) -> None:
        """Note a change that was seen otherwise, or posted."""
        self._changes.append(change)

    def save(self, snapshot: Snapshot) -> None:
        """Put the changes, and the version that each population had last, into ``snapshot``."""
        snapshot.facts["changes"] = [
            [
                change.kind,
                change.time_ns,
                snapshot.number(change.scope),
                change.before,
                change.after,
            ]
            for change in self._changes
        ]
        snapshot.facts["changes.rubrics"] = list(self._rubrics)
        snapshot.facts["changes.serving"] = [
            [snapshot.number(scope), version] for scope, version in self._serving.items()
        ]

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there."""
        for kind, time_ns, number, before, after in snapshot.facts["changes"]:
            scope = snapshot.scope(number)
            if scope is not None:
                self._changes.append(Change(kind, time_ns, scope, before, after))
        self._rubrics = OrderedDict.fromkeys(snapshot.facts.get("changes.rubrics", ()))
        for number, version in snapshot.facts["changes.serving"]:
            scope = snapshot.scope(number)
            if scope is not None:
                self._serving[scope] = version

    def before(self, scope: Scope, now_ns: int, most: int = 10) -> tuple[Change, ...]:
        """Return the changes of the last 24 h that can have touched ``scope``, newest first.

        One without a route, or without a prompt, touches them all.
        """
        fitting = [
            change
            for change in self._changes
            if 0 <= now_ns - change.time_ns <= _LOOK_BACK_NS
            and change.scope.route in (None, scope.route)
            and change.scope.prompt_name in (None, scope.prompt_name)
        ]
        fitting.sort(key=lambda change: change.time_ns)
        return tuple(reversed(fitting))[:most]

    def latest(self, now_ns: int, most: int) -> tuple[Change, ...]:
        """Return the changes of the last 24 h whatever they touch, newest first."""
        recent = [
            change for change in self._changes if 0 <= now_ns - change.time_ns <= _LOOK_BACK_NS
        ]
        recent.sort(key=lambda change: change.time_ns)
        return tuple(reversed(recent))[:most]
