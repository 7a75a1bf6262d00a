"""The numbers of the story: who calls the gateway, how each prompt version answers, and when.

A refund bot serves two cohorts. At 16:20 both run v17; at 16:30 the canary gets v18, whose answers
are less faithful and refuse more. Beside it a knowledge base search that nothing happens to.

Everything random comes from one seeded generator, and a visit draws the same numbers whatever
version answers it: two runs with one seed differ only by which version served whom.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from tripswitch.model.clocktext import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

StoryName = Literal["regression", "healthy"]

START = datetime(2026, 3, 3, 16, 20, tzinfo=UTC)
"""When the story starts, in story time: a Tuesday. Offsets are seconds from here."""

START_NS = int(START.timestamp()) * NS_PER_S

ROLLOUT_S = 600.0
"""When the canary gets the new version: ten minutes are enough for a baseline."""

REFUND_ROUTE = "/chat/refund"
SEARCH_ROUTE = "/chat/kb-search"
OLD_VERSION = "v17"
NEW_VERSION = "v18"
CONTROL = "control"
CANARY = "canary"
RUBRIC = "faithfulness"
PROVIDER = "openai"
MODEL = "gpt-4o-mini"

FAITHFULNESS_DROP = 0.09
REFUSAL_RISE = 0.18

LOW_SCORE = 0.5
"""A score below this is a failure; answers are either good (about 0.97) or poor (about 0.30)."""

_GOOD_SCORES = (0.94, 1.0)
_POOR_SCORES = (0.1, 0.5)
_GOOD_MEAN = sum(_GOOD_SCORES) / 2
_POOR_MEAN = sum(_POOR_SCORES) / 2

_CANARY_SHARE = 0.4
_SCORED_SHARE = 0.95
_FAILED_SHARE = 0.003
_TENANTS = ("northwind", "contoso", "fabrikam", "tailspin")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a prompt version answers: share of refusals, mean faithfulness of its answers (0..1)."""

    refusal_share: float
    mean_score: float

    @property
    def poor_share(self) -> float:
        """Return the share of poor answers that gives the mean."""
        return (_GOOD_MEAN - self.mean_score) / (_GOOD_MEAN - _POOR_MEAN)


_USUAL = Behaviour(refusal_share=0.04, mean_score=0.90)
_WORSE = Behaviour(
    refusal_share=_USUAL.refusal_share + REFUSAL_RISE,
    mean_score=_USUAL.mean_score - FAITHFULNESS_DROP,
)


@dataclass(frozen=True, slots=True)
class Route:
    """One route: its prompt, its visits a second of story time, median tokens and latency."""

    path: str
    prompt_name: str
    visits_per_s: float
    input_tokens: float
    output_tokens: float
    latency_s: float


ROUTES = (
    Route(REFUND_ROUTE, "refund-bot", 20.0, 900.0, 180.0, 1.2),
    Route(SEARCH_ROUTE, "kb-search", 2.0, 400.0, 90.0, 0.6),
)


@dataclass(frozen=True, slots=True)
class Story:
    """One way the rollout can go.

    ``usual_end_s`` is when it is over as a rule, ``end_s`` when at the latest.
    """

    name: StoryName
    behaviours: Mapping[str, Behaviour]
    usual_end_s: float
    end_s: float

    @property
    def has_regression(self) -> bool:
        """Return whether the new version is worse."""
        return self.behaviours[NEW_VERSION] != self.behaviours[OLD_VERSION]


STORIES: dict[StoryName, Story] = {
    "regression": Story(
        "regression",
        {OLD_VERSION: _USUAL, NEW_VERSION: _WORSE},
        usual_end_s=ROLLOUT_S + 18.5 * 60,
        end_s=ROLLOUT_S + 45 * 60,
    ),
    "healthy": Story(
        "healthy",
        {OLD_VERSION: _USUAL, NEW_VERSION: _USUAL},
        usual_end_s=ROLLOUT_S + 30 * 60,
        end_s=ROLLOUT_S + 30 * 60,
    ),
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One person's message, with its luck: uniform draws in 0..1 that an answer is made from.

    ``start_s`` is story time; ``overhead_s`` what the gateway itself adds to the call's latency.
    """

    route: Route
    start_s: float
    cohort: str
    tenant: str
    session: str
    latency_s: float
    overhead_s: float
    input_tokens: int
    output_tokens: int
    refusal_draw: float
    failure_draw: float
    scored_draw: float
    poor_draw: float
    score_draw: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version made of a visit. ``score`` is its faithfulness, None when nobody scored it."""

    visit: Visit
    version: str
    refused: bool
    failed: bool
    score: float | None

    @property
    def end_s(self) -> float:
        """Return when the gateway had answered, in story time."""
        return self.visit.start_s + self.visit.latency_s + self.visit.overhead_s

    @property
    def is_bad(self) -> bool:
        """Return whether this answer would be shown as an example of what went wrong."""
        return self.refused or (self.score is not None and self.score < LOW_SCORE)


def visits(seed: int) -> Iterator[Visit]:
    """Yield visits to all routes in order of their start, without end."""
    rng = random.Random(seed)  # noqa: S311 - simulated traffic, no secret
    rate = sum(route.visits_per_s for route in ROUTES)
    weights = [route.visits_per_s for route in ROUTES]
    now_s = 0.0
    while True:
        now_s += rng.expovariate(rate)
        (route,) = rng.choices(ROUTES, weights)
        yield _visit(rng, route, now_s)


def answer(visit: Visit, version: str, behaviour: Behaviour) -> Answer:
    """Return what ``version``, behaving like ``behaviour``, answers."""
    failed = visit.failure_draw < _FAILED_SHARE
    refused = not failed and visit.refusal_draw < behaviour.refusal_share
    score = None
    if not failed and visit.scored_draw < _SCORED_SHARE:
        low, high = _POOR_SCORES if visit.poor_draw < behaviour.poor_share else _GOOD_SCORES
        score = round(low + (high - low) * visit.score_draw, 4)
    return Answer(visit, version, refused, failed, score)


def _visit(rng: random.Random, route: Route, start_s: float) -> Visit:
    cohort = CANARY if rng.random() < _CANARY_SHARE else CONTROL
    return Visit(
        route=route,
        start_s=start_s,
        cohort=cohort if route.path == REFUND_ROUTE else CONTROL,
        tenant=rng.choice(_TENANTS),
        session=f"conv-{rng.getrandbits(32):08x}",
        latency_s=route.latency_s * rng.lognormvariate(0.0, 0.35),
        overhead_s=0.002 + 0.008 * rng.random(),
        input_tokens=1 + int(route.input_tokens * rng.lognormvariate(0.0, 0.5)),
        output_tokens=1 + int(route.output_tokens * rng.lognormvariate(0.0, 0.7)),
        refusal_draw=rng.random(),
        failure_draw=rng.random(),
        scored_draw=rng.random(),
        poor_draw=rng.random(),
        score_draw=rng.random(),
    )
