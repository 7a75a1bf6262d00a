"""What was counted already is known for a generation at least, however it was remembered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.genai.seen import Seen
from tripswitch.model.snapshot import Snapshot


@given(st.lists(st.lists(st.integers(0, 40), max_size=12), max_size=12))
def test_keys_remembered_together_are_known_as_if_one_by_one(batches: list[list[int]]) -> None:
    together, each = Seen(generation=10), Seen(generation=10)
    for keys in batches:
        together.remember(keys)
        for key in keys:
            each.is_new(key)
        one, other = Snapshot(0), Snapshot(0)
        together.save(one)
        each.save(other)
        for name, known in one.arrays.items():
            assert known.tolist() == other.arrays[name].tolist()
