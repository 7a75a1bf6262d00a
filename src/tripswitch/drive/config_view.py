"""The configuration in force as a person may see it: every value, its source, no secret.

A secret is shown as set or not set. An address that may carry a token in its path is shown with its
host alone. Long lists (prices) are counted, not written out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from tripswitch.config.fields import ROOT, Spot, value_text
from tripswitch.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tripswitch.config.model import Config
    from tripswitch.config.problems import Mark

HIDDEN: Final = "set, hidden"
NOT_SET: Final = "not set"

_MOST_ENTRIES: Final = 20
_MOST_CHARS: Final = 400


def config_rows(config: Config, marks: Mapping[str, Mark]) -> list[dict[str, Any]]:
    """Return every field in the order of the file, as JSON.

    Each has ``path``, ``section`` (its first word), ``value`` as text, ``is_secret``, ``source``
    (``default``, or a file with its line, or an environment variable), ``help``, and ``reloads``.
    """
    return [
        {
            "path": path,
            "section": path.partition(".")[0],
            "value": value,
            "is_secret": spot.is_secret,
            "source": _source(path, marks),
            "help": (spot.field.description or "") if spot.field is not None else "",
            "reloads": spot.reloadable,
        }
        for path, value, spot in _fields(config, ROOT, "")
    ]


def _fields(value: Any, spot: Spot, path: str) -> Iterator[tuple[str, str, Spot]]:
    if isinstance(value, Section):
        for name in type(value).model_fields:
            field = type(value).model_fields[name]
            inner = Spot(field.annotation, field, name)
            yield from _fields(getattr(value, name), inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value and isinstance(value[0], Section):
        if len(value) > _MOST_ENTRIES:
            yield path, f"{len(value)} entries", spot
            return
        for place, entry in enumerate(value):
            yield from _fields(entry, spot, f"{path}.{place}")
    elif isinstance(value, dict) and value:
        for name, entry in list(value.items())[:_MOST_ENTRIES]:
            yield from _fields(entry, spot, f"{path}.{name}")
        if len(value) > _MOST_ENTRIES:
            yield path, f"{len(value)} entries, {_MOST_ENTRIES} of them above", spot
    else:
        yield path, _text(value, spot), spot


def _text(value: Any, spot: Spot) -> str:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else NOT_SET
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value == "":
        return NOT_SET
    if isinstance(value, list | tuple):
        shown = ", ".join(str(one) for one in value[:_MOST_ENTRIES])
        more = f" and {len(value) - _MOST_ENTRIES} more" if len(value) > _MOST_ENTRIES else ""
        return f"[{shown}{more}]"[:_MOST_CHARS]
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, str) and "://" in value:
        return _address(value, spot)
    return value_text(spot, value)[:_MOST_CHARS]


def _address(text: str, spot: Spot) -> str:
    """Return an address without what may be a secret in it: user, query, and a webhook's path."""
    marks = spot.field.json_schema_extra if spot.field is not None else None
    is_webhook = isinstance(marks, dict) and bool(marks.get("web_url"))
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return HIDDEN
    path = "/… (the rest may carry a token)" if is_webhook and parts.path.strip("/") else parts.path
    return f"{parts.scheme}://{host}{port}{path}"[:_MOST_CHARS]


def _source(path: str, marks: Mapping[str, Mark]) -> str:
    steps = path.split(".")
    for length in range(len(steps), 0, -1):
        mark = marks.get(".".join(steps[:length]))
        # A mapping that is set says nothing of the fields in it that are not, a list does.
        if mark is not None and (length == len(steps) or steps[length].isdigit()):
            return mark.file if mark.line is None else f"{mark.file}, line {mark.line}"
    return "default"
