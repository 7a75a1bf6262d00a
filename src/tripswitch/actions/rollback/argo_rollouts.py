"""Aborts an Argo Rollout that is under way: the stable version takes the canary's traffic back.

It needs no more than to read Rollouts and ReplicaSets and to patch ``rollouts/status``. The patch
carries the resource version it was planned from, so that Kubernetes refuses it (409) when anything
has changed meanwhile. An aborted Rollout keeps the bad template in its spec: somebody has to put
the desired state right, or a later sync starts the canary again. The undo lets it go on
(``retry``). Source: Argo Rollouts 1.10 (``kubectl argo rollouts abort`` and ``retry``) and the
Kubernetes API conventions.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.exchange import open_client
from tripswitch.actions.rollback.api import Api, Path, bearer
from tripswitch.actions.rollback.asked import asked, evidence_of, word
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Snapshot
from tripswitch.actions.rollback.pointer import already, kept_member, refusal, seen_in
from tripswitch.actions.rollback.versions import is_same
from tripswitch.actions.rollback.write import written
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.rollback.contract import SpanEvidence
    from tripswitch.config.gateway_targets import ArgoRolloutsTarget
    from tripswitch.model.outbox import Effect

_MERGE_PATCH = "application/merge-patch+json"
_POD_HASH = "rollouts-pod-template-hash"


@dataclass(frozen=True, slots=True)
class _Rollout:
    """What counts of a Rollout: the version of its template, and the one that serves beside."""

    resource_version: str
    version: str
    stable: str
    is_under_way: bool
    is_aborted: bool


class ArgoRollouts:
    """`RollbackTarget` on the Kubernetes API. Raises `ConfigError` for an unusable URL or CA."""

    can_read_back = True

    def __init__(
        self, target: ArgoRolloutsTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        place = f"rollback.targets[{target.name}]"
        if target.ca_file:
            try:
                trusted = ssl.create_default_context(cafile=target.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ConfigError(f"{place}.ca_file: cannot be read as certificates") from error
            # It keeps no connections, so there is nothing to close.
            client = open_client(trusted)
        self._section = target
        self._api = Api(
            target.url,
            f"{place}.url",
            client,
            now_ns,
            timeout_s=target.timeout,
            secrets={"authorization": bearer(target.token.get_secret_value())},
        )

    async def probe(self) -> Probe:
        """Read the Rollout with the token; whether it may patch shows only on patching."""
        found = await self._read()
        trouble = found.detail if isinstance(found, Attempt) else ""
        return Probe(
            usable=not trouble,
            cohort=True,
            compare_and_set=True,
            undo=True,
            dry_run=True,
            read_back=True,
            detail=trouble or "reads the Rollout with this token",
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read the Rollout, and whether it is as ``effect`` wants it."""
        found = await self._read()
        if isinstance(found, Attempt):
            return Snapshot(None, found.detail, found.status)
        against = self._against(found, effect)
        stands = f"{word(found.version)}, {'aborted' if found.is_aborted else 'not aborted'}"
        if against is None or against.state is not AttemptState.DONE:
            return Snapshot(False, f"the Rollout is at {stands}", pointer=stands)
        return Snapshot(True, seen_in(against), pointer=stands)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Read, compare, and return the one patch; an `Attempt` where none is to be sent."""
        found = await self._read()
        if isinstance(found, Attempt):
            return found
        against = self._against(found, effect)
        if against is not None:
            return against
        body = {
            "metadata": {"resourceVersion": found.resource_version},
            "status": {"abort": not asked(effect).undoes},
        }
        path = Path((*self._rollout(), "status"))
        request = self._api.request("PATCH", path, body, _MERGE_PATCH)
        kept = json.dumps({"found": found.version, "wrote": "abort"}, separators=(",", ":"))
        return PlannedCall(effect, (request,), asked(effect).blast_radius, kept)

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Patch and read back. What does not show afterwards may still come: unknown."""
        return await written(self._api, call, before_leaving, self.snapshot)

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Let the Rollout go on, if it still is the one that was aborted."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    def _against(self, found: _Rollout, effect: Effect) -> Attempt | None:
        """Return why nothing is to be sent: it is done, or it must not be; None when it is."""
        wanted = asked(effect)
        name = word(self._section.rollout)
        if wanted.undoes:
            if not kept_member(effect, "wrote"):
                return refusal("nothing is recorded to put back: this rollback wrote nothing here")
            if found.version != kept_member(effect, "found"):
                return refusal(f"{name} has another template since, so it is left alone")
            return None if found.is_aborted else already(f"{name} is not aborted")
        if not is_same(wanted.before, found.version):
            if is_same(wanted.after, found.version):
                return already(f"{name} is at {word(found.version)}")
            return refusal(
                f"{name} is at {word(found.version)}, neither {word(wanted.before)} nor "
                f"{word(wanted.after)}: a person moved it, so it is left alone"
            )
        if found.is_aborted:
            return already(f"{name} is aborted")
        if not found.is_under_way:
            return refusal(f"{name} is complete at {word(found.version)}: abort cannot go back")
        if not is_same(wanted.after, found.stable):
            return refusal(f"its stable version is {word(found.stable)}, not {word(wanted.after)}")
        return None

    async def _read(self) -> _Rollout | Attempt:
        await self._renew_token()
        reply = await self._api.get(*self._rollout())
        if reply.trouble is not None:
            return reply.trouble
        status = _member(reply.data, "status")
        stable = str(status.get("stableRS") or "")
        sets = await self._api.get(
            *("apis", "apps", "v1", "namespaces", self._section.namespace, "replicasets"),
            labelSelector=f"{_POD_HASH}={stable}",
        )
        if sets.trouble is not None:
            return sets.trouble
        items = sets.data.get("items") if isinstance(sets.data, dict) else None
        stable_set = items[0] if isinstance(items, list) and items else None
        resource_version = _member(reply.data, "metadata").get("resourceVersion")
        version = self._version(reply.data)
        if not stable or not version or not isinstance(resource_version, str):
            label = self._section.version_label
            return refusal(f"the Rollout's template has no label {label}, or no status yet")
        return _Rollout(
            resource_version,
            version,
            self._version(stable_set),
            is_under_way=status.get("currentPodHash") != stable,
            is_aborted=status.get("abort") is True,
        )

    async def _renew_token(self) -> None:
        """Service account tokens are replaced in their file about every hour."""
        if self._section.token_file:
            file = FilePath(self._section.token_file)
            try:
                token = await asyncio.to_thread(file.read_text, "utf-8")
            except OSError:
                return
            self._api.renew({"authorization": bearer(token.strip())})

    def _version(self, found: Any) -> str:
        template = _member(_member(found, "spec"), "template")
        labels = _member(_member(template, "metadata"), "labels")
        return str(labels.get(self._section.version_label) or "")

    def _rollout(self) -> tuple[str, ...]:
        group = ("apis", "argoproj.io", "v1alpha1", "namespaces", self._section.namespace)
        return (*group, "rollouts", self._section.rollout)


def _member(found: Any, name: str) -> dict[str, Any]:
    member = found.get(name) if isinstance(found, dict) else None
    return member if isinstance(member, dict) else {}
