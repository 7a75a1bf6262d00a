"""The director ends in time, says so, and leaves no process behind."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from tripswitch.drive.demo import story
from tripswitch.drive.demo.cast import Cast
from tripswitch.drive.demo.children import DemoError
from tripswitch.drive.demo.observed import claims
from tripswitch.drive.demo.play import Director

TOLD = story.STORIES["regression"]


@pytest.mark.matrix
def test_a_story_that_takes_too_long_is_cut_short_and_not_called_observed() -> None:
    with Cast(TOLD, 1) as cast:
        director = Director(cast, TOLD, 1, lambda _seen: None, speed=20, longest_s=1.0)
        seen = director.play()
        processes = [psutil.Process(pid) for pid in cast.pids().values()]
        processes += [below for each in processes for below in each.children()]
    played = next(claim for claim in claims(seen) if "played to its end" in claim.claim)
    assert not played.held
    assert "stopped after 1 s" in played.detail
    assert seen.gateway["sent"] == seen.received
    assert len(processes) == 4
    assert not any(process.is_running() for process in processes)


def test_a_process_that_dies_ends_the_demo_in_words() -> None:
    with Cast(TOLD, 1) as cast:
        director = Director(cast, TOLD, 1, lambda _seen: None, speed=20)
        os.kill(cast.pids()["collector"], signal.SIGKILL)
        with pytest.raises(DemoError, match="collector process ended with exit code -9"):
            director.play()


@pytest.mark.matrix
def test_a_tripswitch_that_judges_nothing_ends_the_story_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tripswitch.drive.demo.play._STALLED_S", 1.0)
    with Cast(TOLD, 1) as cast:
        # Without leave the gateway sends nothing, so there is nothing to judge.
        seen = Director(cast, TOLD, 1, lambda _seen: None, speed=0.0).play()
    assert seen.cut_short == "tripswitch judged nothing new for 1 s, 0 minutes into the story"
