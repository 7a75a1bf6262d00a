"""Arrivals: whether telemetry reaches us at all, minute by minute.

Nothing read is never healthy. When what came steadily comes no more, or too much of it is lost on
the way to the judge, that is a fault of the telemetry and not of the traffic: it wakes a person
after a while and moves nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from tripswitch.detect.signals import TELEMETRY_LOST
from tripswitch.model.clocktext import NS_PER_MINUTE, NS_PER_S
from tripswitch.model.incident import Severity, Shape
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Finding, Verdict

_STEADY_MINUTES: Final = 60
# What pauses now and then by itself may pause again: silence speaks only after a full hour.
_FEWEST_FULL: Final = 57


class Arrivals:
    """Counts of the last minutes: OTLP requests taken, and lost before they were read."""

    def __init__(self) -> None:
        self.silent_minutes = 0
        self.lossy_minutes = 0
        self.good_minutes = 0
        self._full: deque[bool] = deque(maxlen=_STEADY_MINUTES)
        self._usual = 0.0
        self._lost = 0

    def pass_minute(self, taken: int, lost: int, *, is_lossy: bool) -> None:
        """Take one complete minute."""
        if is_lossy:
            self.lossy_minutes += 1
            self._lost += lost
        else:
            self.lossy_minutes = self._lost = 0
        if taken or lost:
            self.silent_minutes = 0
            self._full.append(True)
            share = 1 / len(self._full)
            self._usual += (taken + lost - self._usual) * share
        else:
            self.silent_minutes += 1
            # A silence is held against the hour before it and not against itself.
            if not self._is_steady():
                self._full.append(False)
        is_good = self.silent_minutes == 0 and self.lossy_minutes == 0
        self.good_minutes = self.good_minutes + 1 if is_good else 0

    def verdict(self, now_ns: int, page_after_s: float) -> Verdict | None:
        """Return what is to be told, None while telemetry comes or has not failed for long."""
        fewest = max(1, round(page_after_s * NS_PER_S / NS_PER_MINUTE))
        if self.silent_minutes >= fewest and self._is_steady():
            minutes, samples = self.silent_minutes, 0
            why = (
                f"no telemetry for {minutes} min, where {self._usual:.3g} OTLP requests a minute "
                "came in the hour before: nothing is judged and nothing is taken for healthy"
            )
        elif self.lossy_minutes >= fewest:
            minutes, samples = self.lossy_minutes, self._lost
            why = (
                f"more than 1 % of the telemetry was lost before it was read for {minutes} min "
                f"({self._lost:,} OTLP requests): what is left is not judged"
            )
        else:
            return None
        return Verdict(
            finding=Finding.TELEMETRY_LOST,
            severity=Severity.PAGE,
            signal=TELEMETRY_LOST,
            rubric=None,
            shape=Shape.OUTAGE,
            direction="down",
            scope=Scope(),
            comparison=None,
            reference=None,
            estimate=float(minutes),
            line=float(fewest),
            value=0.0 if samples == 0 else float(samples) / minutes,
            usual=self._usual,
            samples=samples,
            usual_samples=_STEADY_MINUTES,
            window=f"{minutes} min",
            evidence=1.0,
            onset_ns=now_ns - minutes * NS_PER_MINUTE,
            is_common=True,
            why=why,
        )

    @property
    def usual(self) -> float:
        """OTLP requests a minute, as they came lately."""
        return self._usual

    @property
    def minutes_seen(self) -> int:
        """Of the last hour before any silence, the minutes in which something came."""
        return sum(self._full)

    @property
    def is_steady(self) -> bool:
        """Whether so much came steadily that silence says something."""
        return self._is_steady()

    def pass_gap(self, minutes: int) -> None:
        """Let minutes pass in which nobody watched: they were neither silent nor good."""
        self.silent_minutes = self.lossy_minutes = self.good_minutes = self._lost = 0
        if minutes >= _STEADY_MINUTES:
            self._full.clear()

    def as_json(self) -> dict[str, Any]:
        """Return what is known as plain values."""
        return {
            "silent_minutes": self.silent_minutes,
            "lossy_minutes": self.lossy_minutes,
            "good_minutes": self.good_minutes,
            "full": [int(is_full) for is_full in self._full],
            "usual": self._usual,
            "lost": self._lost,
        }

    def restore(self, kept: dict[str, Any]) -> None:
        """Know again what `as_json` wrote down."""
        self.silent_minutes, self.lossy_minutes = kept["silent_minutes"], kept["lossy_minutes"]
        self.good_minutes, self._usual = kept["good_minutes"], kept["usual"]
        self._full.extend(bool(is_full) for is_full in kept["full"])
        self._lost = kept["lost"]

    def _is_steady(self) -> bool:
        return len(self._full) == _STEADY_MINUTES and sum(self._full) >= _FEWEST_FULL
