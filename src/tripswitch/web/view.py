"""What all pages share: the shell around them, fragments of them, and errors people can read.

A page is a shell (head, navigation, sign-in) around its live part. The script asks for the live
part alone, with ``?fragment=1``, whenever the stream says that something changed, and sends the tag
of what it has: where nothing changed the answer is 304 and nothing was rendered.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from tripswitch.errors import LedgerError
from tripswitch.web.guard import RefusedError
from tripswitch.web.headline import Headline
from tripswitch.web.templating import environment

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from tripswitch.web.board import Board
    from tripswitch.web.guard import Guard
    from tripswitch.web.incidents_api import IncidentPages

_MOST_KEPT: Final = 16
_MOST_KEPT_CHARS: Final = 4 << 20


class View:
    """Renders pages over a board. One for each listener."""

    def __init__(self, board: Board, incidents: IncidentPages, guard: Guard) -> None:
        self.board = board
        self.incidents = incidents
        self.guard = guard
        self._templates = environment()
        self.headline = Headline(board)
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._kept_at = ""

    def live(self, template: str, content: dict[str, Any]) -> str:
        """Return the live part of a page."""
        return self._templates.get_template(template).render(**content)

    def kept(self, template: str, key: str, content: Callable[[], dict[str, Any]]) -> str:
        """Return a live part that is the same for everybody, made once for a revision."""
        revision = self.board.revision()
        if revision != self._kept_at:
            self._kept.clear()
            self._kept_at = revision
        found = self._kept.get((template, key))
        if found is None:
            found = self.live(template, content())
            if len(found) <= _MOST_KEPT_CHARS // _MOST_KEPT:
                self._kept[template, key] = found
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def answer(
        self,
        request: Request,
        title: str,
        live: Callable[[], str],
        *,
        status: int = 200,
        is_live: bool = True,
    ) -> Response:
        """Return a page, or its live part alone where that was asked for and changed."""
        session = self.guard.session(request)
        is_fragment = request.query_params.get("fragment") == "1"
        tag = self._tag(request, "" if session is None else session.form_token)
        if is_fragment and status == 200:
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"etag": tag})
            return HTMLResponse(live(), headers={"etag": tag})
        html = self._templates.get_template("shell.html").render(
            title=title,
            live=Markup(live()),  # noqa: S704 - a template rendered it, with escaping on
            is_live=is_live and status == 200,
            tag=tag,
            session=session,
            message=session.take_message() if session is not None and status == 200 else "",
            path=request.url.path,
            here=_here(request),
            headline=self.headline() if self.guard.may_read(request) else {"open": 0, "pages": 0},
        )
        return HTMLResponse(html, status)

    def refusal(self, request: Request, refused: RefusedError) -> Response:
        """Return a page that says why something was not taken, and where to go on."""
        content = {"sentence": refused.sentence, "status": refused.status, "here": _here(request)}
        answer = self.answer(
            request,
            "Not taken",
            lambda: self.live("refused.html", content),
            status=refused.status,
        )
        if refused.retry_after_s:
            answer.headers["retry-after"] = f"{refused.retry_after_s:.0f}"
        return answer

    def get(self, path: str, page: Callable[[Request], Response | Awaitable[Response]]) -> Route:
        """Return the route of a page that is read; errors become pages."""

        async def answer(request: Request) -> Response:
            if not self.guard.may_read(request):
                return RedirectResponse("/signin", 303)
            return await self.guarded(request, page)

        return Route(path, answer, methods=["GET"])

    def post(self, path: str, take: Callable[[Request], Awaitable[Response]]) -> Route:
        """Return the route of a form; errors become pages."""

        async def answer(request: Request) -> Response:
            return await self.guarded(request, take)

        return Route(path, answer, methods=["POST"])

    async def guarded(
        self, request: Request, page: Callable[[Request], Response | Awaitable[Response]]
    ) -> Response:
        """Return what ``page`` answers, or the page of its refusal."""
        try:
            answer = page(request)
            return answer if isinstance(answer, Response) else await answer
        except RefusedError as refused:
            return self.refusal(request, refused)
        except LedgerError as error:
            return self.refusal(request, RefusedError(503, str(error)))

    def _tag(self, request: Request, session: str) -> str:
        query = sorted(pair for pair in request.query_params.multi_items() if pair[0] != "fragment")
        parts = (self.board.revision(), session, request.url.path, query)
        return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"'


def _here(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
