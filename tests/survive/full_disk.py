"""A disk that is really full: a small one in memory, mounted for tripswitch alone.

The mount lives in a namespace of its own, which the kernel makes without privileges where that is
allowed and takes away with the last process in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.otlp.raw_http import HttpResponse, post
from tests.otlp.relay import client, send, until
from tests.survive.load import DEADLINE_S, Load
from tests.survive.program import JUDGE, WIRE, Program, settings_for
from tests.survive.sink import Mood, Sink
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

if TYPE_CHECKING:
    from types import TracebackType

    from tests.survive.sink import Protocol

DISK_MIB = 32

_WAIT_S = 120.0
_FULL = "spool_full"


class SmallDiskError(Exception):
    """This machine does not let a test mount a disk."""


class SmallDisk:
    """A context manager: a disk of ``DISK_MIB`` at ``inside``, seen from here at ``outside``."""

    def __init__(self, mount_at: Path) -> None:
        self.inside = mount_at
        mount_at.mkdir()
        mount = f"mount -t tmpfs -o size={DISK_MIB}m none '{mount_at}' && echo mounted && exec cat"
        self._holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def outside(self) -> Path:
        """Return the way to it from this process."""
        return Path(f"/proc/{self._holder.pid}/root{self.inside}")

    @property
    def prefix(self) -> list[str]:
        """Return what begins a command that has the disk."""
        target = ["--target", str(self._holder.pid)]
        return ["nsenter", *target, "--user", "--mount", "--preserve-credentials"]

    def __enter__(self) -> Self:
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"mounted\n":
            _, said = self._holder.communicate()
            raise SmallDiskError(said.decode(errors="replace").strip())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its input ends, and with it cat.
        self._holder.communicate()


@dataclass
class FullDisk:
    """What came of it; ``refusals`` counts the requests told to come again while it was full."""

    acknowledged: int = 0
    lost: int = 0
    arrived: int = 0
    repeated: int = 0
    refusals: int = 0
    on_disk_requests: int = 0
    peak_mib: dict[str, int] | None = None
    exit_code: int = -1

    def told(self) -> str:
        """Return it as a few lines for people."""
        assert self.peak_mib is not None
        return (
            f"disk of {DISK_MIB} MiB, full with {self.on_disk_requests} requests; "
            f"{self.refusals} more were told to come again\n"
            f"spans acknowledged {self.acknowledged}, lost {self.lost}; arrived {self.arrived}, "
            f"{self.repeated} of them again\n"
            f"peak memory: wire {self.peak_mib[WIRE]} MiB, judge {self.peak_mib[JUDGE]} MiB"
        )


async def fill_and_recover(
    folder: Path,
    protocol: Protocol,
    seed: int,
    *,
    room_mib: int = 8,
    deadline_s: float = DEADLINE_S,
) -> FullDisk:
    """Fill the disk, look at what clients are told, kill, go on full, and recover by itself.

    ``room_mib`` is how much of the disk there is to fill, each of the two times; an export may
    take ``deadline_s``. Raises SmallDiskError where no disk can be mounted, AssertionError where
    clients are told something else than to come again.
    """
    choice = random.Random(seed)
    outcome = FullDisk()
    with SmallDisk(folder / "disk") as disk:
        async with Sink(protocol, choice) as sink:
            settings = settings_for(protocol, sink.endpoint, choice)
            settings["spool"] = {"segment_bytes": "1MiB"}
            program = Program(
                folder,
                settings,
                state=disk.inside / "state",
                seen_state=disk.outside / "state",
                prefix=disk.prefix,
            )
            load = Load(program.endpoint("grpc"), program.endpoint("http"), deadline_s=deadline_s)
            ballast = disk.outside / "ballast"
            try:
                program.start()
                await program.until_up()
                # Somebody else has taken most of the room.
                ballast.write_bytes(bytes((DISK_MIB - room_mib) << 20))
                await sink.feel(Mood.AWAY)
                load.start()
                await _fill(program, outcome)
                await program.kill()
                program.start()
                # Nothing is left to write down where it listens: it must listen all the same.
                await program.until_listening()
                await _is_told_to_come_again(program, outcome)
                os.truncate(ballast, (DISK_MIB - 2 * room_mib) << 20)
                await _is_taken_again(program)
                await _fill(program, outcome)
                await asyncio.to_thread(load.stop)
                await sink.feel(Mood.WELL)
                await program.until_up()
                live = program.live
                await until(lambda: live.metric("exporter_queue_size") == 0, _WAIT_S)
                await sink.feel(Mood.AWAY)
                await _is_taken_again(program)
                assert live.metric(_FULL) == 0
                outcome.exit_code = await program.stop()
            finally:
                if program.process is not None and program.process.poll() is None:
                    program.process.kill()
                    program.process.wait()
            outcome.peak_mib = {role: peak >> 20 for role, peak in program.peak_bytes.items()}
            acknowledged, _ = load.tally()
            outcome.acknowledged = len(acknowledged)
            outcome.lost = len(acknowledged - sink.arrivals.keys())
            outcome.arrived = sink.arrivals.total()
            outcome.repeated = outcome.arrived - len(sink.arrivals)
    return outcome


async def _fill(program: Program, outcome: FullDisk) -> None:
    """Wait until the exporters have filled the disk and see what everybody is told."""
    live = program.live
    await until(lambda: live.metric(_FULL) == 1, _WAIT_S)
    await _is_told_to_come_again(program, outcome)
    counted = live.metrics()
    outcome.on_disk_requests = round(counted["exporter_queue_size"])
    outcome.refusals += round(counted["exporter_enqueue_failed_requests_total"])
    assert counted.get("judge_errors_total", 0) == 0
    assert live.get("health", "/").status_code == 200


async def _is_told_to_come_again(program: Program, outcome: FullDisk) -> None:
    body = _megabyte()
    async with client(program.endpoint("grpc")) as channel:
        try:
            await send(channel, TRACES_METHOD, body)
        except grpc.aio.AioRpcError as refusal:
            trailers: Any = refusal.trailing_metadata()
            told = refusal.code(), {key for key, _ in trailers}
        else:
            raise AssertionError("a full disk took a request")
    hints = {"google.rpc.retryinfo-bin", "grpc-status-details-bin"}
    assert told == (grpc.StatusCode.UNAVAILABLE, hints), told
    answer = await _post(program, body)
    assert (answer.status, answer.header("retry-after")) == (503, "2"), answer
    outcome.refusals += 2


async def _is_taken_again(program: Program) -> None:
    """Send until it is taken, as a client does that was told to come again."""
    async with asyncio.timeout(_WAIT_S):
        while (await _post(program, _megabyte())).status != 200:
            pass


async def _post(program: Program, body: bytes) -> HttpResponse:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        return await post(f"http://{program.endpoint('http')}", "/v1/traces", body)
    return HttpResponse(0, (), b"")


def _megabyte() -> bytes:
    """Return a request of a megabyte without a span in it."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add(schema_url="x" * (1 << 20))
    return request.SerializeToString()
