"""What is remembered of alike spans changes no answer: held to a reader that remembers nothing."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tripswitch.config.read_section import Read
from tripswitch.genai import understand
from tripswitch.genai.sightings import CallFacts, Sighted, Sighting
from tripswitch.genai.understand import Understanding

# Values that differ and look alike, of keys that alike spans share and of keys that they do not.
_TEXTS = st.sampled_from(
    ["chat", "a", "b", " a ", "1", "true", "", "x" * 200, "{", '{"route": "r"}']
)
_VALUES = st.one_of(
    _TEXTS,
    st.sampled_from([0, 1, 2, 7, -1, True, False, 1.0, 0.5, float("nan"), None]),
    st.sampled_from([["stop"], ["length"], ["stop", "stop"], [], {"route": "r"}, b"ab"]),
)
_KEYS = st.sampled_from(
    [
        *CHAT,
        "gen_ai.response.model",
        "gen_ai.response.finish_reasons",
        "gen_ai.response.id",
        "gen_ai.output.messages",
        "gen_ai.conversation.id",
        "gen_ai.prompt.name",
        "gen_ai.prompt.version",
        "gen_ai.completion.0.finish_reason",
        "gen_ai.tool.name",
        "llm.openai.choices",
        "ai.operationId",
        "ai.response.msToFirstChunk",
        "logfire.span_type",
        "tripswitch.cohort",
        "tripswitch.tenant",
        "tripswitch.route",
        "tag.tags",
        "metadata",
        "user.id",
        "error.type",
        "exception.message",
        "http.status_code",
        "level",
        "unwanted",
    ]
)
_EVENTS = st.sampled_from(
    [
        EventOf("exception", {"exception.type": "TimeoutError"}),
        EventOf("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "x"}),
        EventOf(
            "gen_ai.evaluation.result",
            {"gen_ai.evaluation.name": "x", "gen_ai.evaluation.score.value": 0.5},
        ),
        EventOf("gen_ai.choice", {"finish_reason": "length"}),
        EventOf("feature_flag.evaluation", {"feature_flag.key": "k", "feature_flag.variant": "v"}),
    ]
)


@st.composite
def _spans(draw: st.DrawFn) -> list[SpanOf]:
    """Spans of which each is like one before it but for a value, its status or its events."""
    attributes: dict[str, object] = dict(CHAT)
    spans = []
    for number in range(1, draw(st.integers(2, 8))):
        if draw(st.booleans()):
            attributes = dict(attributes)
            attributes[draw(_KEYS)] = draw(_VALUES)
        spans.append(
            SpanOf(
                attributes,
                span=number,
                status=draw(st.sampled_from([0, 0, 1, 2])),
                events=draw(st.lists(_EVENTS, max_size=2)),
            )
        )
    return spans


def told(sighted: Sighted) -> list[Any]:
    """Return everything that a reading yielded, as text: NaN is like NaN, 1 is not like True."""
    items = [
        {
            name: (
                {fact: repr(getattr(value, fact)) for fact in CallFacts.__slots__}
                if isinstance(value := getattr(item, name), CallFacts)
                else repr(value)
            )
            for name in Sighting.__slots__
        }
        for item in sighted.items
        if isinstance(item, Sighting)
    ]
    return [items, sorted(sighted.rejected.items()), sighted.spans, sighted.unreadable]


class Forgetful(dict[Any, Any]):
    """A memory that keeps nothing."""

    def __setitem__(self, key: object, value: object) -> None:
        pass


def _forgetful(*, content_facts: bool) -> Understanding:
    made = Understanding(Read(content_facts=content_facts))
    made._sketches, made._contexts = Forgetful(), Forgetful()
    return made


_ALONE = {content_facts: _forgetful(content_facts=content_facts) for content_facts in (True, False)}
_REMEMBERING = {known: Understanding(Read(content_facts=known)) for known in (True, False)}


@settings(max_examples=200)
@given(_spans(), st.booleans())
def test_alike_spans_are_understood_as_each_would_be_alone(
    spans: list[SpanOf], content_facts: bool
) -> None:
    for _ in range(2):
        for span in spans:
            request = request_of(span)
            alone = _ALONE[content_facts].traces([request])
            assert told(_REMEMBERING[content_facts].traces([request])) == told(alone)


def test_what_is_told_apart_is_worked_out_once() -> None:
    understanding = Understanding(Read())
    for tokens in range(20):
        understanding.traces([request_of(SpanOf({**CHAT, "gen_ai.usage.input_tokens": tokens}))])
    assert len(understanding._sketches) == 1
    understanding.traces([request_of(SpanOf({**CHAT, "gen_ai.request.model": "other"}))])
    assert len(understanding._sketches) == 2


def test_sketches_hold_no_text_of_a_person_and_are_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(understand, "_MAX_REMEMBERED", 4)
    understanding = Understanding(Read())
    for number in range(20):
        attributes = {
            **CHAT,
            "gen_ai.request.model": f"model-{number}",
            "user.id": "alice",
            "gen_ai.output.messages": '[{"role": "assistant", "parts": ["my secret"]}]',
            "metadata": '{"tenant_id": "t", "note": "my secret"}',
        }
        understanding.traces([request_of(SpanOf(attributes))])
        understanding.traces([request_of(SpanOf({**CHAT, "gen_ai.request.model": f"m{number}"}))])
        assert len(understanding._sketches) <= 4
    for key, sketch in understanding._sketches.items():
        held = [repr(key)]
        held += [repr(getattr(sketch, name, None)) for name in type(sketch).__slots__]
        held += [repr(getattr(sketch.plan, name, None)) for name in type(sketch.plan).__slots__]
        assert not any("alice" in text or "secret" in text for text in held)
