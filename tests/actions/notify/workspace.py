"""Slack's Web API on loopback, as far as its documentation and its official client go.

It keeps messages by channel and ``ts``, answers ``ok: false`` to what Slack refuses, and holds
blocks to the limits of Block Kit.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "xoxb-test"
CHANNEL = "C1"


@dataclass
class Posted:
    """One message, its edits, and the replies under it."""

    ts: str
    texts: list[dict[str, Any]]
    replies: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    @property
    def shown(self) -> str:
        """Return all text that its latest edit shows."""
        return json.dumps(self.texts[-1]["blocks"], ensure_ascii=False)


class Workspace:
    """Answers the five methods. ``refuse`` may give an error or a status for a method."""

    def __init__(self) -> None:
        self.messages: list[Posted] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.uploads: dict[str, bytes] = {}
        self.refuse: Callable[[str], str | int | None] = lambda _method: None
        self._number = 0
        space = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                method = self.path.rpartition("/")[2]
                status, headers = 200, {}
                if self.path.startswith("/upload/"):
                    space.uploads[method] = body
                    reply: dict[str, Any] = {}
                else:
                    reply = space._answer(method, body, dict(self.headers.items()))
                    status = int(reply.pop("_status", 200))
                    headers = {"Retry-After": "30"} if status == 429 else {}
                text = json.dumps(reply).encode()
                self.close_connection = True
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=utf-8")
                self.send_header("content-length", str(len(text)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{self.root}/api"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, method: str, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        lower = {name.lower(): text for name, text in headers.items()}
        if lower["content-type"].startswith("application/json"):
            arguments = json.loads(body)
        else:
            arguments = dict(parse_qsl(body.decode()))
            for name in ("blocks", "files", "metadata"):
                if isinstance(arguments.get(name), str):
                    arguments[name] = json.loads(arguments[name])
        self.calls.append((method, arguments))
        if lower.get("authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        refused = self.refuse(method)
        if isinstance(refused, int):
            return {"ok": False, "error": "ratelimited", "_status": refused}
        if refused:
            return {"ok": False, "error": refused}
        known = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "files.getUploadURLExternal": self._offer,
            "files.completeUploadExternal": self._complete,
        }
        if method not in known:
            return {"ok": False, "error": "unknown_method"}
        return known[method](arguments)

    def _post(self, arguments: dict[str, Any]) -> dict[str, Any]:
        problem = _problem(arguments)
        if problem:
            return {"ok": False, "error": problem}
        self._number += 1
        ts = f"1700000000.{self._number:06d}"
        if arguments.get("thread_ts"):
            parent = self._message(arguments["thread_ts"])
            if parent is None:
                return {"ok": False, "error": "thread_not_found"}
            parent.replies.append(arguments)
        else:
            self.messages.append(Posted(ts, [arguments]))
        return {"ok": True, "channel": CHANNEL, "ts": ts, "message": {"text": arguments["text"]}}

    def _update(self, arguments: dict[str, Any]) -> dict[str, Any]:
        message = self._message(arguments["ts"])
        if message is None or arguments["channel"] != CHANNEL:
            return {"ok": False, "error": "message_not_found"}
        problem = _problem(arguments)
        if problem:
            return {"ok": False, "error": problem}
        message.texts.append(arguments)
        return {"ok": True, "channel": CHANNEL, "ts": message.ts, "text": arguments["text"]}

    def _offer(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if not arguments.get("filename") or int(arguments.get("length", 0)) <= 0:
            return {"ok": False, "error": "invalid_arguments"}
        self._number += 1
        name = f"F{self._number}"
        return {"ok": True, "file_id": name, "upload_url": f"{self.root}/upload/{name}"}

    def _complete(self, arguments: dict[str, Any]) -> dict[str, Any]:
        for each in arguments["files"]:
            if each["id"] not in self.uploads:
                return {"ok": False, "error": "file_not_found"}
            parent = self._message(arguments.get("thread_ts", ""))
            if parent is not None:
                parent.files.append(each["id"])
        return {"ok": True, "files": arguments["files"]}

    def _message(self, ts: str) -> Posted | None:
        return next((message for message in self.messages if message.ts == ts), None)


def _problem(arguments: dict[str, Any]) -> str:
    """Return what Slack says to a message that it does not take, empty where it does."""
    if arguments.get("channel") != CHANNEL:
        return "channel_not_found"
    blocks = arguments.get("blocks", [])
    if not arguments.get("text") and not blocks:
        return "no_text"
    if len(blocks) > 50:
        return "invalid_blocks"
    total = 0
    for block in blocks:
        most = 150 if block["type"] == "header" else 3000
        texts = [(block["text"], most)] if "text" in block else []
        texts += [(element["text"], 75) for element in block.get("elements", [])]
        for text, longest in texts:
            total += len(text["text"])
            is_known = text["type"] in ("plain_text", "mrkdwn")
            if not is_known or not 1 <= len(text["text"]) <= longest:
                return "invalid_blocks"
    return "msg_blocks_too_long" if total > 13_200 else ""
