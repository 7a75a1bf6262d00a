"""The root cause as far as the ledger knows it: the change, the versions side by side, the text.

What is said here is what was measured and in what order. That one led to the other is a person's
to confirm, in the file that is filled in.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Final

from tripswitch.incidents.case import Case, CaseChange
from tripswitch.incidents.postmortem.figures import Figure
from tripswitch.incidents.values import difference_text, lasted_text, moment_text, value_text
from tripswitch.model.plain_text import plain_line

MOST_PROMPT_CHARS: Final = 200_000
_MOST_DIFF_LINES: Final = 400
_LINE_CHARS: Final = 400


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One signal of both versions over the same minutes."""

    signal: str
    bad: str
    good: str
    change: str
    interval: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """One line of a diff: ``kind`` is ``+``, ``-``, ``@`` or a space."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Cause:
    """The section's content. ``bad`` and ``good`` name the versions, empty where unknown."""

    sentences: tuple[str, ...]
    bad: str
    good: str
    versions: tuple[VersionRow, ...]
    changes: tuple[CaseChange, ...]
    diff: tuple[DiffLine, ...] | None


def cause_of(
    case: Case, figures: tuple[Figure, ...], prompts: tuple[str, str] | None = None
) -> Cause:
    """Return what is known of the cause; ``prompts`` are the texts of the good and the bad one."""
    rollback = case.rollback
    bad = case.scope.prompt_version or (rollback.before if rollback else "")
    good = rollback.after if rollback else ""
    rows = tuple(
        VersionRow(
            figure.label(),
            f"{value_text(figure.value, figure.unit)} (n = {figure.n:,})",
            value_text(figure.usual, figure.unit)
            + (f" (n = {figure.usual_n:,})" if figure.usual_n else " (usual)"),
            difference_text(figure.value, figure.usual, figure.unit),
            figure.interval_text(),
        )
        for figure in figures
    )
    return Cause(
        sentences=tuple(_sentences(case)),
        bad=bad,
        good=good,
        versions=rows,
        changes=case.changes,
        diff=None if prompts is None else diff_of(*prompts),
    )


def diff_of(before: str, after: str) -> tuple[DiffLine, ...]:
    """Return what changed between two texts, line by line; bounded, and harmless to show."""
    lines = difflib.unified_diff(
        before[:MOST_PROMPT_CHARS].splitlines(), after[:MOST_PROMPT_CHARS].splitlines(), lineterm=""
    )
    found: list[DiffLine] = []
    for line in lines:
        if line.startswith(("---", "+++")) and len(found) == 0:
            continue
        if len(found) == _MOST_DIFF_LINES:
            found.append(DiffLine("@", "the rest is left out"))
            break
        # Spaces at the start tell of structure in a prompt; `plain_line` would take them away.
        body = line[1:]
        indent = len(body) - len(body.lstrip(" "))
        found.append(DiffLine(line[:1], " " * min(indent, 40) + plain_line(body, _LINE_CHARS)))
    return tuple(found)


def _sentences(case: Case) -> list[str]:
    said = []
    if case.cause_sentence:
        said.append(f"Triage: {case.cause_sentence}")
    rollout = case.rollout()
    if rollout is not None:
        apart_ns = case.onset_ns - rollout.time_ns
        when = f"{lasted_text(apart_ns)} before the onset" if apart_ns > 0 else "with the onset"
        seen = moment_text(rollout.time_ns)
        said.append(f"The change: {rollout.sentence()}, first seen at {seen}, {when}.")
    elif case.changes:
        newest = case.changes[0]
        said.append(
            "No change of this version was seen; the latest change that can have touched the scope "
            f"was {newest.sentence()} at {moment_text(newest.time_ns)}."
        )
    else:
        said.append("No change was seen in the 24 h before.")
    if case.confirmed_ns is not None and case.rollback is not None:
        text = (
            f"The counter-check: traffic was back on {case.rollback.after} at "
            f"{moment_text(case.confirmed_ns)}"
        )
        if case.recovered_ns is not None:
            text += f", and the signal was proven back at {moment_text(case.recovered_ns)}"
        said.append(text + ".")
    return said
