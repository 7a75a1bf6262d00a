"""A session: what comes by the API joins what comes by OTLP; nothing private leaves it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.content import planted
from tests.genai.spans import CHAT, START_NS, EventOf, SpanOf, request_of
from tests.otlp.test_log_reader import log_request
from tripswitch.config.model import Config
from tripswitch.drive.posted import read_changes, read_scores
from tripswitch.drive.session import Arrival, Session
from tripswitch.genai.census import Census
from tripswitch.model.messages import EventName
from tripswitch.otlp.delivery import Signal

SECOND_NS = 10**9
MARKER = "marker-8b1f-what-a-user-asked-in-confidence"


def session_of(*bodies: bytes, config: Config | None = None, at_s: float = 0) -> Session:
    session = Session(config or Config())
    now_ns = START_NS + round(at_s * SECOND_NS)
    session.feed([Arrival(body, now_ns) for body in bodies])
    return session


def test_posted_score_joins_its_call_before_and_after_it_is_settled() -> None:
    session = session_of(request_of(SpanOf({**CHAT, "gen_ai.response.id": "r1"}, parent=0)))
    for name, at_s in (("early", 1), ("late", 60)):
        now_ns = START_NS + at_s * SECOND_NS
        session.advance(now_ns)
        taken, _ = read_scores([{"response_id": "r1", "name": name, "score": 0.25}], now_ns)
        session.scores([score.evaluation(now_ns) for score in taken], now_ns)
    session.advance(START_NS + 90 * SECOND_NS)
    assert session.counters()["reader_unjoined_scores_total"] == 0
    status = session.status()
    rubrics = {signal["rubric"] for scope in status["scopes"] for signal in scope["signals"]}
    assert rubrics >= {"early", "late"}


def test_posted_score_of_nobody_is_counted() -> None:
    session = session_of(request_of(SpanOf(CHAT, parent=0)))
    taken, _ = read_scores([{"response_id": "r9", "name": "g", "score": 0.25}], START_NS)
    session.scores([score.evaluation(START_NS) for score in taken], START_NS)
    session.advance(START_NS + 3600 * SECOND_NS)
    assert session.counters()["reader_unjoined_scores_total"] == 1


def test_posted_change_is_told_and_kept_for_triage() -> None:
    session = session_of(request_of(SpanOf(CHAT, parent=0)))
    taken, _ = read_changes({"kind": "flag", "to": "on", "from": "off", "route": "/chat"}, START_NS)
    commands = session.changes([change.change(START_NS) for change in taken])
    assert [getattr(command, "name", None) for command in commands] == [EventName.CHANGE_SEEN]
    assert getattr(commands[0], "detail", "") == "flag on on /chat, after off"
    now_ns = START_NS + SECOND_NS
    route = taken[0].change(START_NS).scope
    assert session.engine.changes.before(route, now_ns)[0].after == "on"
    assert session.engine.changes.before(route, START_NS - 1) == ()


def test_what_is_understood_can_be_asked_for() -> None:
    session = session_of(request_of(SpanOf({**CHAT, "http.route": "/chat"}, parent=0)))
    session.advance(START_NS + 60 * SECOND_NS)
    document = json.loads(json.dumps(session.telemetry()))
    census = Census.from_json(document["census"])
    assert (census.calls, census.values["route"]) == (1, {"/chat": 1})
    assert document["counts"]["double_counted"] == 0
    assert census.as_json() == document["census"]


# --- a dialect that the configuration alone describes ---------------------------------------------

ACME: dict[str, Any] = {
    "name": "acme",
    "markers": ["acme.step.kind"],
    "kinds": {"completion": "chat", "shield": "guardrail", "grade": "evaluator"},
    "rows": [
        {"fact": "operation", "key": "acme.step.kind"},
        {"fact": "request_model", "key": "acme.llm"},
        {"fact": "input_tokens", "key": "acme.usage", "member": "in"},
        {"fact": "output_tokens", "key": "acme.usage", "member": "out"},
        {"fact": "cost_usd", "key": "acme.cents", "scale": 0.01},
        {"fact": "ttft", "key": "acme.first_ms", "scale": 0.001},
        {"fact": "finish_reasons", "key": "acme.choices.#.why"},
        {"fact": "prompt_version", "key": "acme.release", "resource": True},
        {"fact": "guardrail_name", "key": "acme.shield.name"},
        {"fact": "guardrail_verdict", "key": "acme.shield.result"},
        {"fact": "evaluation_name", "key": "acme.grade.name"},
        {"fact": "evaluation_score", "key": "acme.grade.value"},
    ],
}


def test_made_up_dialect_is_read_from_the_configuration_alone() -> None:
    spans = [
        SpanOf({"acme.step.kind": "step", "http.route": "/ask"}, span=1, parent=0, kind=2),
        SpanOf(
            {
                "acme.step.kind": "completion",
                "acme.llm": "acme-large",
                "acme.usage": '{"in": 120, "out": 30}',
                "acme.cents": 2.5,
                "acme.first_ms": 250,
                "acme.choices.0.why": "stop",
            },
            span=2,
            parent=1,
        ),
        SpanOf(
            {"acme.step.kind": "shield", "acme.shield.name": "pii", "acme.shield.result": "pass"},
            span=3,
            parent=1,
        ),
        SpanOf(
            {"acme.step.kind": "grade", "acme.grade.name": "tone", "acme.grade.value": 0.75},
            span=4,
            parent=2,
        ),
    ]
    body = request_of(*spans, resource={"acme.release": "v7"})
    unread = session_of(body)
    unread.advance(START_NS + 60 * SECOND_NS)
    assert unread.telemetry()["census"]["calls"] == 0

    session = Session(Config.model_validate({"read": {"dialects": [ACME]}}))
    sighted = session._read([Arrival(body, START_NS)])
    session.engine.traces.add(sighted.items, START_NS)
    call = session.engine.traces.flush().calls.as_json(0)
    wanted = {
        "dialect": "acme",
        "route": "/ask",
        "request_model": "acme-large",
        "input_tokens": 120,
        "output_tokens": 30,
        "cost_usd": 0.025,
        "ttft": 0.25,
        "finish_reasons": ["stop"],
        "prompt_version": "v7",
    }
    assert {name: call.get(name) for name in wanted} == wanted
    assert [(g["name"], g["verdict"]) for g in call["guardrails"]] == [("pii", "pass")]
    assert [(e["name"], e["score"]) for e in call["evals"]] == [("tone", 0.75)]


# --- privacy --------------------------------------------------------------------------------------


def private_bodies() -> tuple[bytes, bytes]:
    """Return a trace and a log request with the marker at every place content is known to be."""
    content: dict[str, object] = dict(planted(MARKER))
    exception = EventOf(
        "exception",
        {
            "exception.type": "ValueError",
            "exception.message": MARKER,
            "exception.stacktrace": MARKER,
        },
    )
    trace = request_of(
        SpanOf(
            {**CHAT, **content, "gen_ai.response.id": "r1"},
            parent=0,
            status=2,
            events=[exception, EventOf("gen_ai.content.prompt", {"gen_ai.prompt": MARKER})],
        ),
        SpanOf(
            {"openinference.span.kind": "TOOL", "tool.name": "search", **content}, span=2, parent=1
        ),
    )
    log = log_request(
        {
            "event": "gen_ai.client.inference.operation.details",
            "attributes": content,
            "trace": 1,
            "span": 1,
        },
        {
            "event": "gen_ai.evaluation.result",
            "attributes": {
                "gen_ai.evaluation.name": "g",
                "gen_ai.evaluation.score.value": 0.5,
                "gen_ai.evaluation.explanation": MARKER,
                "gen_ai.response.id": "r1",
            },
        },
    )
    return trace, log


def texts_of(value: object, seen: set[int]) -> list[str]:
    """Return every text reachable from an object."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes | bytearray):
        return [bytes(value).decode("latin-1")]
    if id(value) in seen or isinstance(value, type) or callable(value):
        return []
    seen.add(id(value))
    parts: list[object] = []
    if isinstance(value, dict):
        parts += [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset) or hasattr(value, "popleft"):
        parts += list(value)  # type: ignore[call-overload]
    else:
        parts += list(getattr(value, "__dict__", {}).values())
        for kind in type(value).__mro__:
            slots = kind.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                parts.append(getattr(value, name, None))
    return [text for part in parts for text in texts_of(part, seen)]


@pytest.mark.parametrize("linger_s", [0, 60])
def test_no_content_is_held_counted_or_shown(linger_s: int) -> None:
    trace, log = private_bodies()
    session = Session(Config())
    commands = list(session.feed([Arrival(trace, START_NS), Arrival(log, START_NS, Signal.LOGS)]))
    commands += session.advance(START_NS + linger_s * SECOND_NS)
    census = session.telemetry()
    assert linger_s == 0 or census["census"]["calls"] == 1
    shown = json.dumps([session.status(), census, session.counters(), repr(commands)])
    assert MARKER not in shown
    held = texts_of(session, set())
    assert any("gpt-4o-mini" in text for text in held), "the walk sees what is held"
    assert [text[:80] for text in held if MARKER in text] == []
