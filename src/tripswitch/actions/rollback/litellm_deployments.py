"""The deployments of a LiteLLM proxy, and which of their settings a rollback changes. Pure.

A deployment stands for a prompt version by its ``model_info.id``, by ``model_info.prompt_version``
or by ``litellm_params.prompt_version``; for a provider or model by its ``litellm_params.model``
(``provider/model``), ``custom_llm_provider`` or ``model_name``. A cohort is a tag: requests that
carry it go to the deployments that have it. Everybody else is shared out by ``weight`` (strategy
``simple-shuffle``), where a deployment without one counts as 0 beside others that have one, and
where all are 0 or without, everyone gets the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.versions import is_same

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tripswitch.actions.rollback.asked import Asked

Setting = Literal["weight", "tags", "blocked"]


class NoMoveError(Exception):
    """What is asked for cannot be done on these deployments; the text says why."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of ``model_list``. ``id`` may be empty in a file, ``position`` is its place."""

    position: int
    id: str
    group: str
    names: frozenset[str]
    versions: tuple[str, ...]
    weight: float | None
    tags: tuple[str, ...]
    is_blocked: bool
    in_database: bool

    @property
    def label(self) -> str:
        """What people call it."""
        return word(self.id or f"number {self.position + 1}")


@dataclass(frozen=True, slots=True)
class Edit:
    """One setting of one deployment, from what is there to what is wanted."""

    position: int
    id: str
    setting: Setting
    found: Any
    wrote: Any


def deployments_of(listed: Any) -> list[Deployment]:
    """Return the deployments of a ``model_list``, of a file or of the API's ``/model/info``."""
    if not isinstance(listed, list):
        raise NoMoveError("there is no model_list")
    return [_deployment(number, each) for number, each in enumerate(listed)]


def edits_for(
    deployments: Sequence[Deployment], wanted: Asked, group: str, *, can_block: bool
) -> list[Edit]:
    """Return what is to be changed, the good side first; empty when it stands there already."""
    group = group or wanted.scope.get("request_model") or ""
    inside = [each for each in deployments if not group or each.group == group]
    is_failover = wanted.path == "provider_failover"
    bad = [each for each in inside if _stands_for(each, wanted.before, is_failover)]
    good = [each for each in inside if _stands_for(each, wanted.after, is_failover)]
    for side, said in ((bad, wanted.before), (good, wanted.after)):
        if not side:
            where = f' of "{word(group)}"' if group else ""
            raise NoMoveError(f'no deployment{where} stands for "{word(said)}"')
    if len({each.group for each in (*bad, *good)}) > 1 and not is_failover:
        raise NoMoveError("the deployments serve several model names; set model_group")
    if wanted.path == "cohort":
        return _retagged(bad, good, str(wanted.cohort))
    if is_failover and can_block:
        return _drained(bad, good)
    return _reweighed(inside, bad, good, wanted)


def _retagged(bad: list[Deployment], good: list[Deployment], tag: str) -> list[Edit]:
    leaving = [each for each in bad if tag in each.tags]
    coming = [each for each in good if tag not in each.tags]
    if not leaving:
        if len(coming) < len(good):
            return []
        raise NoMoveError(
            f'no deployment of either version has the tag "{word(tag)}": a person moved it, so it '
            "is left alone"
        )
    return [
        *(_edit(each, "tags", list(each.tags), [*each.tags, tag]) for each in coming),
        *(
            _edit(each, "tags", list(each.tags), [one for one in each.tags if one != tag])
            for each in leaving
        ),
    ]


def _drained(bad: list[Deployment], good: list[Deployment]) -> list[Edit]:
    for name in {each.group for each in bad}:
        if not any(each.group == name and not each.is_blocked for each in good):
            raise NoMoveError(f'nothing would be left to serve "{word(name)}"')
    return [_edit(each, "blocked", found=False, wrote=True) for each in bad if not each.is_blocked]


def _reweighed(
    inside: list[Deployment], bad: list[Deployment], good: list[Deployment], wanted: Asked
) -> list[Edit]:
    is_weighted = any(each.weight for each in inside)
    serving = [each for each in bad if each.weight or not is_weighted]
    if not serving:
        if any(each.weight for each in good):
            return []
        raise NoMoveError(
            f"neither {word(wanted.before)} nor {word(wanted.after)} has any weight: a person "
            "moved it, so it is left alone"
        )
    if not is_weighted:
        raised = [_edit(each, "weight", each.weight, 1) for each in inside if each not in bad]
    elif any(each.weight for each in good):
        raised = []
    else:
        raised = [_edit(good[0], "weight", good[0].weight, sum(each.weight or 0 for each in bad))]
    return [*raised, *(_edit(each, "weight", each.weight, 0) for each in serving)]


def _edit(each: Deployment, setting: Setting, found: Any, wrote: Any) -> Edit:
    return Edit(each.position, each.id, setting, found, wrote)


def value_of(each: Deployment, setting: str) -> Any:
    """Return what a setting of a deployment is now."""
    if setting == "tags":
        return list(each.tags)
    return each.is_blocked if setting == "blocked" else each.weight


def _stands_for(each: Deployment, said: str, is_failover: bool) -> bool:
    if is_failover:
        return said == each.id or said == each.group or said in each.names
    return any(is_same(said, version) for version in each.versions)


def _deployment(number: int, found: Any) -> Deployment:
    entry = found if isinstance(found, dict) else {}
    params, info = (
        each if isinstance(each, dict) else {}
        for each in (entry.get("litellm_params"), entry.get("model_info"))
    )
    name = str(info.get("id") or "")
    model = str(params.get("model") or "")
    provider = params.get("custom_llm_provider") or model.partition("/")[0]
    weight, tags = params.get("weight"), params.get("tags") or []
    if weight is not None and (isinstance(weight, bool) or not isinstance(weight, int | float)):
        raise NoMoveError(f"the weight of deployment {name or number + 1} is no number")
    if not isinstance(tags, list):
        raise NoMoveError(f"the tags of deployment {name or number + 1} are no list")
    return Deployment(
        position=number,
        id=name,
        group=str(entry.get("model_name") or ""),
        names=frozenset(_texts([model, provider])),
        versions=tuple(_texts([name, info.get("prompt_version"), params.get("prompt_version")])),
        weight=weight,
        tags=tuple(str(each) for each in tags),
        is_blocked=info.get("blocked") is True,
        in_database=info.get("db_model") is True,
    )


def _texts(values: Iterable[Any]) -> list[str]:
    return [str(each) for each in values if each is not None and each != ""]
