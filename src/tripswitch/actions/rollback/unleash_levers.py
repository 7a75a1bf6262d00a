"""Which part of an Unleash feature decides what a cohort gets, and its value after a rollback.

A feature is one of two things. With *variants*, these stand for versions by name, and a rollback
gives the bad one's weight to the good one. Without, it is a *gate* before one version, whose name
is part of its own (``refund-bot-{from}``): a rollback closes it, for one cohort by its strategy's
percentage, for everybody by its switch. Everything here is pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.versions import is_same

_WHOLE = 1000


@dataclass(frozen=True, slots=True)
class Lever:
    """One part of a feature in an environment, and its value: a JSON value of the feature's."""

    kind: Literal["variants", "rollout", "switch"]
    strategy: str
    value: Any

    @property
    def pointer(self) -> str:
        """The place of the value in its strategy, as a JSON pointer."""
        return "/variants" if self.kind == "variants" else "/parameters/rollout"

    def gives(self) -> str:
        """Return what it gives now, in words."""
        if self.kind == "switch":
            return "on" if self.value else "off"
        if self.kind == "rollout":
            return f"{word(self.value)} %"
        given = [f"{word(each['name'])}" for each in self.value if each.get("weight")]
        return ", ".join(given) or "nothing"


class NoLeverError(Exception):
    """Nothing can be moved for those who are asked for, and nobody else; the text says why."""


def lever_of(
    feature: Any, whom: tuple[str, str | None], bad: str, good: str, *, is_gate: bool
) -> Lever:
    """Return the one lever that moves ``whom`` and nobody else.

    ``feature`` is the feature in an environment as Unleash says it, ``whom`` the context field of
    cohorts and one cohort (None: everybody), ``is_gate`` whether the feature's name says which
    version it gates.
    """
    key, cohort = whom
    strategies = feature.get("strategies") if isinstance(feature, dict) else None
    if not isinstance(strategies, list) or not isinstance(feature.get("enabled"), bool):
        raise NoLeverError("the server answered with something that is no feature")
    active = [each for each in strategies if not each.get("disabled")]
    varied = [each for each in active if each.get("variants")]
    if not varied and not is_gate:
        raise NoLeverError(
            "the feature has no variants to stand for versions, and its name in the file has no "
            "{from}, so nothing says that it gates the bad version"
        )
    if cohort is None:
        if not varied:
            return Lever("switch", "", feature["enabled"])
        mine = [each for each in varied if _names(each, bad)]
        mine = mine or [each for each in varied if _names(each, good)][:1] or varied
    else:
        mine = [each for each in active if _lets_in(each, key) == {cohort}]
        if any(_reaches(each, key, cohort, bad) for each in active if each not in mine):
            raise NoLeverError(
                f'a strategy gives cohort "{word(cohort)}" the bad version together with others, '
                "so it cannot be moved alone"
            )
    if len(mine) != 1:
        many = f"{len(mine)} strategies" if mine else "no strategy of its own"
        raise NoLeverError(f"it has {many} for those who are to move, and one was expected")
    (strategy,) = mine
    name = str(strategy.get("id", ""))
    if varied:
        return Lever("variants", name, strategy.get("variants"))
    return Lever("rollout", name, str(strategy.get("parameters", {}).get("rollout", "")))


def goal_of(lever: Lever, bad: str, good: str) -> Any | None:
    """Return the lever's value after the rollback, None when it stands there already.

    Raises `NoLeverError` when it stands at neither: a person moved it.
    """
    if lever.kind == "switch":
        return False if lever.value else None
    if lever.kind == "rollout":
        return None if lever.value == "0" else "0"
    given = [each for each in lever.value if each.get("weight")]
    moving = [each for each in given if is_same(bad, str(each["name"]))]
    if not moving:
        if any(is_same(good, str(each["name"])) for each in given):
            return None
        raise NoLeverError(
            f"it gives {lever.gives()}, neither {word(bad)} nor {word(good)}: a person moved it, "
            "so it is left alone"
        )
    goals = [each for each in lever.value if is_same(good, str(each["name"]))]
    if len(goals) != 1:
        raise NoLeverError(f'it has {len(goals)} variants for version "{word(good)}"')
    return [_reweighed(each, goals[0], moving) for each in lever.value]


def _reweighed(each: Any, good: Any, moving: list[Any]) -> Any:
    if each is good:
        weight = int(good["weight"]) + sum(int(one["weight"]) for one in moving)
        # Unleash wants one variant that takes up what the fixed ones leave.
        return {**each, "weight": min(weight, _WHOLE), "weightType": "variable"}
    return {**each, "weight": 0 if each in moving else each["weight"], "weightType": "fix"}


def _names(strategy: Any, version: str) -> bool:
    return any(
        is_same(version, str(each["name"])) and each.get("weight") for each in strategy["variants"]
    )


def _reaches(strategy: Any, key: str, cohort: str, bad: str) -> bool:
    let_in = _lets_in(strategy, key)
    if let_in is not None and cohort not in let_in:
        return False
    if strategy.get("variants"):
        return _names(strategy, bad)
    return str(strategy.get("parameters", {}).get("rollout", "100")) != "0"


def _lets_in(strategy: Any, key: str) -> set[str] | None:
    """Return the cohorts that a strategy lets in at most, None when it does not look at them."""
    for constraint in strategy.get("constraints") or []:
        is_list = constraint.get("operator") == "IN" and not constraint.get("inverted")
        if constraint.get("contextName") == key and is_list:
            return set(constraint.get("values") or [])
    return None
