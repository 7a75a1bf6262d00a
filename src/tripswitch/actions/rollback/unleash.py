"""A feature in Unleash: a cohort's percentage or variants, or the whole feature's switch.

A strategy is changed by a JSON Patch that tests the value it was planned from before it replaces
it, so nobody else's change is ever overwritten. Applications poll, so the spans show the move some
seconds later. Source: Unleash admin API; held to `unleash-server` 8.2 on PostgreSQL.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.api import Api, Path
from tripswitch.actions.rollback.asked import asked, evidence_of, word
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Snapshot
from tripswitch.actions.rollback.pointer import already, refusal, seen_in
from tripswitch.actions.rollback.unleash_levers import Lever, NoLeverError, goal_of, lever_of
from tripswitch.actions.rollback.write import written

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.rollback.contract import Request, SpanEvidence
    from tripswitch.config.flag_targets import UnleashTarget
    from tripswitch.model.outbox import Effect

_API = ("api", "admin", "projects")


@dataclass(frozen=True, slots=True)
class _Change:
    feature: str
    lever: Lever
    goal: Any


class UnleashFlag:
    """`RollbackTarget` on the admin API. Raises `ConfigError` for an unusable URL."""

    can_read_back = True

    def __init__(
        self, target: UnleashTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        self._section = target
        self._api = Api(
            target.url,
            f"rollback.targets[{target.name}].url",
            client,
            now_ns,
            timeout_s=target.timeout,
            # The token stands there bare, without a scheme.
            secrets={"authorization": target.token.get_secret_value()},
        )

    async def probe(self) -> Probe:
        """Read the project with the token; whether it may write shows only on writing."""
        trouble = (await self._api.get(*_API, self._section.project, "features")).trouble
        return Probe(
            usable=trouble is None,
            cohort=True,
            compare_and_set=True,
            undo=True,
            dry_run=True,
            read_back=True,
            detail="reads with this token" if trouble is None else trouble.detail,
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read the feature: what it gives, and whether that is what ``effect`` wants."""
        change = await self._change(effect)
        if isinstance(change, Attempt):
            holds = True if change.state is AttemptState.DONE else None
            return Snapshot(holds, seen_in(change), change.status)
        gives = change.lever.gives()
        return Snapshot(False, f'"{word(change.feature)}" gives {gives}', pointer=gives)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Read, compare, and return the one request; an `Attempt` where none is to be sent."""
        change = await self._change(effect)
        if isinstance(change, Attempt):
            return change
        kept = {
            "kind": change.lever.kind,
            "strategy": change.lever.strategy,
            "found": change.lever.value,
            "wrote": change.goal,
        }
        text = json.dumps(kept, separators=(",", ":"))
        return PlannedCall(effect, (self._write(change),), asked(effect).blast_radius, text)

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Write and read back. What does not show afterwards may still come: unknown."""
        return await written(self._api, call, before_leaving, self.snapshot)

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Put back the value that was found, if what was written still stands there."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    async def _change(self, effect: Effect) -> _Change | Attempt:
        wanted = asked(effect)
        # An undo has the versions the other way round.
        bad = wanted.after if wanted.undoes else wanted.before
        pattern = self._section.feature or wanted.scope.get("prompt_name") or ""
        feature = pattern.replace("{from}", bad)
        if not feature:
            return refusal("the spans carry no prompt name, and the target's feature is not set")
        reply = await self._api.get(*self._place(feature))
        if reply.trouble is not None:
            return reply.trouble
        try:
            if wanted.undoes:
                return _undone(feature, reply.data, effect)
            cohort = wanted.cohort if wanted.path == "cohort" else None
            is_gate = "{from}" in pattern
            whom = (self._section.cohort_key, cohort)
            lever = lever_of(reply.data, whom, bad, wanted.after, is_gate=is_gate)
            goal = goal_of(lever, bad, wanted.after)
        except NoLeverError as error:
            return refusal(f'the feature "{word(feature)}": {error}')
        if goal is None:
            return already(f'the feature "{word(feature)}" gives {lever.gives()}')
        return _Change(feature, lever, goal)

    def _write(self, change: _Change) -> Request:
        place = self._place(change.feature)
        lever = change.lever
        if lever.kind == "switch":
            return self._api.request("POST", Path((*place, "on" if change.goal else "off")))
        patch = [
            {"op": "test", "path": lever.pointer, "value": lever.value},
            {"op": "replace", "path": lever.pointer, "value": change.goal},
        ]
        return self._api.request("PATCH", Path((*place, "strategies", lever.strategy)), patch)

    def _place(self, feature: str) -> tuple[str, ...]:
        section = self._section
        project = (*_API, section.project)
        return (*project, "features", feature, "environments", section.environment)


def _undone(feature: str, found: Any, effect: Effect) -> _Change | Attempt:
    try:
        kept = json.loads(effect.kept)
        kind, strategy, before, wrote = (
            kept[name] for name in ("kind", "strategy", "found", "wrote")
        )
    except (ValueError, KeyError, TypeError):
        return refusal("nothing is recorded to put back: this rollback wrote nothing here")
    now = _value(found, kind, strategy)
    if now == before:
        return already(f'the feature "{word(feature)}" is as it was before the rollback')
    if now != wrote:
        return refusal(
            f'the feature "{word(feature)}" is no longer what the rollback wrote, so it is left '
            "alone"
        )
    return _Change(feature, Lever(kind, strategy, now), before)


def _value(feature: Any, kind: str, strategy: str) -> Any:
    if not isinstance(feature, dict):
        return None
    if kind == "switch":
        return feature.get("enabled")
    for each in feature.get("strategies") or []:
        if each.get("id") == strategy:
            if kind == "variants":
                return each.get("variants")
            return str(each.get("parameters", {}).get("rollout", ""))
    return None
