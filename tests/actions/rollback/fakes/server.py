"""A server on loopback that answers by a function, and with faults where a test puts them."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.actions.receiver import Answer

JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Asking:
    """One request as it arrived. ``segments`` is its path, unescaped."""

    method: str
    segments: tuple[str, ...]
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """Return its body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Fault:
    """What happens to the next write: ``answer`` comes, ``acts`` says whether it takes effect."""

    answer: Answer
    acts: bool = False


def told(code: int = 200, /, **members: Any) -> Answer:
    """Return an answer with a JSON object."""
    return Answer(code, b"" if code == 204 else json.dumps(members).encode(), JSON)


def listed(*items: Any) -> Answer:
    """Return an answer with a JSON list."""
    return Answer(200, json.dumps(items).encode(), JSON)


class FakeServer(ABC):
    """Serves `handled`. ``authorized`` decides whether the credentials are those expected."""

    prefix: ClassVar[str] = ""

    def __init__(self) -> None:
        self.asked: list[Asking] = []
        self.write_faults: list[Fault] = []
        self.read_fault: Answer | None = None
        self._end = threading.Event()
        self._turn = threading.Lock()
        fake = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                length = int(self.headers.get("content-length", 0))
                asking = Asking(
                    self.command,
                    tuple(unquote(each) for each in parts.path.strip("/").split("/")),
                    dict(parse_qsl(parts.query)),
                    {name.lower(): text for name, text in self.headers.items()},
                    self.rfile.read(length),
                )
                answer = fake._chosen(asking)
                answer.first()
                self.close_connection = True
                if answer.hang:
                    fake._end.wait(60)
                if answer.hang or answer.cut:
                    return
                self.send_response(answer.status)
                for name, text in answer.headers.items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Door, f"do_{method}", Door._serve)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.prefix}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def writes(self) -> list[Asking]:
        """Return the requests that could have moved something."""
        return [asking for asking in self.asked if self.is_write(asking)]

    def is_write(self, asking: Asking) -> bool:
        """Return whether a request could move something."""
        return asking.method != "GET"

    @abstractmethod
    def authorized(self, asking: Asking) -> bool:
        """Return whether the request carries the credentials."""

    @abstractmethod
    def handled(self, asking: Asking) -> Answer:
        """Do what the request asks for and answer it."""

    def _chosen(self, asking: Asking) -> Answer:
        with self._turn:
            self.asked.append(asking)
            if not self.authorized(asking):
                return told(401, message="not with these")
            if not self.is_write(asking):
                return self.read_fault or self.handled(asking)
            fault = self.write_faults.pop(0) if self.write_faults else None
            if fault is None:
                return self.handled(asking)
            if fault.acts:
                self.handled(asking)
            return fault.answer


@dataclass
class Registry:
    """What a prompt registry holds: version numbers, and where each label stands."""

    versions: list[int] = field(default_factory=lambda: list(range(1, 19)))
    labels: dict[str, int] = field(default_factory=lambda: {"production": 18, "canary-label": 18})
