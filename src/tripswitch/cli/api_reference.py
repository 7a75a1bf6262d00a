"""The reference page of the HTTP API, made from the OpenAPI document that is served."""

from __future__ import annotations

from typing import Any, Final

from tripswitch.cli.markdown_tables import code, table

_HEAD: Final = """\
# HTTP API

What `telemetry.api.endpoint` (127.0.0.1:8317) answers beside the [pages](../dashboard.md), from
the OpenAPI 3.1 document that it serves at `/v1/openapi.json`. Reading needs no token on the
machine it runs on; what changes something needs `authorization: Bearer TOKEN` and `content-type:
application/json` ([whose token](../dashboard.md#signing-in)).

An answer that is no success has the body `{"error": "a sentence"}`. Objects may get further
members: skip those that you do not know. Times are RFC 3339 in UTC, and a fact that is not known
is null.

This page is generated: `tripswitch schema --pages docs/reference`.
"""

_NAMES: Final = "#/components/schemas/"


def reference_text() -> str:
    """Return the page as Markdown: the operations as listed, then the objects by name."""
    from tripswitch.web.openapi import document

    described = document()
    lines = [_HEAD]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            lines += _operation(method.upper(), path, operation)
    lines += ["## Objects", ""]
    for name, schema in sorted(described["components"]["schemas"].items()):
        lines += _object(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: dict[str, Any]) -> list[str]:
    lines = [f"## {method} {path}", "", operation["summary"], ""]
    if "security" in operation:
        lines += ["Needs a token.", ""]
    if parameters := operation.get("parameters"):
        rows = [
            (code(one["name"]), one["in"], _kind(one["schema"]), one["description"])
            for one in parameters
        ]
        lines += table(("parameter", "in", "value", "meaning"), rows)
    if "requestBody" in operation:
        taken = operation["requestBody"]["content"]["application/json"]["schema"]
        lines += [f"Takes {_kind(taken)}.", ""]
    answers = [(status, *_answer(answer)) for status, answer in operation["responses"].items()]
    return lines + table(("status", "answer", "meaning"), answers)


def _answer(answer: dict[str, Any]) -> tuple[str, str]:
    ((media, content),) = answer["content"].items()
    kind = _kind(content["schema"])
    shown = kind if media == "application/json" else f"{code(media)}: {kind}"
    return shown, answer["description"]


def _object(name: str, schema: dict[str, Any]) -> list[str]:
    lines = [f"### {name}", ""]
    members = schema.get("properties")
    if members is None:
        return [*lines, f"{_kind(schema)}.", ""]
    needed = schema.get("required", ())
    rows = [
        (code(member), _kind(kind), "yes" if member in needed else "no")
        for member, kind in members.items()
    ]
    return lines + table(("member", "value", "always"), rows)


def _kind(schema: dict[str, Any]) -> str:
    """Return what a schema lets in, in words."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_NAMES)
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return "one of " + ", ".join(_value(value) for value in schema["enum"])
    kinds = schema.get("type", "anything")
    named = [kinds] if isinstance(kinds, str) else list(kinds)
    return " or ".join(_named(kind, schema) for kind in named) + _bounds(schema)


def _named(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list{most} of {_kind(schema.get('items', {}))}"
    if kind == "object" and "properties" in schema:
        inner = ", ".join(
            f"{code(name)} ({_kind(member)})" for name, member in schema["properties"].items()
        )
        return f"object of {inner}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of any names, each {_kind(schema['additionalProperties'])}"
    if kind == "string" and schema.get("format") == "date-time":
        return "time"
    words = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return words.get(kind, kind)


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    least, most = schema.get("minLength"), schema.get("maxLength")
    said = []
    if low is not None and high is not None:
        said.append(f"{low} to {high}")
    elif low is not None:
        said.append(f"{low} or more")
    elif high is not None:
        said.append(f"at most {high}")
    if most is not None:
        said.append(f"{least or 0} to {most} characters")
    elif least:
        said.append("not empty" if least == 1 else f"at least {least} characters")
    if "default" in schema:
        said.append(f"{_value(schema['default'])} unless said")
    return f" ({', '.join(said)})" if said else ""


def _value(value: object) -> str:
    return "null" if value is None else code(str(value))
