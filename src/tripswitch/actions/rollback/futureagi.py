"""A label of a prompt template in FutureAGI: versions are named v1, v2, ...

A version as the spans say it is the template version's name, a leading v left off or not. A label
cannot stand at a draft. Assigning by id is what its SDK does once it has looked the ids up.
Source: the `futureagi` SDK 0.6 (`assign_label_to_template_version`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.rollback.api import Path, Reply
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.actions.rollback.pointer import Move, Place, Version, refusal
from tripswitch.actions.rollback.versions import is_same

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.rollback.contract import Request
    from tripswitch.config.registry_targets import FutureagiTarget


_TEMPLATES = ("model-hub", "prompt-templates")
_LABELS = ("model-hub", "prompt-labels")


class FutureagiLabel(LabelledTarget):
    """`RollbackTarget` that assigns a label. Raises `ConfigError` for an unusable URL."""

    def __init__(
        self, target: FutureagiTarget, client: httpx.AsyncClient, now_ns: Callable[[], int]
    ) -> None:
        secrets = {
            "x-api-key": target.api_key.get_secret_value(),
            "x-secret-key": target.secret_key.get_secret_value(),
        }
        super().__init__(target, client, now_ns, secrets)

    async def _identified(self, place: Place) -> Place | Attempt:
        templates = await self._listed(Path(_TEMPLATES, {"search": place.thing}, slash=True))
        if not isinstance(templates, list):
            return templates
        labels = await self._listed(Path(_LABELS, slash=True))
        if not isinstance(labels, list):
            return labels
        template = next((e.get("id") for e in templates if e.get("name") == place.thing), None)
        # Its own SDK compares the names of labels without regard to case.
        wanted = place.label.casefold()
        label = next((e.get("id") for e in labels if str(e.get("name")).casefold() == wanted), None)
        if not template or not label:
            return refusal(f"the registry has no {place}")
        return Place(place.thing, place.label, (str(template), str(label)))

    async def _current(self, place: Place) -> Version | Attempt | None:
        params = {"name": place.thing, "label": place.label}
        path = Path((*_LABELS, "get-by-name"), params, slash=True)
        reply = await self._api.read("GET", path)
        if reply.is_missing:
            return None
        if reply.trouble is not None:
            return reply.trouble
        found = _inside(reply)
        name = found.get("version", found.get("templateVersion")) if isinstance(found, dict) else 0
        return Version(name, name) if isinstance(name, str) else self._answerless

    async def _resolve(self, place: Place, said: str) -> Version | Attempt:
        params = {"template_id": place.ids[0]}
        path = Path(("model-hub", "prompt-history-executions"), params, slash=True)
        listed = await self._listed(path)
        if not isinstance(listed, list):
            return listed
        for each in listed:
            name = each.get("templateVersion")
            if isinstance(name, str) and is_same(said, name):
                if each.get("isDraft") or each.get("is_draft"):
                    return refusal(f"{name} is a draft, at which no label can stand")
                return Version(name, name)
        return self.gone(place, said)

    def _write(self, move: Move) -> Request:
        path = Path((*_LABELS, *move.place.ids, "assign-label-by-id"), slash=True)
        return self._api.request("POST", path, {"version": move.goal.id})

    async def _first_read(self) -> Reply:
        return await self._api.read("GET", Path(_LABELS, slash=True))

    async def _listed(self, path: Path) -> list[dict[str, object]] | Attempt:
        reply = await self._api.read("GET", path)
        if reply.trouble is not None:
            return reply.trouble
        found = _inside(reply)
        listed = found.get("results") if isinstance(found, dict) else found
        if not isinstance(listed, list):
            return self._answerless
        return [each for each in listed if isinstance(each, dict)]


def _inside(reply: Reply) -> object:
    return reply.data.get("result", reply.data) if isinstance(reply.data, dict) else reply.data
