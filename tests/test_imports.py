"""The direction of imports, and that nothing up to the engine reaches outside.

Rooms may import the rooms before them and never one after. Up to the engine there is no clock, no
randomness, no socket and no event loop, but for the modules that are the socket.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "tripswitch"

# Rooms in the order of the data. Rooms of one line do not import each other.
ORDER = (
    ("errors",),
    ("model",),
    ("config",),
    ("otlp",),
    ("genai",),
    ("windows",),
    ("detect",),
    ("incidents",),
    ("engine",),
    ("actions", "store", "web"),
    ("drive",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}

OUTSIDE = frozenset(
    {
        "aiohttp",
        "asyncio",
        "concurrent",
        "ctypes",
        "fcntl",
        "ftplib",
        "grpc",
        "http",
        "httpx",
        "multiprocessing",
        "os",
        "random",
        "requests",
        "sched",
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "socketserver",
        "sqlite3",
        "ssl",
        "starlette",
        "subprocess",
        "sys",
        "tempfile",
        "threading",
        "time",
        "uuid",
        "uvicorn",
        "watchfiles",
    }
)
FILES = frozenset({"pathlib", "io"})

MAY_BE_SOCKETS = frozenset(
    {
        "otlp/acceptance.py",
        "otlp/crossing.py",
        "otlp/current_upstream.py",
        "otlp/grpc_health.py",
        "otlp/grpc_receiver.py",
        "otlp/grpc_upstream.py",
        "otlp/http_connection.py",
        "otlp/http_pool.py",
        "otlp/http_receiver.py",
        "otlp/http_upstream.py",
        "otlp/pipeline.py",
        "otlp/reading.py",
        "otlp/replies.py",
        "otlp/reply_crossing.py",
        "otlp/spool/clock.py",
        "otlp/spool/dead_letters.py",
        "otlp/spool/disk.py",
        "otlp/spool/drain.py",
        "otlp/spool/spool.py",
        "otlp/spool/writer.py",
        "otlp/tap.py",
        "otlp/tls.py",
    }
)
MAY_READ_FILES = frozenset(
    {
        "config/loading.py",
        "otlp/files.py",
        "otlp/spool/disk.py",
        "otlp/spool/shelf.py",
        "otlp/spool/spool.py",
        "otlp/spool/survey.py",
        "otlp/tls.py",
        "otlp/tokens.py",
    }
)

CLOCKS = frozenset(
    {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
    | {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "os.urandom"}
)


@dataclass
class Reach:
    """What one module reaches for: our rooms, other top-level modules, and calls by name."""

    rooms: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)


def reach(source: str) -> Reach:
    """Return what ``source`` imports, anywhere in it, and which dotted names it calls."""
    found = Reach()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # "from tripswitch import engine" names the room in the alias.
            module = "." * node.level + (node.module or "")
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            names = []
            if isinstance(node, ast.Call):
                found.calls.add(ast.unparse(node.func))
        for name in names:
            top, _, rest = name.partition(".")
            if top == "tripswitch":
                found.rooms.add(rest.partition(".")[0])
            else:
                found.modules.add(top or name)
    return found


def direction_problems(place: str, source: str) -> list[str]:
    """Return the imports of the module at ``place`` that point the wrong way."""
    room = _room(place)
    problems = []
    for other in sorted(reach(source).rooms - {room}):
        if other not in RANK:
            problems.append(f"{place} imports {other}, which has no place in the order")
        elif RANK[other] >= RANK[room]:
            problems.append(f"{place} imports {other}, which does not come before {room}")
    return problems


def purity_problems(place: str, source: str) -> list[str]:
    """Return what the module at ``place``, up to the engine, reaches for outside of itself."""
    found = reach(source)
    modules = set() if place in MAY_BE_SOCKETS else found.modules & OUTSIDE
    if place not in MAY_READ_FILES:
        modules |= found.modules & FILES
    problems = [f"{place} imports {module}" for module in sorted(modules)]
    if place in MAY_BE_SOCKETS:
        return problems
    for call in sorted(found.calls):
        is_clock = ".".join(call.split(".")[-2:]) in CLOCKS
        is_random = ".random." in f".{call}."
        if is_clock or is_random or call == "open":
            problems.append(f"{place} calls {call}")
    return problems


def _room(place: str) -> str:
    return place.partition("/")[0].removesuffix(".py")


def _modules() -> list[tuple[str, str]]:
    return [
        (path.relative_to(PACKAGE).as_posix(), path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != PACKAGE / "__init__.py"
    ]


def test_every_room_has_its_place_in_the_order() -> None:
    assert {_room(place) for place, _ in _modules()} == set(RANK)


def test_no_module_imports_against_the_direction() -> None:
    assert [
        problem for place, source in _modules() for problem in direction_problems(place, source)
    ] == []


def test_nothing_up_to_the_engine_reaches_outside() -> None:
    assert [
        problem
        for place, source in _modules()
        if RANK[_room(place)] <= RANK["engine"]
        for problem in purity_problems(place, source)
    ] == []


def test_every_exception_to_purity_is_a_module_that_needs_it() -> None:
    sources = dict(_modules())
    assert sources.keys() >= MAY_BE_SOCKETS | MAY_READ_FILES
    for place in MAY_READ_FILES:
        assert reach(sources[place]).modules & FILES, place


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("detect/judge.py", "from tripswitch.incidents.book import Book"),
        ("model/scope.py", "import tripswitch.config.model"),
        ("store/ledger.py", "def late():\n    from tripswitch.actions import executor"),
        ("web/api.py", "from tripswitch import store"),
        ("engine.py", "from tripswitch.drive.live import run_live"),
        ("engine.py", "from tripswitch.helpers import anything"),
    ],
)
def test_an_import_against_the_direction_is_found(place: str, source: str) -> None:
    assert direction_problems(place, source) != []


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("engine.py", "import time"),
        ("engine.py", "from os import path"),
        ("detect/judge.py", "import numpy as np\nrng = np.random.default_rng(0)"),
        ("model/clocktext.py", "from datetime import datetime\nnow = datetime.now()"),
        ("model/clocktext.py", "import datetime\nnow = datetime.datetime.now(None)"),
        ("incidents/book.py", "text = open('notes')"),
        ("otlp/reader.py", "import asyncio"),
        ("genai/facts.py", "from pathlib import Path"),
    ],
)
def test_a_reach_for_the_outside_is_found(place: str, source: str) -> None:
    assert purity_problems(place, source) != []


def test_rooms_may_import_what_comes_before_them() -> None:
    source = "from tripswitch.model.scope import Scope\nimport numpy as np\nnp.add(1, 2)"
    assert direction_problems("detect/judge.py", source) == []
    assert purity_problems("detect/judge.py", source) == []


def test_the_command_line_answers_before_it_imports_what_it_works_with() -> None:
    code = (
        "import sys, tripswitch.cli.app as a; a.app_of();"
        "print({'pydantic', 'numpy', 'httpx', 'yaml', 'asyncio', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"
