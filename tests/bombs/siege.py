"""One tripswitch under attack: what it costs it, and whether others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import grpc
import grpc.aio

from tests.otlp.raw_http import PROTOBUF, connect, head, post, read_response
from tests.otlp.raw_http2 import RawCall, grpc_message
from tests.otlp.relay import client, send, until
from tests.survive.program import JUDGE, WIRE, forget_peak, peak_bytes
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.survive.program import Program

_METHOD = TRACES_METHOD.encode("ascii")
_NORMAL = b"\x0a\x00"
_LONGEST_S = 120.0

# What an exporter gives an export with all its tries, and soon after how long it tries again.
_DEADLINE_S = 10.0
_COME_AGAIN_S = 0.5

# Every address of the loopback net has ports of its own.
_CONNECTIONS_AN_ADDRESS = 5_000


class Cost(NamedTuple):
    """What an attack did. Growth is that of the peak over what was resident before, MiB.

    ``served`` counts the requests of a well-behaved client that were accepted during the attack,
    one at a time; ``slowest_s`` is the longest that one took, with the times it was told to come
    again, ``told_again``.
    """

    name: str
    answers: dict[str, int]
    growth_mib: dict[str, int]
    served: int
    slowest_s: float
    told_again: int

    def told(self) -> str:
        """Return it as a line for people."""
        answers = ", ".join(f"{count} x {answer}" for answer, count in self.answers.items())
        return (
            f"{self.name}: answered {answers}; wire +{self.growth_mib[WIRE]} MiB, "
            f"judge +{self.growth_mib[JUDGE]} MiB; {self.served} others served meanwhile, "
            f"slowest {self.slowest_s:.2f} s, told to come again {self.told_again} times"
        )


class Siege:
    """Attacks ``program`` and keeps the ``costs``. Raises where others are not served."""

    def __init__(self, program: Program) -> None:
        self.costs: list[Cost] = []
        self._program = program
        self._url = f"http://{program.endpoint('http')}"
        self._served = 0
        self._slowest_s = 0.0
        self._told_again = 0
        # Exporters that come again keep no step with others, nor with what they wait for.
        self._rng = random.Random(1)

    async def unfold(self, name: str, bomb: bytes, encoding: str, times: int = 4) -> Cost:
        """Post a body with a content-encoding, so many times at once."""
        headers = (("content-encoding", encoding),)
        async with self._measured(name) as answers:
            await asyncio.gather(*(self._post(bomb, answers, headers) for _ in range(times)))
        return self.costs[-1]

    async def unfold_over_grpc(self, name: str, bomb: bytes, times: int = 4) -> Cost:
        """Send a gRPC message that is gzip, so many times at once."""
        async with self._measured(name) as answers:
            await asyncio.gather(*(self._call(bomb, answers) for _ in range(times)))
        return self.costs[-1]

    async def post(self, name: str, body: bytes, content_type: str, times: int = 4) -> Cost:
        """Post a body as it is, so many times at once."""
        async with self._measured(name) as answers:
            await asyncio.gather(
                *(self._post(body, answers, (), content_type) for _ in range(times))
            )
        return self.costs[-1]

    async def idle(self, name: str, endpoint: str, count: int, said: bytes) -> Cost:
        """Open so many connections that say something and then nothing, and hold them."""
        need_files(count)
        open_ones: list[socket.socket] = []
        async with self._measured(name) as answers:
            try:
                await asyncio.to_thread(_open_all, endpoint, count, said, open_ones)
                # So that it is seen what the last of them cost.
                more = self._served + 20
                await until(lambda: self._served >= more, _LONGEST_S)
                answers["still open"] = await asyncio.to_thread(_count_open, open_ones)
            finally:
                for one in open_ones:
                    one.close()
        return self.costs[-1]

    async def dribble(self, name: str, byte_every_s: float, times: int = 4) -> Cost:
        """Send a body, and one over gRPC, a byte at a time, until it is given up."""
        async with self._measured(name) as answers:
            await asyncio.gather(
                *(self._dribble_http(byte_every_s, answers) for _ in range(times)),
                *(self._dribble_grpc(byte_every_s, answers) for _ in range(times)),
            )
        return self.costs[-1]

    @contextlib.asynccontextmanager
    async def _measured(self, name: str) -> AsyncIterator[Counter[str]]:
        """Measure what happens meanwhile, beside a client that goes on sending."""
        answers: Counter[str] = Counter()
        pids = {role: each.pid for role, each in self._program.processes().items()}
        for pid in pids.values():
            forget_peak(pid)
        before = {role: peak_bytes(pid) for role, pid in pids.items()}
        self._served, self._slowest_s, self._told_again = 0, 0.0, 0
        serving = asyncio.create_task(self._send_normally())
        try:
            await until(lambda: self._served or serving.done(), _LONGEST_S)
            yield answers
            await self._until_read()
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
        growth = {role: peak_bytes(pid) - before[role] >> 20 for role, pid in pids.items()}
        cost = Cost(name, dict(answers), growth, self._served, self._slowest_s, self._told_again)
        self.costs.append(cost)

    async def _send_normally(self) -> None:
        """Send over both protocols in turns, one at a time; every one must be accepted in time."""
        async with client(self._program.endpoint("grpc")) as channel:

            async def over_grpc() -> bool:
                try:
                    await send(channel, TRACES_METHOD, _NORMAL, timeout_s=_DEADLINE_S)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    return False
                return True

            while True:
                for send_once in (self._send_over_http, over_grpc):
                    began_s = time.monotonic()
                    async with asyncio.timeout(_DEADLINE_S):
                        while not await send_once():
                            self._told_again += 1
                            await asyncio.sleep(_COME_AGAIN_S * self._rng.uniform(0.5, 1.5))
                    self._slowest_s = max(self._slowest_s, time.monotonic() - began_s)
                    self._served += 1

    async def _send_over_http(self) -> bool:
        try:
            answer = await post(self._url, "/v1/traces", _NORMAL)
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        assert answer.status in (200, 503), answer
        return answer.status == 200

    async def _until_read(self) -> None:
        """Wait until the judge has taken in what there was; meanwhile others are served."""
        live = self._program.live
        await until(lambda: live.metric("tap_queued_requests") < 2, _LONGEST_S)

    async def _post(
        self,
        body: bytes,
        answers: Counter[str],
        headers: tuple[tuple[str, str], ...],
        content_type: str = PROTOBUF,
    ) -> None:
        answer = await post(self._url, "/v1/traces", body, content_type, headers)
        answers[str(answer.status)] += 1

    async def _call(self, bomb: bytes, answers: Counter[str]) -> None:
        raw = await RawCall.open(
            self._program.endpoint("grpc"), _METHOD, (b"grpc-encoding", b"gzip")
        )
        await raw.send(grpc_message(bomb, is_packed=True), is_last=True)
        answers[_status(await raw.finish())] += 1

    async def _dribble_http(self, byte_every_s: float, answers: Counter[str]) -> None:
        reader, writer = await connect(self._url)
        headers = (("content-type", PROTOBUF), ("content-length", "1000000"))
        writer.write(head("/v1/traces", headers))
        answering = asyncio.create_task(read_response(reader))
        while not answering.done():
            writer.write(b"x")
            await asyncio.wait({answering}, timeout=byte_every_s)
        answers[str(answering.result().status)] += 1
        writer.close()

    async def _dribble_grpc(self, byte_every_s: float, answers: Counter[str]) -> None:
        raw = await RawCall.open(self._program.endpoint("grpc"), _METHOD)
        finishing = asyncio.create_task(raw.finish())
        for byte in grpc_message(bytes(60_000)):
            await raw.send(bytes([byte]))
            await asyncio.wait({finishing}, timeout=byte_every_s)
            if finishing.done():
                break
        answers[_status(finishing.result())] += 1


def need_files(count: int) -> None:
    """Let this process open ``count`` connections; raises OSError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 500
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


def _status(headers: bytes) -> str:
    """Return grpc-status as it stands among headers that are not compressed."""
    _, found, rest = headers.partition(b"grpc-status")
    return f"grpc-status {rest[1 : 1 + rest[0]].decode('ascii')}" if found else "no status"


def _open_all(endpoint: str, count: int, said: bytes, opened: list[socket.socket]) -> None:
    host, _, port = endpoint.partition(":")
    for number in range(count):
        source = f"127.0.0.{2 + number // _CONNECTIONS_AN_ADDRESS}"
        one = socket.create_connection((host, int(port)), _LONGEST_S, (source, 0))
        opened.append(one)
        if said:
            with contextlib.suppress(ConnectionError):
                one.sendall(said)


def _count_open(opened: list[socket.socket]) -> int:
    """Return how many of the connections the other end has not closed."""
    return sum(_is_open(one) for one in opened)


def _is_open(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while data := one.recv(1 << 12):
            del data
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
