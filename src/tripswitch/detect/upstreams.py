"""Upstreams: which provider and model the traffic of a scope goes through, and who shares it.

A change that shows on several routes or prompt versions which share a provider, while two-sample
tests are quiet, is an event of that provider and not of any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tripswitch.detect.families import Family
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.scopes import Scopes

# One that serves no more says nothing of now.
_SERVING_MINUTES: Final = 5


class Upstreams:
    """Who goes through which upstream, looked up once a minute and only when it is asked for.

    An *upstream* is a scope of provider and model, or of the provider alone.
    """

    def __init__(self, scopes: Scopes, families: dict[Scope, Family]) -> None:
        self.scopes = scopes
        self.families = families
        self._minute = -1
        self._of: dict[Scope, Scope] = {}
        self._through: dict[Scope, list[Scope]] = {}

    def of(self, scope: Scope) -> Scope | None:
        """Return the narrowest upstream that all serving traffic of ``scope`` goes through.

        ``scope`` is an arm, a leaf, or a family; None where several providers serve it.
        """
        self._refresh()
        return self._of.get(scope)

    def through(self, upstream: Scope) -> list[Scope]:
        """Return the arms and leaves whose serving traffic all goes through ``upstream``."""
        self._refresh()
        return self._through.get(upstream, [])

    def save(self, snapshot: Snapshot) -> None:
        """Put what was looked up in this minute into ``snapshot``: traffic since changes it."""
        snapshot.facts["upstreams.minute"] = self._minute
        snapshot.facts["upstreams.of"] = [
            [snapshot.number(scope), snapshot.number(upstream)]
            for scope, upstream in self._of.items()
        ]
        snapshot.facts["upstreams.through"] = [
            [snapshot.number(upstream), [snapshot.number(scope) for scope in scopes]]
            for upstream, scopes in self._through.items()
        ]

    def restore(self, snapshot: Snapshot) -> None:
        """Know again what `save` put there; else it is looked up when it is asked for."""
        self._minute = snapshot.facts.get("upstreams.minute", -1)
        for number, of_number in snapshot.facts.get("upstreams.of", ()):
            scope, upstream = snapshot.scope(number), snapshot.scope(of_number)
            if scope is not None and upstream is not None:
                self._of[scope] = upstream
        for number, numbers in snapshot.facts.get("upstreams.through", ()):
            upstream = snapshot.scope(number)
            if upstream is not None:
                found = (snapshot.scope(one) for one in numbers)
                self._through[upstream] = [scope for scope in found if scope is not None]

    def _refresh(self) -> None:
        minute = self.scopes.rings.now_minute
        if minute == self._minute:
            return
        self._minute = minute
        self._of.clear()
        self._through.clear()
        oldest_ns = (minute - _SERVING_MINUTES) * NS_PER_MINUTE
        for family in self.families.values():
            self._see(family, oldest_ns)

    def _see(self, family: Family, oldest_ns: int) -> None:
        of_family: list[Scope] = []
        for arm, record in family.arms.items():
            if record.last_seen_ns < oldest_ns:
                continue
            leaves = [
                leaf
                for leaf, other in family.leaves.get(arm, {}).items()
                if other.last_seen_ns >= oldest_ns
            ]
            of_family += leaves or [arm]
            if len(leaves) > 1:
                for leaf in leaves:
                    self._note(leaf, _common([leaf]))
            self._note(arm, _common(leaves or [arm]))
        upstream = _common(of_family)
        if upstream is not None:
            self._of[family.scope] = upstream

    def _note(self, scope: Scope, upstream: Scope | None) -> None:
        if upstream is None:
            return
        self._of[scope] = upstream
        self._through.setdefault(upstream, []).append(scope)
        if upstream.request_model is not None:
            provider = Scope(provider=upstream.provider)
            self._through.setdefault(provider, []).append(scope)


def _common(leaves: Iterable[Scope]) -> Scope | None:
    pairs = {(leaf.provider, leaf.request_model) for leaf in leaves}
    providers = {provider for provider, _ in pairs}
    if len(providers) != 1 or None in providers:
        return None
    model = next(iter(pairs))[1] if len(pairs) == 1 else None
    return Scope(provider=next(iter(providers)), request_model=model)
