"""The JSON Schema and the Markdown reference of the configuration, written from the model."""

from __future__ import annotations

import json
from typing import Any

from tripswitch.config.fields import ROOT, Spot, leaves, wanted_text
from tripswitch.config.model import Config
from tripswitch.config.sample import yaml_text

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = {"type": "string", "pattern": r"\$\{env:"}
_ELSEWHERE = frozenset({"$ref", "const"})
_NARROWING = frozenset({"pattern", "enum", "minLength", "maxLength"})
_RANGES = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_TYPING = _NARROWING | _RANGES | {"type", "anyOf"}
_HEADER = """\
# Configuration reference

Every field of `tripswitch.yaml`. Generated from the model with `tripswitch schema --reference`; the
commented file is [config/tripswitch.yaml](../../config/tripswitch.yaml), the errors are in
[config-errors.md](config-errors.md).

A field that reloads takes effect within seconds of an edit, without a request or a connection being
dropped; what is under way finishes as it began. The others need a restart, and an edit of one is
named in the log and counted in `tripswitch_config_needs_restart` until then. So are the few edits
of a field that reloads which cannot be taken while running: TLS of a receiver switched on or off,
clients asked for certificates over gRPC for the first time or no more, and `max_concurrent_rpcs`
above sixteen times what it was at the start.
"""


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the file.

    It describes the file as it is written: what stands for an environment variable, such as
    ``${env:NAME}``, may stand wherever one value does. Durations, sizes and shares, and their
    defaults, are text as people write them; ``x-range`` says the range in words.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = _DIALECT
    schema["title"] = "tripswitch.yaml"
    _say_defaults(schema, schema, ROOT, Config().model_dump(mode="json"))
    for node in (schema, *schema["$defs"].values()):
        for name, field_schema in node.get("properties", {}).items():
            # What pydantic makes of the name says nothing that the name does not.
            field_schema.pop("title", None)
            node["properties"][name] = _or_reference(field_schema)
    return schema


def schema_text() -> str:
    """Return the JSON Schema as the text of ``config/tripswitch.schema.json``."""
    return json.dumps(json_schema(), indent=2) + "\n"


def reference_text() -> str:
    """Return the Markdown reference."""
    defaults = Config().model_dump(mode="json")
    lines = [_HEADER]
    for section in ROOT.field_names():
        top = ROOT.inner(section)
        assert top is not None
        assert top.field is not None
        lines += [f"## `{section}`", "", top.field.description or "", ""]
        if top.section is None:
            lines += _entry_tables(section, top)
            continue
        rows = [(path, spot) for path, spot in leaves() if path[0] == section]
        lines += _table([(".".join(path), spot, _at(defaults, path)) for path, spot in rows])
        for path, spot in rows:
            name = ".".join(path)
            if spot.entries():
                lines += [f"### Each entry of `{name}`", "", *_entry_tables(name, spot)]
    return "\n".join(lines).rstrip() + "\n"


def _entry_tables(name: str, spot: Spot) -> list[str]:
    entries = spot.entries()
    if len(entries) == 1:
        return ["A list; an entry has these fields.", "", *_entry_table(name, entries[0][1])]
    words = ", ".join(f"`{kind}`" for kind, _ in entries)
    lines = [f"A list; what an entry has depends on its `type`, one of {words}.", ""]
    for kind, entry in entries:
        assert entry.section is not None
        about = (entry.section.__doc__ or "").strip().partition("\n\n")[0]
        lines += [f"#### `type: {kind}`", "", " ".join(about.split()), ""]
        lines += _entry_table(name, entry)
    return lines


def _entry_table(name: str, entry: Spot) -> list[str]:
    assert entry.section is not None
    defaults = entry.section().model_dump(mode="json")
    rows: list[tuple[str, Spot, Any]] = []
    for field in entry.field_names():
        inner = entry.inner(field)
        assert inner is not None
        rows.append((f"{name}[].{field}", inner, defaults[field]))
    return _table(rows)


def _table(rows: list[tuple[str, Spot, Any]]) -> list[str]:
    lines = ["| field | value | default | reloads | meaning |", "|---|---|---|---|---|"]
    for name, spot, default in rows:
        assert spot.field is not None
        cells = (
            f"`{name}`",
            wanted_text(spot, with_example=False),
            f"`{yaml_text(default)}`",
            "yes" if spot.reloadable else "no",
            spot.field.description or "",
        )
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return [*lines, ""]


def _say_defaults(schema: dict[str, Any], node: dict[str, Any], spot: Spot, defaults: Any) -> None:
    """Put each default, as it is written in the file, next to its field's schema."""
    for name, field_schema in node["properties"].items():
        inner = spot.inner(name)
        assert inner is not None
        if inner.section is not None:
            target = schema["$defs"][field_schema["$ref"].rsplit("/", 1)[-1]]
            _say_defaults(schema, target, inner, defaults[name])
            continue
        field_schema["default"] = defaults[name]
        field_schema["x-range"] = wanted_text(inner)
        for _, entry in inner.entries():
            assert entry.section is not None
            target = schema["$defs"][entry.section.__name__]
            _say_defaults(schema, target, entry, entry.section().model_dump(mode="json"))


def _or_reference(node: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that takes a reference to the environment in place of a value.

    Where any text is taken it is one already; what tells the entries of a list apart is never.
    """
    is_one_value = node.get("type") not in ("array", "object") and not _ELSEWHERE & set(node)
    is_any_text = node.get("type") == "string" and not _NARROWING & set(node)
    if not is_one_value or is_any_text:
        return node
    words = {name: node[name] for name in node if name not in _TYPING}
    typed = {name: node[name] for name in node if name in _TYPING}
    return {"anyOf": [*typed.get("anyOf", [typed]), _REFERENCE], **words}


def _at(defaults: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        defaults = defaults[step]
    return defaults
