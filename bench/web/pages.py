"""The Now page by number of scopes: first in a tick, asked for again, and not changed."""

from __future__ import annotations

import asyncio
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from tests.play import play
from tests.traffic import Arm, Plan
from tests.web.desk import Desk, desk_of, proposing

from tripswitch.drive.session import Session
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.incident import Shape
from tripswitch.model.instruction import Opening
from tripswitch.model.scope import Scope
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

MANY_SCOPES = 2_000
FEW_SCOPES = 20
INCIDENTS = 50

_MINUTES = 3.0
_TICKS = 12


def page_costs(few: str, many: str) -> dict[str, float]:
    """Return processor milliseconds, bytes and ratios."""
    small = _measured(_desk(Path(few), FEW_SCOPES, 1))
    large = _measured(_desk(Path(many), MANY_SCOPES, INCIDENTS))
    return {
        "scopes": large["scopes"],
        "incidents": INCIDENTS,
        "first page in a tick, ms": large["first"],
        "first page / the same of 20 scopes": large["first"] / small["first"],
        "first page / a tick of the judge": large["first"] / large["tick"],
        "live part again in the tick / first page": large["again"] / large["first"],
        "not changed (304) / first page": large["unchanged"] / large["first"],
        "bytes of the page": large["bytes"],
        "bytes / the same of 20 scopes": large["bytes"] / small["bytes"],
        "message of the stream / first page": large["headline"] / large["first"],
    }


def _desk(folder: Path, scopes: int, incidents: int) -> Desk:
    """Return a desk that watches about so many scopes, with so many incidents open."""
    session = Session(proposing())
    desk = desk_of(session, Ledger(folder / "ledger.sqlite"), folder)
    # An arm has its model beside it, which is a scope too.
    seen = play(_plan(scopes // 2), _MINUTES, session=session, answer=None)
    desk.judge._record(seen.commands)  # noqa: SLF001 - as the judge does
    for number in range(incidents):
        scope = Scope(f"/route/{number:04d}")
        opening = Opening(scope, "looks odd to us", "ada", shape=Shape.OUTAGE)
        desk.judge._record(session.open_by_hand(opening))  # noqa: SLF001
    return desk


def _plan(arms: int) -> Plan:
    served = [
        Arm(0.06, "v1", ("control", "canary")[number % 2], route=f"/route/{number // 2:04d}")
        for number in range(arms)
    ]
    return lambda _second: served


def _measured(desk: Desk) -> dict[str, float]:
    engine = desk.judge.session.engine  # type: ignore[attr-defined]
    tick_ns = int(desk.judge.config.detect.tick * NS_PER_S)
    costs: dict[str, list[float]] = {
        name: [] for name in ("tick", "first", "again", "unchanged", "headline")
    }
    size = 0

    async def run() -> None:
        nonlocal size
        transport = httpx.ASGITransport(app=desk.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            await client.get("/")
            for _ in range(_TICKS):
                _timed(costs["tick"], lambda: engine.advance(engine.now_ns + tick_ns))
                _timed(costs["headline"], lambda: desk.judge.session.overview.open_incidents())
                began_s = time.process_time()
                whole = await client.get("/")
                costs["first"].append(time.process_time() - began_s)
                began_s = time.process_time()
                live = await client.get("/?fragment=1")
                costs["again"].append(time.process_time() - began_s)
                began_s = time.process_time()
                tag = {"if-none-match": live.headers["etag"]}
                same = await client.get("/?fragment=1", headers=tag)
                costs["unchanged"].append(time.process_time() - began_s)
                assert (whole.status_code, live.status_code, same.status_code) == (200, 200, 304)
                size = len(whole.content)

    asyncio.run(run())
    medians = {name: 1e3 * statistics.median(taken) for name, taken in costs.items()}
    return medians | {"bytes": size, "scopes": len(engine.roster.by_scope)}


def _timed(taken: list[float], step: Callable[[], object]) -> None:
    began_s = time.process_time()
    step()
    taken.append(time.process_time() - began_s)
