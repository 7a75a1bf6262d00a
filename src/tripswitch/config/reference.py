"""The JSON Schema and the Markdown reference of the configuration, written from the model."""

from __future__ import annotations

from typing import Any

from tripswitch.config.fields import ROOT, Spot, leaves, wanted_text
from tripswitch.config.model import Config
from tripswitch.config.sample import yaml_text

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# What a schema asks of a value, and what of it is one plain value.
_ASKING = frozenset(
    [
        "anyOf",
        "const",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxLength",
        "maximum",
        "minLength",
        "minimum",
        "pattern",
        "type",
    ]
)
_PLAIN = frozenset(("boolean", "integer", "null", "number", "string"))
_REFERENCE = {"type": "string", "pattern": r"\$\{env:"}
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

    It describes the file as an editor has it: wherever a plain value is wanted, text with
    ``${env:NAME}`` in it will do as well. Durations, sizes and shares, and their defaults, are text
    as people write them; ``x-range`` says the range in words.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = _DIALECT
    schema["title"] = "tripswitch.yaml"
    _say_defaults(schema, schema, ROOT, Config().model_dump(mode="json"))
    for definition in (schema, *schema["$defs"].values()):
        for name, wanted in definition.get("properties", {}).items():
            definition["properties"][name] = _or_reference(wanted)
    return schema


def _or_reference(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value with a reference to the environment allowed in its place."""
    asked = {key: value for key, value in wanted.items() if key in _ASKING}
    kinds = {each.get("type") for each in asked.get("anyOf", [asked])}
    if not kinds <= _PLAIN or "const" in asked or asked == {"type": "string"}:
        return wanted
    said = {key: value for key, value in wanted.items() if key not in _ASKING}
    return {**said, "anyOf": [*asked.get("anyOf", [asked]), _REFERENCE]}


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


def _at(defaults: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        defaults = defaults[step]
    return defaults
