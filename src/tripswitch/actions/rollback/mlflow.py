"""An alias of a prompt in the MLflow Prompt Registry: version numbers, one alias a version.

Prompts are registered models with a tag, so the registered models' own API moves their aliases.
Source: MLflow REST API 2.0, "Set Registered Model Alias"; held to `mlflow server` 3.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.rollback.api import Path, Reply, basic, bearer
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version, refusal
from tripswitch.actions.rollback.prompt_text import text_of_json
from tripswitch.actions.rollback.versions import number_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import MlflowTarget

_API: Final = ("api", "2.0", "mlflow")


class MlflowAlias(LabelledTarget):
    """`RollbackTarget` that moves an alias. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: MlflowTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        token = target.token.get_secret_value()
        secret = basic(target.username, token) if target.username else bearer(token)
        super().__init__(target, client, now_ns, {"authorization": secret})

    async def _current(self, place: Place) -> Version | Attempt | None:
        reply = await self._api.get(
            *_API, "registered-models", "alias", name=place.thing, alias=place.label
        )
        if _is_absent(reply):
            return None
        return reply.trouble or _version(reply)

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        number = number_of(said)
        if number is None:
            return self.unmapped(said, "a version number, such as v17 or 17")
        reply = await self._api.get(
            *_API, "model-versions", "get", name=place.thing, version=number
        )
        if _is_absent(reply):
            return self.gone(place, said)
        return reply.trouble or _version(reply)

    async def _text(self, place: Place, version: Version) -> str | Attempt | None:
        reply = await self._api.get(
            *_API, "model-versions", "get", name=place.thing, version=version.id
        )
        found = reply.data.get("model_version") if isinstance(reply.data, dict) else None
        tags = found.get("tags") if isinstance(found, dict) else None
        for tag in tags or ():
            if isinstance(tag, dict) and tag.get("key") == "mlflow.prompt.text":
                return text_of_json(str(tag.get("value")))
        return reply.trouble

    def _write(self, move: Move) -> Request:
        body = {"name": move.place.thing, "alias": move.place.label, "version": move.goal.id}
        return self._api.request("POST", Path((*_API, "registered-models", "alias")), body)

    async def _first_read(self) -> Reply:
        return await self._api.get(*_API, "registered-models", "search", max_results=1)


def _is_absent(reply: Reply) -> bool:
    """MLflow says 404 for a model and 400 for an alias that is not there."""
    return reply.is_missing or (
        reply.status == 400 and reply.trouble is not None and "not found" in reply.trouble.detail
    )


def _version(reply: Reply) -> Version | Attempt:
    found: Any = reply.data.get("model_version") if isinstance(reply.data, dict) else None
    number = found.get("version") if isinstance(found, dict) else None
    if not isinstance(number, str) or not number:
        return refusal("the registry answered without a version")
    tags = found.get("tags") or []
    if {"key": "mlflow.prompt.is_prompt", "value": "true"} not in tags:
        return refusal("what is registered there under this name is a model, not a prompt")
    return Version(number, f"v{number}")
