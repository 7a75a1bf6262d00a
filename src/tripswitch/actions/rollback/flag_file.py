"""A flag in an OpenFeature flag file, as flagd and the in-process providers read it.

The pointer is what the flag gives a cohort (or everybody): its targeting and default variant. A
rollback puts the good variant where the bad one is, an undo puts back what stood there. There is
no server to ask: who reads the file sees the new one as soon as it looks.
Source: flagd, "Flag Definitions"; held to `openfeature-provider-flagd` in FILE mode.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.asked import asked, evidence_of, word
from tripswitch.actions.rollback.contract import PlannedCall, Probe, Request, Snapshot
from tripswitch.actions.rollback.file_edit import (
    FileBytes,
    difference,
    may_replace,
    read_file,
    replace_file,
)
from tripswitch.actions.rollback.flag_rules import (
    Rule,
    UnreadableRuleError,
    Whom,
    outcomes,
    put_back,
)
from tripswitch.actions.rollback.json_text import with_member
from tripswitch.actions.rollback.pointer import already, refusal, seen_in
from tripswitch.actions.rollback.versions import is_same

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.actions.rollback.asked import Asked
    from tripswitch.actions.rollback.contract import SpanEvidence
    from tripswitch.config.flag_targets import FlagFileTarget
    from tripswitch.model.outbox import Effect


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag as it stands. ``targeting`` is None where it has none."""

    key: str
    variants: dict[str, Any]
    targeting: Rule
    default: str | None

    def for_undo(self) -> dict[str, Any]:
        """Return what an undo has to put back, or to find."""
        return {"targeting": self.targeting, "default": self.default}


@dataclass(frozen=True, slots=True)
class _Edit:
    file: FileBytes
    found: Flag
    wanted: Flag
    content: bytes


class FlagFile:
    """`RollbackTarget` on a file. Nothing is read before it is asked for."""

    can_read_back = True

    def __init__(self, target: FlagFileTarget) -> None:
        self._section = target

    async def probe(self) -> Probe:
        """Read the file and look whether its folder lets it be replaced."""
        file = await asyncio.to_thread(read_file, self._section.path)
        if isinstance(file, Attempt):
            trouble = file.detail
        else:
            flags = _flags(file)
            trouble = flags.detail if isinstance(flags, Attempt) else may_replace(file.path)
        return Probe(
            usable=not trouble,
            cohort=True,
            compare_and_set=True,
            undo=True,
            dry_run=True,
            read_back=True,
            detail=trouble or "the file can be read and replaced",
        )

    async def snapshot(self, effect: Effect) -> Snapshot:
        """Read what the flag gives now, and whether that is what ``effect`` wants."""
        edit = await self._edit(effect)
        if isinstance(edit, Attempt):
            holds = {AttemptState.DONE: True, AttemptState.FAILED: False}.get(edit.state)
            return Snapshot(holds, seen_in(edit))
        gives = self._gives(edit.found, asked(effect))
        return Snapshot(False, f"the flag gives {gives}", pointer=gives)

    async def plan(self, effect: Effect) -> PlannedCall | Attempt:
        """Return the new file; `Request.shown` has the lines that change."""
        edit = await self._edit(effect)
        if isinstance(edit, Attempt):
            return edit
        kept = {"found": edit.found.for_undo(), "wrote": edit.wanted.for_undo()}
        request = Request(
            "REPLACE",
            str(edit.file.path),
            edit.content,
            {"if-sha256": edit.file.sha256},
            difference(edit.file, edit.content),
        )
        text = json.dumps(kept, separators=(",", ":"))
        return PlannedCall(effect, (request,), asked(effect).blast_radius, text)

    async def apply(self, call: PlannedCall, before_leaving: Callable[[], object]) -> Attempt:
        """Replace the file if it is still the one that the plan was made from, and read it back."""
        (request,) = call.requests
        file = await asyncio.to_thread(read_file, request.url)
        if isinstance(file, Attempt):
            return file
        if file.sha256 != request.headers["if-sha256"]:
            detail = f"{file.path} changed since the plan was made"
            return Attempt(AttemptState.RETRY, detail)
        attempt = await asyncio.to_thread(replace_file, file, request.body, before_leaving)
        if attempt.state is not AttemptState.DONE:
            return attempt
        seen = await self.snapshot(call.effect)
        if seen.applied:
            return Attempt(AttemptState.DONE, f"{attempt.detail}; read back: {seen.detail}")
        return Attempt(AttemptState.UNKNOWN, f"{attempt.detail}, but then: {seen.detail}")

    async def undo(self, effect: Effect, before_leaving: Callable[[], object]) -> Attempt:
        """Put the flag's earlier rule back, if the flag still is what we wrote."""
        call = await self.plan(effect)
        return call if isinstance(call, Attempt) else await self.apply(call, before_leaving)

    def observe(self, effect: Effect) -> SpanEvidence:
        """Return the scope to watch and the versions that leave and return."""
        return evidence_of(effect)

    async def _edit(self, effect: Effect) -> _Edit | Attempt:
        """Return what is to be written; done when it stands there, failed when it must not be."""
        file = await asyncio.to_thread(read_file, self._section.path)
        if isinstance(file, Attempt):
            return file
        wanted = asked(effect)
        found = self._flag(file, wanted)
        if isinstance(found, Attempt):
            return found
        try:
            goal = _undone(found, effect) if wanted.undoes else self._rolled_back(found, wanted)
            if isinstance(goal, Attempt):
                return goal
            content = _text_with(file, found, goal)
        except (UnreadableRuleError, ValueError) as error:
            return refusal(f'the flag "{word(found.key)}" cannot be changed safely: {error}')
        return _Edit(file, found, goal, content)

    def _flag(self, file: FileBytes, wanted: Asked) -> Flag | Attempt:
        key = self._section.flag or wanted.scope.get("prompt_name")
        if not key:
            return refusal("the spans carry no prompt name, and the target's flag is not set")
        flags = _flags(file)
        if isinstance(flags, Attempt):
            return flags
        flag = flags.get(key)
        if not isinstance(flag, dict) or not isinstance(flag.get("variants"), dict):
            return refusal(f'{file.path} has no flag "{word(key)}" with variants')
        if flag.get("state", "ENABLED") != "ENABLED":
            return refusal(f'the flag "{word(key)}" is disabled, so it decides nothing')
        rule, default = flag.get("targeting"), flag.get("defaultVariant")
        if rule is not None and not isinstance(rule, dict):
            return refusal(f'the flag "{word(key)}" cannot be read: its rule is no object')
        named = default if default is None else str(default)
        return Flag(key, flag["variants"], rule, named)

    def _rolled_back(self, found: Flag, wanted: Asked) -> Flag | Attempt:
        good = _variants_of(found, wanted.after)
        if len(good) != 1:
            many = "several variants" if good else "no variant"
            return refusal(
                f'the flag "{word(found.key)}" has {many} for version "{word(wanted.after)}"'
            )
        bad = _variants_of(found, wanted.before)
        whom = self._whom(wanted)
        given = _given(found, whom)
        if not given & bad:
            if given & good:
                return already(f'the flag "{word(found.key)}" gives {_listed(given)}')
            return refusal(
                f'the flag "{word(found.key)}" gives {_listed(given)}, neither '
                f"{word(wanted.before)} nor {word(wanted.after)}: a person moved it, so it is "
                "left alone"
            )
        (to,) = good
        default_is_bad = found.default in bad
        if whom.cohort is None:
            default = to if default_is_bad else found.default
            rule = found.targeting
            if rule not in (None, {}):
                rule = put_back(rule, whom, frozenset(bad), to)
            return Flag(found.key, found.variants, rule, default)
        outgoing: frozenset[str | None] = frozenset(bad | ({None} if default_is_bad else set()))
        rule = put_back(found.targeting, whom, outgoing, to)
        return Flag(found.key, found.variants, rule, found.default)

    def _whom(self, wanted: Asked) -> Whom:
        one = wanted.cohort if wanted.path == "cohort" else None
        return Whom(self._section.cohort_key, one)

    def _gives(self, flag: Flag, wanted: Asked) -> str:
        try:
            return _listed(_given(flag, self._whom(wanted)))
        except UnreadableRuleError as error:
            return str(error)


def _flags(file: FileBytes) -> dict[str, Any] | Attempt:
    try:
        document = json.loads(file.content)
    except (ValueError, RecursionError):
        return refusal(f"{file.path} is no JSON; a flag file in YAML is not rewritten")
    flags = document.get("flags") if isinstance(document, dict) else None
    return flags if isinstance(flags, dict) else refusal(f"{file.path} has no flags")


def _undone(found: Flag, effect: Effect) -> Flag | Attempt:
    try:
        kept = json.loads(effect.kept)
    except ValueError:
        return refusal("nothing is recorded to put back: this rollback wrote nothing here")
    before = kept["found"]
    key = f'the flag "{word(found.key)}"'
    if found.for_undo() == before or (
        before["targeting"] is None and found.for_undo() == {**before, "targeting": {}}
    ):
        return already(f"{key} is as it was before the rollback")
    if found.for_undo() != kept["wrote"]:
        return refusal(f"{key} is no longer what the rollback wrote, so it is left alone")
    return Flag(found.key, found.variants, before["targeting"], before["default"])


def _text_with(file: FileBytes, found: Flag, goal: Flag) -> bytes:
    text = file.content.decode("utf-8")
    path = ("flags", found.key)
    if goal.targeting != found.targeting:
        # No rule and an empty one mean the same to a reader.
        text = with_member(text, path, "targeting", goal.targeting or {})
    if goal.default != found.default:
        text = with_member(text, path, "defaultVariant", goal.default)
    return text.encode("utf-8")


def _given(flag: Flag, whom: Whom) -> set[str]:
    """Return the variants that ``whom`` may get; for everybody the default counts as well."""
    given = outcomes(flag.targeting, whom)
    if None in given or whom.cohort is None:
        given = (given - {None}) | ({flag.default} if flag.default is not None else set())
    return {each for each in given if each is not None}


def _variants_of(flag: Flag, said: str) -> set[str]:
    """Return the variants that stand for a version: by name, else by value."""
    if said in flag.variants:
        return {said}
    by_name = {name for name in flag.variants if is_same(said, name)}
    return by_name or {name for name, value in flag.variants.items() if _value_is(value, said)}


def _value_is(value: Any, said: str) -> bool:
    if isinstance(value, dict):
        value = value.get("prompt_version", value.get("version"))
    if isinstance(value, bool) or not isinstance(value, str | int):
        return False
    return is_same(said, str(value))


def _listed(variants: set[str]) -> str:
    return ", ".join(word(each) for each in sorted(variants)) or "nothing"
