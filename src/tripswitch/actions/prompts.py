"""The texts of two prompt versions, from the registry that is configured as a rollback target."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.exchange import open_client
from tripswitch.actions.open_rollback import open_target
from tripswitch.actions.rollback.labelled import LabelledTarget
from tripswitch.config.registry_targets import RegistrySection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.config.target_sections import TargetSection


async def prompt_texts(
    targets: Sequence[TargetSection],
    preferred: str,
    name: str | None,
    versions: tuple[str, str],
    now_ns: Callable[[], int] = time.time_ns,
) -> tuple[str, str] | Attempt:
    """Return the texts of two versions of a prompt; an `Attempt` says why they are not to be had.

    The registry is the target called ``preferred`` where that is one, else the first that is one.
    ``name`` is the prompt as the spans name it. Only reads. Raises `ConfigError` for an address
    or a secret that cannot be used.
    """
    registries = [each for each in targets if isinstance(each, RegistrySection)]
    registries.sort(key=lambda each: each.name != preferred)
    if not registries:
        return Attempt(AttemptState.FAILED, "no rollback target is a prompt registry")
    async with open_client() as client:
        registry = open_target(registries[0], client, "postmortem", now_ns)
        assert isinstance(registry, LabelledTarget)
        before = await registry.prompt_text(name, versions[0])
        if isinstance(before, Attempt):
            return before
        after = await registry.prompt_text(name, versions[1])
        return after if isinstance(after, Attempt) else (before, after)
