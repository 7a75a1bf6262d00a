"""Harm costs a bounded amount of memory, is answered honestly, and others are served meanwhile.

`bench.bombs` does all of it, with twenty times the connections.
"""

from __future__ import annotations

import asyncio
import gzip
import random
import zlib
from pathlib import Path

import pytest

from tests.bombs.attacks import (
    bomb_over_grpc,
    deep_and_dense,
    faults_of,
    idle_ones,
    packed_bombs,
    slow_ones,
)
from tests.bombs.making import crc_of_zeros, gzip_members, gzip_stream, zlib_stream
from tests.bombs.siege import Siege
from tests.otlp.upstream import Upstream
from tests.survive.program import Program, settings_for

CONNECTIONS = 500


@pytest.mark.parametrize("size_bytes", [0, 1, 1_000, (40 << 20) + 7])
def test_bombs_are_what_they_say_they_are(size_bytes: int) -> None:
    assert crc_of_zeros(size_bytes) == zlib.crc32(bytes(size_bytes))
    assert gzip.decompress(gzip_stream(size_bytes)) == bytes(size_bytes)
    assert zlib.decompress(zlib_stream(size_bytes)) == bytes(size_bytes)
    whole_bytes = size_bytes >> 24 << 24
    assert gzip.decompress(gzip_members(size_bytes)) == bytes(whole_bytes)


@pytest.mark.timeout(300)
def test_bombs_idle_connections_and_slow_clients(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            settings = settings_for("grpc", upstream.endpoint, random.Random(1))
            for protocol in settings["receivers"]["otlp"]["protocols"].values():
                protocol["read_timeout"] = "2s"
            program = Program(tmp_path, settings)
            program.start()
            try:
                await program.until_up()
                siege = Siege(program)
                faults = []
                for attack in (
                    packed_bombs("grpc")[0],
                    bomb_over_grpc(),
                    deep_and_dense("grpc")[0],
                    *idle_ones(program, CONNECTIONS),
                    slow_ones(0.05),
                ):
                    faults += await faults_of(attack, siege)
                assert faults == []
                assert await program.stop() == 0
            finally:
                if program.process is not None and program.process.poll() is None:
                    program.process.kill()
                    program.process.wait()

    asyncio.run(check())
