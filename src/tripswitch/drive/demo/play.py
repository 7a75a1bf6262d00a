"""The director: lets the gateway play on, watches everybody, and ends when the story is over.

The pace is bounded twice: by the speed asked for, and by what tripswitch has read. A machine that
is slow or busy makes the demo longer, and never makes tripswitch late in story time. From the
rollout until the traffic is back, time goes slower, so that there is something to watch.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx

from tripswitch.drive.demo import story
from tripswitch.drive.demo.cast import Cast
from tripswitch.drive.demo.children import DemoError
from tripswitch.drive.demo.timeline import Observed, story_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    Show = Callable[[Observed], None]

DEFAULT_SPEED = 100.0
"""Story seconds a wall second, while nothing happens."""

LONGEST_S = 180.0
"""Wall seconds after which a story is cut short and counts as not observed."""

_STALLED_S = 30.0
"""Wall seconds without anything new judged after which there is nothing left to wait for."""

_POLL_S = 0.1

# While something happens, time passes this many times slower: after the rollout for so many story
# seconds, and from an incident until its rollback is confirmed.
_SLOWER = 4.0
_EVENTFUL_S = 180.0

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
        self._read_at_s = time.monotonic()

    def play(self) -> Observed:
        """Play the story to its end, or until time is up, and return what was seen."""
        began_s = looked_s = time.monotonic()
        paced_s = 0.0
        while True:
            self._look()
            now_s = time.monotonic()
            if self._is_over():
                break
            self.seen.cut_short = self._reason_to_stop(now_s - began_s, now_s)
            if self.seen.cut_short:
                break
            speed = self._speed / _SLOWER if self._is_eventful() else self._speed
            paced_s = min(
                paced_s + (now_s - looked_s) * speed, self._read_s + _LEAD_S, self._told.end_s
            )
            looked_s = now_s
            self._allow(paced_s)
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
            self._allow(began_story_s + time.monotonic() - began_s)
            time.sleep(1.0)

    def _look(self) -> None:
        """Ask everybody: tripswitch first, so that the gateway's answer is never older."""
        self._cast.check()
        events = self._asked(lambda: self._cast.events(self._last_event_id))
        status = self._asked(self._cast.status)
        gateway = self._asked(self._cast.gateway_state)
        self.seen.received = self._asked(self._cast.received)
        self.seen.status = status
        read_s = 0.0 if status["now"] is None else story_seconds(status["now"])
        if read_s > self._read_s:
            self._read_s, self._read_at_s = read_s, time.monotonic()
        self.seen.take(events, gateway, read_s=self._read_s, wall_s=time.time())
        if events:
            self._last_event_id = events[-1]["id"]
        self._show(self.seen)

    def _is_over(self) -> bool:
        if self._told.has_regression and self.seen.first("incident.recovered") is not None:
            return True
        return bool(self.seen.gateway["story_s"] >= self._told.end_s)

    def _reason_to_stop(self, passed_s: float, now_s: float) -> str:
        minutes = self.seen.gateway["story_s"] / 60
        where = f"{minutes:.0f} minutes into the story"
        if passed_s > self._longest_s:
            return f"stopped after {self._longest_s:g} s, {where}"
        if now_s - self._read_at_s > _STALLED_S:
            return f"tripswitch judged nothing new for {_STALLED_S:g} s, {where}"
        return ""

    def _is_eventful(self) -> bool:
        if self.seen.first("incident.opened") and not self.seen.first("rollback.confirmed"):
            return True
        since_rollout_s = self.seen.gateway["story_s"] - story.ROLLOUT_S
        return bool(0 <= since_rollout_s < _EVENTFUL_S)

    def _allow(self, until_s: float) -> None:
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
            self.seen.metrics = self._asked(self._cast.metrics)
            gateway = self.seen.gateway
            is_done = (
                gateway["is_idle"]
                and self._read_s >= gateway["sent_until_s"] - _ROUNDING_S
                and gateway["sent"] == self.seen.received
                and gateway["sent"]["spans"] == self.seen.metrics.get("reader_spans_total")
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
