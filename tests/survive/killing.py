"""Kills, moods of the upstream and damage on disk, and looking for what was lost.

Everything random comes from one seed. The moments come from what has happened: a kill falls when a
random number of requests has been acknowledged since the program was started, none included.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import httpx

from tests.otlp.relay import until
from tests.survive.damage import damage
from tests.survive.load import DEADLINE_S, Load
from tests.survive.program import JUDGE, WIRE, Program, settings_for
from tests.survive.sink import Mood, Sink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.survive.sink import Protocol

_LONGEST_MOOD_S = 3.0
_MOST_OF_A_MOOD = 40
_LONGEST_LIFE_S = 15.0
_DRAIN_S = 240.0

# One kill in so many falls before anything listens, one in so many spares the judge or the wire.
_EARLY = 6
_SPARING = 4


@dataclass
class Outcome:
    """What came of it; spans but for ``kills`` (of the wire) and what says otherwise.

    ``damaged`` are spans in records that were damaged on purpose, ``counted_corrupt`` the records
    that tripswitch said were, ``damaged_records`` how many they were.
    """

    kills: int = 0
    judge_kills: int = 0
    acknowledged: int = 0
    given_up: int = 0
    lost: set[int] = field(default_factory=set)
    arrived: int = 0
    repeated: int = 0
    damaged: set[int] = field(default_factory=set)
    damaged_records: int = 0
    counted_corrupt: int = 0
    counted_torn: int = 0
    spooled_requests: int = 0
    drained_requests: int = 0
    moods: Counter[Mood] = field(default_factory=Counter)
    resets: int = 0
    gaps_s: list[float] = field(default_factory=list)
    peak_mib: dict[str, int] = field(default_factory=dict)
    exit_code: int = -1

    def told(self) -> str:
        """Return it as a few lines for people."""
        moods = ", ".join(f"{mood} {self.moods[mood]}" for mood in Mood)
        return (
            f"{self.kills} kills of the wire, {self.judge_kills} of the judge alone; "
            f"listening again after {statistics.median(self.gaps_s):.1f} s "
            f"(median; longest {max(self.gaps_s):.1f})\n"
            f"spans acknowledged {self.acknowledged}, lost {len(self.lost)}, given up by their "
            f"exporter {self.given_up}; arrived {self.arrived}, {self.repeated} of them again\n"
            f"requests at the upstream by its mood: {moods}; connections reset {self.resets}\n"
            f"requests put on disk {self.spooled_requests}, sent from there "
            f"{self.drained_requests}, torn tails {self.counted_torn}\n"
            f"records damaged {self.damaged_records}, counted {self.counted_corrupt}, with "
            f"{len(self.damaged)} spans\n"
            f"peak memory: wire {self.peak_mib[WIRE]} MiB, judge {self.peak_mib[JUDGE]} MiB"
        )


class Pace(NamedTuple):
    """How much happens between two kills.

    At most ``most_requests`` are acknowledged then, ``deadline_s`` is what an export may take,
    and ``exporters`` of each kind send at the same time.
    """

    most_requests: int = 150
    deadline_s: float = DEADLINE_S
    exporters: int = 1


class Killing:
    """One run: ``outcome`` fills up as it goes."""

    def __init__(self, folder: Path, protocol: Protocol, seed: int, pace: Pace) -> None:
        self.outcome = Outcome()
        self.choice = random.Random(seed)
        self._folder = folder
        self._protocol = protocol
        self._pace = pace

    async def run(self, kills: int, *, damages: int = 0) -> Outcome:
        """Kill ``kills`` times, then damage the disk ``damages`` times; see what is left."""
        async with Sink(self._protocol, self.choice) as sink:
            settings = settings_for(self._protocol, sink.endpoint, self.choice)
            # Small segments, so that many are begun, drained and deleted.
            settings["spool"] = {"segment_bytes": "256KiB"}
            program = Program(self._folder, settings)
            load = Load(
                program.endpoint("grpc"),
                program.endpoint("http"),
                each=self._pace.exporters,
                deadline_s=self._pace.deadline_s,
            )
            try:
                load.start()
                for _ in range(kills):
                    await self._live_and_be_killed(program, sink, load)
                for _ in range(damages):
                    await self._be_damaged(program, sink, load)
                await self._settle(program, sink, load)
            finally:
                if program.process is not None and program.process.poll() is None:
                    program.process.kill()
                    program.process.wait()
            self._conclude(program, sink, load)
        return self.outcome

    async def _live_and_be_killed(self, program: Program, sink: Sink, load: Load) -> None:
        program.start()
        if self.choice.randrange(_EARLY):
            self.outcome.gaps_s.append(await program.until_listening())
        async with self._moods(sink, load):
            if not self.choice.randrange(_SPARING):
                await self._until_acknowledged(load, self._some())
                if JUDGE in program.processes():
                    await program.kill([JUDGE])
                    self.outcome.judge_kills += 1
            await self._until_acknowledged(load, self._some())
            self._note_metrics(program)
            await program.kill(self.choice.choice([[WIRE], [WIRE, JUDGE]]))
            self.outcome.kills += 1

    async def _be_damaged(self, program: Program, sink: Sink, load: Load) -> None:
        """Let it put requests on disk, kill it, damage some of them, and see all others out."""
        await sink.feel(Mood.AWAY)
        program.start()
        await program.until_listening()
        await self._until_acknowledged(load, self._pace.most_requests)
        self._note_metrics(program)
        await program.kill()
        self.outcome.kills += 1
        hurt = damage(program.spool, self.choice)
        self.outcome.damaged |= hurt.spans
        self.outcome.damaged_records += hurt.records
        await sink.feel(Mood.WELL)
        program.start()
        await program.until_listening()
        await program.until_up()
        live = program.live
        await until(lambda: live.metric("exporter_queue_size") == 0, _DRAIN_S)
        # While a file is there, the next life finds what is damaged in it and counts it again.
        await until(lambda: live.metric("spool_segments") == 0, _DRAIN_S)
        self._note_metrics(program)
        await program.kill()

    async def _settle(self, program: Program, sink: Sink, load: Load) -> None:
        """Send no more, have everything that waits sent, and end."""
        await sink.feel(Mood.WELL)
        program.start()
        await program.until_up()
        await asyncio.to_thread(load.stop)
        live = program.live
        await until(
            lambda: (
                live.metric("exporter_queue_size") + live.metric("exporter_in_flight_requests") == 0
            ),
            _DRAIN_S,
        )
        self._note_metrics(program)
        self.outcome.exit_code = await program.stop()

    @contextlib.asynccontextmanager
    async def _moods(self, sink: Sink, load: Load) -> AsyncIterator[None]:
        changing = asyncio.create_task(self._change_moods(sink, load))
        try:
            yield
        finally:
            changing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await changing

    async def _change_moods(self, sink: Sink, load: Load) -> None:
        while True:
            await sink.feel(self.choice.choice(list(Mood)))
            enough = load.requests + self.choice.randrange(1, _MOST_OF_A_MOOD)
            with contextlib.suppress(TimeoutError):
                await until(lambda: load.requests >= enough, _LONGEST_MOOD_S)  # noqa: B023 - awaited

    def _some(self) -> int:
        return self.choice.randrange(self._pace.most_requests)

    async def _until_acknowledged(self, load: Load, more: int) -> None:
        """Wait for so many acknowledged requests, but not for ever: exporters wait too."""
        enough = load.requests + more
        with contextlib.suppress(TimeoutError):
            await until(lambda: load.requests >= enough, _LONGEST_LIFE_S)

    def _note_metrics(self, program: Program) -> None:
        """Take in what this life has counted, as far as it can still be asked."""
        try:
            counted = program.live.metrics()
        except httpx.TransportError:
            return
        outcome = self.outcome
        outcome.spooled_requests += round(counted["spool_appended_requests_total"])
        outcome.drained_requests += round(counted["spool_delivered_requests_total"])
        outcome.counted_corrupt += round(counted["spool_corrupt_records_total"])
        outcome.counted_torn += round(counted["spool_torn_tails_total"])

    def _conclude(self, program: Program, sink: Sink, load: Load) -> None:
        outcome = self.outcome
        acknowledged, outcome.given_up = load.tally()
        outcome.acknowledged = len(acknowledged)
        outcome.lost = acknowledged - sink.arrivals.keys()
        outcome.arrived = sink.arrivals.total()
        outcome.repeated = outcome.arrived - len(sink.arrivals)
        outcome.moods = sink.requests
        outcome.resets = sink.resets
        outcome.peak_mib = {role: peak >> 20 for role, peak in program.peak_bytes.items()}


def kill_over_and_over(
    folder: Path,
    protocol: Protocol,
    seed: int,
    kills: int,
    *,
    damages: int = 0,
    pace: Pace | None = None,
) -> Outcome:
    """Run with an upstream of ``protocol``: so many kills, then so many times damage on disk."""
    return asyncio.run(Killing(folder, protocol, seed, pace or Pace()).run(kills, damages=damages))
