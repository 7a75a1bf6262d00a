"""An environment of a prompt in Helicone: versions are major.minor and have ids.

A version as the spans say it is the version's id, or its numbers: v2.1, 2.1, and for a whole number
the version n.0. ``prompt`` is the prompt's id, which is what requests name.
Source: Helicone REST API, "prompts" (``prompt-2025``). Its reads are POSTs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply, bearer
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import HeliconeTarget


_API = ("v1", "prompt-2025")


class HeliconeEnvironment(LabelledTarget):
    """`RollbackTarget` that sets an environment's version. Raises `ConfigError` for a bad URL."""

    def __init__(
        self, target: HeliconeTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        secret = bearer(target.api_key.get_secret_value())
        super().__init__(target, client, now_ns, {"authorization": secret})

    async def _current(self, place: Place) -> Version | Attempt | None:
        body = {"promptId": place.thing, "environment": place.label}
        path = Path((*_API, "query", "environment-version"))
        reply = await self._api.read("POST", path, body)
        if reply.is_missing:
            return None
        if reply.trouble is not None:
            return reply.trouble
        return _version(_payload(reply)) or self._answerless

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        path = Path((*_API, "query", "versions"))
        reply = await self._api.read("POST", path, {"promptId": place.thing})
        if reply.trouble is not None:
            return self.gone(place, said) if reply.is_missing else reply.trouble
        listed = _payload(reply)
        if not isinstance(listed, list):
            return self._answerless
        numbers = said.strip().removeprefix("v").removeprefix("V")
        wanted = numbers if "." in numbers else f"{numbers}.0"
        for each in listed:
            version = _version(each)
            if version is not None and (version.id == said or version.name == f"v{wanted}"):
                return version
        return self.gone(place, said)

    def _write(self, move: Move) -> Request:
        body = {
            "promptId": move.place.thing,
            "promptVersionId": move.goal.id,
            "environment": move.place.label,
        }
        return self._api.request("POST", Path((*_API, "update", "environment")), body)

    async def _first_read(self) -> Reply:
        return await self._api.get(*_API, "environments")


def _payload(reply: Reply) -> object:
    """Its documentation shows the bare value, its own clients read it from ``data``."""
    return (
        reply.data["data"] if isinstance(reply.data, dict) and "data" in reply.data else reply.data
    )


def _version(found: object) -> Version | None:
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return None
    return Version(found["id"], f"v{found.get('major_version')}.{found.get('minor_version')}")
