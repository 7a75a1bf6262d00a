"""A judge that has watched the reference story, with its ledger, its pages and its API.

The story is played once for all tests that only read; a test that changes something takes up a
copy of what was known then, as a restarted sidecar does.
"""

from __future__ import annotations

import functools
import html.parser
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
from starlette.applications import Starlette

from tests.play import TARGET, config, play, story
from tests.traffic import Plan
from tests.web.asking import ask
from tripswitch.config.model import Config
from tripswitch.config.rollback_section import Rollback as RollbackConfig
from tripswitch.config.telemetry_section import ApiListen, Telemetry
from tripswitch.drive.judge import Judge
from tripswitch.drive.session import Session
from tripswitch.drive.web_board import board_of
from tripswitch.incidents.decisions import MOST_SCORED, decisions_of
from tripswitch.model.snapshot import Snapshot
from tripswitch.store.ledger import Ledger
from tripswitch.web.api import Pages, api_app
from tripswitch.web.approval import ApprovalLinks
from tripswitch.web.guard import Guard
from tripswitch.web.headline import Headline
from tripswitch.web.incidents_api import IncidentPages
from tripswitch.web.sessions import COOKIE
from tripswitch.web.stream import Stream

TOKEN: Final = "the-token-of-the-state-folder"
TRACES: Final = "https://traces.example.com/trace/{trace_id}"
FORM: Final = {"content-type": "application/x-www-form-urlencoded"}
BEARER: Final = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}

STORY_MINUTES: Final = 15.0


class Deaf:
    """An inbox that nobody fills; the judge of these tests is driven by hand."""

    def send(self, _content: Any) -> None:
        """Tell nobody."""


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@dataclass
class Desk:
    """One judge with its pages."""

    judge: Judge
    ledger: Ledger
    app: Starlette
    guard: Guard
    stream: Stream
    links: ApprovalLinks
    clock: Clock

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a page."""
        return ask(self.app, path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def send(self, path: str, fields: dict[str, str], cookie: str = "") -> httpx.Response:
        """Send a form as a page of ours does."""
        headers = FORM | {"origin": "http://127.0.0.1:8317"}
        if cookie:
            headers["cookie"] = f"{COOKIE}={cookie}"
        body = str(httpx.QueryParams(fields)).encode()
        return ask(self.app, path, method="POST", body=body, headers=headers)

    def sign_in(self, name: str = "ada") -> tuple[str, str]:
        """Return the cookie and the form token of a browser that is signed in."""
        answer = self.send("/signin", {"name": name, "token": TOKEN})
        assert answer.status_code == 303, answer.text
        cookie = answer.cookies[COOKIE]
        session = self.guard.sessions.find(cookie)
        assert session is not None
        return cookie, session.form_token

    def incident_id(self) -> str:
        """Return the id of the one incident."""
        (incident,) = self.ledger.incidents(10)
        return str(incident["id"])


def proposing(**changes: Any) -> Config:
    """Return a configuration in which a person approves."""
    target = TARGET.model_copy(update={"mode": "propose"})
    # The second name is the one that test clients give themselves.
    api = ApiListen(endpoint="127.0.0.1:8317", trace_link=TRACES, public_url="http://testserver")
    settings: dict[str, Any] = {
        "rollback": RollbackConfig(targets=[target]),
        "telemetry": Telemetry(api=api),
    }
    return config(**(settings | changes))


def desk_of(session: Session, ledger: Ledger, folder: Path, *, loopback_only: bool = True) -> Desk:
    """Return the desk of a session and its ledger."""
    judge = Judge(session.config, session, ledger, Deaf())  # type: ignore[arg-type]
    clock = Clock()
    board = board_of(judge, ledger, [], folder)
    guard = Guard(lambda header: header == f"Bearer {TOKEN}", clock, loopback_only=loopback_only)
    stream = Stream(board.revision, Headline(board), look_every_s=0.01)
    pages = Pages(
        status=session.status,
        explain=session.explain,
        events=ledger.events,
        post_scores=judge.asked.post_scores,
        post_changes=judge.asked.post_changes,
        of_incidents=IncidentPages(
            incident=ledger.incident_file,
            audit=ledger.audit,
            decisions=lambda: decisions_of(ledger.known_incidents(MOST_SCORED)),
            instruct=judge.asked.instruct,
            open=judge.asked.open_incident,
            admits=guard.admits,
            dry_run=judge.asked.dry_run,
        ),
        board=board,
    )
    app = api_app(pages, guard, stream)
    return Desk(judge, ledger, app, guard, stream, board.links, clock)


def played(plan: Plan, folder: Path, minutes: float = STORY_MINUTES, **changes: Any) -> Desk:
    """Return the desk of a judge that watched ``plan``."""
    session = Session(proposing(**changes))
    ledger = Ledger(folder / "ledger.sqlite")
    desk = desk_of(session, ledger, folder)
    seen = play(plan, minutes, session=session, answer=None)
    desk.judge._record(seen.commands)
    return desk


@functools.cache
def _watched() -> tuple[Desk, Snapshot, Path]:
    folder = Path(tempfile.mkdtemp(prefix="tripswitch-desk-"))
    desk = played(story(), folder)
    return desk, desk.judge.session.snapshot(), folder


def watched() -> Desk:
    """Return the desk of the story, for tests that only read."""
    return _watched()[0]


def taken_up(folder: Path, *, loopback_only: bool = True) -> Desk:
    """Return a desk of its own that knows what `watched` knew, for tests that change something."""
    desk, snapshot, kept = _watched()
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "approval-key"):
        if (kept / name).exists():
            shutil.copy(kept / name, folder / name)
    ledger = Ledger(folder / "ledger.sqlite")
    session = Session(desk.judge.config)
    session.resume(snapshot, snapshot.taken_ns)
    session.restore(ledger.open_incidents(), ledger.past_rollbacks())
    return desk_of(session, ledger, folder, loopback_only=loopback_only)


class Document(html.parser.HTMLParser):
    """A parsed page: its elements with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)

    @property
    def text(self) -> str:
        """Return all text, spaces put together."""
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a kind."""
        return [attrs for kind, attrs in self.elements if kind == tag]
