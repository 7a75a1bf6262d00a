"""The upstream at the end of the line: keeps the ids of the spans it took, and has its moods."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp.http_upstream import HttpAnswer, HttpGot, HttpUpstream
from tests.otlp.raw_http import JSON
from tests.otlp.upstream import Got, Reply, Upstream
from tests.survive.line import Line
from tripswitch.otlp.replies import RETRYABLE, RETRYABLE_STATUSES

if TYPE_CHECKING:
    import random
    from types import TracebackType

Protocol = Literal["grpc", "http"]

# Beyond the time that tripswitch gives it, so that some answers come too late.
_SLOWEST_S = 4.0


class Mood(StrEnum):
    """How the upstream and the line to it behave."""

    WELL = "well"
    AWAY = "away"
    SLOW = "slow"
    UNAVAILABLE = "unavailable"
    RESETS = "resets"


def ids_of(body: bytes, content_type: str = "", content_encoding: str = "") -> list[int]:
    """Return the span ids of a request."""
    if content_encoding == "gzip":
        body = gzip.decompress(body)
    if content_type == JSON:
        return [
            int(span["spanId"], 16)
            for resource_spans in json.loads(body)["resourceSpans"]
            for scope_spans in resource_spans["scopeSpans"]
            for span in scope_spans["spans"]
        ]
    return [
        int.from_bytes(span.span_id, "big")
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


class Sink:
    """An async context manager; ``endpoint`` is where the line to it begins.

    ``arrivals`` counts what was taken by span id; ``requests`` counts the requests by mood.
    """

    def __init__(self, protocol: Protocol, choice: random.Random) -> None:
        self.protocol = protocol
        self.arrivals: Counter[int] = Counter()
        self.requests: Counter[Mood] = Counter()
        self.mood = Mood.WELL
        self.endpoint = ""
        self._choice = choice
        self._line: Line | None = None
        self._stack = contextlib.AsyncExitStack()
        self._codes = sorted(RETRYABLE, key=lambda code: code.name)
        self._statuses = sorted(RETRYABLE_STATUSES)

    async def feel(self, mood: Mood) -> None:
        """Behave like ``mood`` from now on."""
        assert self._line is not None
        self.mood = mood
        if mood is Mood.AWAY:
            self._line.cut()
        elif mood is Mood.RESETS:
            await self._line.tear()
        else:
            await self._line.mend()

    @property
    def resets(self) -> int:
        """Return how many connections were reset."""
        return 0 if self._line is None else self._line.resets

    async def __aenter__(self) -> Self:
        if self.protocol == "grpc":
            self._grpc = await self._stack.enter_async_context(Upstream(self._reply))
            target = self._grpc.endpoint
        else:
            self._http = await self._stack.enter_async_context(HttpUpstream(self._answer))
            target = self._http.url.removeprefix("http://")
        self._line = await self._stack.enter_async_context(Line(target, self._choice))
        self.endpoint = self._line.endpoint
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def _reply(self, got: Got) -> Reply:
        self._grpc.got.clear()
        if self._refuses():
            return Reply(self._choice.choice(self._codes), details="later")
        self.arrivals.update(ids_of(got.body))
        return Reply(hold=self._hold())

    def _answer(self, got: HttpGot) -> HttpAnswer:
        self._http.got.clear()
        if self._refuses():
            return HttpAnswer(self._choice.choice(self._statuses), b"later")
        content_type = got.header("content-type") or ""
        self.arrivals.update(ids_of(got.body, content_type, got.header("content-encoding") or ""))
        return HttpAnswer(headers=(("content-type", content_type),), hold=self._hold())

    def _refuses(self) -> bool:
        self.requests[self.mood] += 1
        return self.mood is Mood.UNAVAILABLE

    def _hold(self) -> asyncio.Event | None:
        """Return what a slow answer waits for."""
        if self.mood is not Mood.SLOW:
            return None
        hold = asyncio.Event()
        asyncio.get_running_loop().call_later(self._choice.uniform(0, _SLOWEST_S), hold.set)
        return hold
