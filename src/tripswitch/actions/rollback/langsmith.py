"""A commit tag of a prompt in the LangSmith hub: versions are commits, known by hash.

A version as the spans say it is the commit's id, its hash (at least seven digits of it), or the
name of another tag. Whether the documented call for setting a tag moves one that is there already
is not stated, which is why what was written is read back and why this kind never acts by itself.
Source: the `langsmith` SDK 0.15 (`_create_commit_tags`) and the LangSmith API reference, "tags".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version
from tripswitch.actions.rollback.prompt_text import text_of_document

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import LangsmithTarget


_MIN_HASH = 7
_PAGE = 100
_MAX_PAGES = 10


class LangsmithTag(LabelledTarget):
    """`RollbackTarget` that moves a commit tag. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: LangsmithTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        super().__init__(target, client, now_ns, {"x-api-key": target.api_key.get_secret_value()})
        self._owner = target.owner

    async def _current(self, place: Place) -> Version | Attempt | None:
        return await self._tagged(place, place.label)

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        tagged = await self._tagged(place, said)
        if tagged is not None:
            return tagged
        for page in range(_MAX_PAGES):
            reply = await self._api.get(
                *("api", "v1", "commits", self._owner, place.thing),
                limit=_PAGE,
                offset=page * _PAGE,
            )
            if reply.trouble is not None:
                return self.gone(place, said) if reply.is_missing else reply.trouble
            commits = reply.data.get("commits") if isinstance(reply.data, dict) else None
            if not isinstance(commits, list):
                return self._answerless
            for commit in commits:
                if said == commit.get("id") or _is_hash(said, commit.get("commit_hash")):
                    return Version(str(commit["id"]), str(commit["commit_hash"])[:8])
            if len(commits) < _PAGE:
                break
        return self.gone(place, said)

    async def _text(self, place: Place, version: Version) -> str | Attempt | None:
        reply = await self._api.get("api", "v1", "commits", self._owner, place.thing, version.name)
        return reply.trouble or text_of_document(reply.data.get("manifest"))

    def _write(self, move: Move) -> Request:
        place = Path(("api", "v1", "repos", self._owner, move.place.thing, "tags"))
        body = {"tag_name": move.place.label, "commit_id": move.goal.id}
        return self._api.request("POST", place, body)

    async def _first_read(self) -> Reply:
        return await self._api.get("api", "v1", "repos", limit=1)

    async def _tagged(self, place: Place, name: str) -> Version | Attempt | None:
        reply = await self._api.get("api", "v1", "repos", self._owner, place.thing, "tags")
        if reply.trouble is not None:
            return None if reply.is_missing else reply.trouble
        if not isinstance(reply.data, list):
            return self._answerless
        for tag in reply.data:
            if isinstance(tag, dict) and tag.get("tag_name") == name and tag.get("commit_id"):
                return Version(str(tag["commit_id"]), str(tag.get("commit_hash") or name)[:8])
        return None


def _is_hash(said: str, commit_hash: object) -> bool:
    return len(said) >= _MIN_HASH and isinstance(commit_hash, str) and commit_hash.startswith(said)
