"""The part of Unleash's admin API that changes features, JSON Patch with its tests included."""

from __future__ import annotations

import copy
from typing import Any

from tests.actions.receiver import Answer
from tests.actions.rollback.fakes.server import Asking, FakeServer, told

_PLACE = ("api", "admin", "projects", "default", "features")


def strategy(name: str, cohorts: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a strategy, of some cohorts where named."""
    constraint = {"contextName": "cohort", "operator": "IN", "values": cohorts}
    return {
        "id": name,
        "disabled": False,
        "constraints": [] if cohorts is None else [constraint],
        "parameters": {"rollout": "100"},
        "variants": [],
        **fields,
    }


def variants(**weights: int) -> list[dict[str, Any]]:
    """Return variants by weight."""
    return [
        {"name": name, "weight": weight, "stickiness": "default", "weightType": "variable"}
        for name, weight in weights.items()
    ]


class FakeUnleash(FakeServer):
    """Features by name, each in one environment, ``production``."""

    def __init__(self, **features: list[dict[str, Any]]) -> None:
        self.features: dict[str, dict[str, Any]] = {
            name.replace("_", "-"): {"name": name, "enabled": True, "strategies": strategies}
            for name, strategies in features.items()
        }
        super().__init__()

    def authorized(self, asking: Asking) -> bool:
        """Want the bare token."""
        return asking.headers.get("authorization") == "*:*.secret"

    def handled(self, asking: Asking) -> Answer:
        """Serve features and change them."""
        if asking.segments[:5] != _PLACE:
            return told(404, message="no such place")
        match asking.method, asking.segments[5:]:
            case "GET", ():
                return told(features=[])
            case method, (name, "environments", "production", *rest) if name in self.features:
                return self._feature(method, self.features[name], rest, asking)
        return told(404, name="NotFoundError", message="no such feature")

    def _feature(
        self, method: str, feature: dict[str, Any], rest: list[str], asking: Asking
    ) -> Answer:
        match method, rest:
            case "GET", []:
                return told(**feature)
            case "POST", [("on" | "off") as switch]:
                feature["enabled"] = switch == "on"
                return Answer(200)
            case "PATCH", ["strategies", wanted]:
                for each in feature["strategies"]:
                    if each["id"] == wanted:
                        return _patched(each, asking.data)
        return told(404, name="NotFoundError", message="no such strategy")


def _patched(found: dict[str, Any], patch: list[dict[str, Any]]) -> Answer:
    after = copy.deepcopy(found)
    for step in patch:
        *above, last = step["path"].strip("/").split("/")
        holder = after
        for name in above:
            holder = holder[name]
        if step["op"] == "test" and holder[last] != step["value"]:
            return told(500, name="UnknownError", message="Test operation failed")
        if step["op"] == "replace":
            holder[last] = step["value"]
    found.update(after)
    return told(**found)
