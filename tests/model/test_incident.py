"""The dedup key of an episode: one for each, printable, short enough for every pager."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import incident
from tripswitch.model.incident import MOST_KEY_CHARS
from tripswitch.model.scope import Scope

parts = st.one_of(
    st.none(),
    st.sampled_from(["-", "/", "a/b", "a", "%2F", "x" * 119, "x" * 121, "x" * 5000]),
    st.text(min_size=1, max_size=130),
)
scopes = st.builds(Scope, *[parts] * 6)


@given(scopes, scopes, st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_two_episodes_share_a_key_only_when_they_are_the_same(
    one: Scope, other: Scope, first: int, second: int, is_one: bool, is_other: bool
) -> None:
    key = incident(scope=one, episode=first, security=is_one).dedup_key
    other_key = incident(scope=other, episode=second, security=is_other).dedup_key
    assert (key == other_key) is ((one, first, is_one) == (other, second, is_other))
    for each in (key, other_key):
        assert each.isascii()
        assert each.isprintable()
        assert " " not in each
        assert len(each) <= MOST_KEY_CHARS


def test_a_missing_part_is_a_dash_and_the_rest_is_readable() -> None:
    key = incident(scope=Scope("/chat/refund", None, "v18", "canary")).dedup_key
    assert key == "tripswitch/standard/%2Fchat%2Frefund/-/v18/canary/-/-/1"
