"""A raw HTTP client: sends exactly the bytes it is given, and says exactly what came back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


class HttpResponse(NamedTuple):
    """One answer as it came; header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value, None where it did not come."""
        return dict(self.headers).get(name)


def head(path: str, headers: tuple[tuple[str, str], ...], method: str = "POST") -> bytes:
    """Return request line and headers as they go over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "host: tripswitch"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def connect(
    url: str, tls: ssl.SSLContext | None = None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to the host and port of ``url``."""
    parts = urlsplit(url)
    return await asyncio.open_connection(
        parts.hostname, parts.port, ssl=tls, server_hostname="localhost" if tls else None
    )


async def read_response(reader: asyncio.StreamReader) -> HttpResponse:
    """Read one answer with a Content-Length."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split()[1])
    headers = tuple(
        (name.lower(), value.strip())
        for name, _, value in (line.partition(":") for line in lines[1:] if line)
    )
    length = int(dict(headers).get("content-length", "0"))
    return HttpResponse(status, headers, await reader.readexactly(length))


async def post(
    url: str,
    path: str,
    body: bytes,
    content_type: str = PROTOBUF,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    method: str = "POST",
    tls: ssl.SSLContext | None = None,
) -> HttpResponse:
    """Send one request on a connection of its own and return the answer."""
    own = (("content-type", content_type),) if content_type else ()
    length = (("content-length", str(len(body))),)
    reader, writer = await connect(url, tls)
    try:
        writer.write(head(path, (*own, *headers, *length), method) + body)
        await writer.drain()
        return await read_response(reader)
    finally:
        writer.close()
