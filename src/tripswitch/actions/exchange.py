"""One HTTP exchange with a system we call, bounded in time and bytes, that never raises.

What matters most about a failed exchange is whether a byte of the request may have left: httpx's
trace tells when the request's headers start to go out, which is exact where the class of an error
is a guess. Connections are not kept, because a kept one that the server has just closed looks like
an answer lost.

Loopback and private addresses are allowed on purpose: the gateways that roll back live there.
Redirects are not followed and only http and https are spoken.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from tripswitch.actions.backoff import MAX_RETRY_AFTER_S
from tripswitch.model.clocktext import NS_PER_S

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

MAX_ANSWER_BYTES = 64 * 1024

_REQUEST_LEAVES = ("http11.send_request_headers.started", "http2.send_request_headers.started")


@dataclass(frozen=True, slots=True)
class Exchange:
    """How an exchange went. ``status`` is None when no answer came; ``sent`` says whether the
    receiver may have seen the request; ``body`` holds the beginning of the answer.
    """

    sent: bool
    status: int | None
    body: bytes
    retry_after_s: float | None
    detail: str


def open_client(verify: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """Return a client for all calls out; the caller closes it.

    ``verify`` holds the authorities to trust, None for those of the system's store.
    """
    return httpx.AsyncClient(
        verify=True if verify is None else verify,
        follow_redirects=False,
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"user-agent": "tripswitch", "accept-encoding": "identity"},
    )


async def exchange(
    client: httpx.AsyncClient,
    method: str,
    url: httpx.URL,
    *,
    headers: Mapping[str, str],
    body: bytes,
    timeout_s: float,
    now_ns: int,
    before_leaving: Callable[[], object] = lambda: None,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
) -> Exchange:
    """Send one request and read its answer, within ``timeout_s`` and ``max_answer_bytes`` in all.

    ``before_leaving`` is called once connected, before the first byte of the request goes; what it
    raises ends the exchange with nothing sent, and is raised.
    """
    sent = False
    status: int | None = None
    retry_after_s: float | None = None
    answer = b""

    async def watch(event: str, _: dict[str, Any]) -> None:
        nonlocal sent
        if event in _REQUEST_LEAVES and not sent:
            before_leaving()
            sent = True

    try:
        async with (
            asyncio.timeout(timeout_s),
            client.stream(
                method,
                url,
                headers=dict(headers),
                content=body,
                timeout=timeout_s,
                extensions={"trace": watch},
            ) as response,
        ):
            status = response.status_code
            retry_after_s = retry_after(response.headers.get("retry-after", ""), now_ns)
            async for chunk in response.aiter_raw():
                answer = (answer + chunk)[:max_answer_bytes]
                if len(answer) == max_answer_bytes:
                    break
        detail = ""
    except TimeoutError:
        detail = f"no answer within {timeout_s:g} s"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        detail = f"{type(error).__name__}: {error}"[:300]
    if status is None and not sent:
        detail = f"not sent: {detail}"
    return Exchange(sent, status, answer, retry_after_s, detail)


def retry_after(text: str, now_ns: int) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, 0 to 300; None when unreadable.

    Seconds or an HTTP date. Source: RFC 9110 section 10.2.3.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        wait_s = float(text[:9])
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        wait_s = (moment - datetime.fromtimestamp(now_ns // NS_PER_S, tz=UTC)).total_seconds()
    return min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
