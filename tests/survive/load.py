"""Load from real exporters, each in a thread of its own, and what they were told was taken."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (
    OTLPSpanExporter as GrpcSpanExporter,
)
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
    OTLPSpanExporter as HttpSpanExporter,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DEADLINE_S = 10.0

_SIZES = (1, 1, 5, 20, 100)
_PAUSE_S = 0.02
_LAST_EXPORT_S = 60.0
_NUMBERS_EACH = 1 << 32
_RESOURCE = Resource({"service.name": "survive"})
_SCOPE = InstrumentationScope("tests.survive")


class Exporter(Protocol):
    """What sends spans; True where it was told that they were taken."""

    def send(self, spans: Sequence[ReadableSpan]) -> bool:
        """Send, with all the retries that are its own."""
        ...

    def close(self) -> None:
        """End."""
        ...


class Sdk:
    """An exporter of the OpenTelemetry SDK."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter

    def send(self, spans: Sequence[ReadableSpan]) -> bool:
        """See `Exporter`."""
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """See `Exporter`."""
        self._exporter.shutdown()


class RawJson:
    """A client that posts OTLP/JSON once and takes 200 for success."""

    def __init__(self, endpoint: str, deadline_s: float) -> None:
        self._endpoint = endpoint
        self._deadline_s = deadline_s

    def send(self, spans: Sequence[ReadableSpan]) -> bool:
        """See `Exporter`."""
        connection = http.client.HTTPConnection(self._endpoint, timeout=self._deadline_s)
        try:
            connection.request(
                "POST", "/v1/traces", _json_of(spans), {"content-type": "application/json"}
            )
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def close(self) -> None:
        """See `Exporter`."""


class Tally(NamedTuple):
    """What one sender was told, by span id, and how many spans it gave up."""

    acknowledged: set[int]
    given_up: int


class Sender(threading.Thread):
    """Sends batches until it is told to stop. ``requests`` counts those acknowledged."""

    def __init__(self, place: int, make: Callable[[], Exporter], stop: threading.Event) -> None:
        super().__init__(name=f"sender-{place}", daemon=True)
        self.requests = 0
        self.acknowledged: set[int] = set()
        self.given_up = 0
        self.error: BaseException | None = None
        self._next = place * _NUMBERS_EACH + 1
        self._choice = random.Random(place)
        self._make = make
        self._stop_sending = stop

    def run(self) -> None:
        """Send until told to stop."""
        exporter = self._make()
        try:
            while not self._stop_sending.wait(_PAUSE_S):
                self._send(exporter)
        except BaseException as error:
            self.error = error
            raise
        finally:
            exporter.close()

    def _send(self, exporter: Exporter) -> None:
        numbers = range(self._next, self._next + self._choice.choice(_SIZES))
        self._next = numbers.stop
        if exporter.send([_span(number, self._choice) for number in numbers]):
            self.acknowledged.update(numbers)
            self.requests += 1
        else:
            self.given_up += len(numbers)


class Load:
    """Senders of every kind, ``each`` so many, to the two ports of tripswitch.

    An export with all its retries may take ``deadline_s``; the SDK's own default is 10 s.
    """

    def __init__(
        self,
        grpc_endpoint: str,
        http_endpoint: str,
        *,
        each: int = 1,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        def over_grpc() -> Exporter:
            return Sdk(GrpcSpanExporter(endpoint=grpc_endpoint, insecure=True, timeout=deadline_s))

        def over_http(compression: Compression) -> Callable[[], Exporter]:
            return lambda: Sdk(
                HttpSpanExporter(
                    endpoint=f"http://{http_endpoint}/v1/traces",
                    timeout=deadline_s,
                    compression=compression,
                )
            )

        kinds: list[Callable[[], Exporter]] = [
            over_grpc,
            over_http(Compression.Gzip),
            over_http(Compression.NoCompression),
            lambda: RawJson(http_endpoint, deadline_s),
        ]
        self._stop = threading.Event()
        self.senders = [
            Sender(place, make, self._stop) for place, make in enumerate(kinds * each, start=1)
        ]

    @property
    def requests(self) -> int:
        """Return how many requests were acknowledged so far."""
        return sum(sender.requests for sender in self.senders)

    def tally(self) -> Tally:
        """Return what all senders together were told."""
        acknowledged: set[int] = set()
        for sender in self.senders:
            if sender.error is not None:
                raise sender.error
            acknowledged |= sender.acknowledged
        return Tally(acknowledged, sum(sender.given_up for sender in self.senders))

    def start(self) -> None:
        """Begin to send."""
        for sender in self.senders:
            sender.start()

    def stop(self) -> None:
        """Send no more; returns once the last answers are there."""
        self._stop.set()
        for sender in self.senders:
            sender.join(_LAST_EXPORT_S)
            assert not sender.is_alive()


def _span(number: int, choice: random.Random) -> ReadableSpan:
    now_ns = time.time_ns()
    return ReadableSpan(
        name="chat gpt",
        context=SpanContext(
            trace_id=(1 << 64) + number,
            span_id=number,
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        ),
        resource=_RESOURCE,
        attributes={
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": "gpt",
            "gen_ai.usage.input_tokens": choice.randrange(4000),
            "gen_ai.usage.output_tokens": choice.randrange(800),
            "http.route": f"/chat/{number % 7}",
            "filler": "x" * choice.randrange(2000),
        },
        kind=SpanKind.CLIENT,
        instrumentation_scope=_SCOPE,
        start_time=now_ns - 10**9,
        end_time=now_ns,
    )


def _json_of(spans: Sequence[ReadableSpan]) -> str:
    written = [
        {
            "traceId": f"{span.context.trace_id:032x}",
            "spanId": f"{span.context.span_id:016x}",
            "name": span.name,
            "startTimeUnixNano": str(span.start_time),
            "endTimeUnixNano": str(span.end_time),
        }
        for span in spans
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": written}]}]})
