"""The API: read-only JSON under ``/v1`` about what is judged and what happened.

    GET /v1/status                        scopes, signals, estimates, verdicts
    GET /v1/incidents?limit=N             the latest incidents, newest first
    GET /v1/events?after=ID&limit=N       events with an id above ID, in order

Numbers that JSON cannot say (NaN, infinity) are null. Errors are ``{"error": sentence}``.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import Route

from tripswitch.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    Page = Callable[[Request], Any]

DEFAULT_LIMIT = 100
LONGEST_LIMIT = 1000

_LARGEST_ID = 2**63 - 1


def api_app(
    status: Callable[[], dict[str, Any]],
    incidents: Callable[[int], list[dict[str, Any]]],
    events: Callable[[int, int], list[dict[str, Any]]],
    *,
    loopback_only: bool,
) -> Starlette:
    """Return the API over three readers: status, latest incidents, events after an id.

    ``loopback_only`` says that it listens on this machine alone; then it answers only to this
    machine's names, so that a web page cannot reach it under a name of its own (DNS rebinding).
    """
    routes = [
        _get("/v1/status", lambda _request: status()),
        _get("/v1/incidents", lambda request: incidents(_limit(request))),
        _get(
            "/v1/events",
            lambda request: events(_whole(request, "after", 0, 0, _LARGEST_ID), _limit(request)),
        ),
    ]
    hosts = ["localhost", "127.0.0.1", "[::1]"] if loopback_only else ["*"]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
    )


def _get(path: str, page: Page) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return _json(page(request))
        except ValueError as error:
            return _json({"error": str(error)}, status_code=400)
        except LedgerError as error:
            return _json({"error": str(error)}, status_code=503)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["GET"])


def _limit(request: Request) -> int:
    return _whole(request, "limit", DEFAULT_LIMIT, 1, LONGEST_LIMIT)


def _whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query. Raises ValueError with a sentence for the caller."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ValueError(f'{name}: expected a whole number from {least} to {most}, got "{text}"')
    return int(text)


def _json(content: Any, status_code: int = 200) -> Response:
    return Response(
        json.dumps(_finite(content), ensure_ascii=False, allow_nan=False),
        status_code,
        media_type="application/json",
        headers={"cache-control": "no-store", "x-content-type-options": "nosniff"},
    )


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return value
