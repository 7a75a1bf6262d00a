"""What is given arbitrary bytes, and what must hold of what it makes of them.

Each target takes an input and returns, whatever is in it; what it raises is a bug. The first byte
or two often choose a setting. Where there is another reader of the same format, both must agree.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import re
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.profiles.v1development.profiles_service_pb2 import (
    ExportProfilesServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp.test_reader import WANTED, assert_same, read_spans
from tripswitch.config.model import Config
from tripswitch.drive.session import Arrival, Session
from tripswitch.errors import SnapshotError, WireError
from tripswitch.genai.coercion import number, parsed_json, text
from tripswitch.genai.content import answer_in
from tripswitch.otlp.delivery import Delivery, Signal, signal_of_method, signal_of_path
from tripswitch.otlp.encodings import READABLE, decode
from tripswitch.otlp.files import read_requests
from tripswitch.otlp.headers import (
    as_grpc_metadata,
    as_http_headers,
    of_an_http_reply,
    of_an_http_request,
)
from tripswitch.otlp.json_encoding import encode_request, encode_request_of
from tripswitch.otlp.replies import GrpcReply, HttpReply
from tripswitch.otlp.reply_crossing import as_grpc, as_http
from tripswitch.otlp.retry_hints import RETRY_INFO_TRAILERS, hinted_delay_s, retry_after_s
from tripswitch.otlp.spool.record import content_of, draft_of
from tripswitch.otlp.tokens import BearerTokens
from tripswitch.store.snapshot_file import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tripswitch.otlp.delivery import Metadata

LIMITS: Final = (100, 5_000, 1 << 20, 64 << 20)
NOW_NS: Final = 1_800_000_000_000_000_000

_REQUEST_CLASSES: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "profiles": ExportProfilesServiceRequest,
}
_CONTENT_TYPES: Final = (
    "application/x-protobuf",
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
    "",
)
_ENDINGS: Final = (".jsonl", ".binpb", ".jsonl.gz", ".jsonl.zst", ".binpb.gz", ".binpb.zst")
_TOKEN: Final = "a-token-that-nobody-has"
_GRPC_KEY: Final = re.compile(r"[0-9a-z_.\-]+")


def encodings(data: bytes) -> None:
    """A content-encoding is undone as its own library undoes it, within the limit, or refused."""
    encoding, limit_bytes, body = _settings(data, READABLE, LIMITS)
    try:
        plain = decode(body, encoding, limit_bytes)
    except WireError:
        return
    assert len(plain) <= limit_bytes
    if encoding == "gzip" and body:
        assert gzip.decompress(body) == plain
    elif encoding == "deflate" and body:
        assert zlib.decompress(body) == plain
    elif encoding == "zstd" and body:
        frames = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(body), read_across_frames=True
        )
        assert frames.read() == plain


def json_request(data: bytes) -> None:
    """JSON becomes a message of its signal that the official classes read, or is refused."""
    signal, _, document = _settings(data, tuple(_REQUEST_CLASSES), (None,))
    complaint = ""
    try:
        _REQUEST_CLASSES[signal].FromString(encode_request_of(signal, document))
        found, encoded = encode_request(document)
        _REQUEST_CLASSES[found].FromString(encoded)
    except WireError as error:
        complaint = error.message
    # It names a place, which is as deep as messages nest, and no value.
    assert len(complaint) < 4_000


def trace_reader(data: bytes) -> None:
    """What the official classes read is read the same; anything else costs itself alone."""
    table = read_spans([data], WANTED)
    assert table.unreadable in (0, 1)
    try:
        ExportTraceServiceRequest.FromString(data)
    except DecodeError:
        return
    assert_same([data])


def session(data: bytes) -> None:
    """Reading, understanding and judging take anything; the session lives on."""
    for one in _sessions():
        one.feed([Arrival(data, NOW_NS), Arrival(data, NOW_NS, Signal.LOGS)])
        one.counters()
        one.telemetry()


def content(data: bytes) -> None:
    """The text inside attributes is anybody's: facts come out of it or do not."""
    said = data.decode("utf-8", "replace")
    answer_in(said)
    parsed_json(said)
    text(said)
    figure = number(said)
    assert figure is None or figure >= 0


def record(data: bytes) -> None:
    """What a record holds is read back as it was, whatever headers and bodies hold."""
    at, _, rest = _settings(data, tuple(range(256)), (None,))
    texts = tuple(_lines(rest[:at]))
    more = ((f"{key}-bin", value.encode("latin-1")) for key, value in texts)
    pairs: Metadata = (*texts, *more)
    delivery = Delivery(
        "http", "/v1/traces", Signal.TRACES, pairs, rest[at:], NOW_NS, rest[:9].hex(), "gzip"
    )
    draft = draft_of(delivery, NOW_NS)
    assert content_of(draft.numbered(1), draft.head + draft.body) == (delivery, None)


def headers(data: bytes) -> None:
    """Headers cross to gRPC as gRPC allows them, and none of one hop does."""
    pairs = tuple(_lines(data))
    crossed = as_grpc_metadata(of_an_http_request(pairs))
    for key, value in crossed:
        assert _GRPC_KEY.fullmatch(key)
        assert key not in ("connection", "host", "te", "transfer-encoding")
        assert not key.startswith("grpc-")
        assert isinstance(value, bytes) is key.endswith("-bin")
        assert isinstance(value, bytes) or (value.isascii() and value.isprintable())
    again = as_http_headers(crossed)
    assert as_grpc_metadata((key, str(value)) for key, value in again) == crossed
    of_an_http_reply(pairs)
    signal_of_path(data.decode("latin-1"))
    signal_of_method(data.decode("latin-1"))


def bearer(data: bytes) -> None:
    """Only the token itself is let in."""
    shown = data.decode("latin-1")
    scheme, _, token = shown.partition(" ")
    is_right = scheme.lower() == "bearer" and token.strip() == _TOKEN
    assert _tokens().admits(shown) is is_right


def replies(data: bytes) -> None:
    """What an upstream answers crosses to the other protocol, and stays final or not."""
    status, content_type, rest = _settings(data, tuple(range(200, 600)), _CONTENT_TYPES, size=2)
    head, _, body = rest.partition(b"\n\n")
    pairs: Metadata = (("content-type", content_type), *_lines(head))
    over_http = HttpReply(status, pairs, body)
    crossed = as_grpc(over_http)
    assert crossed.is_ok is over_http.is_ok
    assert crossed.is_retryable is over_http.is_retryable
    hint = (("grpc-status-details-bin", rest), ("google.rpc.retryinfo-bin", body))
    for reply in (crossed, GrpcReply(crossed.code, body, "said", pairs, hint)):
        back = as_http(reply, content_type, Signal.TRACES)
        assert 200 <= back.status < 600
    for trailer in RETRY_INFO_TRAILERS:
        hinted_delay_s(((trailer, rest),))
    delay_s = retry_after_s(rest.decode("latin-1"), time.time())
    assert delay_s is None or delay_s >= 0


def recording(data: bytes) -> None:
    """A recording is read as far as it can be, and what is bad in it is reported."""
    ending, _, rest = _settings(data, _ENDINGS, (None,))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"recording{ending}"
        file.write_bytes(rest)
        for request in read_requests([file], lambda _problem: None, max_line_bytes=1 << 16):
            assert request.source


def snapshot(data: bytes) -> None:
    """A snapshot's file is a snapshot or refused in words, also where its checksum is right."""
    start = b"tripswitch snapshot\n" + bytes(3) + b"\1" + len(data).to_bytes(8, "big")
    whole = start + hashlib.blake2b(data, digest_size=32).digest() + data
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "snapshot"
        for written in (data, whole):
            file.write_bytes(written)
            with contextlib.suppress(SnapshotError):
                found = read_snapshot(file)
                assert sum(array.nbytes for array in found.arrays.values()) < 1 << 31


PURE: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        *(encodings, json_request, trace_reader, session, content, record, headers, bearer),
        *(replies, recording, snapshot),
    )
}
"""The targets that need nothing but the bytes."""


def _settings(
    data: bytes, first: tuple[Any, ...], second: tuple[Any, ...], size: int = 1
) -> tuple[Any, Any, bytes]:
    """Return a member of ``first`` and of ``second``, chosen by the first bytes, and the rest."""
    chosen = int.from_bytes(data[:size], "big")
    other, chosen = divmod(chosen, len(first))
    return first[chosen], second[other % len(second)], data[size:]


def _lines(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield key and value of every line with a colon, as a receiver hands them over."""
    for line in data.decode("latin-1").split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip().lower(), value.strip()


def _sessions() -> list[Session]:
    if not _SESSIONS:
        for source in ("wall", "telemetry"):
            _SESSIONS.append(Session(Config.model_validate({"clock": {"source": source}})))
    return _SESSIONS


_SESSIONS: Final[list[Session]] = []
_TOKENS: Final[list[BearerTokens]] = []


def _tokens() -> BearerTokens:
    if not _TOKENS:
        _TOKENS.append(BearerTokens(_TOKEN, "", "test"))
    return _TOKENS[0]
