"""A minute in six ticks or in one: the same evidence of the judge."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from bench.detect.signals import REFUSALS, SCORE
from bench.detect.traffic import Signal
from bench.detect.world import World

from tripswitch.config.detect_sections import BadMinutes, Detect
from tripswitch.detect.signals import kinds_of
from tripswitch.model.scope import Scope
from tripswitch.windows.rings import Floats

ROUTES = 40
CHANGE = 40
SCOPES = [Scope(f"/{index}", "bot", "v1") for index in range(ROUTES)]


def drawn(rng: np.random.Generator, signal: Signal, *, is_bad: bool) -> list[Floats]:
    """Return six buckets a route, one for each tick of a minute."""
    many, alike = np.full(ROUTES, 20.0), np.ones(ROUTES)
    usual = 0.04 if signal is REFUSALS else 0.0
    worse = np.full(ROUTES, usual + (0.05 if is_bad else 0.0))
    return [signal.draw(rng, many, worse, alike)[0] for _ in range(6)]


def evidence(minutes: list[list[Floats]], signal: Signal, ticks: int) -> Floats:
    """Return log E of every row and both one-sample detectors after those minutes.

    At minute 40 evidence begins anew with a budget beside which what is injected is nothing, and
    the baseline is frozen, since it would learn between the ticks of a minute.
    """
    detect = Detect(tick=60.0 / ticks, bad_minutes=BadMinutes(own_history=1))
    world = World(detect, 8 * ROUTES)
    arms = world.open(SCOPES, signal.measures)
    for minute, parts in enumerate(minutes):
        if minute == CHANGE:
            for name, row in product(("page_own", "look_own"), world.roster.rows().tolist()):
                world.roster.detectors[name].start(row, 0.05, world.now_ns)
        for part in parts if ticks == 6 else [np.sum(parts, axis=0)]:
            world.arrive(arms, [part], 0)
            world.call(arms, part[:, 0])
            if minute >= CHANGE - 1:
                world.judge.incident_rows = set(world.roster.rows().tolist())
            world.tick()
    rows = world.roster.rows()
    found = [world.roster.detectors[name].evidence(rows) for name in ("page_own", "look_own")]
    return np.log(np.stack(found))


@pytest.mark.parametrize("signal", [SCORE, REFUSALS], ids=["scores", "rates"])
def test_six_ticks_of_a_minute_weigh_as_the_whole_minute_does(signal: Signal) -> None:
    """Through the judge on the own past; what differs is when a minute's injection came."""
    rng = np.random.default_rng(12)
    minutes = [drawn(rng, signal, is_bad=minute >= CHANGE) for minute in range(CHANGE + 4)]
    whole, split = (evidence(minutes, signal, ticks) for ticks in (1, 6))
    assert whole.shape[1] == ROUTES * len(kinds_of(signal.measures[0]))
    assert np.ptp(whole) > 5
    loud = whole > -8.0
    assert np.count_nonzero(loud) >= ROUTES
    assert (np.abs(split - whole)[loud] < 1e-3).all()
