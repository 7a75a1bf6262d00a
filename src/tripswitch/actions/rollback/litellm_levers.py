"""What else a LiteLLM proxy can change: the fallback of a model, the limits of a key. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tripswitch.actions.rollback.asked import word
from tripswitch.actions.rollback.litellm_deployments import NoMoveError

LIMITS = ("tpm_limit", "rpm_limit")


@dataclass(frozen=True, slots=True)
class Lever:
    """One value of the proxy: where it is, what stands there, what is wanted.

    ``name`` is a model's name for ``fallback`` (a list of models), a key's hash for ``limits`` (an
    object with the two limits).
    """

    kind: Literal["fallback", "limits"]
    name: str
    found: Any
    wrote: Any

    def line(self) -> str:
        """Return the change as a line."""
        found, wrote = (word(json.dumps(each)) for each in (self.found, self.wrote))
        return f"{self.kind} of {word(self.name)}: {found} -> {wrote}"

    def kept_text(self) -> str:
        """Return what an undo needs."""
        return json.dumps(asdict(self), separators=(",", ":"))


def lever_in(kept: str) -> Lever | None:
    """Return the lever that was recorded, None when deployments or nothing were."""
    try:
        record = json.loads(kept)
        return Lever(**record) if isinstance(record, dict) else None
    except (ValueError, TypeError):
        return None


def lowered(name: str, found: dict[str, Any], tpm: int, rpm: int) -> Lever | None:
    """Return the key's limits at most at ``tpm`` and ``rpm``; None when they are that low."""
    wrote = {
        limit: most if found[limit] is None else min(int(found[limit]), most)
        for limit, most in zip(LIMITS, (tpm, rpm), strict=True)
    }
    return None if wrote == found else Lever("limits", name, found, wrote)


def fallen_back(name: str, found: list[str], to: str) -> Lever | None:
    """Return ``to`` as the first fallback of a model; None when it is that."""
    if name == to:
        raise NoMoveError(f"{word(name)} cannot be its own fallback")
    if found[:1] == [to]:
        return None
    return Lever("fallback", name, found, [to, *(each for each in found if each != to)])


def put_back(record: Lever, now: Any) -> Lever | None:
    """Return the undo of ``record``; None when what was found stands there."""
    if now == record.found:
        return None
    if now != record.wrote:
        raise NoMoveError(
            f"the {record.kind} of {word(record.name)} is no longer what the rollback wrote, so it "
            "is left alone"
        )
    return Lever(record.kind, record.name, now, record.found)
