"""The upstream over HTTP: one POST passed on, and its answer brought back.

A request that came over HTTP goes out as it came: method, path and query below the configured
prefix, end-to-end headers, and the body with its content-encoding. Status, end-to-end headers and
body of the answer come back likewise. An upstream that cannot be reached, or hangs up before it
has answered, is UNAVAILABLE; one that hangs up on a connection that had been idle is asked once
more, since that says nothing about the request.

Source: OTLP specification, "OTLP/HTTP"; RFC 9112 section 9.3.1 (retrying).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal

import grpc
import httpx
import structlog

from tripswitch.otlp.crossing import is_heavy, to_http
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.headers import of_an_http_reply, overridden
from tripswitch.otlp.replies import HttpReply, refusal
from tripswitch.otlp.upstream import time_upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.tls import ClientTls

HttpCompression = Literal["none", "gzip", "deflate", "zstd"]

MAX_RESPONSE_BYTES: Final = 4 << 20
"""Most of an answer that is read; OTLP recommends 4 MiB."""

# The Collector closes connections that were idle for a minute.
_IDLE_S: Final = 30.0
_MAX_CONNECTIONS: Final = 256

_log = structlog.get_logger(__name__)


class HttpUpstream:
    """A pool of connections to one upstream.

    ``endpoint`` is a URL such as ``https://collector:4318``, with a prefix where the upstream has
    one; the path of the request follows it. ``timeout_s`` is the longest wait for a whole answer.
    ``headers`` (lower-case keys) are sent with every request, in place of the client's of that
    name. ``compression`` is for requests that came over gRPC; others keep what they have.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        timeout_s: float,
        headers: Mapping[str, str] | None = None,
        compression: HttpCompression = "none",
        tls: ClientTls | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.timeout_s = timeout_s
        self.in_flight = 0
        self._url = httpx.URL(endpoint)
        self._prefix = self._url.raw_path.partition(b"?")[0].rstrip(b"/")
        self._headers = dict(headers or {})
        self._compression = "identity" if compression == "none" else compression
        self._tls = tls
        self._pool = self._connect()
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(self, delivery: Delivery, remaining_s: float | None) -> Reply:
        """Send a request, made into HTTP where it came over gRPC; see `Upstream.send`."""
        self.in_flight += 1
        left_s = self.timeout_s if remaining_s is None else time_upstream(remaining_s)
        try:
            crossed = await self._crossed(delivery)
            if not isinstance(crossed, Delivery):
                return crossed
            self._connect_anew_where_needed()
            async with asyncio.timeout(left_s):
                return await self._post_twice(crossed)
        except TimeoutError:
            return refusal(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"the upstream did not answer in {left_s:.1f} s"
            )
        except httpx.HTTPError as error:
            _log.debug("upstream_unreachable", error=type(error).__name__)
            return refusal(
                grpc.StatusCode.UNAVAILABLE,
                f"the upstream cannot be reached or hung up ({type(error).__name__})",
            )
        except Exception as error:  # noqa: BLE001 - a fault of ours must reach clients as retryable
            _log.error("forward_failed", address=delivery.address, error=type(error).__name__)
            return refusal(grpc.StatusCode.UNAVAILABLE, "tripswitch could not forward")
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Close every connection; requests under way fail."""
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)
        await self._pool.aclose()

    async def _crossed(self, delivery: Delivery) -> Delivery | Reply:
        if delivery.protocol == "http":
            return delivery
        if is_heavy(delivery, self._compression):
            return await asyncio.to_thread(to_http, delivery, self._compression)
        return to_http(delivery, self._compression)

    async def _post_twice(self, delivery: Delivery) -> HttpReply:
        try:
            return await self._post(delivery)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            return await self._post(delivery)

    async def _post(self, delivery: Delivery) -> HttpReply:
        response = await self._pool.handle_async_request(self._request(delivery))
        try:
            pieces: list[bytes] = []
            size = 0
            async for piece in response.aiter_raw():
                size += len(piece)
                if size > MAX_RESPONSE_BYTES:
                    _log.warning("upstream_answer_cut", max_bytes=MAX_RESPONSE_BYTES)
                    return HttpReply(response.status_code)
                pieces.append(piece)
        finally:
            await response.aclose()
        headers = (
            (key.decode("latin-1").lower(), value.decode("latin-1"))
            for key, value in response.headers.raw
        )
        return HttpReply(response.status_code, of_an_http_reply(headers), b"".join(pieces))

    def _request(self, delivery: Delivery) -> httpx.Request:
        headers = [
            (key.encode("ascii"), str(value).encode("latin-1"))
            for key, value in overridden(delivery.metadata, self._headers)
        ]
        headers.append((b"content-type", delivery.content_type.encode("latin-1")))
        if delivery.content_encoding:
            headers.append((b"content-encoding", delivery.content_encoding.encode("latin-1")))
        # The target is given apart, since a URL would be normalised.
        target = self._prefix + delivery.address.encode("ascii")
        extensions: dict[str, bytes | str] = {"target": target}
        if self._tls is not None and self._tls.server_name:
            extensions["sni_hostname"] = self._tls.server_name
        return httpx.Request(
            "POST", self._url, headers=headers, content=delivery.body, extensions=extensions
        )

    def _connect(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(
            verify=True if self._tls is None else self._tls.ssl_context(),
            trust_env=False,
            limits=httpx.Limits(
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=_MAX_CONNECTIONS,
                keepalive_expiry=_IDLE_S,
            ),
        )

    def _connect_anew_where_needed(self) -> None:
        if self._tls is None or not self._tls.changed():
            return
        left, self._pool = self._pool, self._connect()

        async def leave() -> None:
            # What is under way on the old connections finishes there.
            await asyncio.sleep(self.timeout_s)
            await left.aclose()

        task = asyncio.get_running_loop().create_task(leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
