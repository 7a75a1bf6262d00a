"""First sights: a model, a provider, a service version, a deployment, a guardrail new on a route.

What is there in a route's first minute was there before it was watched, and is no change. Prompt
versions are not looked at here: the windows know them by cohort.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tripswitch.model.incident import Change
from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.genai.settling import Settling
    from tripswitch.model.snapshot import Snapshot

_SETTLING_IN_NS: Final = 60 * 10**9
_MAX_ROUTES: Final = 1000
# Of one kind on one route; a sender that makes up names is told apart from a rollout by this.
_MAX_VALUES: Final = 256
_MAX_COMBINATIONS: Final = 1024
_KINDS: Final = ("request_model", "response_model", "provider", "service_version", "deployment")
# A snapshot keeps these few values of a route; beyond so many the oldest routes learn anew.
_MAX_SAVED_VALUES: Final = 20_000


class _Route:
    """What was seen on one route: by kind the values, the latest last, and since when."""

    __slots__ = ("combinations", "since_ns", "values")

    def __init__(self, since_ns: int) -> None:
        self.since_ns = since_ns
        # What was seen together; most calls show one of a few and are done with by one look.
        self.combinations: set[tuple[str | None, ...]] = set()
        self.values: dict[str, dict[str, None]] = {}


class Novelties:
    """Notices what is new on a route; ``ignored`` counts what came beyond the bounds."""

    def __init__(self) -> None:
        self.ignored = 0
        self._routes: OrderedDict[str | None, _Route] = OrderedDict()
        self._told: set[tuple[int | str | None, ...]] = set()

    def of_call(self, call: Settling, now_ns: int) -> Sequence[Change]:
        """Return the changes that a settled call shows.

        Its place has to be held until `forget_told`.
        """
        # Most calls show what others show; scopes that calls share are told by their identity.
        place = call.place
        key = (
            id(place.scope),
            place.service_version,
            place.deployment,
            call.facts.response_model,
        )
        if key in self._told and not call.guardrails:
            return ()
        self._told.add(key)
        return self._looked_at(call, now_ns)

    def forget_told(self) -> None:
        """Look at every call again, whatever was told by others before."""
        self._told.clear()

    def _looked_at(self, call: Settling, now_ns: int) -> list[Change]:
        route_name = call.place.scope.route
        route = self._routes.get(route_name)
        if route is None:
            route = self._routes[route_name] = _Route(now_ns)
            if len(self._routes) > _MAX_ROUTES:
                self._routes.popitem(last=False)
        combination = _values(call)
        if combination in route.combinations:
            return []
        if len(route.combinations) >= _MAX_COMBINATIONS:
            route.combinations.clear()
        route.combinations.add(combination)
        found: list[Change] = []
        for kind, value in zip(_kinds(combination), combination, strict=True):
            if value is None:
                continue
            known = route.values.setdefault(kind, {})
            if value in known:
                continue
            if len(known) >= _MAX_VALUES:
                self.ignored += 1
                continue
            before = next(reversed(known), None)
            known[value] = None
            if now_ns - route.since_ns >= _SETTLING_IN_NS:
                scope = Scope(route_name)
                found.append(Change(kind, call.span.end, scope, before, value))
        return found

    def save(self, snapshot: Snapshot) -> None:
        """Put what was seen on each route into ``snapshot``, the latest routes first."""
        routes: list[list[object]] = []
        values = 0
        for name, route in reversed(self._routes.items()):
            values += sum(len(known) for known in route.values.values())
            if values > _MAX_SAVED_VALUES:
                break
            seen = {kind: list(known) for kind, known in route.values.items()}
            routes.append([name, route.since_ns, seen])
        snapshot.facts["novelties"] = routes
        snapshot.left_out["routes"] = len(self._routes) - len(routes)

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what was seen before ``snapshot`` was taken."""
        for name, since_ns, seen in reversed(snapshot.facts["novelties"]):
            route = self._routes[name] = _Route(since_ns)
            route.values = {kind: dict.fromkeys(values) for kind, values in seen.items()}


def _values(call: Settling) -> tuple[str | None, ...]:
    """Return what a call shows: a value for each of `_KINDS`, then the names of its guardrails."""
    place = call.place
    values = (
        place.scope.request_model,
        call.facts.response_model,
        place.scope.provider,
        place.service_version,
        place.deployment,
    )
    if not call.guardrails:
        return values
    return (*values, *[guardrail.name for guardrail in call.guardrails])


def _kinds(values: Sequence[str | None]) -> tuple[str, ...]:
    return _KINDS + ("guardrail",) * (len(values) - len(_KINDS))
