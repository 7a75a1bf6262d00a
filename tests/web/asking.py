"""Ask an ASGI application directly."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


def ask(
    app: Any,
    path: str,
    host: str = "127.0.0.1:8317",
    method: str = "GET",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Return the answer of ``app`` to one request."""

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.request(method, path, content=body, headers=headers)

    return asyncio.run(asked())
