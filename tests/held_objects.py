"""What a process still holds of a text once it has taken requests in: every live Python object.

    python -m tests.held_objects TURNED FILE...

``TURNED`` is the text to look for, spelt backwards so that the command line does not hold it; each
file holds one request, ``*.logs`` of logs, others of traces. Prints JSON: the texts that hold it,
cut short, whether the model's name, which is held, was seen among all texts, how many calls were
understood, and what was shown of them.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

from tripswitch.config.model import Config
from tripswitch.drive.session import Arrival, Session
from tripswitch.otlp.delivery import Signal

_MINUTE_NS = 60 * 10**9


def texts() -> list[str | bytes]:
    """Return every text that a live object refers to."""
    found: dict[int, str | bytes] = {}
    for each in gc.get_objects():
        for referent in gc.get_referents(each):
            if isinstance(referent, str | bytes):
                found[id(referent)] = referent
            elif isinstance(referent, bytearray | memoryview):
                found[id(referent)] = bytes(referent)
    return list(found.values())


def main(turned: str, paths: list[str]) -> None:
    """Take the requests in, let a minute pass, and look."""
    session = Session(Config())
    now_ns = 0
    for path in paths:
        signal = Signal.LOGS if path.endswith(".logs") else Signal.TRACES
        body = Path(path).read_bytes()
        now_ns = int(Path(path).stem.split("-")[0])
        session.feed([Arrival(body, now_ns, signal)])
        del body
    session.advance(now_ns + _MINUTE_NS)
    shown = json.dumps([session.status(), session.telemetry(), session.counters()])
    gc.collect()
    wanted = turned[::-1]
    held = []
    sees_model = False
    for text in texts():
        plain = text if isinstance(text, str) else text.decode("latin-1")
        sees_model |= plain == "gpt-4o-mini"
        if wanted in plain and plain != wanted:
            held.append(plain[:200])
    calls = session.telemetry()["census"]["calls"]
    print(json.dumps({"held": held, "sees_model": sees_model, "calls": calls, "shown": shown}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
