"""Recorded OTLP on disk, as a stream of requests.

Read are JSON lines as the Collector's file exporter writes them (``.jsonl``), one raw protobuf
request a file (``.binpb``), each also compressed (``.gz``, ``.zst``), and folders of these in name
order. A bad line or file costs itself and is reported with its place; the rest is still read.
Nothing is held in memory but the request at hand.
"""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, cast

import structlog
import zstandard
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tripswitch.errors import TripswitchError, WireError
from tripswitch.otlp.json_encoding import encode_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Signal = Literal["traces", "logs", "metrics", "unknown"]

# The receive limit that OTLP recommends is 64 MiB; its JSON is up to twice as long.
MAX_REQUEST_BYTES = 64 << 20
MAX_LINE_BYTES = 128 << 20
_PIECE_BYTES = 256 << 10

_LINES = (".jsonl", ".ndjson")
_RAW = (".binpb", ".pb")
_COMPRESSED = (".gz", ".zst")
_SIGNAL_NAMES: tuple[Signal, ...] = ("traces", "logs", "metrics")

_log = structlog.get_logger(__name__)


class StoredRequest(NamedTuple):
    """One recorded request: its signal, its protobuf bytes, and where it stood (file:line)."""

    signal: Signal
    body: bytes
    source: str


class FileProblem(NamedTuple):
    """Something on disk that could not be read: where, and what was found and wanted."""

    source: str
    message: str


def _log_problem(problem: FileProblem) -> None:
    _log.warning("recording.skipped", source=problem.source, reason=problem.message)


def read_requests(
    paths: Sequence[Path],
    on_problem: Callable[[FileProblem], None] = _log_problem,
    *,
    max_line_bytes: int = MAX_LINE_BYTES,
) -> Iterator[StoredRequest]:
    """Yield the requests in ``paths``, in the order given; a folder's files in name order.

    Each line, file or part of a folder that is not a readable recording goes to ``on_problem``.
    A file named by the caller may have any name: ``.json`` is read as JSON lines. Raises
    `TripswitchError` when one of ``paths`` does not exist.
    """
    for path in paths:
        if not path.exists():
            raise TripswitchError(
                f'no file or folder "{path}"',
                hint="name a .jsonl or .binpb file (also .gz, .zst), or a folder of these",
            )
    zstd = zstandard.ZstdDecompressor()
    for path in paths:
        for file in _files(path, on_problem):
            try:
                if _stem(file).endswith(_RAW):
                    yield from _raw_request(file, zstd, on_problem)
                else:
                    yield from _lines(file, zstd, on_problem, max_line_bytes)
            except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
                reason = getattr(error, "strerror", None) or "cut off or damaged compressed data"
                on_problem(FileProblem(str(file), reason))


def _files(path: Path, on_problem: Callable[[FileProblem], None]) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for entry in sorted(path.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            # A link back up would never end.
            if not entry.is_symlink():
                yield from _files(entry, on_problem)
        elif _stem(entry).endswith((*_LINES, *_RAW)):
            yield entry
        else:
            on_problem(FileProblem(str(entry), "not a .jsonl or .binpb recording, skipped"))


def _stem(path: Path) -> str:
    name = path.name.lower()
    return path.stem.lower() if name.endswith(_COMPRESSED) else name


@contextmanager
def _opened(
    path: Path, zstd: zstandard.ZstdDecompressor, *, is_buffered: bool
) -> Iterator[IO[bytes]]:
    """Open a file as what it holds; only the lines of one that ``is_buffered`` can be read."""
    name = path.name.lower()
    with path.open("rb") as raw:
        if name.endswith(".gz"):
            with gzip.GzipFile(fileobj=raw) as plain:
                yield cast("IO[bytes]", plain)
        elif name.endswith(".zst"):
            with zstd.stream_reader(raw, read_across_frames=True) as plain_reader:
                unbuffered = cast("io.RawIOBase", plain_reader)
                yield (
                    io.BufferedReader(unbuffered) if is_buffered else cast("IO[bytes]", unbuffered)
                )
        else:
            yield raw


def _lines(
    path: Path,
    zstd: zstandard.ZstdDecompressor,
    on_problem: Callable[[FileProblem], None],
    max_line_bytes: int,
) -> Iterator[StoredRequest]:
    with _opened(path, zstd, is_buffered=True) as stream:
        number = 0
        while line := stream.readline(max_line_bytes + 1):
            number += 1
            source = f"{path}:{number}"
            if len(line) > max_line_bytes:
                while line and not line.endswith(b"\n"):
                    line = stream.readline(1 << 20)
                on_problem(FileProblem(source, f"line longer than {max_line_bytes} bytes"))
                continue
            if not line.strip():
                continue
            try:
                signal, body = encode_request(line)
            except WireError as error:
                on_problem(FileProblem(source, error.message))
                continue
            yield StoredRequest(signal, body, source)


def _read_up_to(stream: IO[bytes], size: int) -> bytes:
    """Return what ``stream`` holds, at most ``size`` bytes.

    Asked for all of it at once, a stream first makes room for as much.
    """
    pieces = [stream.read(_PIECE_BYTES)]
    left = size - len(pieces[0])
    while left > 0 and pieces[-1]:
        pieces.append(stream.read(min(left, _PIECE_BYTES)))
        left -= len(pieces[-1])
    return b"".join(pieces)


def _raw_request(
    path: Path,
    zstd: zstandard.ZstdDecompressor,
    on_problem: Callable[[FileProblem], None],
) -> Iterator[StoredRequest]:
    with _opened(path, zstd, is_buffered=False) as stream:
        body = _read_up_to(stream, MAX_REQUEST_BYTES + 1)
    if len(body) > MAX_REQUEST_BYTES:
        on_problem(FileProblem(str(path), f"request larger than {MAX_REQUEST_BYTES} bytes"))
        return
    parts = _stem(path).split(".")
    named = [signal for signal in _SIGNAL_NAMES if signal in parts]
    yield StoredRequest(named[0] if named else _signal_inside(body), body, str(path))


def _signal_inside(body: bytes) -> Signal:
    """Return the signal of a request by what only that signal's records can hold."""
    # The three requests share their outer shape, so that parsing alone tells nothing apart.
    try:
        traces = ExportTraceServiceRequest.FromString(body)
        if any(
            len(span.trace_id) == 16 and len(span.span_id) == 8
            for resource in traces.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ):
            return "traces"
    except DecodeError:
        pass
    try:
        logs = ExportLogsServiceRequest.FromString(body)
        if any(
            record.time_unix_nano or record.observed_time_unix_nano
            for resource in logs.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ):
            return "logs"
    except DecodeError:
        pass
    try:
        metrics = ExportMetricsServiceRequest.FromString(body)
        if any(
            metric.WhichOneof("data")
            for resource in metrics.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ):
            return "metrics"
    except DecodeError:
        pass
    return "unknown"
