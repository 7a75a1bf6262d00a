"""An API on loopback that answers with canned JSON, or misbehaves as told."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit


class StubApi:
    """Answers a path with what ``answers`` has for it; what is callable is called each time.

    ``HANG`` in place of an answer keeps silent until the end. ``asked`` are the paths, in order.
    """

    HANG = object()

    def __init__(self, answers: dict[str, Any]) -> None:
        self.asked: list[str] = []
        self._end = threading.Event()
        stub = self

        class Door(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.asked.append(self.path)
                answer = answers.get(urlsplit(self.path).path)
                if callable(answer):
                    answer = answer()
                if answer is StubApi.HANG:
                    stub._end.wait()
                    return
                body = json.dumps(answer).encode() if answer is not None else b"{}"
                self.send_response(404 if answer is None else 200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
