"""Incidents and plans come back from text exactly as they were."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from tripswitch.model.incident import (
    Change,
    Incident,
    IncidentState,
    RollbackPlan,
    RollbackState,
    Severity,
    Shape,
)
from tripswitch.model.scope import Scope
from tripswitch.store.incident_record import (
    incident_of,
    incident_record,
    json_text,
    plan_of,
    plan_record,
)

# Attributes of spans are under anybody's control: lone surrogates included.
TEXT = st.text(st.characters(), max_size=20)
NUMBER = st.floats(allow_nan=False)
TIME_NS = st.integers(0, 2**63 - 1)
SCOPES = st.builds(Scope, *[st.none() | TEXT] * 6)
PLANS = st.builds(
    RollbackPlan,
    key=TEXT,
    path=TEXT,
    target=TEXT,
    pointer=SCOPES,
    from_version=TEXT,
    to_version=TEXT,
    blast_radius=TEXT,
    mode=TEXT,
    state=st.sampled_from(RollbackState),
    reason=TEXT,
)
CHANGES = st.builds(Change, TEXT, TIME_NS, SCOPES, st.none() | TEXT, TEXT)
INCIDENTS = st.builds(
    Incident,
    id=TEXT,
    shape=st.sampled_from(Shape),
    signal=TEXT,
    rubric=st.none() | TEXT,
    severity=st.sampled_from(Severity),
    state=st.sampled_from(IncidentState),
    security=st.booleans(),
    scope=SCOPES,
    episode=st.integers(0, 2**31),
    onset_ns=TIME_NS,
    detected_at_ns=TIME_NS,
    estimate=NUMBER,
    baseline=NUMBER,
    samples=st.integers(0, 2**53),
    evidence=NUMBER,
    why=TEXT,
    signals=st.lists(TEXT, max_size=3).map(tuple),
    exemplars=st.lists(TEXT, max_size=3).map(tuple),
    changes=st.lists(CHANGES, max_size=3).map(tuple),
    tenants=st.lists(st.tuples(TEXT, st.integers(0, 10**6)), max_size=3).map(tuple),
    rollback=st.none() | PLANS,
    recovered_at_ns=st.none() | TIME_NS,
    resolved_at_ns=st.none() | TIME_NS,
)


@given(INCIDENTS)
def test_incident_comes_back_equal_and_with_its_own_types(incident: Incident) -> None:
    back = incident_of(incident_record(incident))
    assert back == incident
    assert type(back.scope) is Scope
    assert type(back.state) is IncidentState
    assert back.as_json() == incident.as_json()


@given(PLANS)
def test_plan_comes_back_equal_and_with_its_own_types(plan: RollbackPlan) -> None:
    back = plan_of(plan_record(plan))
    assert back == plan
    assert type(back.pointer) is Scope
    assert type(back.state) is RollbackState


def test_json_text_turns_what_json_cannot_say_into_null() -> None:
    text = json_text({"a": [float("nan"), {"b": float("inf")}], "c": 1.5, "d": "\ud800"})
    assert json.loads(text) == {"a": [None, {"b": None}], "c": 1.5, "d": "\ud800"}
    assert text.isascii()
