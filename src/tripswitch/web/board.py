"""What the pages read, and what they hand on: one object, made by whoever drives the judge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tripswitch.web.approval import ApprovalLinks


@dataclass(frozen=True, slots=True)
class Board:
    """Readers return plain JSON values; none of them is asked more than once for one answer.

    ``now`` is how everything stands (`drive.overview`), ``open_incidents`` those that are not
    resolved; ``latest_incidents`` takes a limit, ``routes`` takes limit, offset and words,
    ``route`` a name and a span (``15m``, ``6h``, ``24h``), ``changes`` a limit. ``telemetry`` and
    ``config`` are the pages of those names. ``drift_svg`` is the drift chart of an incident as an
    SVG document, None without one; ``updates`` its status updates, each ``{"audience", "title",
    "text", "holds"}``. ``revision`` is another text whenever any of this may have changed.
    ``trace_link`` has ``{trace_id}`` in it, or is empty; ``public_url`` is where people reach the
    pages, empty for where it listens.
    """

    now: Callable[[], dict[str, Any]]
    open_incidents: Callable[[], list[dict[str, Any]]]
    latest_incidents: Callable[[int], list[dict[str, Any]]]
    routes: Callable[[int, int, str], dict[str, Any]]
    route: Callable[[str, str], dict[str, Any] | None]
    changes: Callable[[int], list[dict[str, Any]]]
    telemetry: Callable[[], Awaitable[dict[str, Any]]]
    config: Callable[[], dict[str, Any]]
    drift_svg: Callable[[str], str | None]
    updates: Callable[[str], list[dict[str, Any]]]
    revision: Callable[[], str]
    trace_link: Callable[[], str]
    public_url: Callable[[], str]
    links: ApprovalLinks
