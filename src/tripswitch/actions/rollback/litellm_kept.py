"""What an undo of changed deployments needs: which settings stood there, and what was written."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.litellm_deployments import (
    Deployment,
    Edit,
    NoMoveError,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


def kept_text(edits: Sequence[Edit], earlier: str = "") -> str:
    """Return the record of ``edits``; those of an earlier attempt that need no more come first."""
    known = {(each.id, each.position, each.setting) for each in edits}
    before = [
        each
        for each in (_records(earlier) if earlier else [])
        if (each.id, each.position, each.setting) not in known
    ]
    return json.dumps([asdict(each) for each in (*before, *edits)], separators=(",", ":"))


def undoing(deployments: Sequence[Deployment], kept: str) -> list[Edit]:
    """Return the edits that put back what was found, the last first; empty when it stands there.

    Raises `NoMoveError` when nothing was recorded, or when a person has changed it since.
    """
    back: list[Edit] = []
    for record in reversed(_records(kept)):
        each = _found(deployments, record)
        now = value_of(each, record.setting)
        if now == record.found:
            continue
        if now != record.wrote:
            raise NoMoveError(
                f"{record.setting} of deployment {each.label} is no longer what the rollback "
                "wrote, so it is left alone"
            )
        back.append(Edit(each.position, each.id, record.setting, now, record.found))
    return back


def lines_of(edits: Sequence[Edit]) -> list[str]:
    """Return each edit as a line: the deployment, the setting, from what to what."""
    return [
        f"deployment {word(each.id or each.position + 1)}: {each.setting} "
        f"{word(json.dumps(each.found))} -> {word(json.dumps(each.wrote))}"
        for each in edits
    ]


def _found(deployments: Sequence[Deployment], record: Edit) -> Deployment:
    for each in deployments:
        if each.id == record.id and (record.id or each.position == record.position):
            return each
    raise NoMoveError("a deployment that was changed is not there any more")


def _records(kept: str) -> list[Edit]:
    try:
        listed: list[dict[str, Any]] = json.loads(kept)
        records = [Edit(**each) for each in listed]
    except (ValueError, TypeError) as error:
        records = []
        cause: Exception | None = error
    else:
        cause = None
    if not records:
        text = "nothing is recorded to put back: this rollback wrote nothing here"
        raise NoMoveError(text) from cause
    return records
