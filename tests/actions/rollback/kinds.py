"""Each kind of target with a pointer, its fake on v18, and how both are asked where it stands."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from tests.actions.rollback.fakes.mlflow import FakeMlflow
from tests.actions.rollback.fakes.registries import (
    FakeBraintrust,
    FakeFutureagi,
    FakeHelicone,
    FakeLangfuse,
    FakeLangsmith,
    FakePhoenix,
    xact,
)
from tests.actions.rollback.fakes.server import FakeServer
from tests.store.samples import effect
from tripswitch.actions.attempt import Attempt
from tripswitch.actions.exchange import open_client
from tripswitch.actions.open_rollback import open_target
from tripswitch.actions.rollback.asked import UNDO_TYPE
from tripswitch.actions.rollback.contract import PlannedCall, RollbackTarget
from tripswitch.config.model import Config
from tripswitch.config.target_sections import TargetSection
from tripswitch.model.outbox import Effect

T = TypeVar("T")

# Nothing here speaks TLS, and loading the authorities is what opening a client costs.
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(frozen=True)
class Kind:
    """A kind of target. ``stands`` and ``put`` are for version numbers of the label in question.

    ``secrets`` must never be shown; ``fields`` are those of the entry in the file but its URL.
    """

    name: str
    fake: Callable[[], Any]
    fields: dict[str, Any]
    stands: Callable[[Any], object]
    put: Callable[[Any, int], None]
    secrets: tuple[str, ...]
    versions: Callable[[int], str]
    prompt: str

    def __str__(self) -> str:
        return self.name

    def effect(self, before: int = 18, after: int = 17, **changes: Any) -> Effect:
        """Return the rollback of the whole prompt from one version to the other."""
        scope = {"prompt_name": self.prompt, **changes.pop("scope", {})}
        return asking(self.versions(before), self.versions(after), scope=scope, **changes)

    def section(self, url: str, **fields: Any) -> TargetSection:
        """Return the entry of the file."""
        entry = {"type": self.name, "url": url, "timeout": 5.0, **self.fields, **fields}
        return section_of(entry)


def asking(
    before: str,
    after: str,
    *,
    path: str = "prompt_version",
    key: str = "rb-1",
    scope: dict[str, Any] | None = None,
    undoes: str = "",
    kept: str = "",
    target: str = "gateway",
) -> Effect:
    """Return an effect that asks for a move, or for the undo of ``undoes``."""
    body = json.loads(effect(key).body)
    body["rollback"] |= {"path": path, "from": before, "to": after}
    body["scope"] |= {"prompt_version": None, "cohort": None, **(scope or {})}
    if undoes:
        body["rollback"]["undoes"] = undoes
    made = effect(key, body=json.dumps(body), target=target)
    return replace(made, kept=kept, type=UNDO_TYPE if undoes else made.type)


def section_of(entry: dict[str, Any]) -> TargetSection:
    """Return one entry of ``rollback.targets`` as the file's model reads it."""
    (section,) = Config.model_validate({"rollback": {"targets": [entry]}}).rollback.targets
    return section


def ask(section: TargetSection, do: Callable[[RollbackTarget], Awaitable[T]]) -> T:
    """Open a target, do one thing with it, close it."""

    async def run() -> T:
        async with open_client(_TLS) as client:
            return await do(open_target(section, client, "here", time.time_ns))

    return asyncio.run(run())


async def carried_out(target: RollbackTarget, wanted: Effect) -> tuple[Attempt, str]:
    """Plan and apply, or undo; return what came of it and what was recorded for an undo."""
    if wanted.type == UNDO_TYPE:
        return await target.undo(wanted, lambda: None), ""
    call = await target.plan(wanted)
    if isinstance(call, Attempt):
        return call, ""
    return await target.apply(call, lambda: None), call.kept


async def planned(target: RollbackTarget, wanted: Effect) -> PlannedCall:
    """Return a plan that must not be refused."""
    call = await target.plan(wanted)
    assert isinstance(call, PlannedCall), call
    return call


def _label(fake: Any) -> int:
    return int(fake.registry.labels["production"])


def _put_label(fake: Any, number: int) -> None:
    fake.registry.labels["production"] = number


def _kind(
    name: str,
    fake: type[FakeServer],
    fields: dict[str, Any],
    versions: Callable[[int], str] = lambda number: f"v{number}",
    prompt: str = "refund-bot",
) -> Kind:
    secrets = tuple(
        text for key, text in fields.items() if key in ("token", "api_key", "secret_key")
    )
    return Kind(name, fake, fields, _label, _put_label, secrets, versions, prompt)


REGISTRIES: tuple[Kind, ...] = (
    _kind("mlflow", FakeMlflow, {"token": "mlflow-token"}),
    _kind("phoenix", FakePhoenix, {"api_key": "phoenix-key"}),
    _kind(
        "langfuse",
        FakeLangfuse,
        {"public_key": "pk-1", "secret_key": "sk-1"},
        str,
        "folder/refund-bot",
    ),
    _kind("langsmith", FakeLangsmith, {"api_key": "ls-key"}, lambda number: f"{number:02d}abcccc"),
    _kind("braintrust", FakeBraintrust, {"api_key": "bt-key"}, xact),
    _kind("helicone", FakeHelicone, {"api_key": "he-key"}, lambda number: f"v{number}.0"),
    _kind("futureagi", FakeFutureagi, {"api_key": "fi-key", "secret_key": "fi-secret"}),
)
