"""What holds for every test."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes says something about the machine, not about the program.
settings.register_profile("tripswitch", deadline=None)
settings.load_profile("tripswitch")

# Threads that the program leaves to themselves on purpose; they end when an export has timed out.
_LEFT: Final = "own-"
_LONGEST_S: Final = 60.0


def pytest_xdist_auto_num_workers() -> int:
    """Return how many workers there are: one more than processors, as many tests wait for others'
    processes to start.
    """
    return (os.cpu_count() or 1) + 1


@pytest.fixture(autouse=True)
def _nothing_of_ours_outlives_a_test() -> Iterator[None]:
    """Wait for the senders that a test left behind, and fail where one does not end.

    The exporters of the SDK draw their pauses from the `random` module; where one still does so
    below the next test, Hypothesis takes it for a strategy that cannot be repeated.
    """
    yield
    for thread in threading.enumerate():
        if thread.name.startswith(_LEFT):
            thread.join(_LONGEST_S)
            assert not thread.is_alive(), f"{thread.name} outlived its test"
