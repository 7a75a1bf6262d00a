"""What ``/v1/explain`` and ``tripswitch explain`` say: which scopes are asked for, and the JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from tripswitch.detect.explanation import Explained, Explanation
from tripswitch.engine import Engine
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.scope import Scope

MOST_SCOPES: Final = 50
"""Scopes explained when nobody says how many, the worst of them."""

_FIELDS: Final = {
    "route": "route",
    "prompt": "prompt_name",
    "prompt_name": "prompt_name",
    "version": "prompt_version",
    "prompt_version": "prompt_version",
    "cohort": "cohort",
    "model": "request_model",
    "request_model": "request_model",
    "provider": "provider",
}
_OF_SIGNALS: Final = ("signal", "rubric")
_NEXT_FIELD: Final = re.compile(rf"\s+(?=(?:{'|'.join([*_FIELDS, *_OF_SIGNALS])})=)")


@dataclass(slots=True)
class Wanted:
    """Which scopes and signals are asked for; all must hold.

    ``fields`` are values by a scope's field (``*`` stands for anything, ``-`` for none), ``words``
    are found anywhere in its label, whatever the case.
    """

    fields: dict[str, str] = field(default_factory=dict)
    signals: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)

    def scope(self, scope: Scope) -> bool:
        """Return whether a scope is asked for."""
        label = scope.label().lower()
        return all(word in label for word in self.words) and all(
            _fits(wanted, getattr(scope, name)) for name, wanted in self.fields.items()
        )

    def signal(self, one: Explanation) -> bool:
        """Return whether a signal of such a scope is asked for."""
        return all(
            _fits(wanted, getattr(one.verdict, name)) for name, wanted in self.signals.items()
        )


def wanted_of(texts: Sequence[str]) -> Wanted:
    """Return what is asked for: ``route=/chat cohort=canary``, a route, or any part of a label.

    Raises ValueError with a sentence for a field that there is not.
    """
    wanted = Wanted()
    for text in texts:
        for part in _NEXT_FIELD.split(text.strip()):
            name, is_field, value = part.partition("=")
            key = name.strip().lower()
            if is_field and key in _FIELDS:
                wanted.fields[_FIELDS[key]] = value.strip()
            elif is_field and key in _OF_SIGNALS:
                wanted.signals[key] = value.strip()
            elif is_field and re.fullmatch(r"[a-z_]+", key):
                known = ", ".join([*_FIELDS, *_OF_SIGNALS])
                raise ValueError(f'"{name}" is no field of a scope; there are {known}')
            elif part.strip():
                wanted.words.append(part.strip().lower())
    return wanted


def explain_of(
    engine: Engine,
    texts: Sequence[str] = (),
    most: int = MOST_SCOPES,
    scope_is: Callable[[Scope], bool] | None = None,
) -> dict[str, Any]:
    """Return what is seen of the scopes that are asked for, the ``most`` worst of them, as JSON.

    ``now`` is null before the first tick, when nothing was judged yet. ``scope_is`` says which
    scopes, in place of the texts.

    Raises ValueError as `wanted_of` does.
    """
    wanted = wanted_of(texts)
    explained = engine.explain(scope_is or wanted.scope, most)
    return {
        "now": rfc3339(engine.now_ns) if engine.last is not None else None,
        "matched_scopes": explained.matched,
        "left_out_scopes": explained.left_out,
        "routes": sorted(_routes(engine))[:MOST_SCOPES] if not explained.matched else [],
        "scopes": _scopes_json(explained, wanted.signal),
    }


def _routes(engine: Engine) -> set[str]:
    return {scope.route for scope in engine.roster.by_scope if scope.route is not None}


def _scopes_json(
    explained: Explained, wants: Callable[[Explanation], bool]
) -> list[dict[str, Any]]:
    return [
        {
            "scope": scope.as_json(),
            "label": scope.label(),
            "signals": [_signal_json(one) for one in found if wants(one)],
        }
        for scope, found in explained.scopes
    ]


def _signal_json(one: Explanation) -> dict[str, Any]:
    verdict, outlook = one.verdict, one.outlook
    reference = verdict.reference
    return {
        "signal": verdict.signal,
        "rubric": verdict.rubric,
        "direction": verdict.direction,
        "finding": verdict.finding.value,
        "severity": None if verdict.severity is None else verdict.severity.value,
        "why": verdict.why,
        "sees": {
            "value": _rounded(verdict.value),
            "estimate": _rounded(verdict.estimate),
            "window": verdict.window,
            "samples": verdict.samples,
            "per_minute": _rounded(outlook.per_minute),
        },
        "against": {
            "comparison": None if verdict.comparison is None else verdict.comparison.value,
            "scope": None if reference is None else reference.as_json(),
            "value": _rounded(verdict.usual) if verdict.comparison is not None else None,
            "samples": verdict.usual_samples if verdict.comparison is not None else 0,
            "per_minute": _rounded(outlook.reference_per_minute),
        },
        "line": {
            "page": _rounded(one.page_line),
            "investigate": _rounded(one.investigate_line),
            "events": one.fewest_events,
            "traces": one.fewest_traces,
        },
        "evidence": {
            "page_own": _rounded(one.page_own),
            "page_control": _rounded(one.page_control),
            "investigate_own": _rounded(one.look_own),
            "investigate_control": _rounded(one.look_control),
            "acts_at": 1,
        },
        "held_minutes": int(one.held_minutes),
        "missing": list(one.missing),
        "outlook": {
            "change": _rounded(outlook.change),
            "variance": _rounded(outlook.variance),
            "design_effect": _rounded(outlook.design_effect),
            "nats": _rounded(outlook.nats),
            "samples": _rounded(outlook.samples),
            "minutes": _rounded(outlook.minutes),
        },
        "remedies": [
            {"sentence": remedy.sentence, "minutes": _rounded(remedy.minutes)}
            for remedy in one.remedies
        ],
    }


def _fits(wanted: str, value: str | None) -> bool:
    if value is None:
        return wanted in ("", "-", "*")
    return fnmatchcase(value.lower(), wanted.lower()) or value.lower() == wanted.lower()


def _rounded(value: float | None) -> float | None:
    """Return a number to four significant digits; None for one that is none, or without end."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.4g}")
