"""Look for what is lost.

    python -m bench.survive [--kills N] [--damages N] [--exporters N] [--seed N]

For an upstream of either protocol: N kills of `tripswitch run` with -9 at random moments under
load from the exporters of the OpenTelemetry SDK, while the upstream is well, away, slow,
UNAVAILABLE or resets connections; then damage on disk between kill and restart; then a disk that
is full. Every span that an exporter was told is taken must arrive, or have been in a record that
was damaged and counted. Ends with 1 where something was lost or memory was not bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.survive.full_disk import SmallDiskError, fill_and_recover
from tests.survive.killing import Pace, kill_over_and_over

if TYPE_CHECKING:
    from tests.survive.full_disk import FullDisk
    from tests.survive.killing import Outcome
    from tests.survive.sink import Protocol

# Both processes together; what a kill leaves waiting is on disk and not in memory.
MOST_MIB = 400

_PROTOCOLS: tuple[Protocol, ...] = ("grpc", "http")


def faults_of_kills(outcome: Outcome) -> list[str]:
    """Return what must not be, in words."""
    faults = []
    if outcome.lost - outcome.damaged:
        faults.append(f"lost: {len(outcome.lost - outcome.damaged)} spans that were acknowledged")
    if outcome.counted_corrupt != outcome.damaged_records:
        faults.append("damaged records are not the ones counted")
    if sum(outcome.peak_mib.values()) > MOST_MIB:
        faults.append(f"more than {MOST_MIB} MiB of memory")
    if outcome.exit_code:
        faults.append(f"exit code {outcome.exit_code}")
    return faults


def faults_of_full_disk(outcome: FullDisk) -> list[str]:
    """Return what must not be, in words."""
    faults = []
    if outcome.lost:
        faults.append(f"lost: {outcome.lost} spans that were acknowledged")
    if sum((outcome.peak_mib or {}).values()) > MOST_MIB:
        faults.append(f"more than {MOST_MIB} MiB of memory")
    if outcome.exit_code:
        faults.append(f"exit code {outcome.exit_code}")
    return faults


def main() -> None:
    """Run all of it and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=60, help="kills for each protocol")
    parser.add_argument("--damages", type=int, default=8, help="times damage for each protocol")
    parser.add_argument("--exporters", type=int, default=2, help="exporters of each kind")
    parser.add_argument("--seed", type=int, help="what everything random comes from")
    arguments = parser.parse_args()
    # An exporter writes a line for every retry.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    seed = random.SystemRandom().randrange(1 << 30) if arguments.seed is None else arguments.seed
    faults: list[str] = []
    for protocol in _PROTOCOLS:
        began_s = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="survive-") as folder:
            outcome = kill_over_and_over(
                Path(folder),
                protocol,
                seed,
                arguments.kills,
                damages=arguments.damages,
                pace=Pace(exporters=arguments.exporters),
            )
        print(f"--- upstream over {protocol}, seed {seed}, {time.monotonic() - began_s:.0f} s")
        print(outcome.told(), flush=True)
        faults += faults_of_kills(outcome)
    for protocol in _PROTOCOLS:
        print(f"--- full disk, upstream over {protocol}, seed {seed}")
        with tempfile.TemporaryDirectory(prefix="survive-") as folder:
            try:
                full = asyncio.run(fill_and_recover(Path(folder), protocol, seed))
            except SmallDiskError as error:
                faults.append(f"no small disk can be mounted here: {error}")
                continue
        print(full.told(), flush=True)
        faults += faults_of_full_disk(full)
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
