"""A tag of a prompt in Phoenix: versions have opaque ids, a tag stands at one version of a prompt.

A version as the spans say it is, in this order: the version's id; a tag of that name; for a number
n, the n-th version of the prompt counted from its first, which is how its page numbers them.
Source: Phoenix REST API, "prompts"; held to `phoenix serve` 20.26.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply, bearer
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version, refusal
from tripswitch.actions.rollback.prompt_text import text_of
from tripswitch.actions.rollback.versions import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import PhoenixTarget


_PAGE = 100
_MAX_PAGES = 20


class PhoenixTag(LabelledTarget):
    """`RollbackTarget` that moves a tag. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: PhoenixTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        secret = bearer(target.api_key.get_secret_value())
        super().__init__(target, client, now_ns, {"authorization": secret})

    async def _current(self, place: Place) -> Version | Attempt | None:
        return await self._tagged(place, place.label)

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        ids = await self._ids(place)
        if not isinstance(ids, list):
            return ids
        if said in ids:
            return Version(said, said)
        tagged = await self._tagged(place, said)
        if tagged is not None:
            return tagged
        number = number_of(said)
        if number is None or not 1 <= number <= len(ids):
            return self.gone(place, said)
        return Version(ids[-number], ids[-number])

    async def _text(
        self,
        place: Place,  # noqa: ARG002 - a version's id is enough
        version: Version,
    ) -> str | Attempt | None:
        reply = await self._api.get("v1", "prompt_versions", version.id)
        found = reply.data.get("data") if isinstance(reply.data, dict) else None
        template = found.get("template") if isinstance(found, dict) else None
        if not isinstance(template, dict):
            return reply.trouble
        return text_of(template.get("template") or template.get("messages"))

    def _write(self, move: Move) -> Request:
        place = Path(("v1", "prompt_versions", move.goal.id, "tags"))
        return self._api.request("POST", place, {"name": move.place.label})

    async def _first_read(self) -> Reply:
        return await self._api.get("v1", "prompts", limit=1)

    async def _tagged(self, place: Place, tag: str) -> Version | Attempt | None:
        reply = await self._api.get("v1", "prompts", place.thing, "tags", tag)
        # A text that cannot be a tag's name is answered with 422.
        if reply.is_missing or reply.status == 422:
            return None
        if reply.trouble is not None:
            return reply.trouble
        found = reply.data.get("data") if isinstance(reply.data, dict) else None
        name = found.get("id") if isinstance(found, dict) else None
        return Version(name, name) if isinstance(name, str) else self._answerless

    async def _ids(self, place: Place) -> list[str] | Attempt:
        """Return the ids of all versions, the newest first."""
        ids: list[str] = []
        cursor: dict[str, str | int] = {}
        for _ in range(_MAX_PAGES):
            reply = await self._api.get(
                "v1", "prompts", place.thing, "versions", limit=_PAGE, **cursor
            )
            if reply.is_missing:
                return refusal(f'the registry holds no version of "{place.thing[:100]}"')
            if reply.trouble is not None:
                return reply.trouble
            page = reply.data.get("data") if isinstance(reply.data, dict) else None
            if not isinstance(page, list):
                return self._answerless
            ids += [str(each["id"]) for each in page if isinstance(each, dict) and "id" in each]
            if not reply.data.get("next_cursor"):
                return ids
            cursor = {"cursor": str(reply.data["next_cursor"])}
        return refusal(f"the prompt has more than {_PAGE * _MAX_PAGES} versions")
