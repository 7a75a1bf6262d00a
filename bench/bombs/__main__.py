"""Attack `tripswitch run` with defaults, before an upstream of either protocol.

    python -m bench.bombs [--connections N] [--byte-every S]

Bodies of 10 GB once unpacked, JSON and protobuf that nest deep or are nothing but empty parts, idle
connections at each stage of a request, clients that send a byte a second. Prints what each was
answered, how far the memory of wire and judge grew, and how others were served meanwhile; ends
with 1 where an answer was not honest, growth not bounded, or somebody not served.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bombs.attacks import (
    bomb_over_grpc,
    deep_and_dense,
    faults_of,
    idle_ones,
    packed_bombs,
    slow_ones,
)
from tests.bombs.siege import Siege
from tests.otlp.http_upstream import HttpUpstream
from tests.otlp.upstream import Upstream
from tests.survive.program import Program, settings_for

if TYPE_CHECKING:
    from tests.survive.sink import Protocol


async def attacked(
    folder: Path, protocol: Protocol, connections: int, byte_every_s: float
) -> list[str]:
    """Attack a tripswitch of its own; return in words what must not be."""
    upstream = Upstream() if protocol == "grpc" else HttpUpstream()
    async with upstream:
        endpoint = upstream.endpoint if isinstance(upstream, Upstream) else upstream.url
        settings = settings_for(protocol, endpoint.removeprefix("http://"), random.Random())
        program = Program(folder, settings)
        program.start()
        try:
            await program.until_up()
            siege = Siege(program)
            attacks = [*packed_bombs(protocol), bomb_over_grpc(), *deep_and_dense(protocol)]
            if protocol == "grpc":
                attacks += [*idle_ones(program, connections), slow_ones(byte_every_s)]
            faults = []
            for attack in attacks:
                faults += await faults_of(attack, siege)
                print(siege.costs[-1].told(), flush=True)
                upstream.got.clear()
            if await program.stop():
                faults.append("it did not end well")
        finally:
            if program.process is not None and program.process.poll() is None:
                program.process.kill()
                program.process.wait()
    return faults


def main() -> None:
    """Attack, and print what it cost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--connections", type=int, default=10_000, help="idle ones at a time")
    parser.add_argument("--byte-every", type=float, default=1.0, help="how slow clients send, s")
    arguments = parser.parse_args()
    faults: list[str] = []
    protocols: tuple[Protocol, ...] = ("grpc", "http")
    for protocol in protocols:
        print(f"--- upstream over {protocol}")
        with tempfile.TemporaryDirectory(prefix="bombs-") as folder:
            faults += asyncio.run(
                attacked(Path(folder), protocol, arguments.connections, arguments.byte_every)
            )
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
