"""The director: lets the gateway play on, watches everybody, and ends when the story is over.

The pace is bounded twice: by the speed asked for, and by what tripswitch has read. A machine that
is slow or busy makes the demo longer, and never makes tripswitch late in story time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from tripswitch.drive.demo.cast import Cast
from tripswitch.drive.demo.children import DemoError
from tripswitch.drive.demo.timeline import Observed, story_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.drive.demo import story

    Show = Callable[[Observed, dict[str, Any]], None]

DEFAULT_SPEED = 75.0
"""Story seconds a wall second."""

LONGEST_S = 180.0
"""Wall seconds after which a story is cut short and counts as not observed."""

_POLL_S = 0.1

# How far the gateway may be ahead of what tripswitch has judged, in story seconds.
_LEAD_S = 30.0

# After the last span: how long stragglers (the last alert, the last event) may take.
_SETTLE_S = 10.0
_QUIET_S = 0.5

# tripswitch says its time in milliseconds.
_ROUNDING_S = 0.002


class Director:
    """Plays one story with one cast. ``show`` is called after every look around."""

    def __init__(
        self,
        cast: Cast,
        told: story.Story,
        seed: int,
        show: Show,
        *,
        speed: float = DEFAULT_SPEED,
        longest_s: float = LONGEST_S,
    ) -> None:
        self.seen = Observed(told, seed, time.time())
        self._cast = cast
        self._told = told
        self._show = show
        self._speed = speed
        self._longest_s = longest_s
        self._last_event_id = 0
        self._read_s = 0.0

    def play(self) -> Observed:
        """Play the story to its end, or until time is up, and return what was seen."""
        began_s = time.monotonic()
        while True:
            self._look()
            passed_s = time.monotonic() - began_s
            if self._is_over():
                break
            if passed_s > self._longest_s:
                minutes = self.seen.gateway["story_s"] / 60
                self.seen.cut_short = (
                    f"stopped after {self._longest_s:g} s, {minutes:.0f} minutes into the story"
                )
                break
            self._allow(passed_s * self._speed)
            time.sleep(_POLL_S)
        self._settle()
        self.seen.bad_traces = self._asked(self._cast.bad_traces)
        self.seen.wall_s = time.monotonic() - began_s
        return self.seen

    def keep_playing(self) -> None:
        """Let time pass as it does, with traffic, until interrupted."""
        began_s = time.monotonic()
        began_story_s = self.seen.gateway["story_s"]
        while True:
            self._look()
            self._cast_allow(began_story_s + time.monotonic() - began_s)
            time.sleep(1.0)

    def _look(self) -> None:
        """Ask everybody: tripswitch first, so that the gateway's answer is never older."""
        self._cast.check()
        events = self._asked(lambda: self._cast.events(self._last_event_id))
        status = self._asked(self._cast.status)
        gateway = self._asked(self._cast.gateway_state)
        self.seen.received = self._asked(self._cast.received)
        self.seen.take(events, gateway, time.time())
        if events:
            self._last_event_id = events[-1]["id"]
        if status["now"] is not None:
            self._read_s = story_seconds(status["now"])
        self._show(self.seen, status)

    def _is_over(self) -> bool:
        if self._told.has_regression and self.seen.first("incident.recovered") is not None:
            return True
        return bool(self.seen.gateway["story_s"] >= self._told.end_s)

    def _allow(self, paced_s: float) -> None:
        self._cast_allow(min(paced_s, self._read_s + _LEAD_S, self._told.end_s))

    def _cast_allow(self, until_s: float) -> None:
        try:
            self._cast.allow(until_s)
        except httpx.HTTPError as error:
            raise DemoError(f"the gateway does not answer: {error}") from error

    def _settle(self) -> None:
        """Wait until all that was sent has arrived and was judged, and nothing more is said."""
        deadline_s = time.monotonic() + _SETTLE_S
        quiet_since_s = time.monotonic()
        moments = len(self.seen.timeline)
        while time.monotonic() < deadline_s:
            self._look()
            gateway = self.seen.gateway
            is_done = (
                gateway["is_idle"]
                and self._read_s >= gateway["sent_until_s"] - _ROUNDING_S
                and gateway["sent"] == self.seen.received
            )
            if not is_done or len(self.seen.timeline) > moments:
                moments = len(self.seen.timeline)
                quiet_since_s = time.monotonic()
            elif time.monotonic() - quiet_since_s > _QUIET_S:
                return
            time.sleep(_POLL_S)

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except httpx.HTTPError as error:
            self._cast.check()
            raise DemoError(f"a process of the demo does not answer: {error}") from error
