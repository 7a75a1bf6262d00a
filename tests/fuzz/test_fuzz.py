"""Every committed seed, and new inputs made of them; ``python -m tests.fuzz`` makes many more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.mutation import SEEDS, TOKENS, Change, Kind, changed, seeds_of
from tests.fuzz.spool_targets import FILES
from tests.fuzz.targets import PURE
from tests.fuzz.wire_targets import SOCKETS, WireTargets

ALONE = {**PURE, **FILES}

_changes = st.lists(
    st.builds(
        Change,
        st.sampled_from(Kind),
        st.integers(0, 1 << 16),
        st.sampled_from((1, 2, 4, 8, 64)),
        st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
)


def inputs(target: str) -> st.SearchStrategy[bytes]:
    """Return inputs made of the seeds of a target."""
    return st.builds(changed, st.sampled_from(list(seeds_of(target).values())), _changes)


@pytest.fixture(scope="module")
def wire() -> Iterator[WireTargets]:
    """Receivers and an upstream for all tests here."""
    with WireTargets() as targets:
        yield targets


def test_every_folder_of_seeds_has_its_target() -> None:
    assert {folder.name for folder in Path(SEEDS).iterdir()} == {*ALONE, *SOCKETS}


@pytest.mark.parametrize("name", ALONE)
def test_seeds(name: str) -> None:
    for data in seeds_of(name).values():
        ALONE[name](data)


@pytest.mark.parametrize("name", ALONE)
def test_inputs_made_of_them(name: str) -> None:
    target: Callable[[bytes], None] = ALONE[name]

    @settings(
        max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(inputs(name))
    def check(data: bytes) -> None:
        target(data)

    check()


@pytest.mark.parametrize("name", SOCKETS)
def test_seeds_over_sockets(name: str, wire: WireTargets) -> None:
    for data in seeds_of(name).values():
        SOCKETS[name](wire, data)


@pytest.mark.parametrize("name", SOCKETS)
def test_inputs_made_of_them_over_sockets(name: str, wire: WireTargets) -> None:
    @settings(
        max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(inputs(name))
    def check(data: bytes) -> None:
        SOCKETS[name](wire, data)

    check()
