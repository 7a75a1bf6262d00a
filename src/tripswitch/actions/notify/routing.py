"""Who hears a piece of news, as a pure function of the event and the configuration.

Each kind of news has the roles it goes to (``notifications.roles``), each notifier the roles it
reaches and what it wants to hear of. Whoever was told of an episode hears of it to its end,
whatever its filters or the file say meanwhile: a page that was opened is closed by the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tripswitch.model.incident import Severity, Shape

if TYPE_CHECKING:
    from collections.abc import Collection

    from tripswitch.config.model import Config
    from tripswitch.config.notifications_section import RoleRoutes
    from tripswitch.config.notifier_base import NotifierSection
    from tripswitch.model.incident import Incident
    from tripswitch.model.messages import Event

# News of these kinds is about an episode's papers, not about its life.
_PAPERS = ("comms", "postmortem")


@dataclass(frozen=True, slots=True)
class Hearer:
    """A notifier that hears an event; of a security incident maybe only that there is one."""

    name: str
    is_veiled: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The roles an event goes to: in full, and with the details of a security incident veiled."""

    full: frozenset[str]
    veiled: frozenset[str] = frozenset()


def hearers(event: Event, config: Config, told: Collection[str]) -> list[Hearer]:
    """Return who hears ``event``, in the order of the file, and who left the file last.

    ``told`` names the notifiers that were told of its episode before. An event of the life of a
    page that nobody would hear goes to everybody whose filters let it pass: no page is unheard.
    """
    notifiers = config.notify
    passing = [each for each in notifiers if _passes(event, each)]
    wanted = _wanted(event, config.notifications.roles)
    security = event.incident is not None and event.incident.security
    if security and not any(_has(each, wanted.full) for each in passing):
        # Nobody reviews security, and somebody has to know.
        wanted = _wanted_as_standard(event, config.notifications.roles)
        security = False
    is_life = _kind(event) not in _PAPERS
    found: list[Hearer] = []
    for each in notifiers:
        was_told = is_life and each.name in told
        if not was_told and each not in passing:
            continue
        if _has(each, wanted.full) or (not each.roles and not security):
            found.append(Hearer(each.name))
        elif not each.roles or _has(each, wanted.veiled) or was_told:
            found.append(Hearer(each.name, is_veiled=security))
    if is_life:
        here = {each.name for each in notifiers}
        found += [Hearer(name, is_veiled=security) for name in sorted(told) if name not in here]
    if not found and event.incident is not None and event.incident.severity is Severity.PAGE:
        found = [Hearer(each.name) for each in passing]
    return found


def _wanted(event: Event, roles: RoleRoutes) -> _Wanted:
    incident = event.incident
    if incident is None or not incident.security:
        return _wanted_as_standard(event, roles)
    reviewers = frozenset(roles.security)
    others = {"comms": roles.comms, "postmortem": roles.postmortem, "rollback": roles.rollback}
    return _Wanted(reviewers, frozenset(others.get(_kind(event), ())) - reviewers)


def _wanted_as_standard(event: Event, roles: RoleRoutes) -> _Wanted:
    kind = _kind(event)
    if kind == "comms":
        return _Wanted(frozenset(roles.comms))
    if kind == "postmortem":
        return _Wanted(frozenset(roles.postmortem))
    incident = event.incident
    is_page = incident is not None and incident.severity is Severity.PAGE
    full = set(roles.page if is_page else roles.investigate)
    if incident is not None and incident.shape is Shape.EVAL_DRIFT:
        full.update(roles.eval_drift)
    if kind == "rollback":
        full.update(roles.rollback)
    return _Wanted(frozenset(full))


def _kind(event: Event) -> str:
    return event.name.value.partition(".")[0]


def _has(notifier: NotifierSection, roles: frozenset[str]) -> bool:
    return not roles.isdisjoint(notifier.roles)


def _passes(event: Event, notifier: NotifierSection) -> bool:
    incident = event.incident
    if incident is None:
        # A bare change has neither severity nor shape; who wants only some gets none.
        return not (notifier.severities or notifier.shapes or notifier.routes or notifier.tenants)
    return (
        (not notifier.severities or incident.severity.value in notifier.severities)
        and (not notifier.shapes or incident.shape.value in notifier.shapes)
        and _on_route(incident, notifier.routes)
        and _touches(incident, notifier.tenants)
    )


def _on_route(incident: Incident, patterns: Collection[str]) -> bool:
    """Return whether an incident concerns a route; one of a whole provider concerns them all."""
    route = incident.scope.route
    return not patterns or route is None or any(fnmatchcase(route, one) for one in patterns)


def _touches(incident: Incident, tenants: Collection[str]) -> bool:
    return not tenants or any(name in tenants for name, _ in incident.tenants)
