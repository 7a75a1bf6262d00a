"""What was counted already: OTLP is delivered at least once, evidence counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.model.snapshot import Snapshot

# Retried exports come within seconds to minutes; two generations of 100,000 are about 17 MB.
_GENERATION: Final = 100_000


class Seen:
    """The last keys, in two generations, so that memory stays bounded.

    A key is recognised for at least one generation of further keys.
    """

    def __init__(self, generation: int = _GENERATION) -> None:
        self._generation = generation
        self._young: set[int] = set()
        self._old: set[int] = set()

    def is_new(self, key: int) -> bool:
        """Return whether this key is seen for the first time, and remember it."""
        if key in self._old:
            return False
        young = self._young
        before = len(young)
        young.add(key)
        # Adding tells as well whether it was there; the sets are large, and each look is dear.
        if len(young) == before:
            return False
        if before + 1 >= self._generation:
            self._old, self._young = young, set()
        return True

    def remember_new(self, keys: Sequence[int]) -> bool:
        """Remember keys if each is seen for the first time; else return False and do nothing."""
        young = self._young
        if (
            len(young) + len(keys) >= self._generation
            or len(keys) != len(set(keys))
            or not self._old.isdisjoint(keys)
            or not young.isdisjoint(keys)
        ):
            return False
        young.update(keys)
        return True

    def remember(self, keys: Sequence[int]) -> None:
        """Remember keys in their order, whether they are new or not."""
        if len(self._young) + len(keys) < self._generation:
            old = self._old
            self._young.update(
                keys if old.isdisjoint(keys) else [key for key in keys if key not in old]
            )
        else:
            for key in keys:
                self.is_new(key)

    def save(self, snapshot: Snapshot) -> None:
        """Put both generations into ``snapshot``."""
        for name, keys in (("young", self._young), ("old", self._old)):
            snapshot.arrays[f"seen.{name}"] = np.fromiter(keys, np.uint64, len(keys))

    def restore(self, snapshot: Snapshot) -> None:
        """Recognise what was seen before ``snapshot`` was taken."""
        self._young = set(snapshot.whole("seen.young"))
        self._old = set(snapshot.whole("seen.old"))
