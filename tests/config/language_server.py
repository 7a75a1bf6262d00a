"""A client of a language server over its standard input and output, as an editor is one.

Source: Language Server Protocol 3.17, base protocol, completion, hover, publishDiagnostics.
"""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = {
    "yaml": {
        "validate": True,
        "completion": True,
        "hover": True,
        # The catalogue of all schemas lies outside this machine.
        "schemaStore": {"enable": False},
    }
}


class LanguageServer:
    """Opens files of ``folder`` in the server ``program`` and asks about them."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._problems: dict[str, list[str]] = {}
        self._process = subprocess.Popen(
            [program, "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        root = {"uri": self._folder.as_uri(), "name": "files"}
        abilities = {"workspace": {"configuration": True}, "textDocument": {"hover": {}}}
        self._ask(
            "initialize",
            {
                "processId": None,
                "rootUri": root["uri"],
                "capabilities": abilities,
                "workspaceFolders": [root],
            },
        )
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "workspace/didChangeConfiguration", "params": {"settings": SETTINGS}})
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def completed(self, text: str, name: str) -> list[str]:
        """Return what is offered at the end of ``text``, opened as the file ``name``."""
        lines = text.split("\n")
        found = self._ask(
            "textDocument/completion",
            {
                "textDocument": {"uri": self._open(text, name)},
                "position": {"line": len(lines) - 1, "character": len(lines[-1])},
            },
        )
        return [item["label"] for item in (found["items"] if isinstance(found, dict) else found)]

    def hover(self, text: str, name: str, line: int, character: int) -> str:
        """Return what is shown over a place of ``text``, in Markdown."""
        found = self._ask(
            "textDocument/hover",
            {
                "textDocument": {"uri": self._open(text, name)},
                "position": {"line": line, "character": character},
            },
        )
        return str(found["contents"]["value"])

    def problems(self, text: str, name: str) -> list[str]:
        """Return what is underlined in ``text``."""
        uri = self._open(text, name)
        while uri not in self._problems:
            self._take(self._receive())
        return self._problems[uri]

    def _open(self, text: str, name: str) -> str:
        path = self._folder / name
        path.write_text(text, "utf-8")
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        return path.as_uri()

    def _ask(self, method: str, params: dict[str, Any]) -> Any:
        self._number += 1
        self._send({"id": self._number, "method": method, "params": params})
        while True:
            message = self._receive()
            if message.get("id") == self._number and "method" not in message:
                return message["result"]
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        """Answer what the server asks, and keep what it finds."""
        params = message.get("params", {})
        if message.get("method") == "textDocument/publishDiagnostics":
            self._problems[params["uri"]] = [one["message"] for one in params["diagnostics"]]
        elif message.get("method") == "workspace/configuration":
            wanted = [SETTINGS.get(item.get("section"), {}) for item in params["items"]]
            self._send({"id": message["id"], "result": wanted})
        elif "method" in message and "id" in message:
            self._send({"id": message["id"], "result": None})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        length = 0
        while (line := self._process.stdout.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server is gone"
        message: dict[str, Any] = json.loads(self._process.stdout.read(length))
        return message
