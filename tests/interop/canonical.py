"""What a Collector wrote, in a form in which two runs of one client can be compared.

A client that sends the same bytes every time is compared line by line, as text. What
telemetrygen makes differs from run to run in ids and times and in how it is cut into requests, so
of it the records are compared in their order, each with the resource and scope it came under, ids
numbered by first appearance and times left out but for how long a span took.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEVELS = (
    ("resourceSpans", "scopeSpans", "spans"),
    ("resourceLogs", "scopeLogs", "logRecords"),
    ("resourceMetrics", "scopeMetrics", "metrics"),
)
_IDS = frozenset({"traceId", "spanId", "parentSpanId"})
_TIMES = frozenset({"startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano"})


def records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield every span, log record and metric as written, with its resource and scope."""
    for line in lines:
        request = json.loads(line)
        for by_resource, by_scope, items in _LEVELS:
            for resource in request.get(by_resource, []):
                for scope in resource.get(by_scope, []):
                    around = {"resource": _but(resource, by_scope), "scope": _but(scope, items)}
                    for item in scope.get(items, []):
                        yield around | {"record": item}


def without_chance(lines: Iterable[str]) -> list[str]:
    """Return the records as text, with nothing in them that chance or the clock decided."""
    numbers: dict[str, str] = {}
    return [
        json.dumps(_settled(record, numbers), ensure_ascii=False, sort_keys=True)
        for record in records(lines)
    ]


def first_difference(written: list[str], expected: list[str]) -> str:
    """Return where two lists of texts part, in a few words; empty when they are equal."""
    for index, (ours, theirs) in enumerate(zip(written, expected, strict=False)):
        if ours != theirs:
            place = next(
                (at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b),
                min(len(ours), len(theirs)),
            )
            near = slice(max(0, place - 80), place + 80)
            return f"entry {index}, character {place}: {ours[near]!r} is not {theirs[near]!r}"
    if len(written) != len(expected):
        return f"{len(written)} entries, not {len(expected)}"
    return ""


def _but(entry: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != key}


def _settled(value: Any, numbers: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_settled(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    settled: dict[str, Any] = {}
    for key, item in value.items():
        if key in _IDS:
            settled[key] = numbers.setdefault(item, f"id {len(numbers)}") if item else item
        elif key in _TIMES:
            settled[key] = "set" if int(item) else "unset"
        else:
            settled[key] = _settled(item, numbers)
    if "endTimeUnixNano" in value:
        taken_ns = int(value["endTimeUnixNano"]) - int(value["startTimeUnixNano"])
        settled["endTimeUnixNano"] = f"{taken_ns} ns after the start"
    return settled
