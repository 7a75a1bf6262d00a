"""The client: requests of fresh spans, sent one at a time at a fixed pace and timed."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, NamedTuple

import grpc
from bench.read import request
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_DEADLINE_S = 30.0
# High enough to be busy, low enough for every system to keep up on two cores: what is compared is
# cost and delay, not where each one ends.
_MOST_REQUESTS_S = 250.0
_MOST_SPANS_S = 30_000.0
_MOST_BYTES_S = 64e6

_SPANS_A_TRACE = 4


class Setting(NamedTuple):
    """The shape of the requests; ``content_chars`` is a span's, prompt and answer together."""

    spans: int
    content_chars: int


class Requests:
    """Makes requests of one shape: every span with ids of its own, and over just now.

    tripswitch counts a span and an answer once and judges the last minutes only, so old or
    repeated ones would let it off most of its work.
    """

    def __init__(self, setting: Setting, first_id: int) -> None:
        message = ExportTraceServiceRequest.FromString(request(*setting, 0))
        self._message = message
        self._spans = message.resource_spans[0].scope_spans[0].spans
        self._response_ids = [_response_id_of(span) for span in self._spans]
        self._next_id = first_id
        size_bytes = message.ByteSize()
        self.rate_s = min(
            _MOST_REQUESTS_S, _MOST_SPANS_S / setting.spans, _MOST_BYTES_S / size_bytes
        )

    def take(self, count: int) -> list[bytes]:
        """Return ``count`` requests that no system has seen."""
        return [self._fresh() for _ in range(count)]

    def _fresh(self) -> bytes:
        end_ns = time.time_ns()
        root_id = 0
        for number, span in enumerate(self._spans):
            self._next_id += 1
            is_root = number % _SPANS_A_TRACE == 0
            if is_root:
                root_id = self._next_id
            span.trace_id = root_id.to_bytes(16, "big")
            span.span_id = self._next_id.to_bytes(8, "big")
            span.parent_span_id = b"" if is_root else root_id.to_bytes(8, "big")
            span.start_time_unix_nano = end_ns - 900_000_000
            span.end_time_unix_nano = end_ns
            self._response_ids[number].string_value = f"chatcmpl-{self._next_id}"
        return self._message.SerializeToString()


def _response_id_of(span: Span) -> AnyValue:
    return next(each.value for each in span.attributes if each.key == "gen_ai.response.id")


class Exporter:
    """A gRPC client that sends bytes as they are."""

    def __init__(self, endpoint: str) -> None:
        self._channel = grpc.insecure_channel(
            endpoint,
            options=(
                ("grpc.max_send_message_length", -1),
                ("grpc.use_local_subchannel_pool", 1),
            ),
        )
        self._export = self._channel.unary_unary(_METHOD, None, None)

    def send(self, bodies: Sequence[bytes], rate_s: float) -> list[float]:
        """Send ``bodies`` at ``rate_s`` requests a second; return how long each took, in seconds.

        A request that takes longer than its turn delays the next: there is one in flight, as in an
        SDK's exporter. Raises RpcError when one is refused.
        """
        gc.collect()
        gc.disable()
        try:
            return list(self._paced(bodies, 1 / rate_s))
        finally:
            gc.enable()

    def _paced(self, bodies: Sequence[bytes], interval_s: float) -> Iterator[float]:
        due_s = time.perf_counter()
        for body in bodies:
            time.sleep(max(0.0, due_s - time.perf_counter()))
            start_s = time.perf_counter()
            self._export(body, timeout=_DEADLINE_S)
            end_s = time.perf_counter()
            yield end_s - start_s
            due_s = max(due_s + interval_s, end_s)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()
