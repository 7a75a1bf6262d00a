"""The Unleash target: a cohort's variants or percentage, everybody's switch, and no one else's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actions.receiver import CUT, Answer
from tests.actions.rollback.fakes.server import Fault, told
from tests.actions.rollback.fakes.unleash import FakeUnleash, strategy, variants
from tests.actions.rollback.kinds import ask, asking, carried_out, planned, section_of
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.model.outbox import Effect

CANARY = {"cohort": "canary"}
GATE = "refund-bot-{from}"


def section(fake: FakeUnleash, **fields: Any) -> Any:
    return section_of(
        {"type": "unleash", "url": fake.url, "token": "*:*.secret", "timeout": 5.0, **fields}
    )


def canary(**changes: Any) -> Effect:
    return asking("v18", "v17", path="cohort", scope=CANARY, **changes)


def undo_of(kept: str, **changes: Any) -> Effect:
    return asking("v17", "v18", key="undo-1", undoes="rb-1", kept=kept, **changes)


def done(fake: FakeUnleash, wanted: Effect, **fields: Any) -> tuple[Attempt, str]:
    return ask(section(fake, **fields), lambda one: carried_out(one, wanted))


def weights(fake: FakeUnleash, number: int = 0) -> dict[str, int]:
    found = fake.features["refund-bot"]["strategies"][number]["variants"]
    return {each["name"]: each["weight"] for each in found}


def with_variants(**weights: int) -> FakeUnleash:
    return FakeUnleash(
        refund_bot=[
            strategy("s-1", ["canary"], variants=variants(**weights)),
            strategy("s-2", variants=variants(v17=1000)),
        ]
    )


def test_a_cohorts_weight_goes_from_the_bad_variant_to_the_good_one_and_back() -> None:
    with with_variants(v16=100, v17=0, v18=900) as fake:
        before = weights(fake)
        attempt, kept = done(fake, canary())
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert weights(fake) == {"v16": 100, "v17": 900, "v18": 0}
        assert weights(fake, 1) == {"v17": 1000}
        assert "nothing was sent" in done(fake, canary())[0].detail
        assert len(fake.writes) == 1
        undo = undo_of(kept, path="cohort", scope=CANARY)
        attempt, _ = done(fake, undo)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert weights(fake) == before
        assert "as it was" in done(fake, undo)[0].detail


def test_a_gate_is_closed_for_a_cohort_by_its_percentage() -> None:
    with FakeUnleash(refund_bot_v18=[strategy("s-1", ["canary"])]) as fake:
        attempt, kept = done(fake, canary(), feature=GATE)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert fake.features["refund-bot-v18"]["strategies"][0]["parameters"] == {"rollout": "0"}
        undo = undo_of(kept, path="cohort", scope=CANARY)
        assert done(fake, undo, feature=GATE)[0].state is AttemptState.DONE
        assert fake.features["refund-bot-v18"]["strategies"][0]["parameters"] == {"rollout": "100"}


@pytest.mark.parametrize(
    ("path", "bad", "good"),
    [("prompt_version", "v18", "v17"), ("tool_breaker", "v18", "off")],
)
def test_a_gate_is_closed_for_everybody_by_its_switch(path: str, bad: str, good: str) -> None:
    with FakeUnleash(refund_bot_v18=[strategy("s-1"), strategy("s-2")]) as fake:
        wanted = asking(bad, good, path=path)
        attempt, kept = done(fake, wanted, feature=GATE)
        assert attempt.state is AttemptState.DONE, attempt.detail
        assert not fake.features["refund-bot-v18"]["enabled"]
        assert "nothing was sent" in done(fake, wanted, feature=GATE)[0].detail
        undo = asking(good, bad, path=path, key="undo-1", undoes="rb-1", kept=kept)
        assert done(fake, undo, feature=GATE)[0].state is AttemptState.DONE
        assert fake.features["refund-bot-v18"]["enabled"]
        assert [write.segments[-1] for write in fake.writes] == ["off", "on"]


def test_without_a_cohort_the_one_strategy_with_the_bad_variant_is_changed() -> None:
    with with_variants(v17=0, v18=1000) as fake:
        attempt, _ = done(fake, asking("v18", "v17"))
        assert attempt.state is AttemptState.DONE
        assert weights(fake) == {"v17": 1000, "v18": 0}


@pytest.mark.parametrize(
    ("strategies", "fields", "words"),
    [
        ([strategy("s", ["canary", "beta"])], {"feature": GATE}, "together with others"),
        ([strategy("s")], {"feature": GATE}, "together with others"),
        ([strategy("s", ["beta"])], {"feature": GATE}, "no strategy of its own"),
        ([strategy("s", ["canary"])] * 2, {"feature": GATE}, "2 strategies"),
        ([strategy("s", ["canary"], disabled=True)], {"feature": GATE}, "no strategy of its own"),
        ([strategy("s", ["canary"])], {"feature": "refund-bot-v18"}, "nothing says that it gates"),
        (
            [strategy("s", ["canary"], variants=variants(v16=1000))],
            {"feature": "refund-bot-v18"},
            "a person moved it",
        ),
        (
            [strategy("s", ["canary"], variants=variants(v18=1000))],
            {"feature": "refund-bot-v18"},
            "0 variants for version",
        ),
        ([strategy("s", ["canary"])], {"feature": "nope"}, "no such feature"),
        ([strategy("s", ["canary"])], {"feature": ".."}, "consists of dots"),
    ],
)
def test_what_would_move_others_or_nobody_is_refused_in_words(
    strategies: list[dict[str, Any]], fields: dict[str, Any], words: str
) -> None:
    with FakeUnleash(refund_bot_v18=strategies) as fake:
        attempt, _ = done(fake, canary(), **fields)
        assert attempt.state is AttemptState.FAILED
        assert words in attempt.detail
        assert not fake.writes


def test_what_changed_between_reading_and_writing_is_not_overwritten() -> None:
    with with_variants(v17=0, v18=1000) as fake:

        async def raced(target: Any) -> Attempt:
            call = await planned(target, canary())
            first = fake.features["refund-bot"]["strategies"]
            first[0]["variants"] = variants(v16=1000)
            attempt: Attempt = await target.apply(call, lambda: None)
            return attempt

        attempt = ask(section(fake), raced)
        assert attempt.state is AttemptState.RETRY
        assert weights(fake) == {"v16": 1000}
        assert "a person moved it" in done(fake, canary())[0].detail


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
def test_a_write_that_is_refused(status: int, state: AttemptState) -> None:
    with with_variants(v17=0, v18=1000) as fake:
        fake.write_faults = [Fault(told(status, message="change request needed"))]
        attempt, _ = done(fake, canary())
        assert (attempt.state, attempt.status) == (state, status)
        assert "change request needed" in attempt.detail
        assert weights(fake) == {"v17": 0, "v18": 1000}


def test_a_lost_answer_is_unknown_and_read_back() -> None:
    with with_variants(v17=0, v18=1000) as fake:
        fake.write_faults = [Fault(CUT, acts=True)]
        assert done(fake, canary())[0].state is AttemptState.UNKNOWN
        assert ask(section(fake), lambda one: one.snapshot(canary())).applied
        assert len(fake.writes) == 1


@pytest.mark.parametrize(
    "answer", [Answer(200, b"<html>"), told(), told(enabled=1, strategies=[]), told(401), CUT]
)
def test_what_cannot_be_read_is_not_written(answer: Answer) -> None:
    with with_variants(v17=0, v18=1000) as fake:
        fake.read_fault = answer
        attempt, _ = done(fake, canary())
        assert attempt.state in (AttemptState.FAILED, AttemptState.RETRY)
        assert not fake.writes


def test_an_undo_leaves_alone_what_a_person_changed_since() -> None:
    with with_variants(v17=0, v18=1000) as fake:
        _, kept = done(fake, canary())
        fake.features["refund-bot"]["strategies"][0]["variants"] = variants(v16=1)
        attempt, _ = done(fake, undo_of(kept, path="cohort", scope=CANARY))
        assert "left alone" in attempt.detail
        for nothing in ("", "{", "[]", "{}"):
            attempt, _ = done(fake, undo_of(nothing, path="cohort", scope=CANARY))
            assert "wrote nothing" in attempt.detail
        assert len(fake.writes) == 1


def test_probe_and_dry_run_show_no_token_and_write_nothing() -> None:
    with with_variants(v17=0, v18=1000) as fake:
        assert ask(section(fake), lambda one: one.probe()).usable
        call = ask(section(fake), lambda one: planned(one, canary()))
        assert "secret" not in repr(call)
        (request,) = call.requests
        assert request.method == "PATCH"
        assert b'"op":"test"' in request.body
        assert not fake.writes
