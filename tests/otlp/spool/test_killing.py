"""A process killed at random moments loses nothing that it acknowledged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.otlp.spool.killing import MOST_ACKNOWLEDGED, kill_over_and_over


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_when_killed(tmp_path: Path) -> None:
    kills = 10
    outcome = kill_over_and_over(tmp_path, kills, seed=3)
    assert outcome.lost == []
    assert outcome.acknowledged > kills * MOST_ACKNOWLEDGED / 5
    # At a kill there are at most four in flight, delivered and not yet noted.
    assert outcome.repeated <= 4 * kills
