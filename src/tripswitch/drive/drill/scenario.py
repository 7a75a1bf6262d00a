"""What a drill plays: who serves how much, what goes bad, when, by how much, and whose doing it is.

A *release* is bad in one cohort and leaves the others alone; a *provider* is bad for everything
that goes through it. Which of the two a shape usually is decides what is played when nobody says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from tripswitch.errors import ConfigError
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import Shape

if TYPE_CHECKING:
    from tripswitch.config.model import Config

MOST_CALLS: Final = 1_000_000
"""Simulated calls at most; a drill that wants more is refused, not endured."""

FALLBACK_ROUTE: Final = "/drill/fallback"
"""Where the fallback of a provider serves, so that it is seen to be well."""

CALM: Final[dict[str, float]] = {"release": 20.0, "provider": 45.0}
"""Minutes of calm when nobody says, by cause: what has no control needs a past to be judged by."""

DEFAULT_ROUTE: Final = "/chat"
"""The route that is played where neither the command line nor the configuration names one."""


class Cause(StrEnum):
    """Whose doing it is: a release in one cohort, or the provider behind all of them."""

    RELEASE = "release"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How an arm answers. Scores and shares 0..1; tokens, dollars and seconds are medians."""

    score: float = 0.90
    refusals: float = 0.04
    errors: float = 0.005
    latency_s: float = 0.9
    tokens: float = 600.0
    cost_usd: float = 0.004


@dataclass(frozen=True, slots=True)
class Size:
    """What the size of a shape counts, how large it is by default, and how large it may be."""

    unit: str
    usual: float
    least: float
    most: float


SIZES: Final[dict[Shape, Size]] = {
    Shape.EVAL_DRIFT: Size("points that the mean score falls", 9.0, 0.0, 85.0),
    Shape.COST_SPIKE: Size("times the tokens and dollars of a call", 2.0, 1.0, 100.0),
    Shape.LATENCY_SPIKE: Size("times the latency of a call", 3.0, 1.0, 100.0),
    Shape.GUARDRAIL_REGRESSION: Size("points that the share of refusals rises", 15.0, 0.0, 95.0),
    Shape.OUTAGE: Size("points that the share of failed requests rises", 20.0, 0.0, 99.0),
}

USUAL_CAUSE: Final[dict[Shape, Cause]] = {
    Shape.EVAL_DRIFT: Cause.RELEASE,
    Shape.COST_SPIKE: Cause.RELEASE,
    Shape.GUARDRAIL_REGRESSION: Cause.RELEASE,
    Shape.LATENCY_SPIKE: Cause.PROVIDER,
    Shape.OUTAGE: Cause.PROVIDER,
}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One drill. Times are minutes of the drill unless they say otherwise.

    Each of ``routes`` has ``rate`` requests a minute, of which ``share`` go to ``cohort``, the rest
    to ``control``; a release goes bad on the first. What goes bad does so at ``calm`` and stays bad
    until it is rolled back, ``bad`` minutes at most. ``scored`` is the share of calls with a score
    of ``rubric``. ``fallback`` is the provider that takes the traffic of ``provider`` in a
    failover, and until then serves a route of its own, a tenth as much; empty for none.
    ``approve_after`` is when a person approves a proposal, after it was made; None for nobody.
    """

    shape: Shape
    cause: Cause
    size: float
    routes: tuple[str, ...]
    start_ns: int
    rate: float = 300.0
    share: float = 0.3
    scored: float = 1.0
    calm: float = 45.0
    bad: float = 60.0
    prompt: str = "drill-prompt"
    old_version: str = "v1"
    new_version: str = "v2"
    control: str = "control"
    cohort: str = "canary"
    rubric: str = "faithfulness"
    provider: str = "openai"
    model: str = "gpt-4o-mini"
    fallback: str = ""
    approve_after: float | None = None
    seed: int = 1

    @property
    def calls(self) -> int:
        """Return how many calls it takes at most."""
        return int(self.rate * len(self.routes) * (self.calm + self.bad))

    @property
    def bad_ns(self) -> int:
        """Return when it goes bad, ns since the epoch."""
        return self.start_ns + int(self.calm * NS_PER_MINUTE)

    def minute_of(self, time_ns: int) -> float:
        """Return how many minutes after it went bad a time is; negative before."""
        return round((time_ns - self.bad_ns) / NS_PER_MINUTE, 2)

    def behaviour(self) -> Behaviour:
        """Return how that answers which goes bad."""
        usual = Behaviour()
        match self.shape:
            case Shape.EVAL_DRIFT:
                return replace(usual, score=usual.score - self.size / 100)
            case Shape.COST_SPIKE:
                return replace(
                    usual, tokens=usual.tokens * self.size, cost_usd=usual.cost_usd * self.size
                )
            case Shape.LATENCY_SPIKE:
                return replace(usual, latency_s=usual.latency_s * self.size)
            case Shape.GUARDRAIL_REGRESSION:
                return replace(usual, refusals=usual.refusals + self.size / 100)
            case Shape.OUTAGE:
                return replace(usual, errors=usual.errors + self.size / 100)

    def sentence(self) -> str:
        """Return what is played, in one sentence."""
        of = SIZES[self.shape].unit
        where = ", ".join(self.routes)
        if self.cause is Cause.RELEASE:
            who = f"{self.new_version} goes to cohort {self.cohort} of {self.routes[0]}"
        else:
            who = f"{self.provider} goes bad for {where}"
        return (
            f"{self.shape.value}: after {self.calm:g} min of calm {who}: {self.size:g} {of}; "
            f"{self.rate:g} requests a minute a route, {100 * self.share:g} % of them in "
            f"{self.cohort}, {100 * self.scored:g} % scored"
        )

    def check(self) -> None:
        """Raise ConfigError for what cannot be played, with what would do."""
        size = SIZES[self.shape]
        if not size.least <= self.size <= size.most:
            raise ConfigError(
                f"--size: {self.size:g} is not possible",
                hint=f"for {self.shape.value} it is {size.unit}, {size.least:g} to {size.most:g}",
            )
        if self.calls > MOST_CALLS:
            raise ConfigError(
                f"this drill would take {self.calls:,} calls, more than {MOST_CALLS:,}",
                hint="lower --rate, --calm or --for",
            )
        if self.old_version == self.new_version or self.control == self.cohort:
            raise ConfigError(
                "the two versions, and the two cohorts, must differ",
                hint="--from-version and --to-version, --control and --cohort",
            )


def route_of(config: Config) -> str:
    """Return the first route that a configuration names, `DEFAULT_ROUTE` where it names none."""
    named = [route for target in config.rollback.targets for route in target.routes]
    named += list(config.detect.routes)
    named += [route for each in config.notify for route in each.routes if "*" not in route]
    return next(iter(named), DEFAULT_ROUTE)


def fallback_of(config: Config, provider: str) -> str:
    """Return the provider that takes the traffic of ``provider``, empty where none is named."""
    return config.rollback.failover.fallbacks.get(provider, "")
