"""One call out, for whoever traces them: what it was for, how long it took, what came of it."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Call(NamedTuple):
    """One attempt. ``key`` is the idempotency key, ``attempt`` counts from 1.

    ``state`` is what the attempt amounts to, in a word; ``status`` the HTTP status of the answer,
    None without one. Times in ns since the epoch. Neither content nor address is kept.
    """

    action: Literal["notify", "rollback", "read_back"]
    target: str
    key: str
    attempt: int
    state: str
    is_error: bool
    status: int | None
    start_ns: int
    end_ns: int
