"""The notifiers by name, as the configuration has them or as an open episode remembers them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr, ValidationError

from tripswitch.actions.notify.alertmanager import AlertmanagerNotify
from tripswitch.actions.notify.apprise import AppriseNotify
from tripswitch.actions.notify.email import EmailNotify
from tripswitch.actions.notify.jsm import JsmNotify
from tripswitch.actions.notify.pagerduty import PagerDutyNotify
from tripswitch.actions.notify.slack import SlackNotify
from tripswitch.actions.notify.statuspage import StatuspageNotify
from tripswitch.actions.notify.webhook import WebhookNotify
from tripswitch.config.notifier_base import NotifierSection
from tripswitch.config.notifier_sections import Notifier as AnySection
from tripswitch.config.variants import variants_of
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from tripswitch.actions.notify.contract import Notifier
    from tripswitch.config.model import Config


@dataclass(frozen=True, slots=True)
class Means:
    """What notifiers work with: the client for calls out, the name of this state, the wall clock.

    ``chart_of`` returns the drift chart of an incident as PNG, None when there is none.
    """

    client: httpx.AsyncClient
    instance: str
    now_ns: Callable[[], int]
    chart_of: Callable[[str], bytes | None] = lambda _incident_id: None


_KINDS: Final[dict[str, Callable[[Any, Means], Notifier]]] = {
    "webhook": WebhookNotify,
    "alertmanager": AlertmanagerNotify,
    "pagerduty": PagerDutyNotify,
    "jsm": JsmNotify,
    "opsgenie": JsmNotify,
    "slack": SlackNotify,
    "email": EmailNotify,
    "statuspage": StatuspageNotify,
    "apprise": AppriseNotify,
}
_SECTIONS: Final = variants_of(AnySection)


class Notifiers:
    """The notifiers of ``config``. Nothing is called.

    Raises one `ConfigError` that lists every address, secret and missing package.
    """

    def __init__(self, config: Config, means: Means) -> None:
        self._means = means
        self._sections = {section.name: section for section in config.notify}
        self._opened: dict[tuple[str, str], Notifier] = {}
        problems: list[ConfigError] = []
        for section in config.notify:
            try:
                self._open(section)
            except ConfigError as error:
                problems.append(error)
        if problems:
            message = "\n".join(problem.message for problem in problems)
            raise ConfigError(message, hint=problems[0].hint)

    @property
    def names(self) -> list[str]:
        """Return the names of the configured notifiers, in the order of the file."""
        return list(self._sections)

    def configured(self, name: str) -> Notifier | None:
        """Return a notifier as it is configured now."""
        section = self._sections.get(name)
        return None if section is None else self._open(section)

    def address(self, name: str) -> dict[str, Any]:
        """Return what an episode keeps of a notifier from its first message to its last."""
        section = self._sections.get(name)
        return {} if section is None else _address(section)

    def at(self, name: str, address: Mapping[str, Any]) -> Notifier | None:
        """Return the notifier as it was when an episode was first told of, None when it cannot be.

        Its address is the one kept, its credentials are today's; one that left the file works as
        far as its address holds all it needs.
        """
        section = self._sections.get(name)
        if not address or (section is not None and _address(section) == address):
            return self.configured(name)
        kept = {field: value for field, value in address.items() if field != "type"}
        if section is not None and section.type == address["type"]:
            kept = section.model_dump() | kept
        kind = _SECTIONS.get(str(address["type"]))
        if kind is None:
            return None
        try:
            remembered = kind.model_validate(kept | {"name": name, "type": address["type"]})
            assert isinstance(remembered, NotifierSection)
            return self._open(remembered) if _is_whole(remembered) else None
        except (ValidationError, ConfigError):
            return None

    def _open(self, section: NotifierSection) -> Notifier:
        key = (section.name, json.dumps(_address(section), sort_keys=True))
        if key not in self._opened:
            self._opened[key] = _KINDS[section.type](section, self._means)
        return self._opened[key]


def _is_whole(section: NotifierSection) -> bool:
    """Return whether a section has all that its kind cannot do without, such as a token."""
    return all(
        _plain(getattr(section, name))
        for name, field in type(section).model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("needed")
    )


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _address(section: NotifierSection) -> dict[str, Any]:
    address: dict[str, Any] = {"type": section.type}
    for name, field in type(section).model_fields.items():
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("kept"):
            address[name] = _plain(getattr(section, name))
    return address
