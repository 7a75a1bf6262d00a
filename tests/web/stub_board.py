"""A board that shows what a test gives it, for tests of the API and the pages alone."""

from __future__ import annotations

from typing import Any

from tripswitch.web.approval import ApprovalLinks
from tripswitch.web.board import Board

NOW = "2026-11-24T16:40:00.000Z"


def board(**given: Any) -> Board:
    """Return a board on which nothing has happened yet, but for what is ``given``."""

    async def telemetry() -> dict[str, Any]:
        return {
            "census": {"calls": 0, "errors": 0, "spans": 0, "unreadable": 0, "having": {}}
            | {"dialects": {}},
            "counts": {},
            "score_ranges": {},
            "wire": False,
            "wire_problem": "it is not there",
            "tiles": [],
            "counters": [],
        }

    readers: dict[str, Any] = {
        "now": lambda: {
            "now": NOW,
            "is_lossy": False,
            "scopes": 0,
            "routes": 0,
            "signals": 0,
            "findings": {},
            "kill_switch": False,
            "disabled_routes": [],
        },
        "open_incidents": list,
        "latest_incidents": lambda limit: [{"limit": limit}],
        "routes": lambda limit, offset, words: {
            "now": NOW,
            "total": 0,
            "offset": offset,
            "routes": [],
            "asked": [limit, words],
        },
        "route": lambda _name, _span: None,
        "changes": lambda _limit: [],
        "telemetry": telemetry,
        "config": lambda: {
            "files": [],
            "reload": {"at": None, "is_ok": True, "problem": ""},
            "warnings": [],
            "sections": [],
            "set_count": {},
            "open_sections": [],
        },
        "drift_svg": lambda _incident_id: None,
        "updates": lambda _incident_id: [],
        "revision": lambda: "1",
        "trace_link": str,
        "public_url": str,
        "links": ApprovalLinks(b"k" * 32),
    }
    return Board(**(readers | given))
