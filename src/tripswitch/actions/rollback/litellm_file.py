"""The configuration file of a LiteLLM proxy without a database: tags and weights, by replacing it.

The proxy reads its file when it starts: whoever runs it has to restart it when the file changes,
which the result says. Source: LiteLLM proxy, "config.yaml" and "tag based routing"; held to the
proxy itself, 1.108.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.asked import asked, evidence_of
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Request, Snapshot
from tripswitch.actions.rollback.file_edit import FileBytes, may_replace, read_file, replace_file
from tripswitch.actions.rollback.litellm_deployments import (
    Edit,
    NoMoveError,
    deployments_of,
    edits_for,
)
from tripswitch.actions.rollback.litellm_kept import kept_text, lines_of, undoing
from tripswitch.actions.rollback.litellm_yaml import loaded, with_edits
from tripswitch.actions.rollback.pointer import already, refusal, seen_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.actions.rollback.contract import SpanEvidence
    from tripswitch.config.gateway_targets import LitellmFileTarget
    from tripswitch.model.outbox import Effect

_RESTART = "the proxy takes it up when it is restarted"


@dataclass(frozen=True, slots=True)
class _Change:
    file: FileBytes
    edits: list[Edit]
    content: bytes


class LitellmFile:
    """`RollbackTarget` on a file. Nothing is read before it is asked for."""

    can_read_back = True

    def __init__(self, target: LitellmFileTarget) -> None:
        self._section = target

    async def probe(self) -> Probe:
        """Read the file and look whether its folder lets it be replaced."""
        trouble = ""
        file = await asyncio.to_thread(read_file, self._section.path)
        try:
            if isinstance(file, Attempt):
                trouble = file.detail
            else:
                deployments_of(loaded(_text(file)).get("model_list"))
                trouble = may_replace(file.path)
        except NoMoveError as error:
            trouble = f"{self._section.path}: {error}"
        return Probe(
            usable=not trouble,
            cohort=True,
            compare_and_set=True,
            undo=True,
            dry_run=True,
            read_back=True,
            detail=trouble or f"the file can be read and replaced; {_RESTART}",
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read the file, and whether it says what ``effect`` wants."""
        change = await self._change(effect)
        if isinstance(change, Attempt):
            holds = {AttemptState.DONE: True, AttemptState.FAILED: False}.get(change.state)
            return Snapshot(holds, seen_in(change))
        stands = "; ".join(lines_of(change.edits))
        return Snapshot(False, f"still to be changed: {stands}", pointer=stands)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Return the settings to change. The file itself, which may hold keys, is not shown."""
        change = await self._change(effect)
        if isinstance(change, Attempt):
            return change
        headers = {"if-sha256": change.file.sha256}
        shown = "\n".join(lines_of(change.edits))
        request = Request("REPLACE", str(change.file.path), b"", headers, shown)
        return PlannedCall(effect, (request,), asked(effect).blast_radius, kept_text(change.edits))

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Replace the file if it is still the one that the plan was made from, and read it back."""
        (request,) = call.requests
        change = await self._change(call.effect)
        if isinstance(change, Attempt):
            return change
        if change.file.sha256 != request.headers["if-sha256"]:
            return Attempt(AttemptState.RETRY, f"{request.url} changed since the plan was made")
        attempt = await asyncio.to_thread(replace_file, change.file, change.content, before_leaving)
        if attempt.state is not AttemptState.DONE:
            return attempt
        seen = await self.snapshot(call.effect)
        state = AttemptState.DONE if seen.applied else AttemptState.UNKNOWN
        return Attempt(state, f"{attempt.detail}; read back: {seen.detail}; {_RESTART}")

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Put back the settings that were found, if those written still stand there."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    async def _change(self, effect: Effect) -> _Change | Attempt:
        file = await asyncio.to_thread(read_file, self._section.path)
        if isinstance(file, Attempt):
            return file
        wanted = asked(effect)
        try:
            text = _text(file)
            deployments = deployments_of(loaded(text).get("model_list"))
            if wanted.undoes:
                edits = undoing(deployments, effect.kept)
            else:
                group = self._section.model_group
                edits = edits_for(deployments, wanted, group, can_block=False)
            if not edits:
                return already(f"{file.path} says so already")
            return _Change(file, edits, with_edits(text, edits).encode("utf-8"))
        except NoMoveError as error:
            return refusal(f"{file.path}: {error}")


def _text(file: FileBytes) -> str:
    try:
        return file.content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NoMoveError("the file is no text") from error
