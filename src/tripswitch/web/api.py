"""The API under ``/v1`` and the pages: what is judged, what happened, and what may be told to it.

    GET  /v1/overview                     whether all is well, in one sentence, and what is open
    GET  /v1/status                       scopes, signals, estimates, verdicts
    GET  /v1/routes?limit=N&offset=N&q=   the routes, worst first; /v1/route?name=ROUTE one whole
    GET  /v1/explain?scope=TEXT&limit=N   the worst of the scopes asked for, each signal explained
    GET  /v1/telemetry                    what is understood of the telemetry, and what is missing
    GET  /v1/config                       what is in force, secrets hidden
    GET  /v1/incidents?limit=N            the latest incidents, newest first
    GET  /v1/events?after=ID&limit=N      events with an id above ID, in order
    GET  /v1/changes?limit=N              what changed in the last day
    GET  /v1/stream                       server-sent events: something changed
    GET  /v1/openapi.json                 all of this, described
    POST /v1/scores                       a list of scores of calls
    POST /v1/changes                      a change, or a list of them

and what `incidents_api` lists of single incidents. Numbers that JSON cannot say (NaN, infinity) are
null. Errors are ``{"error": sentence}``. Reading is free on this machine; whatever changes
something needs a bearer token, and ``application/json``, which no page of a browser may send here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tripswitch.errors import LedgerError
from tripswitch.web.answering import json_answer
from tripswitch.web.headers import SafeHeaders
from tripswitch.web.incidents_api import IncidentPages, changed, incident_routes
from tripswitch.web.openapi import document
from tripswitch.web.pages.incident import incident_routes as incident_page_routes
from tripswitch.web.pages.now import now_route, sentence_of
from tripswitch.web.pages.others import other_routes
from tripswitch.web.pages.route import SPANS, route_route
from tripswitch.web.pages.signin import approval_routes, signin_routes
from tripswitch.web.templating import STATIC
from tripswitch.web.view import View

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tripswitch.web.board import Board
    from tripswitch.web.guard import Guard
    from tripswitch.web.stream import Stream

    Page = Callable[[Request], Any]

DEFAULT_LIMIT = 100
LONGEST_LIMIT = 1000

_MOST_TEXTS: Final = 20
_LONGEST_TEXTS: Final = 2000
_LARGEST_ID = 2**63 - 1
_MOST_ROUTES: Final = 50
_FURTHEST: Final = 1_000_000
_LONGEST_WORDS: Final = 200


@dataclass(frozen=True, slots=True)
class Pages:
    """What the API reads, and whom it hands what was posted; a post may raise ValueError."""

    status: Callable[[], dict[str, Any]]
    explain: Callable[[list[str], int], dict[str, Any]]
    events: Callable[[int, int], list[dict[str, Any]]]
    post_scores: Callable[[Any], dict[str, Any]]
    post_changes: Callable[[Any], dict[str, Any]]
    of_incidents: IncidentPages
    board: Board


def api_app(pages: Pages, guard: Guard, stream: Stream) -> Starlette:
    """Return the API and the pages over ``pages``; ``guard`` decides who is let in.

    Where it listens on this machine alone, it answers only to this machine's names and to the host
    of ``public_url``, so that a web page cannot reach it under a name of its own (DNS rebinding).
    """
    view = View(pages.board, pages.of_incidents, guard)
    routes = [
        *_reading(pages, guard),
        _get("/v1/stream", lambda _request: stream.answer(), guard),
        _get("/v1/openapi.json", lambda _request: document(), guard),
        _post("/v1/scores", pages.post_scores, guard),
        _post("/v1/changes", pages.post_changes, guard),
        *incident_routes(pages.of_incidents, pages.board, guard),
        now_route(view),
        *incident_page_routes(view),
        route_route(view),
        *other_routes(view),
        *signin_routes(view),
        *approval_routes(view),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    hosts = ["*"]
    if guard.loopback_only:
        public = urlsplit(pages.board.public_url()).hostname
        hosts = ["localhost", "127.0.0.1", "[::1]", *([public] if public else [])]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SafeHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        ],
    )


def _reading(pages: Pages, guard: Guard) -> list[Route]:
    board = pages.board
    return [
        _get("/v1/overview", lambda _request: _overview(board), guard),
        _get("/v1/status", lambda _request: pages.status(), guard),
        _get("/v1/routes", lambda request: _routes(board, request), guard),
        _get("/v1/route", lambda request: _route(board, request), guard),
        _get(
            "/v1/explain",
            lambda request: pages.explain(_texts(request, "scope"), _limit(request)),
            guard,
        ),
        _get("/v1/telemetry", lambda _request: board.telemetry(), guard),
        _get("/v1/config", lambda _request: _config(board), guard),
        _get("/v1/incidents", lambda request: board.latest_incidents(_limit(request)), guard),
        _get(
            "/v1/events",
            lambda request: pages.events(
                _whole(request, "after", 0, 0, _LARGEST_ID), _limit(request)
            ),
            guard,
        ),
        _get("/v1/changes", lambda request: board.changes(_limit(request)), guard),
    ]


def _get(path: str, page: Page, guard: Guard) -> Route:
    async def answer(request: Request) -> Response:
        if not guard.may_read(request):
            return json_answer({"error": "a bearer token is needed"}, status_code=401)
        try:
            found = page(request)
            if isinstance(found, Response):
                return found
            return json_answer(await found if hasattr(found, "__await__") else found)
        except LookupError as error:
            return json_answer({"error": str(error.args[0])}, status_code=404)
        except ValueError as error:
            return json_answer({"error": str(error)}, status_code=400)
        except LedgerError as error:
            return json_answer({"error": str(error)}, status_code=503)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["GET"])


def _post(path: str, take: Callable[[Any], dict[str, Any]], guard: Guard) -> Route:
    async def answer(request: Request) -> Response:
        return await changed(request, guard.admits, take)

    endpoint: Callable[[Request], Awaitable[Response]] = answer
    return Route(path, endpoint, methods=["POST"])


def _overview(board: Board) -> dict[str, Any]:
    now, incidents = board.now(), board.open_incidents()
    status, sentence = sentence_of(now, incidents)
    return {**now, "status": status, "sentence": sentence, "incidents": incidents}


def _routes(board: Board, request: Request) -> dict[str, Any]:
    words = request.query_params.get("q", "")
    if len(words) > _LONGEST_WORDS:
        raise ValueError(f"q: expected at most {_LONGEST_WORDS} characters")
    limit = _whole(request, "limit", _MOST_ROUTES, 1, _MOST_ROUTES)
    return board.routes(limit, _whole(request, "offset", 0, 0, _FURTHEST), words)


def _route(board: Board, request: Request) -> dict[str, Any]:
    span = request.query_params.get("span", "15m")
    if span not in SPANS:
        raise ValueError(f"span: expected one of {', '.join(SPANS)}")
    found = board.route(request.query_params.get("name", ""), span)
    if found is None:
        raise LookupError("no calls of this route were judged lately")
    return found


def _config(board: Board) -> dict[str, Any]:
    found = board.config()
    return {
        "files": found["files"],
        "reload": found["reload"],
        "warnings": found["warnings"],
        "values": [row for _, rows in found["sections"] for row in rows],
    }


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
