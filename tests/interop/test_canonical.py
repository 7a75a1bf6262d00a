"""The comparison behind the matrix: it sees what was changed, and only that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.interop.canonical import first_difference, records, without_chance


def span(number: int, start_ns: int, **more: Any) -> dict[str, Any]:
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + 5),
        **more,
    }


def line(*spans: dict[str, Any], host: str = "a") -> str:
    resource = {"attributes": [{"key": "host.name", "value": {"stringValue": host}}]}
    scopes = [{"scope": {"name": "s"}, "spans": list(spans)}]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scopes}]})


def test_ids_times_and_the_cut_into_requests_are_left_to_chance() -> None:
    child = {"parentSpanId": f"{1:016x}"}
    one = [line(span(1, 1000), span(2, 1000, **child))]
    other = [line(span(7, 2000)), line(span(9, 3000, parentSpanId=f"{7:016x}"))]
    assert one != other
    assert first_difference(without_chance(one), without_chance(other)) == ""
    assert sum(1 for _ in records(one)) == sum(1 for _ in records(other)) == 2


@pytest.mark.parametrize(
    "changed",
    [
        [line(span(1, 10), span(1, 10))],
        [line(span(1, 10))],
        [line(span(1, 10), span(2, 10), span(3, 10))],
        [line(span(1, 10), span(2, 10), host="b")],
        [line(span(1, 10), span(2, 10, name="other"))],
        [line(span(1, 10), span(2, 10, endTimeUnixNano="16"))],
        [line(span(1, 10), span(2, 10, parentSpanId=f"{1:016x}"))],
        [line(span(1, 10), span(2, 0))],
        [line(span(1, 10), span(2, 10)), line(span(2, 10))],
    ],
    ids=[
        "one id twice",
        "one lost",
        "one more",
        "another resource",
        "another name",
        "another duration",
        "another parent",
        "no time",
        "one twice",
    ],
)
def test_everything_else_is_a_difference(changed: list[str]) -> None:
    sent = without_chance([line(span(1, 10), span(2, 10))])
    assert first_difference(without_chance(changed), sent) != ""


def test_the_first_difference_is_told_in_a_few_words() -> None:
    long = "x" * 100_000
    told = first_difference(["same", f"{long}a{long}"], ["same", f"{long}b{long}"])
    assert told.startswith("entry 1, character 100000: ")
    assert len(told) < 500
    assert first_difference(["same"], ["same", "more"]) == "1 entries, not 2"
