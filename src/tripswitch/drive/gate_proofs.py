"""What is proven of each signal of a version, and what it lacks; `drive.gate` makes the answer.

Read from the JSON of the API, so that a running sidecar and a recording are judged alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

SCORES: Final = "eval_score"

_MINUTES_A_DAY: Final = 1440.0
_WITHOUT_REFERENCE: Final = ("pii_leak", "prompt_injection")


class State(StrEnum):
    """What the gate says; only ``passed`` opens it."""

    PASSED = "passed"
    REGRESSED = "regressed"
    TELEMETRY_LOST = "telemetry_lost"
    INSUFFICIENT = "insufficient"
    UNKNOWN = "unknown"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Question:
    """Which version is asked about, and how much has to be known of it.

    ``cohort`` empty means every cohort that serves it; ``against`` is the version or cohort that it
    must have been compared with, empty for whatever it is compared with. ``fewest`` is how many
    samples each signal must have, None for as many as a change at its line takes to be noticed.
    ``signals`` are those that must be proven; empty means all that are seen, and a score.
    """

    route: str
    version: str
    cohort: str = ""
    against: str = ""
    fewest: int | None = None
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """One signal of one arm: how it stands, in one sentence with its numbers."""

    scope: str
    signal: str
    state: State
    sentence: str
    missing: tuple[str, ...] = ()
    minutes: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it under fixed names."""
        return {
            "scope": self.scope,
            "signal": self.signal,
            "state": self.state.value,
            "sentence": self.sentence,
            "missing": list(self.missing),
            "minutes": self.minutes,
        }


def is_arm(scope: dict[str, str | None]) -> bool:
    """Return whether a scope is a whole arm: no model or provider narrows it."""
    return scope["request_model"] is None and scope["provider"] is None


def ages_of(route: dict[str, Any] | None) -> dict[tuple[str | None, ...], float]:
    """Return for each arm of a route how many minutes it has been seen, a day at most."""
    if route is None or not route.get("now"):
        return {}
    now = datetime.fromisoformat(route["now"])
    return {
        tuple(arm["scope"].values()): min(
            (now - datetime.fromisoformat(arm["first_seen"])).total_seconds() / 60, _MINUTES_A_DAY
        )
        for arm in route["arms"]
        if arm["first_seen"]
    }


def proof_of(
    question: Question,
    arm: dict[str, Any],
    signal: dict[str, Any],
    ages: dict[tuple[str | None, ...], float],
    of_route: list[dict[str, Any]],
) -> Proof:
    """Return how one signal of an arm stands: what is not asked for is only in the way when bad."""
    name = _name(signal)
    minutes = signal["outlook"]["minutes"]
    finding = signal["finding"]
    if finding == "regressed":
        return Proof(arm["label"], name, State.REGRESSED, signal["why"], (signal["why"],), minutes)
    if question.signals and signal["signal"] not in question.signals:
        return Proof(arm["label"], name, State.PASSED, f"not asked for; {signal['why']}")
    if finding == "telemetry_lost":
        why = (signal["why"],)
        return Proof(arm["label"], name, State.TELEMETRY_LOST, signal["why"], why, minutes)
    missing = _short_of(question, arm, signal, ages, of_route)
    if missing:
        sentence = f"{signal['why']}; not enough: {'; '.join(missing)}"
        told = tuple(f"{name} of {arm['label']}: {one}" for one in missing)
        return Proof(arm["label"], name, State.INSUFFICIENT, sentence, told, minutes)
    return Proof(arm["label"], name, State.PASSED, signal["why"])


def _short_of(
    question: Question,
    arm: dict[str, Any],
    signal: dict[str, Any],
    ages: dict[tuple[str | None, ...], float],
    of_route: list[dict[str, Any]],
) -> list[str]:
    """Return what a signal lacks to prove that it is well, in words; empty where nothing."""
    if _cannot_come(signal):
        return []
    missing: list[str] = []
    if signal["finding"] != "healthy":
        missing += signal["missing"] or [f"it is {signal['finding']}"]
    comparison = signal["against"]["comparison"]
    if signal["signal"] not in _WITHOUT_REFERENCE:
        if comparison == "history":
            missing.append(
                "a comparison: its own past alone proves nothing of a version, and no control "
                "serves beside it"
            )
        elif question.against and comparison is not None:
            reference = signal["against"]["scope"]
            if not _is_against(question.against, reference, of_route):
                named = _named(reference)
                missing.append(f"a comparison with {question.against}: it is compared with {named}")
    missing += _beyond(signal)
    has = _samples(arm, signal, ages)
    fewest = question.fewest
    if fewest is None:
        needed = signal["outlook"]["samples"]
        if needed is None and not missing:
            missing.append("samples: at this traffic a change at the line is never noticed")
        fewest = 0 if needed is None else math.ceil(needed)
    if has < fewest:
        missing.append(f"samples: {has:,} of {fewest:,}")
    return missing


def _beyond(signal: dict[str, Any]) -> list[str]:
    """Return that a signal lies beyond a line, although no evidence says that it went bad.

    So does a version that was rolled back, whose evidence was used up by its incident.
    """
    is_absolute = signal["signal"] in _WITHOUT_REFERENCE
    seen = signal["sees"]["value" if is_absolute else "estimate"]
    lines = [signal["line"]["page"], signal["line"]["investigate"]]
    line = min((one for one in lines if one is not None), default=None)
    if seen is None or line is None or seen < line or signal["sees"]["samples"] == 0:
        return []
    return [f"to be inside its line: {seen:g} is beyond {line:g}, and evidence has yet to say why"]


def _samples(
    arm: dict[str, Any], signal: dict[str, Any], ages: dict[tuple[str | None, ...], float]
) -> int:
    """Return how many samples there were since the arm was first seen, in the last day."""
    age = ages.get(tuple(arm["scope"].values()), 0.0)
    of_age = (signal["sees"]["per_minute"] or 0.0) * age
    return max(int(signal["sees"]["samples"]), int(of_age))


def _cannot_come(signal: dict[str, Any]) -> bool:
    """Return whether a signal cannot cross its line: 4 % cannot fall by 5 points."""
    return bool(signal["missing"]) and str(signal["missing"][0]).startswith(
        "nothing that could come"
    )


def _is_against(
    wanted: str, reference: dict[str, str | None] | None, of_route: list[dict[str, Any]]
) -> bool:
    """Return whether a comparison is with a version or a cohort of that name."""
    if reference is None:
        return False
    if wanted in (reference["prompt_version"], reference["cohort"]):
        return True
    if reference["prompt_version"] is not None:
        return False
    # A whole cohort is compared with, whatever serves it: that must be the version alone.
    serving = {
        one["scope"]["prompt_version"]
        for one in of_route
        if is_arm(one["scope"])
        and one["scope"]["cohort"] == reference["cohort"]
        and any((signal["sees"]["per_minute"] or 0) > 0 for signal in one["signals"])
    }
    return serving == {wanted}


def _named(reference: dict[str, str | None] | None) -> str:
    if reference is None:
        return "nothing"
    parts = [reference["prompt_version"], reference["cohort"] and f"cohort {reference['cohort']}"]
    return " ".join(part for part in parts if part) or "something else"


def proof_of_leaf(leaf: dict[str, Any], signal: dict[str, Any]) -> Proof:
    return Proof(leaf["label"], _name(signal), State.REGRESSED, signal["why"], (signal["why"],))


def unseen(question: Question, arm: dict[str, Any]) -> list[Proof]:
    """Return a proof for each signal that has to be seen and is not."""
    seen = {signal["signal"] for signal in arm["signals"]}
    return [
        Proof(
            arm["label"],
            name,
            State.INSUFFICIENT,
            f"{name} on {arm['label']} was not seen at all",
            (
                f"{name} of {arm['label']}: "
                + ("no scores came" if name == SCORES else "nothing of it came"),
            ),
        )
        for name in question.signals or (SCORES,)
        if name not in seen
    ]


def _name(signal: dict[str, Any]) -> str:
    rubric = f":{signal['rubric']}" if signal["rubric"] else ""
    falls = " (falling)" if signal["direction"] == "down" and not rubric else ""
    return f"{signal['signal']}{rubric}{falls}"
