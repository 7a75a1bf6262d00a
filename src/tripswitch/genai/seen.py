"""Which spans were counted already: OTLP is delivered at least once, evidence counts once."""

from __future__ import annotations

from typing import Final

# Retried exports come within seconds to minutes; two generations of 100,000 are about 17 MB.
_GENERATION: Final = 100_000


class SpansSeen:
    """The last spans by (trace_id, span_id), in two generations, so that memory stays bounded.

    A span is recognised for at least 100,000 further spans.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: set[int] = set()
        self._old: set[int] = set()

    def is_new(self, trace_id: str, span_id: str) -> bool:
        """Return whether this span is seen for the first time, and remember it."""
        key = int(trace_id + span_id, 16)
        if key in self._young or key in self._old:
            return False
        self._young.add(key)
        if len(self._young) >= self._generation:
            self._old, self._young = self._young, set()
        return True
