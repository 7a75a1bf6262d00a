"""The reader is held to the official classes on valid, mutated and adversarial requests."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.genai.spans import EventOf, SpanOf, put, put_value, request_of
from tripswitch.otlp import attributes
from tripswitch.otlp.attributes import AttributeReader, Wanted
from tripswitch.otlp.reader import SpanReader, SpanRow

KEYS = ("model", "tokens", "long." + "k" * 130, "", "ünïcode", "reasons")
WANTED = frozenset(KEYS) | {"kept.event"}
WANTED_EVENTS = frozenset({"kept.event"})
_MAX_INT64 = (1 << 63) - 1


class Spans:
    """The spans of several requests, with the index of the request of each."""

    def __init__(self, requests: list[bytes], reader: SpanReader) -> None:
        self.rows: list[SpanRow] = []
        self.request_index: list[int] = []
        for index, request in enumerate(requests):
            for row in reader.spans(request):
                self.rows.append(row)
                self.request_index.append(index)
        self.read, self.unreadable = reader.read, reader.unreadable
        self.bad_ids, self.bad_attributes = reader.bad_ids, reader.bad_attributes
        self.attributes = [row[12] for row in self.rows]


def read_spans(requests: list[bytes], wanted: frozenset[str]) -> Spans:
    """Read with a reader that remembers nothing from the last time."""
    attributes = AttributeReader(Wanted(wanted.__contains__))
    return Spans(requests, SpanReader(attributes, WANTED_EVENTS))


def official_rows(requests: list[bytes]) -> list[tuple[Any, ...]]:
    """Walk the official classes the slow, obvious way."""
    rows = []
    for index, body in enumerate(requests):
        try:
            message = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            continue
        for resource_spans in message.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    if len(span.trace_id) != 16 or len(span.span_id) != 8:
                        continue
                    if not any(span.trace_id) or not any(span.span_id):
                        continue
                    if len(span.parent_span_id) not in (0, 8):
                        continue
                    rows.append(
                        (
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex() if any(span.parent_span_id) else None,
                            span.name,
                            int(span.kind),
                            min(span.start_time_unix_nano, _MAX_INT64),
                            min(span.end_time_unix_nano, _MAX_INT64),
                            int(span.status.code),
                            span.status.message,
                            official_attributes(resource_spans.resource.attributes),
                            scope_spans.scope.name,
                            official_attributes(span.attributes),
                            [
                                (
                                    event.name,
                                    min(event.time_unix_nano, _MAX_INT64),
                                    official_attributes(event.attributes),
                                )
                                for event in span.events
                                if event.name in WANTED_EVENTS
                            ],
                            index,
                        )
                    )
    return rows


def official_attributes(attributes: Any) -> dict[str, object]:
    kept: dict[str, object] = {}
    for attribute in attributes:
        if attribute.key in WANTED:
            value = plain(attribute.value)
            if value is None:
                kept.pop(attribute.key, None)
            else:
                kept[attribute.key] = value
    return kept


def plain(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind is None or kind == "string_value_strindex":
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    found: object = getattr(value, kind)
    return found


def rows_of(spans: Spans) -> list[tuple[Any, ...]]:
    """Return what `official_rows` does: all but marks and links."""
    rows = []
    for row, index in zip(spans.rows, spans.request_index, strict=True):
        ids, (name, kind, start, end, status, message) = row[:3], row[3:9]
        resource, _, scope, attributes, _, events, _ = row[9:]
        rows.append(
            (
                *ids,
                name.decode("utf-8", "replace"),
                kind,
                start,
                end,
                status,
                message.decode("utf-8", "replace"),
                resource,
                scope,
                attributes,
                [tuple(event) for event in events],
                index,
            )
        )
    return rows


def assert_same(requests: list[bytes]) -> None:
    # repr, since NaN differs from itself and 1 from True only there.
    assert [repr(row) for row in rows_of(read_spans(requests, WANTED))] == [
        repr(row) for row in official_rows(requests)
    ]


texts = st.text(max_size=200)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), _MAX_INT64)
    | st.floats()
    | texts
    | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
keys = st.sampled_from((*KEYS, "other", "unwanted.text"))
attribute_lists = st.lists(st.tuples(keys, values), max_size=6)
ids = st.sampled_from((b"\x01" * 16, b"\x02" * 8, b"\x00" * 16, b"\x00" * 8, b"", b"\x03" * 9))


@st.composite
def official_requests(draw: st.DrawFn) -> ExportTraceServiceRequest:
    message = ExportTraceServiceRequest()
    for _ in range(draw(st.integers(0, 2))):
        resource_spans = message.resource_spans.add()
        for key, value in draw(attribute_lists):
            put_value(resource_spans.resource.attributes.add(key=key).value, value)
        scope_spans = resource_spans.scope_spans.add()
        scope_spans.scope.name = draw(texts)
        for _ in range(draw(st.integers(0, 3))):
            span = scope_spans.spans.add(
                trace_id=draw(st.just(b"\x01" * 16) | ids),
                span_id=draw(st.just(b"\x02" * 8) | ids),
                parent_span_id=draw(ids),
                name=draw(texts),
                start_time_unix_nano=draw(st.integers(0, (1 << 64) - 1)),
                end_time_unix_nano=draw(st.integers(0, (1 << 64) - 1)),
            )
            span.kind = draw(st.sampled_from(Span.SpanKind.values()))
            span.status.code = draw(st.sampled_from(Status.StatusCode.values()))
            span.status.message = draw(texts)
            for key, value in draw(attribute_lists):
                put_value(span.attributes.add(key=key).value, value)
            if draw(st.booleans()):
                event = span.events.add(
                    name=draw(st.sampled_from(("kept.event", "other"))), time_unix_nano=5
                )
                put(event.attributes, dict(draw(attribute_lists)))
    return message


@given(st.lists(official_requests(), max_size=3))
def test_reads_what_the_official_classes_read(messages: list[ExportTraceServiceRequest]) -> None:
    assert_same([message.SerializeToString() for message in messages])


@given(
    official_requests(),
    st.lists(
        st.tuples(
            st.integers(0, 10_000), st.sampled_from(["set", "cut", "insert"]), st.binary(max_size=3)
        ),
        min_size=1,
        max_size=4,
    ),
)
def test_reads_mutated_requests_as_the_official_classes_do_and_never_raises(
    message: ExportTraceServiceRequest, mutations: list[tuple[int, str, bytes]]
) -> None:
    body = bytearray(message.SerializeToString())
    for place, what, data in mutations:
        at = place % (len(body) + 1)
        if what == "cut":
            del body[at : at + len(data)]
        elif what == "set":
            body[at : at + len(data)] = data
        else:
            body[at:at] = data
    request = bytes(body)
    table = read_spans([request], WANTED)
    try:
        ExportTraceServiceRequest.FromString(request)
    except DecodeError:
        # The lean schema may still read it: it does not look inside what is not wanted.
        return
    assert table.unreadable == 0
    assert_same([request])


@given(st.binary(max_size=300))
@example(b"\xff" * 40)
def test_arbitrary_bytes_are_read_or_counted(request: bytes) -> None:
    table = read_spans([request, request_of(SpanOf({"model": "m"}))], WANTED)
    assert table.attributes[-1] == {"model": "m"}
    assert table.unreadable <= 1


def length_delimited(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + varint(len(content)) + content


def varint(number: int, *, padding: int = 0) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    for _ in range(padding):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


KEY = length_delimited(1, b"model")
STRING = length_delimited(1, b"gpt")


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (KEY + length_delimited(2, STRING), "gpt"),
        (length_delimited(2, STRING) + KEY, "gpt"),
        (length_delimited(1, b"other") + KEY + length_delimited(2, STRING), "gpt"),
        (KEY + length_delimited(2, STRING) + length_delimited(1, b"other"), None),
        (KEY + length_delimited(2, STRING) + length_delimited(2, b"\x10\x01"), True),
        (b"\x0a\x85\x00model" + length_delimited(2, STRING), "gpt"),
        (KEY + b"\x12" + varint(len(STRING), padding=2) + STRING, "gpt"),
        (KEY + length_delimited(2, b"\x0a\x83\x00gpt"), "gpt"),
        (KEY + length_delimited(2, b"\x18" + varint(7, padding=3)), 7),
        (KEY + length_delimited(2, b"\x18" + varint((1 << 64) - 5)), -5),
        (KEY + length_delimited(2, b"\x10\x02"), True),
        (KEY + length_delimited(2, STRING + b"\x18\x05"), 5),
        (KEY + length_delimited(2, STRING + b"\x40\x01"), None),
        (KEY + length_delimited(2, STRING + b"\x7a\x02xy"), "gpt"),
        (KEY + length_delimited(2, STRING) + b"\x18\x09", "gpt"),
        (KEY + length_delimited(2, b""), None),
        (KEY, None),
        (b"", None),
        (KEY + length_delimited(2, b"\x0a\x00"), ""),
        (KEY + length_delimited(2, b"\x21" + b"\x00" * 8), 0.0),
        (KEY + length_delimited(2, b"\x0a\xc8\x01" + b"x" * 200), "x" * 200),
    ],
)
def test_every_legal_encoding_of_an_attribute_reads_the_same(
    entry: bytes, expected: object
) -> None:
    span = (
        length_delimited(1, b"\x01" * 16)
        + length_delimited(2, b"\x02" * 8)
        + length_delimited(9, entry)
    )
    request = length_delimited(1, length_delimited(2, length_delimited(2, span)))
    ExportTraceServiceRequest.FromString(request)
    assert_same([request])
    found = read_spans([request], WANTED).attributes[0].get("model")
    assert (found, type(found)) == (expected, type(expected))


def test_text_that_is_not_utf8_spoils_only_itself() -> None:
    span = (
        length_delimited(1, b"\x01" * 16)
        + length_delimited(2, b"\x02" * 8)
        + length_delimited(5, b"na\xffme")
        + length_delimited(9, KEY + length_delimited(2, length_delimited(1, b"g\xffpt")))
    )
    request = length_delimited(1, length_delimited(2, length_delimited(2, span)))
    table = read_spans([request], WANTED)
    assert table.unreadable == 0
    assert table.attributes == [{"model": "g\N{REPLACEMENT CHARACTER}pt"}]


def test_truncated_request_is_counted_and_its_neighbours_still_read() -> None:
    good = request_of(SpanOf({"model": "m"}))
    table = read_spans([good, good[:-5], good], WANTED)
    assert table.unreadable == 1
    assert table.request_index == [0, 2]


def test_attribute_that_does_not_open_is_counted_each_time_it_comes() -> None:
    damaged = KEY + length_delimited(2, b"\x0a\x7f")
    span = (
        length_delimited(1, b"\x01" * 16)
        + length_delimited(2, b"\x02" * 8)
        + length_delimited(9, damaged) * 2
    )
    request = length_delimited(1, length_delimited(2, length_delimited(2, span)))
    table = read_spans([request, request], WANTED)
    assert table.bad_attributes == 4
    assert table.attributes == [{}, {}]


def test_spans_with_ids_that_cannot_be_ids_are_counted_and_left_out() -> None:
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for trace_id, span_id in (
        (b"\x01" * 16, b"\x02" * 8),
        (b"\x01" * 15, b"\x02" * 8),
        (b"\x01" * 16, b"\x02" * 9),
        (b"\x00" * 16, b"\x02" * 8),
        (b"\x01" * 16, b"\x00" * 8),
    ):
        spans.add(trace_id=trace_id, span_id=span_id)
    table = read_spans([message.SerializeToString()], WANTED)
    assert (len(table.rows), table.read, table.bad_ids) == (1, 5, 4)


def test_times_beyond_a_signed_number_are_cut_to_its_largest() -> None:
    message = ExportTraceServiceRequest()
    message.resource_spans.add().scope_spans.add().spans.add(
        trace_id=b"\x01" * 16, span_id=b"\x02" * 8, end_time_unix_nano=(1 << 64) - 1
    )
    assert [row[6] for row in read_spans([message.SerializeToString()], WANTED).rows] == [
        _MAX_INT64
    ]


def test_span_with_ten_thousand_attributes_is_read() -> None:
    many: dict[str, object] = {f"attribute.{number}": "x" * 20 for number in range(10_000)}
    table = read_spans([request_of(SpanOf({**many, "model": "m"}))], WANTED)
    assert table.attributes == [{"model": "m"}]


def test_nesting_deeper_than_protobuf_allows_is_counted_not_raised() -> None:
    value = STRING
    for _ in range(200):
        value = length_delimited(5, length_delimited(1, value))
    reader = AttributeReader(Wanted(WANTED.__contains__))
    assert reader.read([KEY + length_delimited(2, value)]) == ({}, 1)


def test_structured_value_of_too_many_parts_is_counted() -> None:
    request = request_of(SpanOf({"model": list(range(20_000)), "tokens": 1}))
    table = read_spans([request], WANTED)
    assert (table.attributes, table.bad_attributes) == ([{"tokens": 1}], 1)


def test_neither_private_values_nor_unwanted_text_stay_in_memory() -> None:
    reader = AttributeReader(Wanted({"user", "model"}.__contains__, frozenset({"user"})))
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    put(span.attributes, {"user": "alice", "prompt": "my secret", "model": "m", "port": 443})
    raw = [attribute.SerializeToString() for attribute in span.attributes]
    assert reader.read(raw) == ({"user": "alice", "model": "m"}, 0)
    remembered = b"".join(reader._remembered)
    assert b"alice" not in remembered
    assert b"secret" not in remembered
    assert b"model" in remembered


def test_of_unwanted_text_only_what_names_machines_is_remembered_and_none_is_read() -> None:
    wanted = Wanted(WANTED.__contains__, technical=frozenset({"http.request.method", "model"}))
    reader = AttributeReader(wanted)
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    put(span.attributes, {"http.request.method": "POST", "prompt": "my secret", "model": "m"})
    raw = [attribute.SerializeToString() for attribute in span.attributes]
    for _ in range(2):
        assert reader.read(raw) == ({"model": "m"}, 0)
    assert set(reader._remembered) == {raw[0], raw[2]}


def test_of_a_key_with_many_values_only_some_are_remembered_and_all_are_read() -> None:
    reader = AttributeReader(Wanted(WANTED.__contains__))
    for number in range(3 * attributes._MAX_VALUES):
        message = ExportTraceServiceRequest()
        span = message.resource_spans.add().scope_spans.add().spans.add()
        put(span.attributes, {"tokens": number, "model": f"id-{number}"})
        raw = [attribute.SerializeToString() for attribute in span.attributes]
        assert reader.read(raw) == ({"tokens": number, "model": f"id-{number}"}, 0)
    assert len(reader._remembered) == 2 * attributes._MAX_VALUES


@given(st.binary(max_size=12), st.binary(max_size=6))
def test_an_entry_is_read_alike_whether_its_key_was_met_or_not(tail: bytes, other: bytes) -> None:
    """The key was met in an entry that is well made; the next one need not be."""
    for raw in (KEY + tail, KEY + length_delimited(2, tail), KEY[:-1] + other + tail):
        met = AttributeReader(Wanted(WANTED.__contains__))
        met.read([KEY + length_delimited(2, STRING)])
        new = AttributeReader(Wanted(WANTED.__contains__))
        assert repr(met.read([raw])) == repr(new.read([raw]))


def test_key_that_stands_twice_keeps_its_last_value() -> None:
    first, empty = KEY + length_delimited(2, STRING), KEY + length_delimited(2, b"")
    reader = AttributeReader(Wanted(WANTED.__contains__))
    assert reader.read([first, empty]) == ({}, 0)
    assert reader.read([empty, first]) == ({"model": "gpt"}, 0)


def test_only_wanted_events_are_read() -> None:
    events = [EventOf("kept.event", {"tokens": 5}), EventOf("other", {"tokens": 6})]
    table = read_spans([request_of(SpanOf({}, events=events))], WANTED)
    assert [(event.name, event.attributes) for event in table.rows[0][14]] == [
        ("kept.event", {"tokens": 5})
    ]


def marks_of(reader: AttributeReader, values: dict[str, object]) -> tuple[int | None, ...]:
    """Return the marks of a span's attributes."""
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add()
    put(span.attributes, values)
    return reader.read_marked([entry.SerializeToString() for entry in span.attributes])[1]


def telling_reader() -> AttributeReader:
    """Return a reader of four keys, of which ``model`` and ``user`` tell, the latter privately."""
    wanted = frozenset({"model", "user", "tokens", "id"})
    return AttributeReader(
        Wanted(wanted.__contains__, frozenset({"user"}), {"model", "user"}.__contains__)
    )


def test_spans_are_marked_alike_when_they_agree_in_what_tells() -> None:
    reader = telling_reader()
    marks = marks_of(reader, {"model": "m", "tokens": 1, "user": "a", "other": "x"})
    assert marks_of(reader, {"model": "m", "tokens": 2, "user": "b"}) == marks
    assert marks_of(reader, {"model": "n", "tokens": 1, "user": "a"}) != marks
    assert marks_of(reader, {"model": "m", "user": "a", "tokens": 1}) != marks
    assert marks_of(reader, {"model": "m", "tokens": 1}) != marks
    assert len(set(marks)) == 3


@pytest.mark.parametrize("value", [1, True, 1.0, "1", "true", ["1"]])
def test_values_that_python_holds_equal_are_marked_apart(value: object) -> None:
    reader = telling_reader()
    others = [one for one in (1, True, 1.0, "1", "true", ["1"]) if repr(one) != repr(value)]
    marks = marks_of(reader, {"model": value})
    assert marks_of(reader, {"model": value}) == marks
    assert all(marks_of(reader, {"model": other}) != marks for other in others)


def test_value_that_is_not_remembered_has_no_mark() -> None:
    reader = telling_reader()
    assert marks_of(reader, {"model": "m" * 200}) == (None,)
    backwards = length_delimited(2, STRING) + length_delimited(1, b"model")
    assert reader.read_marked([backwards])[1] == (None,)


def test_values_that_hardly_repeat_do_not_drive_out_those_that_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attributes, "_MAX_REMEMBERED", 20)
    reader = telling_reader()
    marks = marks_of(reader, {"model": "m"})
    for number in range(100):
        marks_of(reader, {"id": f"id-{number}"})
        assert len(reader._remembered) <= 20
    assert marks_of(reader, {"model": "m"}) == marks
    for number in range(100):
        marks_of(reader, {"model": f"model-{number}"})
        assert len(reader._remembered) <= 20
    assert marks_of(reader, {"model": "m"}) != marks


def test_key_without_a_value_is_not_marked_like_one_with_a_value() -> None:
    reader = telling_reader()
    for key in ("tokens", "model", "user"):
        with_value = marks_of(reader, {key: "1"})
        assert marks_of(reader, {key: None}) != with_value
        assert marks_of(reader, {key: "1"}) == with_value
