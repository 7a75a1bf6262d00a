"""An environment of a prompt in Braintrust: versions are transaction ids, pinned by environment.

A version as the spans say it is the prompt's transaction id, in digits. The prompt is found by its
slug. Environments must have been made before and need a paid plan.
Source: Braintrust API, "prompts" and "environments", and the calls of its own command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply, bearer
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version, refusal
from tripswitch.actions.rollback.prompt_text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import BraintrustTarget


class BraintrustEnvironment(LabelledTarget):
    """`RollbackTarget` that pins a version. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: BraintrustTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        secret = bearer(target.api_key.get_secret_value())
        super().__init__(target, client, now_ns, {"authorization": secret})
        self._project = {"project_name": target.project} if target.project else {}
        self._organization = {"org_name": target.organization} if target.organization else {}

    async def _identified(self, place: Place) -> Place | Attempt:
        reply = await self._api.get("v1", "prompt", slug=place.thing, **self._project)
        if reply.trouble is not None:
            return reply.trouble
        found = reply.data.get("objects") if isinstance(reply.data, dict) else None
        if not isinstance(found, list) or len(found) != 1 or not isinstance(found[0], dict):
            return refusal(f'the registry holds no single prompt "{place.thing[:100]}"')
        return Place(place.thing, place.label, (str(found[0].get("id", "")),))

    async def _current(self, place: Place) -> Version | Attempt | None:
        reply = await self._api.get(*_pinned(place), **self._organization)
        if reply.is_missing:
            return None
        return self._version(reply, "object_version")

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        if not said.isascii() or not said.isdigit():
            return self.unmapped(said, "the prompt's transaction id, in digits")
        reply = await self._api.get("v1", "prompt", *place.ids, version=said)
        return self.gone(place, said) if reply.is_missing else self._version(reply, "_xact_id")

    async def _text(self, place: Place, version: Version) -> str | Attempt | None:
        reply = await self._api.get("v1", "prompt", *place.ids, version=version.id)
        found = reply.data.get("prompt_data") if isinstance(reply.data, dict) else None
        prompt = found.get("prompt") if isinstance(found, dict) else None
        if not isinstance(prompt, dict):
            return reply.trouble
        return text_of(prompt.get("messages") or prompt.get("content"))

    def _write(self, move: Move) -> Request:
        body = {"object_version": move.goal.id, **self._organization}
        return self._api.request("PUT", Path(_pinned(move.place)), body)

    async def _first_read(self) -> Reply:
        return await self._api.get("v1", "prompt", limit=1)

    def _version(self, reply: Reply, member: str) -> Version | Attempt:
        if reply.trouble is not None:
            return reply.trouble
        version = reply.data.get(member) if isinstance(reply.data, dict) else None
        if not isinstance(version, str | int) or not str(version).isdigit():
            return self._answerless
        return Version(str(version), str(version))


def _pinned(place: Place) -> tuple[str, ...]:
    return ("environment-object", "prompt", *place.ids, place.label)
