"""Every target with a pointer: read, compare, one write, read back; refused in words, undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.actions.receiver import CUT, HANG, Answer
from tests.actions.rollback.fakes.server import Fault, listed, told
from tests.actions.rollback.kinds import REGISTRIES, Kind, ask, carried_out, planned
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback.contract import PlannedCall

GARBAGE = Answer(200, b"<html>log in</html>", {"content-type": "text/html"})


@pytest.fixture(params=REGISTRIES, ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
def fake(kind: Kind) -> Iterator[Any]:
    with kind.fake() as server:
        yield server


def test_the_pointer_is_moved_by_exactly_one_write_and_read_back(kind: Kind, fake: Any) -> None:
    attempt, kept = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert "read back" in attempt.detail
    assert kind.stands(fake) == 17
    assert len(fake.writes) == 1
    assert kept
    # The same effect again finds it done.
    again, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert again.state is AttemptState.DONE
    assert "nothing was sent" in again.detail
    assert len(fake.writes) == 1


def test_a_pointer_that_a_person_moved_is_left_alone(kind: Kind, fake: Any) -> None:
    kind.put(fake, 12)
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.FAILED
    assert "a person moved it" in attempt.detail
    assert kind.stands(fake) == 12
    assert not fake.writes


def test_a_version_that_the_registry_does_not_hold_is_refused_by_name(
    kind: Kind, fake: Any
) -> None:
    wanted = kind.effect(18, 77)
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.FAILED
    assert "holds no version" in attempt.detail
    assert kind.versions(77) in attempt.detail
    assert not fake.writes


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
def test_a_write_that_is_refused(kind: Kind, fake: Any, status: int, state: AttemptState) -> None:
    words = told(status, message="because\x1b[31m of reasons")
    headers = {"retry-after": "7"} if status == 429 else {}
    fake.write_faults = [Fault(Answer(status, words.body, headers))]
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert (attempt.state, attempt.status) == (state, status)
    assert "of reasons" in attempt.detail
    assert "\x1b" not in attempt.detail
    assert attempt.retry_after_s == (7.0 if status == 429 else None)
    assert kind.stands(fake) == 18
    assert len(fake.writes) == 1


@pytest.mark.parametrize("fault", [Fault(HANG, acts=True), Fault(CUT, acts=True)])
def test_a_write_whose_answer_is_lost_is_unknown_and_read_back(
    kind: Kind, fake: Any, fault: Fault
) -> None:
    fake.write_faults = [fault]
    section = kind.section(fake.url, timeout=0.4)
    attempt, _ = ask(section, lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.UNKNOWN
    snapshot = ask(section, lambda one: one.snapshot(kind.effect()))
    assert snapshot.applied
    assert len(fake.writes) == 1


def test_a_write_whose_answer_is_garbage_counts_by_what_stands_there(kind: Kind, fake: Any) -> None:
    fake.write_faults = [Fault(GARBAGE, acts=True)]
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.DONE


def test_a_write_that_says_yes_and_does_nothing_is_unknown(kind: Kind, fake: Any) -> None:
    fake.write_faults = [Fault(told())]
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.UNKNOWN
    assert "on reading back" in attempt.detail


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (told(401), AttemptState.FAILED),
        (told(403), AttemptState.FAILED),
        (told(429), AttemptState.RETRY),
        (told(500), AttemptState.RETRY),
        (told(504), AttemptState.RETRY),
        (CUT, AttemptState.RETRY),
        (GARBAGE, AttemptState.FAILED),
        (Answer(200, b"[" * 70_000), AttemptState.FAILED),
        (listed(1), AttemptState.FAILED),
        (told(), AttemptState.FAILED),
    ],
)
def test_what_cannot_be_read_is_not_written(
    kind: Kind, fake: Any, answer: Answer, state: AttemptState
) -> None:
    fake.read_fault = answer
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is state
    assert not fake.writes
    snapshot = ask(kind.section(fake.url), lambda one: one.snapshot(kind.effect()))
    assert snapshot.applied is not True


def test_an_undo_puts_back_what_was_found(kind: Kind, fake: Any) -> None:
    _, kept = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    undo = kind.effect(17, 18, key="undo-1", undoes="rb-1", kept=kept)
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, undo))
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert kind.stands(fake) == 18
    assert len(fake.writes) == 2
    assert ask(kind.section(fake.url), lambda one: one.snapshot(undo)).applied


def test_an_undo_leaves_alone_what_a_person_moved_since(kind: Kind, fake: Any) -> None:
    _, kept = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    kind.put(fake, 12)
    undo = kind.effect(17, 18, key="undo-1", undoes="rb-1", kept=kept)
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, undo))
    assert attempt.state is AttemptState.FAILED
    assert "left alone" in attempt.detail
    assert kind.stands(fake) == 12


@pytest.mark.parametrize("kept", ["", "{", "[]", "{}"])
def test_an_undo_of_what_wrote_nothing_is_refused(kind: Kind, fake: Any, kept: str) -> None:
    kind.put(fake, 17)
    undo = kind.effect(17, 18, key="undo-1", undoes="rb-1", kept=kept)
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, undo))
    assert attempt.state is AttemptState.FAILED
    assert "wrote nothing" in attempt.detail
    assert not fake.writes


def test_the_dry_run_is_what_is_sent_and_shows_no_secret(kind: Kind, fake: Any) -> None:
    async def dry(target: Any) -> PlannedCall:
        return await planned(target, kind.effect())

    call = ask(kind.section(fake.url), dry)
    assert not fake.writes
    (request,) = call.requests
    assert call.blast_radius == "cohort"
    assert not any(secret in repr(call) for secret in kind.secrets)
    assert "(redacted)" in request.headers.values()
    ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    (write,) = fake.writes
    assert (write.method, write.body) == (request.method, request.body)
    assert request.url.startswith(fake.url)


def test_no_answer_gives_a_secret_away(kind: Kind, fake: Any) -> None:
    echo = told(403, message=" ".join(kind.secrets))
    fake.write_faults = [Fault(echo)]
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, kind.effect()))
    assert not any(secret in attempt.detail for secret in kind.secrets)


def test_probe_reads_with_the_credentials_and_writes_nothing(kind: Kind, fake: Any) -> None:
    probe = ask(kind.section(fake.url), lambda one: one.probe())
    assert probe.usable, probe.detail
    assert (probe.undo, probe.read_back, probe.dry_run) == (True, True, True)
    fake.read_fault = told(403)
    probe = ask(kind.section(fake.url), lambda one: one.probe())
    assert probe.usable is False
    assert "may not do this" in probe.detail
    assert not fake.writes


def test_a_server_that_is_down_is_tried_again(kind: Kind) -> None:
    with kind.fake() as gone:
        url = gone.url
    attempt, _ = ask(kind.section(url), lambda one: carried_out(one, kind.effect()))
    assert attempt.state is AttemptState.RETRY


def test_the_spans_prove_it(kind: Kind, fake: Any) -> None:
    async def observed(target: Any) -> Any:
        return target.observe(kind.effect())

    evidence = ask(kind.section(fake.url), observed)
    assert (evidence.gone_version, evidence.back_version) == (kind.versions(18), kind.versions(17))
    assert isinstance(evidence.pointer, dict)
    assert not fake.asked


def test_a_path_of_dots_leads_nowhere(kind: Kind, fake: Any) -> None:
    wanted = kind.effect(scope={"prompt_name": ".."})
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, wanted))
    assert isinstance(attempt, Attempt)
    assert attempt.state is AttemptState.FAILED
    assert not fake.writes


def test_a_cohort_moves_alone_only_where_it_has_a_label_of_its_own(kind: Kind, fake: Any) -> None:
    wanted = kind.effect(path="cohort", scope={"cohort": "canary"})
    section = kind.section(fake.url)
    assert (section.does("cohort"), section.does("prompt_version")) == (False, True)
    assert section.radius("canary") == "global"
    attempt, _ = ask(section, lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.FAILED
    mapped = kind.section(fake.url, cohort_labels={"canary": "production"}, routes=["/chat"])
    assert mapped.does("cohort")
    assert (mapped.radius("canary"), mapped.radius("beta")) == ("cohort", "route")
    attempt, _ = ask(mapped, lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.DONE, attempt.detail
    other = kind.effect(path="cohort", scope={"cohort": "beta"})
    attempt, _ = ask(mapped, lambda one: carried_out(one, other))
    assert "has no label of its own" in attempt.detail
    assert len(fake.writes) == 1


def test_spans_without_a_prompt_name_are_refused(kind: Kind, fake: Any) -> None:
    wanted = kind.effect(scope={"prompt_name": None})
    attempt, _ = ask(kind.section(fake.url), lambda one: carried_out(one, wanted))
    assert "no prompt name" in attempt.detail
    section = kind.section(fake.url, prompt=kind.prompt)
    attempt, _ = ask(section, lambda one: carried_out(one, wanted))
    assert attempt.state is AttemptState.DONE


def test_only_what_was_tried_on_the_real_thing_counts_as_verified() -> None:
    verified = {kind.name for kind in REGISTRIES if kind.section("http://x").is_verified}
    assert verified == {"mlflow", "phoenix", "langfuse"}
