"""The admin API of a LiteLLM proxy with a database: tags, weights, blocks, fallbacks, key limits.

Deployments that come from the proxy's file cannot be changed, and without a database nothing can:
both are refused in words. A cohort's move and the drain of a provider are several writes; each can
be repeated, the good side goes first, and what is left half done is finished by the next attempt.
Source: LiteLLM proxy API (``/model``, ``/fallback``, ``/key``). The refusal without a database is
held to the proxy itself, the rest to a server made from its source: it never acts by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.api import Api, Path, bearer
from tripswitch.actions.rollback.asked import asked, evidence_of
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Snapshot
from tripswitch.actions.rollback.litellm_deployments import (
    Edit,
    NoMoveError,
    deployments_of,
    edits_for,
)
from tripswitch.actions.rollback.litellm_kept import kept_text, lines_of, undoing
from tripswitch.actions.rollback.litellm_levers import (
    LIMITS,
    Lever,
    fallen_back,
    lever_in,
    lowered,
    put_back,
)
from tripswitch.actions.rollback.pointer import already, refusal, seen_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from tripswitch.actions.rollback.asked import Asked
    from tripswitch.actions.rollback.contract import Request, SpanEvidence
    from tripswitch.actions.rollback.litellm_deployments import Deployment
    from tripswitch.config.gateway_targets import LitellmTarget
    from tripswitch.model.outbox import Effect

_NO_DATABASE = (
    "this proxy has no database, so its API changes nothing; give it one (DATABASE_URL) or use a "
    "target of type litellm_file"
)


@dataclass(frozen=True, slots=True)
class _Change:
    requests: tuple[Request, ...]
    lines: list[str]
    kept: str


class LitellmApi:
    """`RollbackTarget` on the admin API. Raises `ConfigError` for an unusable URL."""

    can_read_back = True

    def __init__(
        self, target: LitellmTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        self._section = target
        self._api = Api(
            target.url,
            f"rollback.targets[{target.name}].url",
            client,
            now_ns,
            timeout_s=target.timeout,
            secrets={"authorization": bearer(target.master_key.get_secret_value())},
        )

    async def probe(self) -> Probe:
        """Read the deployments, and whether the proxy has the database that writing needs."""
        trouble = await self._without_database()
        if trouble is None:
            trouble = (await self._api.get("model", "info")).trouble
        return Probe(
            usable=trouble is None,
            cohort=True,
            compare_and_set=False,
            undo=True,
            dry_run=True,
            read_back=True,
            detail="has a database and reads" if trouble is None else trouble.detail,
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read what ``effect`` would change, and whether it is as it wants it."""
        change = await self._change(effect)
        if isinstance(change, Attempt):
            holds = {AttemptState.DONE: True, AttemptState.FAILED: False}.get(change.state)
            return Snapshot(holds, seen_in(change), change.status)
        stands = "; ".join(change.lines)
        return Snapshot(False, f"still to be changed: {stands}", pointer=stands)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Read, compare, and return the requests; an `Attempt` where none is to be sent."""
        trouble = await self._without_database()
        if trouble is not None:
            return trouble
        change = await self._change(effect)
        if isinstance(change, Attempt):
            return change
        return PlannedCall(effect, change.requests, asked(effect).blast_radius, change.kept)

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Send one request after the other and read back what stands there then."""
        attempt = Attempt(AttemptState.DONE, "")
        for number, request in enumerate(call.requests):
            # Only the first may find the ledger refusing: nothing has been sent before it.
            attempt = await self._api.send(request, (lambda: None) if number else before_leaving)
            if attempt.state is AttemptState.DONE:
                continue
            if number:
                detail = f"{number} of {len(call.requests)} writes were made: {attempt.detail}"
                return replace(attempt, state=AttemptState.UNKNOWN, detail=detail)
            return attempt
        seen = await self.snapshot(call.effect)
        state = AttemptState.DONE if seen.applied else AttemptState.UNKNOWN
        return replace(attempt, state=state, detail=f"read back: {seen.detail}")

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Put back what was found, where what was written still stands there."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    async def _without_database(self) -> Attempt | None:
        reply = await self._api.get("health", "readiness")
        if reply.trouble is not None:
            return reply.trouble
        database = reply.data.get("db") if isinstance(reply.data, dict) else None
        return None if database == "connected" else refusal(_NO_DATABASE)

    async def _change(self, effect: Effect) -> _Change | Attempt:
        wanted = asked(effect)
        record = lever_in(effect.kept) if wanted.undoes else None
        try:
            if record is not None:
                now = await self._standing(record.kind, record.name)
                return now if isinstance(now, Attempt) else self._pulled(put_back(record, now))
            if wanted.path == "cost_breaker" and not wanted.undoes:
                return await self._limited()
            reply = await self._api.get("model", "info")
            if reply.trouble is not None:
                return reply.trouble
            listed = reply.data.get("data") if isinstance(reply.data, dict) else None
            deployments = deployments_of(listed)
            groups = {each.group for each in deployments}
            if (
                wanted.path == "provider_failover"
                and not wanted.undoes
                and {wanted.before, wanted.after} <= groups
            ):
                return await self._fallen_back(wanted)
            return self._edited(deployments, wanted, effect)
        except (NoMoveError, ValueError) as error:
            return refusal(str(error))

    def _edited(
        self, deployments: Sequence[Deployment], wanted: Asked, effect: Effect
    ) -> _Change | Attempt:
        if wanted.undoes:
            edits, kept = undoing(deployments, effect.kept), ""
        else:
            edits = edits_for(deployments, wanted, self._section.model_group, can_block=True)
            kept = kept_text(edits, effect.kept)
        fixed = [each for each in edits if not deployments[each.position].in_database]
        if fixed:
            return refusal(
                f"deployment {deployments[fixed[0].position].label} comes from the proxy's file, "
                "which its API cannot change"
            )
        if not edits:
            return already("the deployments are as they should be")
        return _Change(tuple(self._edit(each) for each in edits), lines_of(edits), kept)

    async def _fallen_back(self, wanted: Asked) -> _Change | Attempt:
        found = await self._standing("fallback", wanted.before)
        if isinstance(found, Attempt):
            return found
        return self._pulled(fallen_back(wanted.before, found, wanted.after))

    async def _limited(self) -> _Change | Attempt:
        section = self._section
        found = await self._standing("limits", section.limited_key)
        if isinstance(found, Attempt):
            return found
        lever = lowered(section.limited_key, found, section.limited_tpm, section.limited_rpm)
        return self._pulled(lever)

    async def _standing(self, kind: str, name: str) -> Any:
        """Return what stands at a lever now, or the `Attempt` that says why it is not known."""
        if kind == "fallback":
            reply = await self._api.get("fallback", name, fallback_type="general")
            if reply.is_missing:
                return []
            found = reply.data.get("fallback_models") if isinstance(reply.data, dict) else None
            is_known = isinstance(found, list)
        else:
            reply = await self._api.get("key", "info", key=name)
            info = reply.data.get("info") if isinstance(reply.data, dict) else None
            is_known = isinstance(info, dict)
            found = {limit: info.get(limit) for limit in LIMITS} if isinstance(info, dict) else None
        if reply.trouble is not None:
            return reply.trouble
        return found if is_known else refusal("the proxy answered with something else")

    def _pulled(self, lever: Lever | None) -> _Change | Attempt:
        if lever is None:
            return already("it is as it should be")
        if lever.kind == "limits":
            body = {"key": lever.name, **lever.wrote}
            request = self._api.request("POST", Path(("key", "update")), body)
        elif lever.wrote:
            body = {"model": lever.name, "fallback_models": lever.wrote, "fallback_type": "general"}
            request = self._api.request("POST", Path(("fallback",)), body)
        else:
            path = Path(("fallback", lever.name), {"fallback_type": "general"})
            request = self._api.request("DELETE", path)
        return _Change((request,), [lever.line()], lever.kept_text())

    def _edit(self, edit: Edit) -> Request:
        if edit.setting == "blocked":
            path = Path(("model", "block" if edit.wrote else "unblock"))
            return self._api.request("POST", path, {"model_id": edit.id})
        body = {"litellm_params": {edit.setting: edit.wrote}}
        return self._api.request("PATCH", Path(("model", edit.id, "update")), body)
