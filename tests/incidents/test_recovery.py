"""Recovery: both conditions, against a control and against a fixed baseline."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.lines import lines_of
from tripswitch.detect.signals import Kind
from tripswitch.incidents.recovery import LAG_MINUTES, Recovery, Watched
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.windows.rings import Rings

WINDOW = 15
START_MINUTE = 1000


def _watched(kind: Kind, *, has_control: bool, usual: float) -> Watched:
    return Watched(
        kind=kind,
        name="signal",
        row=0,
        control_row=1 if has_control else None,
        usual_y=usual,
        mirrored=kind is Kind.REFUSAL_DOWN,
        lines=lines_of(kind, Detect()),
    )


def _run(
    watched: Watched,
    minutes: int,
    *,
    rate: float,
    control_rate: float,
    per_minute: int,
    bad_minutes: int = 0,
    bad_rate: float = 0.0,
    seed: int = 1,
) -> tuple[Recovery, int | None]:
    """Feed Bernoulli traffic; return the recovery and the minute of the first proof."""
    rng = np.random.default_rng(seed)
    rings = Rings()
    rings.advance(START_MINUTE * NS_PER_MINUTE)
    recovery = Recovery([watched], START_MINUTE)
    proven = None
    for minute in range(START_MINUTE + 1, START_MINUTE + 1 + minutes):
        rings.advance(minute * NS_PER_MINUTE)
        share = bad_rate if minute <= START_MINUTE + bad_minutes else rate
        for row, probability in ((0, share), (1, control_rate)):
            values = (rng.random(per_minute) < probability).astype(np.float64)
            rows = np.full(per_minute, row, dtype=np.int64)
            rings.add(rows, np.full(per_minute, minute, dtype=np.int64), values)
        recovery.advance(rings, WINDOW)
        if proven is None and recovery.is_proven(WINDOW):
            proven = minute - START_MINUTE
    return recovery, proven


@pytest.mark.parametrize("has_control", [True, False])
@pytest.mark.parametrize("kind", [Kind.EVAL, Kind.REFUSAL_UP, Kind.ERROR])
def test_true_recovery_is_proven_after_a_whole_window(kind: Kind, has_control: bool) -> None:
    watched = _watched(kind, has_control=has_control, usual=0.04)
    _, proven = _run(watched, 60, rate=0.04, control_rate=0.04, per_minute=600)
    assert proven is not None
    assert WINDOW <= proven - LAG_MINUTES <= 40


@pytest.mark.parametrize("has_control", [True, False])
def test_a_drop_that_is_still_there_is_never_called_recovered(has_control: bool) -> None:
    for seed in range(20):
        watched = _watched(Kind.EVAL, has_control=has_control, usual=0.10)
        _, proven = _run(watched, 120, rate=0.16, control_rate=0.10, per_minute=30, seed=seed)
        assert proven is None


def test_good_looks_with_thin_traffic_are_not_proof() -> None:
    watched = _watched(Kind.EVAL, has_control=False, usual=0.10)
    recovery, proven = _run(watched, 40, rate=0.10, control_rate=0.10, per_minute=4)
    assert proven is None
    assert "proven at 1" in recovery.sentence(WINDOW)


def test_a_bad_stretch_starts_the_window_anew() -> None:
    watched = _watched(Kind.EVAL, has_control=True, usual=0.10)
    _, proven = _run(
        watched, 60, rate=0.1, control_rate=0.1, per_minute=600, bad_minutes=10, bad_rate=0.3
    )
    assert proven is not None
    assert proven > 10 + WINDOW


def test_nothing_watched_proves_nothing() -> None:
    assert not Recovery([], START_MINUTE).is_proven(WINDOW)


@pytest.mark.parametrize("has_control", [True, False])
@pytest.mark.parametrize("kind", [Kind.EVAL, Kind.REFUSAL_DOWN, Kind.TOKENS])
def test_a_proof_goes_on_from_what_was_written_down(kind: Kind, has_control: bool) -> None:
    """At every minute, with arms that are empty in turn, so that one waits for the other."""
    watched = _watched(kind, has_control=has_control, usual=0.3)
    rng = np.random.default_rng(5)
    rings = Rings()
    rings.advance(START_MINUTE * NS_PER_MINUTE)
    through = Recovery([watched], START_MINUTE)
    again = Recovery([watched], START_MINUTE)
    for minute in range(START_MINUTE + 1, START_MINUTE + 40):
        rings.advance(minute * NS_PER_MINUTE)
        for row in (0, 1):
            values = rng.random(int(rng.choice([0, 0, 7, 40])))
            rows = np.full(len(values), row, dtype=np.int64)
            rings.add(rows, np.full(len(values), minute, dtype=np.int64), values)
        through.advance(rings, WINDOW)
        again = Recovery.of_json(json.loads(json.dumps(again.as_json())))
        again.advance(rings, WINDOW)
        assert repr(again.as_json()) == repr(through.as_json())
        assert again.sentence(WINDOW) == through.sentence(WINDOW)
    assert through.proofs[0].samples > 0


def test_a_proof_of_another_make_is_not_taken_up() -> None:
    kept = Recovery([_watched(Kind.EVAL, has_control=False, usual=0.1)], 3).as_json()
    kept["proofs"][0]["watched"]["kind"] = "SOMETHING_LATER"
    with pytest.raises(KeyError):
        Recovery.of_json(kept)
