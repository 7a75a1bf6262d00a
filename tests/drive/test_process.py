"""What is set for the processes, and for one that was not started as such."""

from __future__ import annotations

import ctypes

import pytest

from tripswitch.drive.process import ALLOCATOR, environment_of, keep_freed_memory


class Library:
    """The C library, as far as its allocator's options go."""

    def __init__(self) -> None:
        self.options: dict[int, int] = {}

    def mallopt(self, option: int, value: int) -> int:
        """Note an option."""
        self.options[option] = value
        return 1


def test_a_running_process_keeps_as_much_as_one_that_is_started_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    keep_freed_memory({})
    assert {str(value) for value in library.options.values()} == {
        ALLOCATOR["MALLOC_TRIM_THRESHOLD_"],
        ALLOCATOR["MALLOC_MMAP_THRESHOLD_"],
    }
    # As malloc.h of glibc numbers them.
    assert set(library.options) == {-1, -3}


def test_what_the_environment_says_of_the_allocator_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    keep_freed_memory({"MALLOC_MMAP_THRESHOLD_": "65536"})
    assert set(library.options) == {-1}
    assert environment_of({"MALLOC_ARENA_MAX": "4"})["MALLOC_ARENA_MAX"] == "4"


def test_an_allocator_without_such_options_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory({})
