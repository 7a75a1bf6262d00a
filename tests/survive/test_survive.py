"""Nothing acknowledged is lost, whatever is killed, cut, damaged or full.

`bench.survive` does the same for longer.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.missing import not_tested
from tests.survive.full_disk import SmallDiskError, fill_and_recover
from tests.survive.killing import Pace, kill_over_and_over
from tests.survive.program import JUDGE, WIRE

# A request under way is a batch of 100 small spans; both processes idle at about 80 MiB.
MOST_MIB = {WIRE: 200, JUDGE: 200}


@pytest.mark.matrix
@pytest.mark.timeout(300)
def test_what_real_exporters_were_told_is_taken_arrives_after_kills_and_damage(
    tmp_path: Path,
) -> None:
    outcome = kill_over_and_over(
        tmp_path, "grpc", seed=1, kills=2, damages=1, pace=Pace(most_requests=30, deadline_s=2)
    )
    assert (outcome.kills, outcome.exit_code) == (3, 0)
    assert outcome.acknowledged > 500
    assert outcome.drained_requests > 10
    assert outcome.lost <= outcome.damaged
    assert outcome.counted_corrupt == outcome.damaged_records > 0
    assert all(outcome.peak_mib[role] < most for role, most in MOST_MIB.items())


@pytest.mark.timeout(300)
def test_a_full_disk_is_told_as_such_and_recovered_from_without_loss(tmp_path: Path) -> None:
    try:
        outcome = asyncio.run(fill_and_recover(tmp_path, "http", seed=1, room_mib=2, deadline_s=1))
    except SmallDiskError as error:
        not_tested(f"a full disk; no small one can be mounted: {error}")
    assert outcome.exit_code == 0
    assert outcome.lost == 0
    assert outcome.on_disk_requests > 20
    assert outcome.refusals >= 4
    assert outcome.peak_mib is not None
    assert all(outcome.peak_mib[role] < most for role, most in MOST_MIB.items())
