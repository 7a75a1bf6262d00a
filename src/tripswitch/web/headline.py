"""The headline: how many incidents are open, and the newest; on every page and in every message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tripswitch.web.board import Board


class Headline:
    """Returns the headline as JSON; it is made once for a revision of the board."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._revision = ""
        self._made: dict[str, Any] = {}

    def __call__(self) -> dict[str, Any]:
        """Return ``open``, ``pages`` (counts) and ``newest`` (id, severity, why, or None)."""
        revision = self._board.revision()
        if self._revision != revision or not self._made:
            found = [one for one in self._board.open_incidents() if one["state"] == "open"]
            newest = max(found, key=lambda one: (one["detected_at"], one["id"]), default=None)
            self._made = {
                "open": len(found),
                "pages": sum(one["severity"] == "page" for one in found),
                "newest": None
                if newest is None
                else {name: newest[name] for name in ("id", "severity", "why")},
            }
            self._revision = revision
        return self._made
