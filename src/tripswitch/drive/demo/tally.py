"""A tally of OTLP requests that two processes can compare without comparing their order."""

from __future__ import annotations

import hashlib
import threading
from typing import TypedDict

_MODULUS = 1 << 256


class Totals(TypedDict):
    """What a tally says: counts, and the sum of the bodies' SHA-256 modulo 2**256 as hex."""

    requests: int
    spans: int
    bytes: int
    digest: str


class Tally:
    """Counts request bodies. Equal totals mean the same bodies, each as often, in any order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests = 0
        self._spans = 0
        self._bytes = 0
        self._digest = 0

    def add(self, body: bytes, spans: int) -> None:
        """Count one serialised request that holds ``spans`` spans."""
        digest = int.from_bytes(hashlib.sha256(body).digest(), "big")
        with self._lock:
            self._requests += 1
            self._spans += spans
            self._bytes += len(body)
            self._digest = (self._digest + digest) % _MODULUS

    def totals(self) -> Totals:
        """Return the totals so far."""
        with self._lock:
            return {
                "requests": self._requests,
                "spans": self._spans,
                "bytes": self._bytes,
                "digest": f"{self._digest:064x}",
            }
