"""A receiver of webhooks on loopback that answers as told and remembers what came."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"


@dataclass(frozen=True)
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Return its webhook-id."""
        return self.headers["webhook-id"]

    @property
    def event(self) -> Any:
        """Return its body as JSON."""
        return json.loads(self.body)

    def verify(self) -> Any:
        """Verify it as a receiver does; raises when it was tampered with."""
        return Webhook(SECRET).verify(self.body, self.headers, json_parse=bool(self.body))


@dataclass(frozen=True)
class Answer:
    """How to answer one request. ``hang`` keeps silent until the end, ``cut`` hangs up."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False
    first: Callable[[], None] = lambda: None


OK = Answer()
HANG = Answer(hang=True)
CUT = Answer(cut=True)


def says(**members: object) -> Answer:
    """Return a 200 with a JSON object."""
    return Answer(body=json.dumps(members).encode())


class Receiver:
    """Answers POSTs with ``answers`` in turn and with ``then`` after; GETs by ``status``."""

    def __init__(self, *answers: Answer, then: Answer = OK, port: int = 0) -> None:
        self.posts: list[Received] = []
        self.gets: list[Received] = []
        self.status: Callable[[str], Answer] = lambda _: Answer(404)
        self._answers = list(answers)
        self._then = then
        self._end = threading.Event()
        self._turn = threading.Lock()
        receiver = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._answer(receiver._posted)

            def do_GET(self) -> None:
                self._answer(receiver._got)

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, choose: Callable[[Received], Answer]) -> None:
                length = int(self.headers.get("content-length", 0))
                headers = {name.lower(): text for name, text in self.headers.items()}
                request = Received(self.command, self.path, headers, self.rfile.read(length))
                answer = choose(request)
                answer.first()
                self.close_connection = True
                if answer.hang:
                    receiver._end.wait(60)
                if answer.hang or answer.cut:
                    return
                self.send_response(answer.status)
                for name, text in answer.headers.items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Door)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook"
        self.status_url = self.url.replace("/hook", "/status?tenant=a")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answers(self, *answers: Answer) -> None:
        """Answer the next POSTs with ``answers`` in turn."""
        with self._turn:
            self._answers.extend(answers)

    def _posted(self, request: Received) -> Answer:
        with self._turn:
            self.posts.append(request)
            return self._answers.pop(0) if self._answers else self._then

    def _got(self, request: Received) -> Answer:
        with self._turn:
            self.gets.append(request)
            return self.status(parse_qs(urlsplit(request.path).query)["action_id"][0])


def closed_url() -> str:
    """Return an address on which nobody listens any more."""
    with Receiver() as receiver:
        return receiver.url
