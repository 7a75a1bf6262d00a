"""The envelope says what CloudEvents asks for, in the same bytes each time."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import effect
from tripswitch.actions.cloudevent import envelope, message_id


def test_envelope_has_the_attributes_of_cloudevents() -> None:
    told = json.loads(envelope(effect("rb-1"), "abc"))
    data = told.pop("data")
    assert told == {
        "specversion": "1.0",
        "id": "rb-1",
        "source": "/tripswitch/abc",
        "type": "tripswitch.rollback.requested.v1",
        "subject": "/chat/refund/v18/canary",
        "time": "2026-11-24T01:56:41.647Z",
        "datacontenttype": "application/json",
    }
    assert data == json.loads(effect("rb-1").body)


def test_envelope_does_not_depend_on_attempts() -> None:
    assert envelope(effect(attempts=3, due_ns=9, last_result="500"), "a") == envelope(effect(), "a")


@pytest.mark.parametrize("key", ["rb-1", "inc:2/opened/pager", "A_b"])
def test_a_plain_key_is_its_own_id(key: str) -> None:
    assert message_id(key) == key


@given(st.text(st.characters()))
def test_any_key_becomes_an_id_that_can_be_a_header(key: str) -> None:
    found = message_id(key)
    assert found.isascii()
    assert found.isprintable()
    assert not set(found) & set(" .,")
    assert 0 < len(found) <= 128


def test_keys_that_cannot_be_headers_stay_apart() -> None:
    assert message_id("a b") != message_id("a\nb")
