"""What people fill in, in a small YAML file beside the draft that the program never takes back.

    root_cause: "..."            # a person's sentence; stands before what was measured
    actions:
      - key: cases               # a drafted item: owner, due, loop, title, detail as you want them
        owner: eval-owner
      - key: my-own              # an item of your own
        title: ...
      - key: canary-share
        drop: decided otherwise, see the minutes   # not done, with the reason

Whatever stands in the file wins over the draft. A new run only adds drafted items that the file
does not have, and drops none.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from tripswitch.errors import ConfigError
from tripswitch.incidents.postmortem.actions import ActionItem
from tripswitch.model.plain_text import plain_line

_TEXT_CHARS: Final = 4000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class FilledAction(_Part):
    """One item as a person has it; what is empty is left to the draft."""

    key: str = Field(min_length=1, max_length=120)
    title: str = ""
    detail: str = ""
    owner: str = ""
    due: str = ""
    loop: str = ""
    drop: str = ""

    @field_validator("due", mode="before")
    @classmethod
    def _is_a_date(cls, value: Any) -> Any:
        # YAML reads 2026-11-27 as a date by itself.
        if isinstance(value, dt.datetime):
            return value.date().isoformat()
        if isinstance(value, dt.date):
            return value.isoformat()
        if isinstance(value, str) and value.strip():
            try:
                dt.date.fromisoformat(value.strip())
            except ValueError:
                raise ValueError("expected a date such as 2026-11-27") from None
        return value


class GateAnswers(_Part):
    """What people found out about the eval gate, by explanation."""

    dataset: str = ""
    judge: str = ""
    threshold: str = ""
    detection: str = ""


class FilledIn(_Part):
    """The whole file. Every part may be missing."""

    summary: str = ""
    customer_impact: str = ""
    root_cause: str = ""
    gate: GateAnswers = Field(default_factory=GateAnswers)
    lessons: list[str] = Field(default_factory=list, max_length=50)
    actions: list[FilledAction] = Field(default_factory=list, max_length=200)

    def applied(self, drafted: Iterable[ActionItem]) -> tuple[ActionItem, ...]:
        """Return the drafted items as the file has them, then those of its own."""
        by_key = {one.key: one for one in self.actions}
        items = []
        for item in drafted:
            filled = by_key.pop(item.key, None)
            if filled is None:
                items.append(item)
            elif not filled.drop:
                items.append(_with(item, filled))
        own = [
            _with(ActionItem(plain_line(one.key), plain_line(one.key), "", "", ""), one)
            for one in by_key.values()
            if not one.drop
        ]
        return (*items, *own)

    def dropped(self, drafted: Iterable[ActionItem]) -> tuple[tuple[str, str], ...]:
        """Return title and reason of what was decided not to be done."""
        titles = {item.key: item.title for item in drafted}
        return tuple(
            (
                plain_line(one.title or titles.get(one.key, one.key)),
                plain_line(one.drop, _TEXT_CHARS),
            )
            for one in self.actions
            if one.drop
        )


def filled_in_of(document: Any, place: str) -> FilledIn:
    """Return the file's content. Raises ConfigError that names ``place`` and every problem."""
    try:
        return FilledIn.model_validate({} if document is None else document)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(step) for step in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        )
        raise ConfigError(
            f"{place} cannot be used: {problems}",
            hint="mend it, or move it away to get an empty one",
        ) from None


def new_file(incident_id: str, drafted: Iterable[ActionItem]) -> str:
    """Return the file as it is before anybody filled it in."""
    return (
        f"# What people know about {plain_line(incident_id)}. `tripswitch postmortem` reads this\n"
        "# file on every run and never changes what stands here; it only adds new items.\n"
        'summary: ""           # replaces the drafted first sentence\n'
        'customer_impact: ""   # what customers noticed, in their words\n'
        'root_cause: ""        # what a person found to be the cause\n'
        'gate: {dataset: "", judge: "", threshold: "", detection: ""}   # answers of section 4\n'
        "lessons: []\n"
        "# An item that will not be done gets `drop: the reason`; title and detail can be\n"
        "# overwritten, and items with a key of your own added.\n"
        "actions:\n"
    ) + items_text(drafted)


def items_text(items: Iterable[ActionItem]) -> str:
    """Return items as YAML of the list ``actions``, to stand at the end of the file."""
    return "".join(
        f"  # {item.title}\n"
        f"  - key: {_yaml(item.key)}\n"
        f'    owner: ""\n'
        f"    due: {_yaml(item.due)}\n"
        f"    loop: {_yaml(item.loop)}\n"
        for item in items
    )


def missing_items(
    filled: Mapping[str, Any] | FilledIn, drafted: Iterable[ActionItem]
) -> list[ActionItem]:
    """Return the drafted items that a file does not have yet."""
    parsed = filled if isinstance(filled, FilledIn) else filled_in_of(filled, "the file")
    known = {one.key for one in parsed.actions}
    return [item for item in drafted if item.key not in known]


def _with(item: ActionItem, filled: FilledAction) -> ActionItem:
    changes = {
        name: plain_line(value, _TEXT_CHARS)
        for name in ("title", "detail", "owner", "due", "loop")
        if (value := getattr(filled, name).strip())
    }
    return replace(item, **changes)


def _yaml(text: str) -> str:
    # JSON's quoted text is YAML's, too.
    return json.dumps(text, ensure_ascii=True)
