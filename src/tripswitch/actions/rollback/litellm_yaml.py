"""Changes single settings in the text of a LiteLLM configuration and leaves the rest as it is.

The file is a person's: comments, order and quoting stay. What the new text means is compared with
what was wanted before it is used, so that an alias or a form not thought of is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from tripswitch.actions.rollback.litellm_deployments import NoMoveError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.actions.rollback.litellm_deployments import Edit


def loaded(text: str) -> Any:
    """Return what the file means; `NoMoveError` when it is no YAML mapping."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise NoMoveError("the file is no YAML that can be read") from error
    if not isinstance(document, dict):
        raise NoMoveError("the file is no YAML mapping")
    return document


def with_edits(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with each edit's ``wrote``; `NoMoveError` where that is not safe."""
    wanted = _unshared(loaded(text))
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    entries = _member(root, "model_list")
    splices: list[tuple[int, int, str]] = []
    for edit in edits:
        wanted["model_list"][edit.position]["litellm_params"][edit.setting] = edit.wrote
        if not isinstance(entries, yaml.SequenceNode):
            raise NoMoveError("there is no model_list")
        params = _member(entries.value[edit.position], "litellm_params")
        splices.append(_splice(text, params, edit))
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    if loaded(text) != wanted:
        raise NoMoveError("the file has a form in which single settings cannot be changed")
    return text


def _unshared(value: Any) -> Any:
    """Return a copy in which what an alias stands for is a thing of its own."""
    if isinstance(value, dict):
        return {key: _unshared(each) for key, each in value.items()}
    return [_unshared(each) for each in value] if isinstance(value, list) else value


def _splice(text: str, params: yaml.Node | None, edit: Edit) -> tuple[int, int, str]:
    if not isinstance(params, yaml.MappingNode) or not params.value:
        raise NoMoveError("a deployment has no litellm_params")
    new = f"{edit.setting}: {json.dumps(edit.wrote)}"
    for key, value in params.value:
        if key.value == edit.setting:
            end = value.end_mark.index
            # A block list ends where the next thing begins; the space between stays.
            end -= len(text[:end]) - len(text[:end].rstrip())
            return key.start_mark.index, end, new
    first = params.value[0][0].start_mark
    after = ", " if params.flow_style else "\n" + " " * first.column
    return first.index, first.index, new + after


def _member(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == name:
                found: yaml.Node = value
                return found
    return None
