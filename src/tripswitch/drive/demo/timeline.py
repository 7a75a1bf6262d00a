"""The timeline of what was observed, and how long each stage took.

A moment is an event as tripswitch recorded it, or something the gateway saw, in one shape: the
fixed JSON of an event with ``source``, ``wall_s`` (seconds since the demo began) and, for a
webhook, ``call``. Times are story time by tripswitch's clock: the gateway plays some seconds ahead
of what tripswitch has read, and its own time of a call stands in ``call``. Nothing enters the
timeline that did not come over a socket from the process that did it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from tripswitch.drive.demo import story
from tripswitch.model.clocktext import NS_PER_S, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

Moment = dict[str, Any]

ROLLOUT = "gateway.rollout"
ROLLBACK_CALLED = "gateway.rollback_called"
ALERT_RECEIVED = "gateway.alert_received"

_OWN_BOOKS = ("action.", "config.")


class Stage(NamedTuple):
    """How long one part of the story took, in story and wall seconds."""

    name: str
    story_s: float
    wall_s: float


@dataclass(slots=True)
class Observed:
    """Everything the director saw. ``began_s`` is wall time, seconds since the epoch.

    ``status`` is tripswitch's own word on every scope and ``metrics`` its counters at the end,
    ``gateway`` the gateway's word on itself, ``received`` the collector's.
    ``cut_short`` says why the story was not played to its end, empty when it was.
    """

    told: story.Story
    seed: int
    began_s: float
    timeline: list[Moment] = field(default_factory=list)
    gateway: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    received: dict[str, Any] = field(default_factory=dict)
    bad_traces: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    cut_short: str = ""
    _placed_calls: set[int] = field(default_factory=set)

    def take(
        self, events: Sequence[Moment], gateway: dict[str, Any], *, read_s: float, wall_s: float
    ) -> None:
        """Add what is new: tripswitch's events, then what the gateway said after that.

        ``read_s`` is story time by tripswitch's clock, ``wall_s`` wall time since the epoch. A
        webhook is placed behind the event that it tells of, and a rollback's before its
        acknowledgement.
        """
        self.gateway = gateway
        rolled_out_s = gateway["rolled_out_wall_s"]
        if rolled_out_s is not None and self.first(ROLLOUT) is None:
            self.timeline.append(self._rollout(rolled_out_s))
        for event in events:
            if event["event"].startswith(_OWN_BOOKS):
                # The gateway's own word on each call is shown instead.
                continue
            if event["event"] == "rollback.acknowledged":
                acknowledged_s = story_seconds(event["time"])
                self._place_calls(acknowledged_s, event["incident"]["id"], "rollback")
            observed_s = round(wall_s - self.began_s, 3)
            self.timeline.append(
                {**event, "call": None, "source": "tripswitch", "wall_s": observed_s}
            )
        self._place_calls(read_s, None, None)

    def arms(self, route: str) -> list[dict[str, Any]]:
        """Return the status of each prompt version in each cohort of ``route``."""
        return [
            arm
            for arm in self.status.get("scopes", [])
            if arm["scope"]["route"] == route
            and arm["scope"]["prompt_version"] is not None
            and arm["scope"]["cohort"] is not None
            and arm["scope"]["request_model"] is None
        ]

    def first(self, name: str) -> Moment | None:
        """Return the first moment of this name."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> list[Moment]:
        """Return every moment of this name, in order."""
        return [moment for moment in self.timeline if moment["event"] == name]

    def stages(self) -> list[Stage]:
        """Return how long it took from each step to the next, as far as it came."""
        steps = [
            ("from rollout to notice", ROLLOUT, "incident.opened"),
            ("from notice to the rollback call", "incident.opened", ROLLBACK_CALLED),
            ("from the call to traffic back", ROLLBACK_CALLED, "rollback.confirmed"),
            ("from traffic back to recovered", "rollback.confirmed", "incident.recovered"),
            ("from rollout to recovered", ROLLOUT, "incident.recovered"),
        ]
        stages = []
        for name, begin, end in steps:
            first, last = self.first(begin), self.first(end)
            if first is not None and last is not None:
                story_s = max(0.0, story_seconds(last["time"]) - story_seconds(first["time"]))
                wall_s = max(0.0, last["wall_s"] - first["wall_s"])
                stages.append(Stage(name, round(story_s, 3), round(wall_s, 3)))
        return stages

    def _rollout(self, wall_s: float) -> Moment:
        detail = f"{story.NEW_VERSION} goes to the {story.CANARY} of {story.REFUND_ROUTE}"
        return self._moment(ROLLOUT, story.ROLLOUT_S, wall_s, detail, None)

    def _place_calls(self, read_s: float, incident_id: str | None, kind: str | None) -> None:
        for index, call in enumerate(self.gateway["calls"]):
            if index in self._placed_calls or (kind is not None and call["kind"] != kind):
                continue
            told = call["data"] or {}
            about = (told.get("incident") or {}).get("id")
            if incident_id is not None and about != incident_id:
                continue
            cause = self._last(told.get("event"), about)
            if call["verified"] and cause is None:
                continue
            self._placed_calls.add(index)
            # An event is seen when it is asked for, which may be after its webhook arrived.
            for moment in self.timeline[: 0 if cause is None else cause + 1]:
                moment["wall_s"] = min(moment["wall_s"], round(call["wall_s"] - self.began_s, 3))
            name = ROLLBACK_CALLED if call["kind"] == "rollback" else ALERT_RECEIVED
            story_s = min(call["story_s"], read_s)
            self.timeline.append(self._moment(name, story_s, call["wall_s"], _words(call), call))

    def _last(self, name: str | None, incident_id: str | None) -> int | None:
        """Return the place of the latest such event, None when it has not been seen."""
        for place in range(len(self.timeline) - 1, -1, -1):
            moment = self.timeline[place]
            about = (moment["incident"] or {}).get("id")
            if moment["event"] == name and about == incident_id:
                return place
        return None

    def _moment(
        self, name: str, story_s: float, wall_s: float, detail: str, call: dict[str, Any] | None
    ) -> Moment:
        return {
            "event": name,
            "time": rfc3339(story.START_NS + int(story_s * NS_PER_S)),
            "detail": detail,
            "incident": None,
            "change": None,
            "call": call,
            "source": "gateway",
            "wall_s": round(wall_s - self.began_s, 3),
        }


def said(moment: Moment) -> str:
    """Return a moment as one line: when, in story time, and what."""
    return f"{clock(moment)} {moment['detail']}"


def clock(moment: Moment) -> str:
    """Return the story time of a moment as hours, minutes and seconds."""
    return str(moment["time"])[11:19]


def story_seconds(time_text: str) -> float:
    """Return an RFC 3339 time as seconds since the story's start."""
    return (datetime.fromisoformat(time_text) - story.START).total_seconds()


def _words(call: dict[str, Any]) -> str:
    if not call["verified"]:
        return f"{call['kind']} refused: the signature does not verify"
    if call["kind"] == "alert":
        return f"{call['type']}: signature verified"
    again = "again, " if call["repeat"] else ""
    current = call["answer"].get("current")
    moved = f"; {story.CANARY} is on {current}" if current else ""
    return f"{again}signature verified, answered {call['status']}{moved}"
