"""Exemplars, affected tenants and the change log."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.exemplars import Exemplar, Exemplars
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
