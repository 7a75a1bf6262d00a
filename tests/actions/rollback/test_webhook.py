"""The webhook target does what the contract asks, and says so where it cannot."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import pytest
from standardwebhooks import Webhook

from tests.actions.receiver import HANG, SECRET, Answer, Receiver, says
from tests.actions.rollback.kinds import asking, planned
from tests.store.samples import SCOPE, effect
from tripswitch.actions.attempt import AttemptState
from tripswitch.actions.exchange import open_client
from tripswitch.actions.rollback.webhook import WebhookRollback
from tripswitch.actions.targets import open_targets
from tripswitch.config.model import Config
from tripswitch.config.target_sections import WebhookTarget
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tripswitch.actions.rollback.contract import RollbackTarget

T = TypeVar("T")


def ask(do: Callable[[RollbackTarget], Awaitable[T]], **fields: Any) -> T:
    """Open a target, do one thing with it, close it."""

    async def run() -> T:
        async with open_client() as client:
            target = WebhookTarget.model_validate({"secret": SECRET, **fields})
            return await do(WebhookRollback(target, client, "here", time.time_ns))

    return asyncio.run(run())


async def applied(target: RollbackTarget) -> Any:
    return await target.apply(await planned(target, effect("rb-1")), lambda: None)


def test_apply_sends_a_message_that_the_receivers_library_verifies() -> None:
    with Receiver(says(action_id="rb-1")) as receiver:
        attempt = ask(applied, url=receiver.url)
        (post,) = receiver.posts
    assert (attempt.state, attempt.detail) == (AttemptState.DONE, "confirmed by the receiver")
    event = post.verify()
    assert event["id"] == post.id == post.headers["idempotency-key"] == "rb-1"
    assert event["source"] == "/tripswitch/here"
    assert event["data"]["rollback"]["to"] == "v17"
    assert post.headers["content-type"] == "application/cloudevents+json"


@pytest.mark.parametrize(
    "answer",
    [Answer(204), says(action_id="rb-2"), says(ok=True), Answer(200, b"[1]"), Answer(200, b"\xff")],
)
def test_a_2xx_without_the_action_id_is_done_but_not_confirmed(answer: Answer) -> None:
    with Receiver(answer) as receiver:
        attempt = ask(applied, url=receiver.url)
    assert attempt.state is AttemptState.DONE
    assert "judged from the spans" in attempt.detail


def test_an_answer_nested_beyond_reason_is_only_unconfirmed() -> None:
    with Receiver(Answer(200, b"[" * 60_000)) as receiver:
        assert ask(applied, url=receiver.url).state is AttemptState.DONE


def test_plan_is_the_literal_request_without_secrets() -> None:
    async def plan(target: RollbackTarget) -> Any:
        return await planned(target, effect("rb-1"))

    with Receiver() as receiver:
        url = receiver.url.replace("http://", "http://me:hunter2@") + "?token=hunter3"
        call = ask(plan, url=url)
        ask(applied, url=url)
        (post,) = receiver.posts
    (request,) = call.requests
    assert post.body == request.body
    assert (request.method, request.url, call.blast_radius) == ("POST", receiver.url, "cohort")
    assert "hunter" not in repr(call)
    assert request.headers["webhook-signature"] == "(redacted)"
    assert post.path == "/hook?token=hunter3"
    assert request.headers.items() - post.headers.items() == {("webhook-signature", "(redacted)")}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/hooks/T024BE7LH/x8Kd02jfkqPpL3mNv", "/hooks/T024BE7LH/(redacted)"),
        ("/v1/rollback-of-the-refund-bot", "/v1/rollback-of-the-refund-bot"),
        ("", "/"),
    ],
)
def test_a_token_in_the_path_is_not_shown(path: str, shown: str) -> None:
    async def plan(target: RollbackTarget) -> Any:
        return await planned(target, effect("rb-1"))

    (request,) = ask(plan, url=f"http://127.0.0.1:1{path}").requests
    assert request.url == f"http://127.0.0.1:1{shown}"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (says(state="applied"), True),
        (says(state="not_applied"), False),
        (says(state="unknown"), False),
        (says(state="perhaps"), None),
        (says(), None),
        (Answer(404, b'{"state": "applied"}'), None),
        (Answer(500), None),
        (HANG, None),
    ],
)
def test_snapshot_asks_the_status_url_under_a_signature(
    answer: Answer, expected: bool | None
) -> None:
    with Receiver() as receiver:
        receiver.status = lambda action: answer if action == "rb-1" else Answer(400)
        snapshot = ask(
            lambda target: target.snapshot(effect("rb-1")),
            url=receiver.url,
            status_url=receiver.status_url,
            timeout=0.5,
        )
        (get,) = receiver.gets
    assert snapshot.applied is expected
    Webhook(SECRET).verify(b"", get.headers, json_parse=False)
    assert get.path.startswith("/status?tenant=a&action_id=rb-1")


def test_without_status_url_nothing_is_known_and_nothing_is_called() -> None:
    with Receiver() as receiver:
        assert ask(lambda one: one.snapshot(effect()), url=receiver.url).applied is None
        probe = ask(lambda one: one.probe(), url=receiver.url)
        assert (probe.usable, probe.read_back) == (None, False)
        assert not receiver.gets
        assert not receiver.posts


@pytest.mark.parametrize(
    ("answer", "usable"), [(says(state="unknown"), True), (Answer(401), False)]
)
def test_probe_tries_the_credentials_without_acting(answer: Answer, usable: bool) -> None:
    with Receiver() as receiver:
        receiver.status = lambda _: answer
        probe = ask(lambda one: one.probe(), url=receiver.url, status_url=receiver.status_url)
        assert not receiver.posts
    assert (probe.usable, probe.read_back, probe.cohort) == (usable, True, True)
    assert [probe.compare_and_set, probe.undo, probe.dry_run] == [False, True, True]


def test_an_undo_is_asked_for_under_its_own_type_and_id() -> None:
    wanted = asking("v17", "v18", key="undo-1", undoes="rb-1")
    with Receiver(says(action_id="undo-1")) as receiver:
        undone = ask(lambda one: one.undo(wanted, lambda: None), url=receiver.url)
        (post,) = receiver.posts
    assert undone.state is AttemptState.DONE
    event = post.verify()
    assert (event["id"], event["type"]) == ("undo-1", "tripswitch.rollback.undo.v1")
    assert event["data"]["rollback"]["undoes"] == "rb-1"


def test_observe_names_what_to_watch() -> None:
    async def observed(target: RollbackTarget) -> Any:
        return target.observe(effect())

    evidence = ask(observed, url="http://127.0.0.1:1/")
    assert (evidence.gone_version, evidence.back_version) == ("v18", "v17")
    assert evidence.pointer == SCOPE.as_json()


@pytest.mark.parametrize("url", ["", "gateway:8080/x", "ftp://gateway/x", "http://", "http://[::1"])
def test_an_unusable_address_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"rollback.targets\[gateway\].url: expected a URL"
    ) as caught:
        WebhookRollback(
            WebhookTarget(url=url), httpx.AsyncClient(), instance="a", now_ns=time.time_ns
        )
    assert not url or f'"{url}"' not in str(caught.value)


def test_every_unusable_target_is_listed_at_once() -> None:
    config = Config.model_validate(
        {"rollback": {"targets": [{"name": "a"}, {"name": "b", "url": "http://b/"}]}}
    )
    with pytest.raises(ConfigError) as caught:
        open_targets(config, httpx.AsyncClient(), "here", time.time_ns)
    places = [line.split(":")[0] for line in caught.value.message.splitlines()]
    assert places == ["rollback.targets[a].url", "rollback.targets[b].secret"]
