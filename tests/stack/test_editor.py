"""Writing the configuration in an editor: the language server of VS Code's YAML support helps."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from tests.stack.example import EXAMPLES, TRIPSWITCH, file_of, names
from tests.stack.names import ROOT
from tests.stack.places import part, said

pytestmark = pytest.mark.parts

# As config/examples/README.md says it.
MODELINE = "# yaml-language-server: $schema=./tripswitch.schema.json\n"


class Editor:
    """Talks to a language server (LSP 3.17) as an editor does, about files of one folder."""

    def __init__(self, folder: Path, into: IO[bytes], out: IO[bytes]) -> None:
        self._folder = folder
        self._into = into
        self._out = out
        self._asked = 0
        self.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
        self._send({"method": "initialized", "params": {}})

    def open(self, name: str, text: str) -> list[str]:
        """Open a file; return what is found wrong in it, ``line: message`` each."""
        uri = self._uri(name)
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})
        told = self._wait(
            lambda one: (
                one.get("method") == "textDocument/publishDiagnostics"
                and one["params"]["uri"] == uri
            )
        )
        return [
            f"{each['range']['start']['line'] + 1}: {each['message']}"
            for each in told["params"]["diagnostics"]
        ]

    def at(self, name: str, what: str, line: int, character: int) -> Any:
        """Return completions or a hover text for a place, counted from 0."""
        place = {"line": line, "character": character}
        document = {"uri": self._uri(name)}
        return self.ask(f"textDocument/{what}", {"textDocument": document, "position": place})

    def ask(self, method: str, params: dict[str, Any]) -> Any:
        """Send a request and return its result."""
        self._asked += 1
        number = self._asked
        self._send({"id": number, "method": method, "params": params})
        return self._wait(lambda one: "method" not in one and one.get("id") == number)["result"]

    def _uri(self, name: str) -> str:
        return (self._folder / name).as_uri()

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._into.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._into.flush()

    def _wait(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            message = self._read()
            if "method" in message and "id" in message:
                # It asks for settings; these are the defaults of the extension.
                wanted = message["params"].get("items", [])
                on = {"validate": True, "completion": True, "hover": True}
                self._send({"id": message["id"], "result": [on] * len(wanted)})
            elif is_it(message):
                return message

    def _read(self) -> dict[str, Any]:
        length = 0
        while line := self._out.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the language server ended"
        content: dict[str, Any] = json.loads(self._out.read(length))
        return content


@contextlib.contextmanager
def editing(folder: Path) -> Iterator[Editor]:
    """Give an editor on a folder with our schema in it."""
    schema = said([*TRIPSWITCH, "schema"])
    (folder / "tripswitch.schema.json").write_text(schema, "utf-8")
    server = part("editor") / "yaml-language-server/bin/yaml-language-server"
    process = subprocess.Popen(
        ["node", server, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        try:
            yield Editor(folder, process.stdin, process.stdout)
        finally:
            process.kill()
            process.wait(30)


def test_it_completes_explains_and_corrects(tmp_path: Path) -> None:
    assert MODELINE in (EXAMPLES / "README.md").read_text("utf-8")
    with editing(tmp_path) as editor:
        started = MODELINE + "forward:\n  acknowledge: \n  gr\nre\n"
        editor.open("a.yaml", started)
        values = editor.at("a.yaml", "completion", 2, 15)["items"]
        assert {each["label"] for each in values} == {"upstream-or-disk", "upstream", "disk"}
        fields = editor.at("a.yaml", "completion", 3, 4)["items"]
        assert "grace" in {each["label"] for each in fields}
        sections = {each["label"] for each in editor.at("a.yaml", "completion", 4, 2)["items"]}
        assert {"receivers", "read", "rollback"} <= sections
        hover = editor.at("a.yaml", "hover", 2, 5)["contents"]["value"]
        assert "once the upstream has accepted it" in hover

        wrong = MODELINE + "detect:\n  tick: often\nforwards: {}\n"
        found = editor.open("b.yaml", wrong)
        assert any(each.startswith("3: ") for each in found)
        assert any(each.startswith("4: ") and "forwards" in each for each in found)


def test_it_finds_nothing_wrong_with_what_ships(tmp_path: Path) -> None:
    shipped = {name: file_of(name) for name in names()}
    shipped |= {name: ROOT / f"config/{name}.yaml" for name in ("container", "tripswitch")}
    with editing(tmp_path) as editor:
        for name, file in shipped.items():
            text = MODELINE + file.read_text("utf-8")
            assert editor.open(f"{name}.yaml", text) == [], name
