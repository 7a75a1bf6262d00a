"""Who is let in: reading from this machine is free, everything that changes something is not.

A change needs one of three things: a bearer token, a form of a browser that is signed in, or a
link made for that one approval. A form is taken only from a page of this very origin, with the
secret of its session in it; where the listener is not this machine's alone, reading needs a token
or a session too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlsplit

from tripswitch.web.sessions import COOKIE, LASTS_S, Brake, Session, Sessions, fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

_MOST_FORM_BYTES: Final = 64 << 10
_MOST_FIELDS: Final = 40
_FORM: Final = "application/x-www-form-urlencoded"


class RefusedError(Exception):
    """A request that is not taken: the status to answer, and why in a sentence."""

    def __init__(self, status: int, sentence: str, retry_after_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after_s = retry_after_s


class Guard:
    """Decides for one listener. ``admits`` says whether an ``Authorization`` header may change."""

    def __init__(
        self,
        admits: Callable[[str], bool],
        clock: Callable[[], float],
        *,
        loopback_only: bool,
        is_behind_tls: Callable[[], bool] = lambda: False,
    ) -> None:
        self.admits = admits
        self.loopback_only = loopback_only
        self.sessions = Sessions(clock)
        self.brake = Brake(clock)
        self._is_behind_tls = is_behind_tls

    def session(self, request: Request) -> Session | None:
        """Return the session of a browser, None where it is not signed in."""
        return self.sessions.find(request.cookies.get(COOKIE))

    def may_read(self, request: Request) -> bool:
        """Return whether what is shown may be shown to who asks."""
        if self.loopback_only:
            return True
        header = request.headers.get("authorization", "")
        return self.session(request) is not None or (bool(header) and self.admits(header))

    async def form(self, request: Request) -> dict[str, str]:
        """Return the fields of a form from a page of ours. Raises RefusedError."""
        _check_origin(request)
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind != _FORM:
            raise RefusedError(415, f"send content-type: {_FORM}")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > _MOST_FORM_BYTES:
                raise RefusedError(413, f"a form has at most {_MOST_FORM_BYTES} bytes")
        try:
            pairs = parse_qsl(body.decode("utf-8"), max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise RefusedError(400, "the form cannot be read") from None
        return dict(pairs)

    async def signed_form(self, request: Request) -> tuple[dict[str, str], Session]:
        """Return the fields of a form, and the session it came from. Raises RefusedError."""
        session = self.session(request)
        if session is None:
            raise RefusedError(401, "sign in first: a change needs it")
        fields = await self.form(request)
        if not fits(session, fields.pop("form_token", "")):
            raise RefusedError(403, "this form is not of your session; load the page again")
        return fields, session

    def check_brake(self, request: Request) -> None:
        """Raise RefusedError where too many tries from there failed lately."""
        wait_s = self.brake.wait_s(_peer(request))
        if wait_s:
            raise RefusedError(429, f"too many failed tries; wait {wait_s:.0f} s", wait_s)

    def note_failure(self, request: Request) -> None:
        """Note a try that failed."""
        self.brake.note(_peer(request))

    def keep(self, answer: Response, cookie: str) -> None:
        """Give the browser the cookie of its session."""
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(LASTS_S),
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._is_behind_tls(),
        )


def _check_origin(request: Request) -> None:
    """Refuse what another origin sent: browsers say where a request comes from.

    Under our own policy, which sends no referrer, a form of ours has the origin ``null``; that the
    browser calls the site the same then is what tells it from a foreign one.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    if origin is None:
        is_ours = site in (None, "same-origin", "none")
    elif origin == "null":
        is_ours = site == "same-origin"
    else:
        is_ours = site in (None, "same-origin") and urlsplit(origin).netloc.lower() == host
    if not is_ours:
        raise RefusedError(403, "forms are taken from the pages of this address only")


def _peer(request: Request) -> str:
    return request.client.host if request.client is not None else ""
