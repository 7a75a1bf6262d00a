"""PagerDuty on loopback: the Events API v2 as its documentation has it.

It keeps the alerts of each routing key by dedup key, refuses what the documentation says is
refused, and opens a new alert where one under the same key was resolved.
"""

from __future__ import annotations

import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_SEVERITIES = ("critical", "error", "warning", "info")


@dataclass
class Alert:
    """One alert: its state and the payload it shows, the latest."""

    routing_key: str
    dedup_key: str
    status: str = "triggered"
    payloads: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)
    pages: int = 1


class Pager:
    """Answers the two endpoints; ``answer`` may return another status than the real one would."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.alerts: list[Alert] = []
        self.changes: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str], int | None] = lambda _path: None
        pager = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                status, reply = pager._post(self.path, body)
                text = json.dumps(reply).encode()
                self.close_connection = True
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        scheme = "http" if tls is None else "https"
        host = "127.0.0.1" if tls is None else "localhost"
        self.url = f"{scheme}://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        event = json.loads(body)
        self.calls.append((path, event))
        forced = self.answer(path)
        if forced is not None:
            return forced, {"status": "error"}
        if path == "/v2/change/enqueue":
            problems = self._change_problems(event)
            if not problems:
                self.changes.append(event)
        elif path == "/v2/enqueue":
            problems = self._event_problems(event, len(body))
            if not problems:
                self._take(event)
        else:
            return 404, {}
        if problems:
            return 400, {
                "status": "invalid event",
                "message": "Event object is invalid",
                "errors": problems,
            }
        return 202, {
            "status": "success",
            "message": "Event processed",
            "dedup_key": event.get("dedup_key", "made-up"),
        }

    def _take(self, event: dict[str, Any]) -> None:
        open_ones = [
            alert
            for alert in self.alerts
            if (alert.routing_key, alert.dedup_key) == (event["routing_key"], event["dedup_key"])
            and alert.status != "resolved"
        ]
        action = event["event_action"]
        if action == "trigger":
            if not open_ones:
                open_ones = [Alert(event["routing_key"], event["dedup_key"])]
                self.alerts += open_ones
            open_ones[0].payloads.append(event["payload"])
            open_ones[0].links = event.get("links", [])
        elif open_ones:
            open_ones[0].status = "acknowledged" if action == "acknowledge" else "resolved"

    def _event_problems(self, event: dict[str, Any], size: int) -> list[str]:
        problems = []
        if size > 512 * 1024:
            problems.append("too large")
        if not event.get("routing_key"):
            problems.append("'routing_key' is missing or blank")
        if event.get("event_action") not in ("trigger", "acknowledge", "resolve"):
            problems.append("'event_action' is invalid")
        if len(event.get("dedup_key", "")) > 255:
            problems.append("'dedup_key' is too long")
        if event.get("event_action") != "trigger":
            return problems if event.get("dedup_key") else [*problems, "'dedup_key' is missing"]
        payload = event.get("payload", {})
        if not payload.get("summary") or len(payload["summary"]) > 1024:
            problems.append("'summary' is missing, blank or too long")
        if not payload.get("source"):
            problems.append("'source' is missing or blank")
        if payload.get("severity") not in _SEVERITIES:
            problems.append("'severity' is invalid")
        return problems

    def _change_problems(self, event: dict[str, Any]) -> list[str]:
        unknown = event.keys() - {"routing_key", "payload", "links"}
        problems = [f"{name} is unknown" for name in unknown]
        if not event.get("payload", {}).get("summary"):
            problems.append("'summary' is missing or blank")
        return problems
