"""Who may change something from a browser: sessions, one-time codes, and a brake on guessing.

A session is opened with a token, or with a code that was made with one and works once. The browser
keeps a random id in a cookie that no script can read and no other site can send along; here only
its hash is kept. A form carries a second secret of the session, so that a request that the cookie
alone got through changes nothing. Everything is bounded, in memory, and gone with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

COOKIE: Final = "tripswitch_session"
LASTS_S: Final = 12 * 3600.0
CODE_LASTS_S: Final = 600.0

_MOST_SESSIONS: Final = 64
_MOST_CODES: Final = 16
_MOST_PEERS: Final = 1024
_TRIES: Final = 10
_TRIES_WITHIN_S: Final = 60.0


@dataclass(slots=True)
class Session:
    """One browser that is signed in. ``name`` is what the person called themselves."""

    name: str
    form_token: str
    expires_s: float
    message: str = ""

    def take_message(self) -> str:
        """Return what is to be said on the next page, once."""
        message, self.message = self.message, ""
        return message


class Sessions:
    """The open sessions. ``clock`` returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._codes: OrderedDict[str, float] = OrderedDict()

    def open(self, name: str) -> tuple[str, Session]:
        """Open a session; return the value of its cookie, and it. The oldest makes way."""
        cookie = secrets.token_urlsafe(32)
        session = Session(name, secrets.token_urlsafe(24), self._clock() + LASTS_S)
        self._open[_digest(cookie)] = session
        while len(self._open) > _MOST_SESSIONS:
            self._open.popitem(last=False)
        return cookie, session

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, None where there is none any more."""
        key = _digest(cookie or "")
        session = self._open.get(key)
        if session is not None and session.expires_s <= self._clock():
            del self._open[key]
            return None
        return session

    def close(self, cookie: str | None) -> None:
        """End the session of a cookie."""
        self._open.pop(_digest(cookie or ""), None)

    def make_code(self) -> str:
        """Return a code that opens one session within ten minutes."""
        code = secrets.token_urlsafe(24)
        self._codes[_digest(code)] = self._clock() + CODE_LASTS_S
        while len(self._codes) > _MOST_CODES:
            self._codes.popitem(last=False)
        return code

    def spend_code(self, code: str) -> bool:
        """Return whether ``code`` opens a session; it does so once."""
        expires_s = self._codes.pop(_digest(code), 0.0)
        return expires_s > self._clock()


def fits(session: Session, form_token: str) -> bool:
    """Return whether a form came from a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), form_token.encode())


class Brake:
    """Counts failed tries by who made them: ten a minute, then it says how long to wait."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, peer: str) -> float:
        """Return how long ``peer`` has to wait before the next try, 0 for not at all."""
        tries = self._recent(peer)
        if len(tries) < _TRIES:
            return 0.0
        return max(1.0, tries[0] + _TRIES_WITHIN_S - self._clock())

    def note(self, peer: str) -> None:
        """Note a failed try."""
        self._failed[peer] = [*self._recent(peer), self._clock()][-_TRIES:]
        self._failed.move_to_end(peer)
        while len(self._failed) > _MOST_PEERS:
            self._failed.popitem(last=False)

    def _recent(self, peer: str) -> list[float]:
        since_s = self._clock() - _TRIES_WITHIN_S
        return [tried_s for tried_s in self._failed.get(peer, []) if tried_s > since_s]


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
