"""The HTTP API of a target: literal requests without their secrets, answers judged in words."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from tripswitch.actions.attempt import Attempt, AttemptState, judge
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import Exchange, exchange
from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.contract import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import httpx

REDACTED = "(redacted)"

# A list of deployments or prompt versions is larger than the answer to a write.
_MAX_READ_BYTES = 4 << 20

_MEANINGS = {
    400: "the request is not accepted",
    401: "the credentials are not accepted",
    403: "the credentials may not do this",
    404: "there is no such thing",
    405: "this server has no such call",
    409: "it changed meanwhile",
    412: "it changed meanwhile",
    422: "the request is not accepted",
}
# The pointer is read again before another try, so a lost race is no refusal.
_LOST_RACES = (409, 412)
_SAYING = ("message", "detail", "error", "title", "error_code")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a read brought: ``data`` is JSON when ``trouble`` is None, which says why it is not."""

    status: int | None
    data: Any
    trouble: Attempt | None

    @property
    def is_missing(self) -> bool:
        """Whether the server says that there is no such thing."""
        return self.status == 404


@dataclass(frozen=True, slots=True)
class Path:
    """A place in an API: segments, which are escaped, and parameters.

    ``slash`` says that the path ends in one.
    """

    segments: Sequence[str | int]
    params: Mapping[str, str | int] = field(default_factory=dict)
    slash: bool = False


class Api:
    """One server. ``secrets`` are headers that are sent and never shown, ``place`` is the dotted
    path of the address in the file. Raises `ConfigError` for an address that cannot be used.
    """

    def __init__(
        self,
        url: str,
        place: str,
        client: httpx.AsyncClient,
        now_ns: Callable[[], int],
        *,
        timeout_s: float,
        secrets: Mapping[str, str],
    ) -> None:
        checked = checked_url(url, place)
        self._secrets: dict[str, str] = {}
        self._hidden: list[str] = []
        self.renew(secrets)
        if checked.userinfo and "authorization" not in self._secrets:
            name, _, password = checked.userinfo.decode().partition(":")
            self.renew({"authorization": basic(unquote(name), unquote(password))})
        self._base = checked.copy_with(userinfo=b"", query=None, fragment=None)
        self._root = str(self._base).rstrip("/")
        self._client = client
        self._now_ns = now_ns
        self._timeout_s = timeout_s

    def renew(self, secrets: Mapping[str, str]) -> None:
        """Take up new credentials; empty ones change nothing."""
        self._secrets |= {name: text for name, text in secrets.items() if text}
        self._hidden = [part for text in self._secrets.values() for part in _parts(text)]

    def request(
        self, method: str, path: Path, body: object = None, content_type: str = "application/json"
    ) -> Request:
        """Return the literal request; ``body`` is sent as JSON, None for none.

        Raises `ValueError` for a segment that would lead to another place.
        """
        headers = dict.fromkeys(self._secrets, REDACTED)
        content = b""
        if body is not None:
            headers["content-type"] = content_type
            content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        return Request(method, self._url(path), content, headers)

    async def get(self, *segments: str | int, **params: str | int) -> Reply:
        """Read JSON; a read that got no answer may be tried again, since it moves nothing."""
        return await self.read("GET", Path(segments, params))

    async def read(self, method: str, path: Path, body: object = None) -> Reply:
        """Read JSON with a call that moves nothing, whatever its method."""
        try:
            request = self.request(method, path, body)
        except ValueError as error:
            return Reply(None, None, Attempt(AttemptState.FAILED, str(error)))
        answer = await self._exchange(request, lambda: None, _MAX_READ_BYTES)
        attempt = self.judged(answer)
        if attempt.state is AttemptState.UNKNOWN:
            attempt = replace(attempt, state=AttemptState.RETRY)
        if attempt.state is not AttemptState.DONE:
            reading = f"reading {word(request.url)}: {attempt.detail}"
            return Reply(answer.status, None, replace(attempt, detail=reading))
        try:
            return Reply(answer.status, json.loads(answer.body), None)
        except (ValueError, RecursionError):
            detail = f"reading {word(request.url)}: answered {answer.status} with no JSON"
            return Reply(answer.status, None, Attempt(AttemptState.FAILED, detail))

    async def send(self, request: Request, before_leaving: Callable[[], object]) -> Attempt:
        """Send a planned request, its secrets filled in."""
        return self.judged(await self._exchange(request, before_leaving, None))

    def judged(self, answer: Exchange) -> Attempt:
        """Return what an answer amounts to, with the server's own words where it has some."""
        attempt = judge(answer)
        if answer.status in _LOST_RACES:
            attempt = replace(attempt, state=AttemptState.RETRY)
        if answer.status is None or attempt.state is AttemptState.DONE:
            return attempt
        meaning = _MEANINGS.get(answer.status)
        detail = attempt.detail if meaning is None else f"answered {answer.status}: {meaning}"
        said = self._said(answer.body)
        return replace(attempt, detail=f'{detail} ("{said}")' if said else detail)

    def _url(self, path: Path) -> str:
        segments = [str(each) for each in path.segments]
        if any(each in ("", ".", "..") for each in segments):
            raise ValueError("a name is empty or consists of dots, so it cannot be part of a URL")
        url = "/".join([self._root, *(quote(each, safe="") for each in segments)])
        url += "/" if path.slash else ""
        if path.params:
            url += "?" + "&".join(
                f"{name}={quote(str(value), safe='')}" for name, value in path.params.items()
            )
        return url

    async def _exchange(
        self, request: Request, before_leaving: Callable[[], object], max_bytes: int | None
    ) -> Exchange:
        return await exchange(
            self._client,
            request.method,
            self._base.join(request.url),
            headers={"accept": "application/json", **request.headers, **self._secrets},
            body=request.body,
            timeout_s=self._timeout_s,
            now_ns=self._now_ns(),
            before_leaving=before_leaving,
            **({} if max_bytes is None else {"max_answer_bytes": max_bytes}),
        )

    def _said(self, body: bytes) -> str:
        """Return the error text of an answer, without our secrets should it repeat them."""
        try:
            said = json.loads(body[:65_536])
        except (ValueError, RecursionError):
            return ""
        for _ in range(3):
            if isinstance(said, dict):
                said = next((said[name] for name in _SAYING if said.get(name)), "")
            elif isinstance(said, list) and said:
                said = said[0]
        if not isinstance(said, str):
            return ""
        for hidden in self._hidden:
            said = said.replace(hidden, REDACTED)
        return word(said)


def _parts(secret: str) -> list[str]:
    """Return the texts by which a server could repeat the credentials of a header."""
    scheme, _, token = secret.rpartition(" ")
    if scheme != "Basic":
        return [token]
    password = base64.b64decode(token).decode().partition(":")[2]
    return [token, password] if password else [token]


def basic(name: str, password: str) -> str:
    """Return the value of an ``Authorization`` header for a name and a password."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def bearer(token: str) -> str:
    """Return the value of an ``Authorization`` header for a token; empty without one."""
    return f"Bearer {token}" if token else ""
