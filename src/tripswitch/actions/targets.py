"""The configured rollback targets, opened by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.open_rollback import open_target
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.actions.rollback.contract import RollbackTarget
    from tripswitch.config.model import Config


def open_targets(
    config: Config, client: httpx.AsyncClient, instance: str, now_ns: Callable[[], int]
) -> dict[str, RollbackTarget]:
    """Return the rollback targets of ``config`` by name.

    Nothing is called. Raises one `ConfigError` that lists every unusable address and secret.
    """
    targets: dict[str, RollbackTarget] = {}
    problems: list[ConfigError] = []
    for target in config.rollback.targets:
        try:
            targets[target.name] = open_target(target, client, instance, now_ns)
        except ConfigError as error:
            problems.append(error)
    if problems:
        message = "\n".join(problem.message for problem in problems)
        raise ConfigError(message, hint=problems[0].hint)
    return targets
