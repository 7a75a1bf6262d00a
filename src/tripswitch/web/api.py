"""The API: JSON under ``/v1`` about what is judged and what happened, and what may be told to it.

    GET  /v1/status                       scopes, signals, estimates, verdicts
    GET  /v1/explain?scope=TEXT&limit=N   the worst of the scopes asked for, each signal explained
    GET  /v1/telemetry                    what is understood of the telemetry, and what is missing
    GET  /v1/incidents?limit=N            the latest incidents, newest first
    GET  /v1/events?after=ID&limit=N      events with an id above ID, in order
    POST /v1/scores                       a list of scores of calls
    POST /v1/changes                      a change, or a list of them

and what `incidents_api` lists of single incidents.

Numbers that JSON cannot say (NaN, infinity) are null. Errors are ``{"error": sentence}``. A post
needs a bearer token where one is configured; without one it is taken from this machine alone, and
only as ``application/json``, which no page of a browser may send here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from tripswitch.errors import LedgerError
from tripswitch.web.answering import BodyError, body_of, json_answer
from tripswitch.web.incidents_api import IncidentPages, incident_routes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tripswitch.otlp.tokens import BearerTokens

    Page = Callable[[Request], Any]
    Tokens = Callable[[], BearerTokens | None]

DEFAULT_LIMIT = 100
LONGEST_LIMIT = 1000

_MOST_TEXTS: Final = 20
_LONGEST_TEXTS: Final = 2000
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Pages:
    """What the API reads, and whom it hands what was posted; a post may raise ValueError."""

    status: Callable[[], dict[str, Any]]
    explain: Callable[[list[str], int], dict[str, Any]]
    telemetry: Callable[[], dict[str, Any]]
    incidents: Callable[[int], list[dict[str, Any]]]
    events: Callable[[int, int], list[dict[str, Any]]]
    post_scores: Callable[[Any], dict[str, Any]]
    post_changes: Callable[[Any], dict[str, Any]]
    of_incidents: IncidentPages


def api_app(pages: Pages, *, tokens: Tokens, loopback_only: bool) -> Starlette:
    """Return the API over ``pages``; ``tokens`` returns those that admit a post, None for none.

    ``loopback_only`` says that it listens on this machine alone; then it answers only to this
    machine's names, so that a web page cannot reach it under a name of its own (DNS rebinding).
    """
    routes = [
        _get("/v1/status", lambda _request: pages.status()),
        _get(
            "/v1/explain",
            lambda request: pages.explain(_texts(request, "scope"), _limit(request)),
        ),
        _get("/v1/telemetry", lambda _request: pages.telemetry()),
        _get("/v1/incidents", lambda request: pages.incidents(_limit(request))),
        _get(
            "/v1/events",
            lambda request: pages.events(
                _whole(request, "after", 0, 0, _LARGEST_ID), _limit(request)
            ),
        ),
        _post("/v1/scores", pages.post_scores, tokens, loopback_only=loopback_only),
        _post("/v1/changes", pages.post_changes, tokens, loopback_only=loopback_only),
        *incident_routes(pages.of_incidents),
    ]
    hosts = ["localhost", "127.0.0.1", "[::1]"] if loopback_only else ["*"]
    return Starlette(
        routes=routes, middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)]
    )


def _get(path: str, page: Page) -> Route:
    async def answer(request: Request) -> Response:
        try:
            return json_answer(page(request))
        except ValueError as error:
            return json_answer({"error": str(error)}, status_code=400)
        except LedgerError as error:
            return json_answer({"error": str(error)}, status_code=503)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["GET"])


def _post(
    path: str,
    take: Callable[[Any], dict[str, Any]],
    tokens: Tokens,
    *,
    loopback_only: bool,
) -> Route:
    async def answer(request: Request) -> Response:
        known = tokens()
        if known is None and not loopback_only:
            sentence = "set telemetry.api.auth: without a token only this machine may post"
            return json_answer({"error": sentence}, status_code=403)
        if known is not None and not known.admits(request.headers.get("authorization", "")):
            return json_answer({"error": "a bearer token is needed"}, status_code=401)
        try:
            return json_answer(take(await body_of(request)), status_code=202)
        except BodyError as refused:
            return json_answer({"error": refused.sentence}, status_code=refused.status)
        except ValueError as error:
            return json_answer({"error": str(error)}, status_code=400)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["POST"])


def _limit(request: Request) -> int:
    return _whole(request, "limit", DEFAULT_LIMIT, 1, LONGEST_LIMIT)


def _texts(request: Request, name: str) -> list[str]:
    """Return every text of a name in the query. Raises ValueError for more than there may be."""
    texts = request.query_params.getlist(name)
    if len(texts) > _MOST_TEXTS or sum(map(len, texts)) > _LONGEST_TEXTS:
        raise ValueError(f"{name}: expected at most {_MOST_TEXTS}, of {_LONGEST_TEXTS} characters")
    return texts


def _whole(request: Request, name: str, default: int, least: int, most: int) -> int:
    """Return a whole number of the query. Raises ValueError with a sentence for the caller."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise ValueError(f'{name}: expected a whole number from {least} to {most}, got "{text}"')
    return int(text)
