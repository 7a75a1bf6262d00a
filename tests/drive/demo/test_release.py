"""The release desk acts on a verified rollback, once, and on nothing else."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tripswitch.actions.signing import Signer
from tripswitch.drive.demo import story
from tripswitch.drive.demo.release import ReleaseDesk

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"


def request(
    action_id: str = "rb_1", secret: str = SECRET, **changed: Any
) -> tuple[dict[str, str], bytes]:
    data = {
        "action_id": action_id,
        "scope": {"route": story.REFUND_ROUTE, "cohort": story.CANARY},
        "rollback": {"from": story.NEW_VERSION, "to": story.OLD_VERSION},
    } | changed
    body = json.dumps({"type": "tripswitch.rollback.requested.v1", "data": data}).encode()
    return Signer(secret, "here").headers(action_id, body, time.time_ns()), body


@pytest.fixture
def desk() -> ReleaseDesk:
    desk = ReleaseDesk(SECRET, lambda: 12.5)
    desk.roll_out(story.CANARY, story.NEW_VERSION)
    return desk


def canary(desk: ReleaseDesk) -> str:
    return desk.version(story.REFUND_ROUTE, story.CANARY)


def test_a_signed_rollback_moves_the_pointer(desk: ReleaseDesk) -> None:
    reply = desk.rollback(*request())
    assert reply.status == 200
    assert reply.body == {"action_id": "rb_1", "state": "applied", "current": story.OLD_VERSION}
    assert canary(desk) == story.OLD_VERSION
    assert (desk.calls[0]["verified"], desk.calls[0]["acted"]) == (True, True)
    assert desk.calls[0]["story_s"] == 12.5


def test_the_same_request_again_gets_the_same_answer_and_does_nothing(desk: ReleaseDesk) -> None:
    first = desk.rollback(*request())
    desk.roll_out(story.CANARY, story.NEW_VERSION)
    assert desk.rollback(*request()) == first
    assert canary(desk) == story.NEW_VERSION
    assert [call["repeat"] for call in desk.calls] == [False, True]
    assert [call["acted"] for call in desk.calls] == [True, False]


@pytest.mark.parametrize(
    "broken",
    [
        lambda headers, body: (headers, body.replace(b"v17", b"v16")),
        lambda headers, body: (headers | {"webhook-id": "rb_2"}, body),
        lambda headers, body: (headers | {"webhook-signature": "nonsense"}, body),
        lambda headers, body: (headers | {"webhook-timestamp": "1"}, body),
        lambda _headers, body: ({}, body),
        lambda headers, _body: (headers, b"\xff"),
    ],
)
def test_a_forged_rollback_is_refused_and_recorded(desk: ReleaseDesk, broken: Any) -> None:
    reply = desk.rollback(*broken(*request()))
    assert reply.status == 401
    assert canary(desk) == story.NEW_VERSION
    assert desk.calls[0]["verified"] is False
    assert desk.calls[0]["data"] is None


def test_another_secret_does_not_open_the_desk(desk: ReleaseDesk) -> None:
    other = "whsec_" + "A" * 36
    assert desk.rollback(*request(secret=other)).status == 401
    assert desk.alert(*request(secret=other)).status == 401


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"rollback": {"from": "v16", "to": story.OLD_VERSION}}, 409),
        ({"rollback": {"from": story.NEW_VERSION, "to": "v1"}}, 400),
        ({"scope": {"route": story.SEARCH_ROUTE, "cohort": story.CANARY}}, 400),
        ({"scope": {"route": story.REFUND_ROUTE, "cohort": "nobody"}}, 400),
        ({"scope": None}, 400),
        ({"rollback": {}}, 400),
    ],
)
def test_a_rollback_that_makes_no_sense_moves_nothing(
    desk: ReleaseDesk, changed: dict[str, Any], status: int
) -> None:
    assert desk.rollback(*request(**changed)).status == status
    assert canary(desk) == story.NEW_VERSION
    assert desk.calls[0]["acted"] is False


def test_it_says_what_became_of_an_action_to_whoever_may_know(desk: ReleaseDesk) -> None:
    asked = Signer(SECRET, "here").headers("rb_1", b"", time.time_ns())
    assert desk.action(asked, "rb_1").body["state"] == "unknown"
    desk.rollback(*request())
    assert desk.action(asked, "rb_1").body["state"] == "applied"
    assert desk.action({}, "rb_1").status == 401


def test_an_alert_is_verified_and_moves_nothing(desk: ReleaseDesk) -> None:
    assert desk.alert(*request("nt_1")).status == 204
    assert desk.alert(*request("nt_1")).status == 204
    assert canary(desk) == story.NEW_VERSION
    assert [call["repeat"] for call in desk.calls] == [False, True]
