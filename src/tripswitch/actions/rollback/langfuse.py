"""A label of a prompt in Langfuse: version numbers, a label stands at one version of a prompt.

Assigning a label to a version takes it from the version that had it, in one transaction; the other
labels of both stay. Protected labels are refused (403) to keys without the right to move them.
Clients keep a prompt for a minute by default, so the spans show the move later than the API.
Source: Langfuse public API v2, "Update labels for a specific prompt version".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply, basic
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version
from tripswitch.actions.rollback.prompt_text import text_of
from tripswitch.actions.rollback.versions import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import LangfuseTarget


class LangfuseLabel(LabelledTarget):
    """`RollbackTarget` that moves a label. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: LangfuseTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        secret = basic(target.public_key, target.secret_key.get_secret_value())
        super().__init__(target, client, now_ns, {"authorization": secret})

    async def _current(self, place: Place) -> Version | Attempt | None:
        reply = await self._prompt(place, label=place.label)
        return None if reply.is_missing else self._version(reply)

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        number = number_of(said)
        if number is None:
            return self.unmapped(said, "a version number, such as v17 or 17")
        reply = await self._prompt(place, version=number)
        return self.gone(place, said) if reply.is_missing else self._version(reply)

    async def _text(self, place: Place, version: Version) -> str | Attempt | None:
        reply = await self._prompt(place, version=version.id)
        return reply.trouble or text_of(reply.data.get("prompt"))

    def _write(self, move: Move) -> Request:
        place = ("api", "public", "v2", "prompts", move.place.thing, "versions", move.goal.id)
        return self._api.request("PATCH", Path(place), {"newLabels": [move.place.label]})

    async def _first_read(self) -> Reply:
        return await self._api.get("api", "public", "v2", "prompts", limit=1)

    async def _prompt(self, place: Place, **which: str | int) -> Reply:
        return await self._api.get("api", "public", "v2", "prompts", place.thing, **which)

    def _version(self, reply: Reply) -> Version | Attempt:
        if reply.trouble is not None:
            return reply.trouble
        number = reply.data.get("version") if isinstance(reply.data, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            return self._answerless
        return Version(str(number), f"v{number}")
