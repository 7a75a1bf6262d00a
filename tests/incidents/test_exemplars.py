"""Exemplars, affected tenants and the change log."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.incidents import exemplars, worst
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.exemplars import Exemplars
from tripswitch.incidents.offers import Exemplar, Offers
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
from tripswitch.model.scope import Scope

ARM = Scope("/chat", "bot", "v2", "canary")
SIGNALS = ("refusal_rate",)
NOW_NS = 10**18


def _exemplar(
    index: int, badness: float = 1.0, tenant: str | None = None, session: str | None = None
) -> Exemplar:
    return Exemplar(badness, f"{index:032x}", tenant, session, NOW_NS)


def test_worst_traces_come_first_and_tenants_differ_where_they_can() -> None:
    exemplars = Exemplars()
    for index, (badness, tenant) in enumerate(
        [(0.9, "acme"), (0.8, "acme"), (0.7, "globex"), (0.6, "initech"), (0.5, "acme")]
    ):
        exemplars.add(ARM, "refusal_rate", _exemplar(index, badness, tenant))
    chosen = exemplars.pick(ARM, SIGNALS, NOW_NS, 3)
    assert chosen == (f"{0:032x}", f"{2:032x}", f"{3:032x}")


def test_traces_before_the_onset_are_not_shown() -> None:
    exemplars = Exemplars()
    exemplars.add(ARM, "refusal_rate", _exemplar(1))
    assert exemplars.pick(ARM, SIGNALS, NOW_NS + 2 * NS_PER_MINUTE, 3) == ()


def test_a_family_shows_the_traces_of_its_arms_and_no_others() -> None:
    exemplars = Exemplars()
    exemplars.add(ARM, "refusal_rate", _exemplar(1))
    exemplars.add(ARM._replace(route="/other"), "refusal_rate", _exemplar(2))
    assert exemplars.pick(ARM.family(), SIGNALS, NOW_NS, 3) == (f"{1:032x}",)


@given(st.permutations(list(range(30))))
def test_the_choice_does_not_depend_on_the_order_of_arrival(order: list[int]) -> None:
    exemplars = Exemplars()
    for index in order:
        exemplars.add(ARM, "refusal_rate", _exemplar(index, badness=(index % 7) / 7))
    worst = sorted(range(30), key=lambda index: (-((index % 7) / 7), index))[:3]
    assert exemplars.pick(ARM, SIGNALS, NOW_NS, 3) == tuple(f"{index:032x}" for index in worst)


def test_memory_is_bounded_in_arms_tenants_and_traces() -> None:
    exemplars = Exemplars()
    for index in range(5000):
        arm = ARM._replace(prompt_version=f"v{index}")
        exemplars.add(arm, "refusal_rate", _exemplar(index, tenant=f"t{index}"))
        exemplars.add(ARM, "refusal_rate", _exemplar(index, tenant=f"t{index}"))
    assert len(exemplars._arms) <= 2000
    assert len(exemplars.tenants(ARM, SIGNALS, NOW_NS, most=1000)) <= 50


def test_a_version_found_running_is_no_change_and_a_new_one_is() -> None:
    log = ChangeLog()
    assert log.see_arm(ARM._replace(prompt_version="v1"), NOW_NS, found_running=True) is None
    change = log.see_arm(ARM, NOW_NS + 1, found_running=False)
    assert change is not None
    assert (change.before, change.after) == ("v1", "v2")
    assert log.before(ARM, NOW_NS + 2) == (change,)
    assert log.before(ARM._replace(route="/other"), NOW_NS + 2) == ()
    assert log.before(ARM, NOW_NS + 25 * NS_PER_HOUR) == ()


offer = st.tuples(
    st.integers(0, 3),  # the OTLP request it came with, by which they are sorted
    st.integers(0, 2),  # the arm
    st.integers(0, 1),  # the signal
    st.integers(-12, 0),  # minutes
    st.sampled_from([0.25, 0.5, 0.75, 1.0]),
    st.sampled_from([None, *[f"t{number}" for number in range(8)]]),
)


@given(st.lists(st.lists(st.lists(offer, max_size=25), max_size=3), min_size=1, max_size=4))
def test_columns_of_offers_are_the_same_as_each_added_when_it_came(
    batches: list[list[list[tuple[int, int, int, int, float, str | None]]]],
) -> None:
    wide, plain = Exemplars(), Exemplars()
    with (
        patch.multiple(exemplars, _MOST_ARMS=2, _FEW=4),
        patch.multiple(worst, _MOST_TENANTS=3, _WORST=3),
    ):
        for batch in batches:
            kinds = [_offers(sorted(kind, key=lambda item: item[0])) for kind in batch]
            wide.take_offers(kinds)
            for each, index in _one_by_one(kinds):
                arm, signal = each.arms[each.arm[index]], each.signals[each.signal[index]]
                plain.add(arm, signal, each.exemplar(index))
    assert _held(wide) == _held(plain)


def _offers(kind: list[tuple[int, int, int, int, float, str | None]]) -> Offers:
    arms = list(dict.fromkeys(item[1] for item in kind))
    signals = list(dict.fromkeys(item[2] for item in kind))
    ends = np.array([NOW_NS + item[3] * NS_PER_MINUTE for item in kind], dtype=np.int64)
    return Offers(
        arms=[ARM._replace(prompt_version=f"v{number}") for number in arms],
        signals=[f"signal{number}" for number in signals],
        arm=np.array([arms.index(item[1]) for item in kind], dtype=np.int64),
        signal=np.array([signals.index(item[2]) for item in kind], dtype=np.int64),
        arrival=np.array([item[0] for item in kind], dtype=np.int64),
        moment_ns=ends,
        end_ns=ends,
        badness=np.array([item[4] for item in kind], dtype=np.float64),
        rows=np.arange(len(kind)),
        trace_id=[f"{number:032x}" for number in range(len(kind))],
        tenant=[item[5] for item in kind],
        session=None,
    )


def _one_by_one(kinds: list[Offers]) -> Iterator[tuple[Offers, int]]:
    for arrival in range(4):
        for each in kinds:
            for index in np.flatnonzero(each.arrival == arrival).tolist():
                yield each, index


def _held(exemplars: Exemplars) -> list[object]:
    return [
        (arm, key, bucket.worst, sorted(bucket.tenants().items()))
        for arm, buckets in exemplars._arms.items()
        for key, bucket in sorted(buckets.items())
    ]
