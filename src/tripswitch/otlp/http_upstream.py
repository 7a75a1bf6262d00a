"""The upstream over HTTP: one POST passed on, and its answer brought back.

A request that came over HTTP goes out as it came: method, path and query below the configured
prefix, end-to-end headers, and the body with its content-encoding. Status, end-to-end headers and
body of the answer come back likewise. An upstream that cannot be reached, or hangs up before it
has answered, is UNAVAILABLE.

Source: OTLP specification, "OTLP/HTTP".
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import grpc
import structlog

from tripswitch.otlp.crossing import is_heavy, to_http
from tripswitch.otlp.delivery import Delivery
from tripswitch.otlp.headers import of_an_http_reply, overridden
from tripswitch.otlp.http_connection import HungUpError
from tripswitch.otlp.http_pool import MAX_RESPONSE_BYTES, HttpPool, origin_of
from tripswitch.otlp.replies import HttpReply, no_answer_in, refusal
from tripswitch.otlp.upstream import time_upstream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tripswitch.otlp.replies import Reply
    from tripswitch.otlp.tls import ClientTls

HttpCompression = Literal["none", "gzip", "deflate", "zstd"]

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
        self._origin = origin_of(endpoint)
        self._headers = dict(headers or {})
        self._compression = "identity" if compression == "none" else compression
        self._tls = tls
        self._pool = HttpPool(self._origin, tls)

    async def send(
        self, delivery: Delivery, remaining_s: float | None, patience_s: float | None = None
    ) -> Reply:
        """Send a request, made into HTTP where it came over gRPC; see `Upstream.send`."""
        self.in_flight += 1
        left_s = self.timeout_s if remaining_s is None else time_upstream(remaining_s)
        if patience_s is not None:
            left_s = min(left_s, patience_s)
        try:
            crossed = await self._crossed(delivery)
            if not isinstance(crossed, Delivery):
                return crossed
            self._connect_anew_where_needed()
            async with asyncio.timeout(left_s):
                return await self._post(crossed)
        except TimeoutError:
            return no_answer_in(left_s)
        except (HungUpError, OSError) as error:
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
        self._pool.close()

    async def _crossed(self, delivery: Delivery) -> Delivery | Reply:
        if delivery.protocol == "http":
            return delivery
        if is_heavy(delivery, self._compression):
            return await asyncio.to_thread(to_http, delivery, self._compression)
        return to_http(delivery, self._compression)

    async def _post(self, delivery: Delivery) -> HttpReply:
        answer = await self._pool.post(self._head(delivery), delivery.body)
        if answer.body is None:
            _log.warning("upstream_answer_cut", max_bytes=MAX_RESPONSE_BYTES)
            return HttpReply(answer.status)
        headers = (
            (key.decode("latin-1"), value.decode("latin-1")) for key, value in answer.headers
        )
        return HttpReply(answer.status, of_an_http_reply(headers), answer.body)

    def _head(self, delivery: Delivery) -> bytes:
        """Return request line and headers, with the empty line that ends them.

        Raises ValueError where that would be another request than is meant.
        """
        lines = [
            f"POST {self._origin.prefix}{delivery.address} HTTP/1.1",
            f"host: {self._origin.authority}",
        ]
        for key, value in overridden(delivery.metadata, self._headers):
            lines.append(f"{key}: {value!s}")
        lines.append(f"content-type: {delivery.content_type}")
        if delivery.content_encoding:
            lines.append(f"content-encoding: {delivery.content_encoding}")
        lines.append(f"content-length: {len(delivery.body)}")
        head = "\r\n".join((*lines, "", ""))
        breaks = len(lines) + 1
        if head.count("\r") != breaks or head.count("\n") != breaks or "\0" in head:
            raise ValueError("a line break in a header")
        return head.encode("latin-1")

    def _connect_anew_where_needed(self) -> None:
        if self._tls is not None and self._tls.changed():
            # What is under way on the old connections finishes there.
            self._pool.leave()
            self._pool = HttpPool(self._origin, self._tls)
