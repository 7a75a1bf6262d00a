"""The commented sample file, written from the model: every field, its meaning, its default."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from tripswitch.config.fields import ROOT, Spot, wanted_text
from tripswitch.config.model import Config
from tripswitch.config.yaml_marks import scalar_value

_WIDTH = 96
_INDENT = "  "
# Anything else is put in quotes: quotes never hurt, and no rule of YAML need be known to a reader.
_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./%-]*(?::[0-9]+)?|\$\{env:[A-Z0-9_]+\}")

SCHEMA_FILE = "tripswitch.schema.json"
"""The JSON Schema's name beside the file that it describes."""

MODELINE = f"# yaml-language-server: $schema=./{SCHEMA_FILE}"
"""The line by which an editor finds the schema: the YAML language server's."""

_HEADER = """\
tripswitch.yaml: every field, its meaning and its default. An empty file means the same.

Durations are written 10s, 15m or 1h30m, sizes 64MiB, shares 5%. ${env:NAME} stands for an
environment variable and ${env:NAME:-default} for one that may be unset; $$ is a dollar sign. A
variable such as TRIPSWITCH_DETECT__TICK=5s overrides the field detect.tick. Several files merge,
the later over the earlier; lists are replaced as a whole.

An editor completes and checks this file by the schema that the first line names, see
docs/editor.md: `tripswitch schema > tripswitch.schema.json`. `tripswitch check` checks an edit as
a start would. "Reloads" means that an edit is used from the next tick on.
This file is generated: `tripswitch schema --sample`.
"""


def sample_text() -> str:
    """Return the sample file; loading it gives the defaults."""
    lines = [MODELINE, *(f"# {line}".rstrip() for line in _HEADER.splitlines())]
    for name in ROOT.field_names():
        lines.append("")
        lines += _field(name, ROOT, _defaults()[name], "")
    return "\n".join(lines) + "\n"


def facts_text(spot: Spot, default: Any) -> str:
    """Return kind, range, default and reload of a field, in short sentences."""
    wanted = wanted_text(spot, with_example=False)
    reload = "Reloads." if spot.reloadable else "Needs a restart."
    return f"{wanted[0].upper()}{wanted[1:]}. Default: {yaml_text(default)}. {reload}"


def yaml_text(value: Any) -> str:
    """Return ``value`` (JSON types) as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{yaml_text(k)}: {yaml_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(yaml_text(each) for each in value) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and isinstance(scalar_value(value), str)
        return value if plain else json.dumps(value)
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def _defaults() -> dict[str, Any]:
    return Config().model_dump(mode="json")


def _field(name: str, above: Spot, default: Any, indent: str) -> list[str]:
    spot = above.inner(name)
    assert spot is not None
    assert spot.field is not None
    description = spot.field.description or ""
    if spot.section is not None:
        lines = _comment(description, indent)
        lines.append(f"{indent}{name}:")
        for inner in spot.field_names():
            lines += _field(inner, spot, default[inner], indent + _INDENT)
        return lines
    lines = _comment(f"{description}\n{facts_text(spot, default)}", indent)
    lines.append(f"{indent}{name}: {yaml_text(default)}")
    return lines + [f"{indent}# {line}".rstrip() for line in _example(name, spot, default)]


def _example(name: str, spot: Spot, default: Any) -> list[str]:
    """Return the lines that could stand in place of an empty list or mapping."""
    if default not in ([], {}) or spot.field is None:
        return []
    entries = spot.entries()
    if entries:
        others = ", ".join(kind for kind, _ in entries[1:])
        text = f"Other types, each with its own fields in docs/reference/config.md: {others}."
        return [f"{name}:", *_entry(entries[0][1]), *(_comment(text, "") if others else [])]
    return [f"{name}: {yaml_text(each)}" for each in (spot.field.examples or [])[:1]]


def _entry(entry: Spot) -> list[str]:
    lines: list[str] = []
    for name in entry.field_names():
        spot = entry.inner(name)
        assert spot is not None
        assert spot.field is not None
        default = _json_default(spot)
        about = _comment(f"{spot.field.description or ''}\n{facts_text(spot, default)}", "    ")
        value = spot.field.examples[0] if spot.field.examples else default
        start = "    " if lines else "  - "
        lines += [*about, f"{start}{name}: {yaml_text(value)}"]
    return lines


def _json_default(spot: Spot) -> Any:
    assert spot.field is not None
    if spot.is_secret:
        return ""
    default = spot.field.get_default(call_default_factory=True)
    return spot.quantity.text(default) if spot.quantity is not None else default


def _comment(text: str, indent: str) -> list[str]:
    return [
        f"{indent}# {line}"
        for paragraph in text.splitlines()
        for line in textwrap.wrap(
            paragraph, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False
        )
    ]
