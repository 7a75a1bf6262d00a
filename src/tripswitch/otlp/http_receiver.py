"""The HTTP receiver: an ASGI application that takes OTLP/HTTP and answers what the pipeline does.

Rules it obeys:

- the body is kept as it came, content-encoding and all; nothing here decodes it;
- any path below the configured prefixes is taken, so that a signal tripswitch has never heard of
  passes; which signal a request carries is told by the end of its path;
- what is no OTLP is answered as the Collector does: 405 but for POST, 415 but for protobuf and
  JSON, 404 off the prefixes;
- the memory of a body is taken from the shared room as it arrives; where there is none, or not
  enough for the Content-Length, the answer is 503 with Retry-After;
- a body that does not arrive in time is given up with 503: a slow sender may try again, and 408
  would be final by OTLP's table;
- no fault of ours surfaces as 500, which is final too.

An answer given before the body is read is followed by reading on for a moment and discarding:
many clients look at an answer only once they have sent everything.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import structlog

from tripswitch.otlp.admission import REQUEST_BYTES
from tripswitch.otlp.delivery import Delivery, Signal, signal_of_path
from tripswitch.otlp.headers import of_an_http_request, value_of
from tripswitch.otlp.replies import HttpReply, back_pressure, no_room
from tripswitch.otlp.reply_crossing import as_http
from tripswitch.otlp.status_bodies import JSON, PROTOBUF, http_refusal, media_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tripswitch.otlp.delivery import Metadata
    from tripswitch.otlp.pipeline import Outcome, Pipeline
    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.tokens import BearerTokens

    Receive = Callable[[], Awaitable[dict[str, Any]]]
    Send = Callable[[dict[str, Any]], Awaitable[None]]

# How long, and how much of, a body is read on that was refused unread.
_LINGER_S: Final = 2.0
_LINGER_BYTES: Final = 256 << 20

_TEXT: Final = (("content-type", "text/plain"),)

_log = structlog.get_logger(__name__)


class _Refused(Exception):  # noqa: N818 - not an error: the answer to a request that ends early
    def __init__(self, outcome: Outcome, reply: Reply) -> None:
        self.outcome: Outcome = outcome
        self.reply = reply


class _ClientLeft(Exception):  # noqa: N818 - not an error
    pass


class _Request(NamedTuple):
    """The head of a request. ``target`` is path and query as they came."""

    target: str
    signal: Signal
    headers: Metadata
    content_type: str


class HttpReceiver:
    """OTLP/HTTP in front of a `Pipeline`; call it as an ASGI application.

    ``path_prefixes`` are what may stand before ``/v1/...``; without any every path is taken.
    ``read_timeout_s`` is the longest a whole body may take to arrive. With ``tokens`` every
    request must carry one of them; the header is then tripswitch's and does not go upstream.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        max_body_bytes: int,
        max_concurrent_requests: int,
        read_timeout_s: float = 30.0,
        path_prefixes: Sequence[str] = (),
        tokens: BearerTokens | None = None,
    ) -> None:
        self.in_flight = 0
        self._pipeline = pipeline
        self.use(
            max_body_bytes=max_body_bytes,
            max_concurrent_requests=max_concurrent_requests,
            read_timeout_s=read_timeout_s,
            path_prefixes=path_prefixes,
            tokens=tokens,
        )

    def use(
        self,
        *,
        max_body_bytes: int,
        max_concurrent_requests: int,
        read_timeout_s: float,
        path_prefixes: Sequence[str],
        tokens: BearerTokens | None,
    ) -> None:
        """Hold requests to these settings from now on."""
        self.max_concurrent_requests = max_concurrent_requests
        self._max_body_bytes = max_body_bytes
        self._read_timeout_s = read_timeout_s
        self._prefixes = tuple(prefix.rstrip("/") for prefix in path_prefixes)
        self._tokens = tokens

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = _head(scope)
        try:
            self._refuse_early(scope["method"], request)
            reply = await self._take(request, receive)
            answer = as_http(reply, request.content_type, request.signal)
        except _ClientLeft:
            return
        except _Refused as refused:
            self._count(request.signal, refused.outcome)
            await _answer_unread(
                as_http(refused.reply, request.content_type, request.signal), receive, send
            )
            return
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach clients as retryable
            _log.error("receive_failed", error=type(error).__name__)
            reply = back_pressure("tripswitch could not take the request")
            answer = as_http(reply, request.content_type, request.signal)
        await _answer(answer, send)

    def _refuse_early(self, method: str, request: _Request) -> None:
        """Raise `_Refused` for what can be refused without its body."""
        if not self._is_below_a_prefix(request):
            raise _Refused("unsupported", HttpReply(404, _TEXT, b"404 page not found\n"))
        if method != "POST":
            headers = (*_TEXT, ("allow", "POST"))
            body = b"405 method not allowed, supported: [POST]"
            raise _Refused("unsupported", HttpReply(405, headers, body))
        if media_type(request.content_type) not in (PROTOBUF, JSON):
            body = f"415 unsupported media type, supported: [{JSON}, {PROTOBUF}]".encode()
            raise _Refused("unsupported", HttpReply(415, _TEXT, body))
        authorization = value_of(request.headers, "authorization")
        if self._tokens is not None and not self._tokens.admits(authorization):
            message = "a bearer token is needed and none that is known was sent"
            challenge = (("www-authenticate", "Bearer"),)
            refusal = http_refusal(401, message, request.content_type, challenge)
            raise _Refused("unauthenticated", refusal)
        self._refuse_above_the_limit()
        length = int(value_of(request.headers, "content-length") or 0)
        if length > self._max_body_bytes:
            raise self._too_large(request)
        if not self._pipeline.admission.has_room(length):
            raise _Refused("overloaded", no_room(self._pipeline.admission.max_bytes))

    def _refuse_above_the_limit(self) -> None:
        limit = self.max_concurrent_requests
        if self.in_flight >= limit:
            message = f"tripswitch has {limit} requests in flight, its limit; try again"
            raise _Refused("overloaded", back_pressure(message))

    def _is_below_a_prefix(self, request: _Request) -> bool:
        path = request.target.partition("?")[0]
        return path.startswith("/") and (
            not self._prefixes or any(path.startswith(f"{each}/v1") for each in self._prefixes)
        )

    async def _take(self, request: _Request, receive: Receive) -> Reply:
        room = _Room(self._pipeline)
        try:
            body = await self._body(request, receive, room)
            # Only from here on, so that slow senders do not hold the places of others.
            self._refuse_above_the_limit()
            headers = request.headers
            if self._tokens is not None:
                headers = tuple(pair for pair in headers if pair[0] != "authorization")
            delivery = Delivery(
                "http",
                request.target,
                request.signal,
                of_an_http_request((key, str(value)) for key, value in headers),
                body,
                time.time_ns(),
                request.content_type,
                value_of(request.headers, "content-encoding"),
            )
            self.in_flight += 1
            try:
                return await _unless_client_leaves(self._pipeline.export(delivery, None), receive)
            finally:
                self.in_flight -= 1
        finally:
            room.give_back()

    async def _body(self, request: _Request, receive: Receive, room: _Room) -> bytes:
        room.take(REQUEST_BYTES)
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._read_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        self._count(request.signal, "cancelled")
                        raise _ClientLeft
                    piece: bytes = message.get("body", b"")
                    size += len(piece)
                    if size > self._max_body_bytes:
                        raise self._too_large(request)
                    room.take(len(piece))
                    pieces.append(piece)
                    if not message.get("more_body"):
                        return b"".join(pieces)
        except TimeoutError:
            seconds = self._read_timeout_s
            message_text = f"the body did not arrive within {seconds:g} s; {size} bytes did"
            raise _Refused("transport_refused", back_pressure(message_text)) from None

    def _too_large(self, request: _Request) -> _Refused:
        max_bytes = self._max_body_bytes
        self._pipeline.complain("request_not_received", "413", max_bytes=max_bytes)
        message = f"request body too large; the limit is {max_bytes} bytes"
        return _Refused("transport_refused", http_refusal(413, message, request.content_type))

    def _count(self, signal: Signal, outcome: Outcome) -> None:
        self._pipeline.count("http", signal, outcome)


class _Room:
    """What one request holds of the shared bytes."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._admission = pipeline.admission
        self._held_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Take more. Raises `_Refused` when there is no more."""
        if not self._admission.reserve(size_bytes):
            raise _Refused("overloaded", no_room(self._admission.max_bytes))
        self._held_bytes += size_bytes

    def give_back(self) -> None:
        """Give everything back."""
        self._admission.release(self._held_bytes)
        self._held_bytes = 0


def _head(scope: dict[str, Any]) -> _Request:
    target = scope["raw_path"].decode("ascii", "replace")
    if scope["query_string"]:
        target += "?" + scope["query_string"].decode("ascii", "replace")
    headers = tuple(
        (key.decode("latin-1"), value.decode("latin-1")) for key, value in scope["headers"]
    )
    return _Request(target, signal_of_path(target), headers, value_of(headers, "content-type"))


async def _unless_client_leaves(export: Any, receive: Receive) -> Reply:
    """Return what ``export`` returns; cancel it, and raise `_ClientLeft`, when nobody waits."""
    loop = asyncio.get_running_loop()
    answering = loop.create_task(export)
    leaving = loop.create_task(_left(receive))
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if answering.done():
            reply: Reply = answering.result()
            return reply
        raise _ClientLeft
    finally:
        for task in (answering, leaving):
            if not task.done():
                task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(reply: HttpReply, send: Send) -> None:
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body})


async def _answer_unread(reply: HttpReply, receive: Receive, send: Send) -> None:
    """Answer, then read on and discard for a moment, then close the connection."""
    await send(_start(reply, (b"connection", b"close")))
    await send({"type": "http.response.body", "body": reply.body, "more_body": True})
    left_bytes = _LINGER_BYTES
    try:
        async with asyncio.timeout(_LINGER_S):
            while left_bytes > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body"):
                    break
                left_bytes -= len(message.get("body", b""))
    except TimeoutError:
        pass
    await send({"type": "http.response.body"})


def _start(reply: HttpReply, *more: tuple[bytes, bytes]) -> dict[str, Any]:
    headers = [
        (key.encode("ascii"), str(value).encode("latin-1", "replace"))
        for key, value in reply.headers
    ]
    length = (b"content-length", str(len(reply.body)).encode())
    return {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [*headers, length, *more],
    }
