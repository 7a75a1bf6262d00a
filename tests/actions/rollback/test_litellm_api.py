"""The LiteLLM admin API: tags, weights, blocks, fallbacks and limits, each with its undo."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actions.receiver import CUT, Answer
from tests.actions.rollback.fakes.litellm import FakeLitellm, deployment
from tests.actions.rollback.fakes.server import Fault, told
from tests.actions.rollback.kinds import ask, asking, carried_out, planned, section_of
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.model.outbox import Effect

CANARY: dict[str, Any] = {"path": "cohort", "scope": {"cohort": "canary"}}


def section(fake: FakeLitellm, **fields: Any) -> Any:
    entry = {"type": "litellm", "url": fake.url, "master_key": "sk-master", "timeout": 5.0}
    return section_of({**entry, **fields})


def done(fake: FakeLitellm, wanted: Effect, **fields: Any) -> tuple[Attempt, str]:
    return ask(section(fake, **fields), lambda one: carried_out(one, wanted))


def two(**fields: Any) -> FakeLitellm:
    return FakeLitellm(
        deployment("d18", prompt_version="v18", tags=["canary"], weight=1),
        deployment("d17", prompt_version="v17", tags=["default"], **fields),
    )


def test_a_cohorts_tag_goes_to_the_good_deployment_first_and_comes_back() -> None:
    with two() as fake:
        attempt, kept = done(fake, asking("v18", "v17", **CANARY))
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.of("d18")["litellm_params"]["tags"] == []
        assert fake.of("d17")["litellm_params"]["tags"] == ["default", "canary"]
        assert [write.segments[1] for write in fake.writes] == ["d17", "d18"]
        undo = asking("v17", "v18", undoes="rb-1", kept=kept, **CANARY)
        attempt, _ = done(fake, undo)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.of("d18")["litellm_params"]["tags"] == ["canary"]
        assert fake.of("d17")["litellm_params"]["tags"] == ["default"]


def test_a_cohorts_move_cut_off_half_way_is_finished_and_can_be_undone_whole() -> None:
    with two() as fake:
        fake.write_faults = [Fault(CUT, acts=True)]
        attempt, _ = done(fake, asking("v18", "v17", **CANARY))
        assert attempt.state is AttemptState.UNKNOWN
        snapshot = ask(section(fake), lambda one: one.snapshot(asking("v18", "v17", **CANARY)))
        assert snapshot.applied is False
        fake.deployments[1]["litellm_params"]["tags"] = ["default"]
        fake.write_faults = [Fault(told(), acts=True), Fault(told(500))]
        attempt, kept = done(fake, asking("v18", "v17", **CANARY))
        assert attempt.state is AttemptState.UNKNOWN
        assert "1 of 2 writes were made" in attempt.detail
        attempt, kept = done(fake, asking("v18", "v17", kept=kept, **CANARY))
        assert attempt.state is AttemptState.DONE
        undo = asking("v17", "v18", undoes="rb-1", kept=kept, **CANARY)
        assert done(fake, undo)[0].state is AttemptState.DONE
        assert fake.of("d18")["litellm_params"]["tags"] == ["canary"]
        assert fake.of("d17")["litellm_params"]["tags"] == ["default"]


def weights(fake: FakeLitellm) -> list[Any]:
    return [each["litellm_params"].get("weight") for each in fake.deployments]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([9, 1], [0, 1]),
        ([9, 0], [0, 9]),
        ([9, None], [0, 9]),
        ([None, None], [0, 1]),
        ([9, 0, 4], [0, 9, 4]),
        ([None, None, None], [0, 1, 1]),
    ],
)
def test_without_a_cohort_the_weight_goes_and_somebody_is_left_to_serve(
    before: list[Any], after: list[Any]
) -> None:
    made = [
        deployment(f"d{number}", prompt_version=f"v{number}", weight=weight)
        for number, weight in zip((18, 17, 16), before, strict=False)
    ]
    with FakeLitellm(*made) as fake:
        attempt, kept = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert weights(fake) == after
        attempt, _ = done(fake, asking("v17", "v18", undoes="rb-1", kept=kept))
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert weights(fake) == before


def test_a_failing_provider_is_drained_while_another_serves() -> None:
    made = [deployment("a", "openai/x"), deployment("b", "azure/x"), deployment("c", "openai/y")]
    with FakeLitellm(*made) as fake:
        wanted = asking("openai", "azure", path="provider_failover")
        attempt, kept = done(fake, wanted)
        assert attempt.state is AttemptState.DONE, attempt.detail
        blocked = [each["model_info"]["blocked"] for each in fake.deployments]
        assert blocked == [True, False, True]
        undo = asking("azure", "openai", path="provider_failover", undoes="rb-1", kept=kept)
        assert done(fake, undo)[0].state is AttemptState.DONE
        assert not any(each["model_info"]["blocked"] for each in fake.deployments)
        fake.of("b")["model_info"]["blocked"] = True
        attempt, _ = done(fake, wanted)
        assert "nothing would be left" in attempt.detail


def test_a_failing_model_gets_its_sibling_as_first_fallback() -> None:
    made = [deployment("a"), deployment("b", group="chat-b")]
    with FakeLitellm(*made) as fake:
        wanted = asking("chat", "chat-b", path="provider_failover")
        attempt, kept = done(fake, wanted)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.fallbacks == {"chat": ["chat-b"]}
        assert "nothing was sent" in done(fake, wanted)[0].detail
        undo = asking("chat-b", "chat", path="provider_failover", undoes="rb-1", kept=kept)
        assert done(fake, undo)[0].state is AttemptState.DONE
        assert fake.fallbacks == {}
        assert [write.method for write in fake.writes] == ["POST", "DELETE"]


def test_the_cost_breaker_lowers_a_keys_limits_and_never_raises_one() -> None:
    with FakeLitellm() as fake:
        fields = {"limited_key": "hash-1", "limited_tpm": 80_000, "limited_rpm": 60}
        wanted = asking("full", "limited", path="cost_breaker")
        attempt, kept = done(fake, wanted, **fields)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.key == {"tpm_limit": 50_000, "rpm_limit": 60, "max_budget": 9.0}
        undo = asking("limited", "full", path="cost_breaker", undoes="rb-1", kept=kept)
        assert done(fake, undo, **fields)[0].state is AttemptState.DONE
        assert fake.key["rpm_limit"] is None
        fake.key["rpm_limit"] = 5
        assert done(fake, undo, **fields)[0].state is AttemptState.FAILED
        assert not section(fake).does("cost_breaker")
        assert section(fake, **fields).does("cost_breaker")


def test_without_a_database_probe_and_plan_refuse_in_words() -> None:
    with FakeLitellm(deployment("d"), database="Not connected") as fake:
        probe = ask(section(fake), lambda one: one.probe())
        assert probe.usable is False
        assert "has no database" in probe.detail
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.FAILED
        assert "litellm_file" in attempt.detail
        assert not fake.writes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"db_model": False}, "comes from the proxy's file"),
        ({"prompt_version": "v9"}, "stands for"),
        ({"weight": "os.environ/W"}, "is no number"),
        ({"tags": "canary"}, "are no list"),
    ],
)
def test_what_cannot_be_changed_is_refused_in_words(change: dict[str, Any], words: str) -> None:
    bad = {"prompt_version": "v18", "weight": 1, **change}
    made = [deployment("bad", **bad), deployment("good", prompt_version="v17", weight=1)]
    with FakeLitellm(*made) as fake:
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.FAILED
        assert words in attempt.detail
        assert not fake.writes


def test_what_a_person_moved_is_left_alone() -> None:
    with two(weight=1) as fake:
        _, kept = done(fake, asking("v18", "v17"))
        fake.of("d18")["litellm_params"]["weight"] = 5
        attempt, _ = done(fake, asking("v17", "v18", undoes="rb-1", kept=kept))
        assert "left alone" in attempt.detail
        for each in fake.deployments:
            each["litellm_params"] |= {"weight": 0, "tags": []}
        fake.deployments.append(deployment("d16", prompt_version="v16", weight=1))
        for wanted in (asking("v18", "v17"), asking("v18", "v17", **CANARY)):
            assert "a person moved it" in done(fake, wanted)[0].detail
        for nothing in ("", "{", "[]", "[1]"):
            attempt, _ = done(fake, asking("v17", "v18", undoes="rb-1", kept=nothing))
            assert "wrote nothing" in attempt.detail


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (401, AttemptState.FAILED),
        (403, AttemptState.FAILED),
        (404, AttemptState.FAILED),
        (409, AttemptState.RETRY),
        (429, AttemptState.RETRY),
        (500, AttemptState.RETRY),
    ],
)
def test_a_first_write_that_is_refused_left_everything_as_it_was(
    status: int, state: AttemptState
) -> None:
    with two(weight=1) as fake:
        fake.write_faults = [Fault(told(status, error={"message": "no, sk-master"}))]
        attempt, _ = done(fake, asking("v18", "v17"))
        assert (attempt.state, attempt.status) == (state, status)
        assert "no, (redacted)" in attempt.detail
        assert weights(fake) == [1, 1]


@pytest.mark.parametrize("answer", [told(401), told(500), CUT, Answer(200, b"<html>"), told()])
def test_what_cannot_be_read_is_not_written(answer: Answer) -> None:
    with two() as fake:
        fake.read_fault = answer
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state in (AttemptState.FAILED, AttemptState.RETRY)
        assert not fake.writes


def test_the_dry_run_shows_every_request_and_no_key() -> None:
    with two() as fake:
        assert ask(section(fake), lambda one: one.probe()).usable
        call = ask(section(fake), lambda one: planned(one, asking("v18", "v17", **CANARY)))
        assert [request.method for request in call.requests] == ["PATCH", "PATCH"]
        assert "sk-master" not in repr(call)
        assert not section(fake).is_verified
