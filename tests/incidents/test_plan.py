"""The plan of a rollback: every guard alone holds it back, with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from tripswitch.config.model import Config, Fleet
from tripswitch.config.rollback_section import Budget, Failover, Freeze, Rollback
from tripswitch.config.target_sections import WebhookTarget
from tripswitch.incidents.facts import Facts, Fallback
from tripswitch.incidents.plan import plan_rollback
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
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
FACTS = Facts("v17", NOW_NS - 10**11, found_running=False)
CONFIG = Config(fleet=Fleet(single=True), rollback=Rollback(targets=[TARGET]))


class Unverified(WebhookTarget):
    """A target that was tried on no real server."""

    is_verified = False


def _config(**changes: Any) -> Config:
    """Return the configuration of a clear case with other settings of rollbacks."""
    return CONFIG.model_copy(update={"rollback": Rollback(**{"targets": [TARGET]} | changes)})


def _in_mode(mode: str) -> WebhookTarget:
    return TARGET.model_copy(update={"mode": mode})


def _plan(
    verdict: Verdict = VERDICT, facts: Facts = FACTS, config: Config = CONFIG
) -> RollbackPlan | None:
    return plan_rollback(verdict, facts, config, NOW_NS)


def _past(state: RollbackState = RollbackState.CONFIRMED, **changes: Any) -> RollbackPlan:
    """Return the plan of a clear case as it stands when it is over."""
    plan = _plan()
    assert plan is not None
    ended: dict[str, Any] = {"state": state, "planned_at_ns": NOW_NS - NS_PER_HOUR}
    return replace(plan, **ended | changes)


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
        (replace(VERDICT, severity=Severity.INVESTIGATE), FACTS),
        (replace(VERDICT, finding=Finding.INSUFFICIENT), FACTS),
        (replace(VERDICT, finding=Finding.TELEMETRY_LOST), FACTS),
        (replace(VERDICT, is_common=True), FACTS),
        (replace(VERDICT, comparison=Comparison.HISTORY), FACTS),
        (replace(VERDICT, scope=ARM._replace(prompt_version=None)), FACTS),
        (VERDICT, replace(FACTS, good_version=None)),
        (VERDICT, replace(FACTS, good_version="v18")),
    ],
    ids=[
        "no page",
        "insufficient",
        "telemetry lost",
        "every arm hit",
        "own past only",
        "no version",
        "no good version",
        "same version",
    ],
)
def test_nothing_is_planned_where_nothing_can_be_blamed(verdict: Verdict, facts: Facts) -> None:
    assert _plan(verdict, facts) is None


@pytest.mark.parametrize(
    ("facts", "config", "state", "words"),
    [
        ({"found_running": True}, CONFIG, "proposed", "start is unknown"),
        ({"first_seen_ns": 0}, CONFIG, "proposed", "more than 48 h"),
        ({"mix_shift": "tenants differ by 60 %"}, CONFIG, "proposed", "tenants differ by 60 %"),
        ({"judge_change": "evaluator x (2)"}, CONFIG, "proposed", "the judge changed too"),
        ({}, _config(targets=[TARGET.model_copy(update={"mode": "observe"})]), "withheld", "only"),
        (
            {},
            _config(targets=[TARGET.model_copy(update={"mode": "propose"})]),
            "proposed",
            "person",
        ),
        ({}, _config(enabled=False), "withheld", "kill switch"),
        ({}, _config(disabled_routes=["/chat/refund"]), "withheld", "kill switch is on for"),
        ({"good_calls": 3}, CONFIG, "proposed", "3 calls in the last day"),
        ({"past": "confirmed"}, CONFIG, "withheld", "v18 was rolled back here before"),
        ({"past": "rejected"}, CONFIG, "withheld", "ada decided that v18"),
        ({"past": "undone"}, CONFIG, "withheld", "ada took the rollback of v18 back"),
        ({"past": "good"}, CONFIG, "withheld", "no good version"),
        (
            {"recent_ns": {"gateway": (NOW_NS - 5 * NS_PER_MINUTE,)}},
            CONFIG,
            "proposed",
            "was used 5 min ago and rests for 10 min",
        ),
        (
            {"recent_ns": {"a": (NOW_NS - 1,), "b": (NOW_NS - 2, NOW_NS - 3)}},
            CONFIG,
            "proposed",
            "3 rollbacks went by themselves in the last hour",
        ),
        (
            {"recent_ns": {"a": (NOW_NS - 2 * NS_PER_HOUR,)}},
            _config(budget=Budget(per_day=1)),
            "proposed",
            "in the last day",
        ),
        ({"busy": frozenset({"gateway"})}, CONFIG, "proposed", "another rollback under way"),
        (
            {},
            _config(freezes=[Freeze(begins="2001-01-01T00:00:00Z", reason="a migration")]),
            "proposed",
            "frozen: a migration",
        ),
        ({}, CONFIG.model_copy(update={"fleet": Fleet()}), "proposed", "fleet.single"),
        ({"flaps": 3}, CONFIG, "proposed", "episode 3"),
        (
            {},
            _config(targets=[Unverified(**TARGET.model_dump())]),
            "proposed",
            "tried on no real server",
        ),
    ],
)
def test_a_guard_alone_holds_it_back(
    facts: dict[str, Any], config: Config, state: str, words: str
) -> None:
    ended = {
        "confirmed": _past(),
        "rejected": _past(RollbackState.REJECTED, decided_by="ada"),
        "undone": _past(RollbackState.UNDONE, decided_by="ada"),
        "good": _past(from_version="v17"),
    }
    if "past" in facts:
        facts = facts | {"past": (ended[facts["past"]],)}
    plan = _plan(facts=replace(FACTS, **facts), config=config)
    assert plan is not None
    assert plan.state.value == state
    assert words in plan.reason
    assert ";" not in plan.reason


def test_a_freeze_that_is_over_or_of_another_route_holds_nothing_back() -> None:
    over = Freeze(begins="2001-01-01T00:00:00Z", ends="2001-01-02T00:00:00Z")
    other = Freeze(routes=["/other"])
    plan = _plan(config=_config(freezes=[over, other]))
    assert plan is not None
    assert plan.state is RollbackState.PLANNED


def test_what_expired_or_was_released_may_go_and_a_release_makes_another_key() -> None:
    expired = _plan(facts=replace(FACTS, past=(_past(RollbackState.EXPIRED),)))
    released = _plan(facts=replace(FACTS, past=(_past(RollbackState.RELEASED),)))
    assert expired is not None
    assert released is not None
    assert expired.state is released.state is RollbackState.PLANNED
    assert expired.key != released.key


def test_moving_a_whole_route_is_proposed() -> None:
    plan = _plan(replace(VERDICT, scope=ARM._replace(cohort=None)))
    assert plan is not None
    assert (plan.blast_radius, plan.path) == ("route", "prompt_version")
    assert plan.state is RollbackState.PROPOSED
    assert plan.expires_ns == NOW_NS + 4 * NS_PER_HOUR


def test_a_target_is_asked_once_for_a_version_and_then_the_next_one() -> None:
    second = TARGET.model_copy(update={"name": "registry"})
    config = _config(targets=[TARGET, second])
    first = plan_rollback(VERDICT, FACTS, config, NOW_NS)
    then = plan_rollback(VERDICT, FACTS, config, NOW_NS, {("cohort", "gateway")})
    last = {("cohort", "gateway"), ("cohort", "registry")}
    assert first is not None
    assert then is not None
    assert (first.target, then.target) == ("gateway", "registry")
    assert plan_rollback(VERDICT, FACTS, config, NOW_NS, last) is None


OUTAGE = replace(
    VERDICT,
    signal="error_rate",
    rubric=None,
    shape=Shape.OUTAGE,
    scope=Scope(provider="openai"),
    upstream=Scope(provider="openai"),
    comparison=Comparison.HISTORY,
    reference=None,
    is_common=True,
)
FALLBACKS = {"openai": Fallback("azure", is_healthy=True)}
FAILOVER = _config(
    targets=[TARGET.model_copy(update={"mode": "auto"})],
    failover=Failover(fallbacks={"openai": "azure"}, verified_on="2001-09-01"),
)


def test_an_outage_of_a_provider_is_one_failover() -> None:
    plan = _plan(OUTAGE, replace(FACTS, fallbacks=FALLBACKS), FAILOVER)
    assert plan is not None
    assert (plan.path, plan.from_version, plan.to_version) == (
        "provider_failover",
        "openai",
        "azure",
    )
    assert plan.pointer == Scope(provider="openai")
    assert (plan.state, plan.blast_radius) == (RollbackState.PLANNED, "global")


@pytest.mark.parametrize(
    ("verdict", "facts", "config", "state", "words"),
    [
        ({}, {"fallbacks": {"openai": Fallback("azure", None)}}, FAILOVER, "proposed", "not been"),
        ({}, {"fallbacks": {"openai": Fallback("azure", False)}}, FAILOVER, "withheld", "errors"),
        (
            {},
            {"is_every_provider_failing": True, "providers_failing": ("azure",)},
            FAILOVER,
            "withheld",
            "every provider fails",
        ),
        ({"is_common": False}, {}, FAILOVER, "proposed", "not proven to be the provider"),
        (
            {},
            {},
            _config(targets=FAILOVER.rollback.targets, failover=Failover()),
            "proposed",
            "never said to have been tried",
        ),
        (
            {},
            {},
            _config(targets=FAILOVER.rollback.targets, failover=Failover(verified_on="2001-01-01")),
            "proposed",
            "last tried on 2001-01-01",
        ),
        ({}, {}, _config(failover=FAILOVER.rollback.failover), "proposed", "a global is moved"),
    ],
)
def test_a_failover_has_guards_of_its_own(
    verdict: dict[str, Any], facts: dict[str, Any], config: Config, state: str, words: str
) -> None:
    known = replace(FACTS, **{"fallbacks": FALLBACKS} | facts)
    plan = _plan(replace(OUTAGE, **verdict), known, config)
    assert plan is not None
    assert plan.state.value == state
    assert words in plan.reason
    assert ";" not in plan.reason


def test_a_slow_tool_is_one_breaker() -> None:
    slow = replace(
        OUTAGE,
        signal="tool_latency",
        rubric="search",
        shape=Shape.LATENCY_SPIKE,
        scope=ARM.family(),
        upstream=None,
    )
    plan = _plan(slow, config=FAILOVER)
    assert plan is not None
    assert (plan.path, plan.from_version, plan.to_version) == ("tool_breaker", "search", "off")
    assert plan.pointer == Scope("/chat/refund")
    assert plan.state is RollbackState.PLANNED


@pytest.mark.parametrize(("direction", "state"), [("up", "proposed"), ("down", "planned")])
def test_a_guardrail_is_loosened_by_a_person_only(direction: str, state: str) -> None:
    refusals = replace(
        OUTAGE,
        signal="refusal_rate",
        shape=Shape.GUARDRAIL_REGRESSION,
        scope=ARM.family(),
        upstream=None,
        direction=direction,
    )
    plan = _plan(refusals, replace(FACTS, guardrail_change=("g1", "g2")), FAILOVER)
    assert plan is not None
    assert (plan.path, plan.from_version, plan.to_version) == ("guardrail", "g2", "g1")
    assert plan.state.value == state


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
