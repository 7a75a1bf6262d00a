"""The gateway plays as far as it is told, on the story's terms, and remembers what went wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.drive.demo.upstream import Upstream
from tripswitch.drive.demo import story
from tripswitch.drive.demo.gateway import Gateway

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"
JUST_AFTER_S = story.ROLLOUT_S + 30


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline_s, "nothing happened in a minute"
        time.sleep(0.005)


def played(*permissions_s: float) -> tuple[Gateway, Upstream]:
    gateway = Gateway(story.STORIES["regression"], 4, SECRET)
    with Upstream() as upstream:
        gateway.connect(upstream.endpoint)
        for until_s in permissions_s:
            gateway.allow(until_s)
            wait_for(lambda: bool(gateway.state()["is_idle"] or gateway.fault))
        gateway.stop()
    assert gateway.fault == ""
    return gateway, upstream


def test_it_plays_to_the_second_and_every_answer_that_was_ready_was_sent() -> None:
    gateway, upstream = played(60.0)
    state = gateway.state()
    assert state["story_s"] == 60.0
    latest_ns = max(span.end_time_unix_nano for span in upstream.spans())
    assert latest_ns == story.START_NS + int(state["sent_until_s"] * 1e9)
    assert 55.0 < state["sent_until_s"] < 60.0
    assert state["sent"]["spans"] == len(upstream.spans())


def test_it_sends_what_it_would_have_sent_in_one_go_also_in_small_permissions() -> None:
    whole, pieces = played(30.0)[1], played(7.0, 12.5, 12.0, 30.0)[1]
    assert pieces.spans() == whole.spans()


def test_the_canary_gets_the_new_version_at_the_rollout_and_nobody_else_does() -> None:
    gateway, upstream = played(story.ROLLOUT_S - 2, JUST_AFTER_S)
    versions: dict[tuple[str, ...], list[int]] = {}
    for span in upstream.spans():
        facts = {item.key: item.value.string_value for item in span.attributes}
        if "gen_ai.prompt.version" in facts:
            key = (facts["http.route"], facts["tripswitch.cohort"], facts["gen_ai.prompt.version"])
            versions.setdefault(key, []).append(span.start_time_unix_nano)
    rollout_ns = story.START_NS + int(story.ROLLOUT_S * 1e9)
    assert set(versions) == {
        (story.REFUND_ROUTE, story.CONTROL, story.OLD_VERSION),
        (story.REFUND_ROUTE, story.CANARY, story.OLD_VERSION),
        (story.REFUND_ROUTE, story.CANARY, story.NEW_VERSION),
        (story.SEARCH_ROUTE, story.CONTROL, story.OLD_VERSION),
    }
    old = versions[story.REFUND_ROUTE, story.CANARY, story.OLD_VERSION]
    new = versions[story.REFUND_ROUTE, story.CANARY, story.NEW_VERSION]
    # A call begins a few milliseconds after its visit did.
    assert max(old) < rollout_ns + 10_000_000
    assert min(new) > rollout_ns
    assert gateway.state()["served"][story.CANARY][story.NEW_VERSION]["calls"] >= len(new)


def test_bad_traces_are_the_new_versions_and_were_sent() -> None:
    gateway, upstream = played(JUST_AFTER_S)
    bad = gateway.bad_traces()
    new = {
        span.trace_id.hex()
        for span in upstream.spans()
        if any(item.value.string_value == story.NEW_VERSION for item in span.attributes)
    }
    assert bad
    assert set(bad) < new


def test_it_waits_when_it_has_no_leave() -> None:
    gateway, upstream = played(0.0)
    assert gateway.state()["story_s"] == 0.0
    assert upstream.bodies == []
