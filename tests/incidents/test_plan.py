"""The plan of a rollback: every guard alone holds it back, with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from tripswitch.config.model import Config, Fleet, Rollback, WebhookTarget
from tripswitch.incidents.plan import Facts, plan_rollback
from tripswitch.model.incident import RollbackPlan, RollbackState, Severity, Shape
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict

ARM = Scope("/chat/refund", "refund-bot", "v18", "canary")
CONTROL = Scope("/chat/refund", "refund-bot", None, "control")
NOW_NS = 10**18
TARGET = WebhookTarget(
    name="gateway", url="http://127.0.0.1:9/", secret=SecretStr("whsec_" + "A" * 44)
)
VERDICT = Verdict(
    finding=Finding.REGRESSED,
    severity=Severity.PAGE,
    signal="eval_score",
    rubric="faithfulness",
    shape=Shape.EVAL_DRIFT,
    direction="up",
    scope=ARM,
    comparison=Comparison.CONTROL,
    reference=CONTROL,
    estimate=0.09,
    line=0.05,
    value=0.81,
    usual=0.90,
    samples=600,
    usual_samples=700,
    window="15 min",
    evidence=20.0,
    onset_ns=NOW_NS - 10**11,
    is_common=False,
    why="because",
)
FACTS = Facts("v17", NOW_NS - 10**11, found_running=False, past=frozenset())
CONFIG = Config(fleet=Fleet(single=True), rollback=Rollback(targets=[TARGET]))


def _plan(
    verdict: Verdict = VERDICT, facts: Facts = FACTS, config: Config = CONFIG
) -> RollbackPlan | None:
    return plan_rollback(verdict, facts, config, NOW_NS)


def test_a_clear_case_goes_by_itself() -> None:
    plan = _plan()
    assert plan is not None
    assert (plan.state, plan.reason, plan.mode) == (RollbackState.PLANNED, "", "auto")
    assert plan.pointer == Scope("/chat/refund", "refund-bot", None, "canary")


def test_what_was_beyond_its_line_before_the_version_came_waits_for_a_person() -> None:
    plan = _plan(replace(VERDICT, was_bad_before=True))
    assert plan is not None
    assert (plan.state, plan.mode) == (RollbackState.PROPOSED, "propose")
    assert "before v18 came" in plan.reason


@pytest.mark.parametrize(
    ("verdict", "facts"),
    [
        (replace(VERDICT, is_common=True), FACTS),
        (replace(VERDICT, comparison=Comparison.HISTORY), FACTS),
        (replace(VERDICT, scope=ARM._replace(prompt_version=None)), FACTS),
        (VERDICT, replace(FACTS, good_version=None)),
        (VERDICT, replace(FACTS, good_version="v18")),
    ],
    ids=["every arm hit", "own past only", "no version", "no good version", "same version"],
)
def test_nothing_is_planned_where_nothing_can_be_blamed(verdict: Verdict, facts: Facts) -> None:
    assert _plan(verdict, facts) is None


@pytest.mark.parametrize(
    ("facts", "config", "state", "words"),
    [
        (replace(FACTS, found_running=True), CONFIG, "proposed", "start is unknown"),
        (replace(FACTS, first_seen_ns=0), CONFIG, "proposed", "more than 48 h"),
        (
            replace(FACTS, past=frozenset({("gateway", ARM.population(), "v18")})),
            CONFIG,
            "withheld",
            "rolled back here before",
        ),
        (
            replace(FACTS, past=frozenset({("gateway", ARM.population(), "v17")})),
            CONFIG,
            "withheld",
            "no good version",
        ),
        (FACTS, CONFIG.model_copy(update={"fleet": Fleet()}), "proposed", "fleet.single"),
        (
            FACTS,
            CONFIG.model_copy(update={"rollback": Rollback(targets=[TARGET], enabled=False)}),
            "withheld",
            "kill switch",
        ),
    ],
)
def test_a_doubt_is_said(facts: Facts, config: Config, state: str, words: str) -> None:
    plan = _plan(facts=facts, config=config)
    assert plan is not None
    assert plan.state.value == state
    assert words in plan.reason


def test_moving_a_whole_route_is_proposed() -> None:
    plan = _plan(replace(VERDICT, scope=ARM._replace(cohort=None)))
    assert plan is not None
    assert (plan.blast_radius, plan.path) == ("route", "prompt_version")
    assert plan.state is RollbackState.PROPOSED


def test_the_key_depends_on_what_is_moved_and_on_nothing_else() -> None:
    first = _plan()
    later = plan_rollback(
        replace(VERDICT, evidence=99.0, why="other words"), FACTS, CONFIG, NOW_NS + 10**12
    )
    assert first is not None
    assert later is not None
    assert first.key == later.key
    others = [
        _plan(facts=replace(FACTS, good_version="v16")),
        _plan(replace(VERDICT, scope=ARM._replace(prompt_version="v19"))),
        _plan(replace(VERDICT, scope=ARM._replace(cohort="beta"))),
    ]
    keys = {plan.key for plan in others if plan is not None}
    assert len(keys) == 3
    assert first.key not in keys
