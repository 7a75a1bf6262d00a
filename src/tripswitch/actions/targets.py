"""The configured rollback targets and notifiers, opened by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.notify.webhook import WebhookNotify
from tripswitch.actions.open_rollback import open_target
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.notify.contract import Notifier
    from tripswitch.actions.rollback.contract import RollbackTarget
    from tripswitch.config.model import Config


def open_targets(
    config: Config, client: httpx.AsyncClient, instance: str, now_ns: Callable[[], int]
) -> tuple[dict[str, RollbackTarget], dict[str, Notifier]]:
    """Return the rollback targets and the notifiers of ``config`` by name.

    Nothing is called. Raises one `ConfigError` that lists every unusable address and secret.
    """
    targets: dict[str, RollbackTarget] = {}
    notifiers: dict[str, Notifier] = {}
    problems: list[ConfigError] = []
    for target in config.rollback.targets:
        try:
            targets[target.name] = open_target(target, client, instance, now_ns)
        except ConfigError as error:
            problems.append(error)
    for notifier in config.notify:
        try:
            notifiers[notifier.name] = WebhookNotify(notifier, client, instance, now_ns)
        except ConfigError as error:
            problems.append(error)
    if problems:
        message = "\n".join(problem.message for problem in problems)
        raise ConfigError(message, hint=problems[0].hint)
    return targets, notifiers
