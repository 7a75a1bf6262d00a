"""*Now*: is everything fine, in one sentence; then what is open, then the routes, worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from tripswitch.web.view import View

PAGE_ROUTES: Final = 24
MOST_INCIDENTS: Final = 12
_MOST_WORDS: Final = 200
_MOST_PAGES: Final = 10_000


def now_route(view: View) -> Route:
    """Return the route of the page."""

    def page(request: Request) -> Response:
        words = request.query_params.get("q", "")[:_MOST_WORDS]
        number = _page_number(request.query_params.get("page", "1"))
        shows_all = request.query_params.get("incidents") == "all"

        def content() -> dict[str, Any]:
            return _content(view, words, number, shows_all=shows_all)

        key = f"{number} {shows_all} {words}"
        return view.answer(request, "Now", lambda: view.kept("now.html", key, content))

    return view.get("/", page)


def sentence_of(now: dict[str, Any], incidents: list[dict[str, Any]]) -> tuple[str, str]:
    """Return how everything stands, ``fine``, ``bad``, ``watch`` or ``unknown``, and a sentence."""
    unresolved = [one for one in incidents if one["state"] == "open"]
    recovering = len(incidents) - len(unresolved)
    pages = sum(one["severity"] == "page" for one in unresolved)
    if now["now"] is None:
        return "unknown", "Nothing was judged yet: no telemetry has come."
    if pages:
        more = len(unresolved) - pages
        also = f", and {_count(more, 'quieter incident')}" if more else ""
        verb = "needs" if pages == 1 else "need"
        return "bad", f"{_count(pages, 'incident')} {verb} somebody now{also}."
    if unresolved:
        verb = "wants" if len(unresolved) == 1 else "want"
        return "watch", f"{_count(len(unresolved), 'incident')} {verb} a look; nothing pages."
    if now["is_lossy"]:
        return "unknown", "Telemetry is being lost, so nothing can be said of this minute."
    if recovering:
        verb = "waits" if recovering == 1 else "wait"
        return "fine", (
            "Everything is back inside its lines; "
            f"{_count(recovering, 'incident')} {verb} to be closed."
        )
    judged = sum(now["findings"].values())
    if not judged:
        return "unknown", "Telemetry comes in, and no signal was seen in it yet."
    if not now["findings"].get("healthy"):
        return "unknown", "Nothing looks wrong, but no signal has been seen often enough yet."
    return "fine", "Everything is fine: nothing is over its line."


def _content(view: View, words: str, number: int, *, shows_all: bool) -> dict[str, Any]:
    board = view.board
    now, incidents = board.now(), sorted(board.open_incidents(), key=_urgency)
    routes = board.routes(PAGE_ROUTES, (number - 1) * PAGE_ROUTES, words)
    status, sentence = sentence_of(now, incidents)
    pages = max(1, -(-routes["total"] // PAGE_ROUTES))
    return {
        "now": now,
        "status": status,
        "sentence": sentence,
        "incidents": incidents if shows_all else incidents[:MOST_INCIDENTS],
        "more_incidents": 0 if shows_all else max(0, len(incidents) - MOST_INCIDENTS),
        "routes": routes["routes"],
        "total_routes": routes["total"],
        "page": number,
        "pages": pages,
        "words_asked": words,
    }


def _urgency(incident: dict[str, Any]) -> tuple[bool, bool, bool, str]:
    """Return what sorts the most urgent first: open before recovered, pages first, oldest first."""
    return (
        incident["state"] != "open",
        incident["severity"] != "page",
        incident["acknowledged"] is not None,
        incident["detected_at"],
    )


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _page_number(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 6:
        return min(max(int(text), 1), _MOST_PAGES)
    return 1
