"""How many requests, and how many bytes of them, are under way at once.

Each protocol has its own count, so that slow clients of one cannot shut out the other; the bytes
are shared, because the memory is.
"""

from __future__ import annotations

from typing import Final

REQUEST_BYTES: Final = 2 << 10
"""What a request under way costs besides its body, rounded up."""


class Admission:
    """Bytes of requests under way, at most ``max_bytes``. Not safe across threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.in_flight_bytes = 0

    def has_room(self, size_bytes: int) -> bool:
        """Return whether ``size_bytes`` more would fit."""
        return self.in_flight_bytes + size_bytes <= self.max_bytes

    def reserve(self, size_bytes: int) -> bool:
        """Take room for ``size_bytes`` more; return False when there is none."""
        if not self.has_room(size_bytes):
            return False
        self.in_flight_bytes += size_bytes
        return True

    def release(self, size_bytes: int) -> None:
        """Give back what was reserved."""
        self.in_flight_bytes -= size_bytes
