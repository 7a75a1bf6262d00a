"""Quantities read back what they write, and refuse what has no unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tripswitch.config.quantities import (
    duration_text,
    parse_duration_s,
    parse_share,
    parse_size_bytes,
    share_text,
    size_text,
)


@given(st.floats(min_value=1e-9, max_value=1e12) | st.just(0.0))
def test_durations_round_trip(seconds: float) -> None:
    assert parse_duration_s(duration_text(seconds)) == seconds


@given(st.integers(min_value=0, max_value=1 << 48))
def test_sizes_round_trip(size_bytes: int) -> None:
    assert parse_size_bytes(size_text(size_bytes)) == size_bytes


@given(st.floats(min_value=1e-9, max_value=1))
def test_shares_round_trip(share: float) -> None:
    assert parse_share(share_text(share)) == pytest.approx(share, rel=1e-15)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("15m", 900), ("1h30m", 5400), ("1.5h", 5400), ("250ms", 0.25), ("1d", 86_400)],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0s"), (900.0, "15m"), (90.0, "90s"), (0.0005, "0.0005s")]
)
def test_durations_are_written_short(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize("value", ["15", 15, "", "-5s", "5 s", "1e3s", "5s nonsense", True, None])
def test_other_durations_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration_s(value)


@pytest.mark.parametrize(
    ("value", "size_bytes"), [("64MiB", 64 << 20), ("1.5KiB", 1536), ("1 KB", 1000), (7, 7)]
)
def test_sizes_are_read(value: object, size_bytes: int) -> None:
    assert parse_size_bytes(value) == size_bytes


@pytest.mark.parametrize("value", ["64MB/s", "-1MiB", "9" * 400 + "GiB", True, 1.5, None])
def test_other_sizes_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        parse_size_bytes(value)


@pytest.mark.parametrize(("value", "share"), [("5%", 0.05), ("0.05", 0.05), (0.05, 0.05), (1, 1)])
def test_shares_are_read(value: object, share: float) -> None:
    assert parse_share(value) == share


@pytest.mark.parametrize("value", ["abc%", "nan%", "%", "-5%", True, None])
def test_other_shares_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="expected a share"):
        parse_share(value)
