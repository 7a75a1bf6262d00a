"""The extractor takes facts out of message content and leaves the text behind."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genai.test_coercion import anything
from tripswitch.genai.coercion import MAX_ITEMS, MAX_JSON_CHARS
from tripswitch.genai.content import NOTHING, answer_in
from tripswitch.genai.spellings import FINISH_REASONS

MESSAGES = [{"role": "assistant", "parts": [{"type": "text", "content": "x"}]}]
RESPONSE = {"id": "r", "status": "completed", "output": [{"type": "message", "content": []}]}

REFUSAL_AS_TEXT = json.dumps({"type": "refusal", "refusal": "x", "id": "m"})


def choice(reason: str | None = None, **message: Any) -> dict[str, Any]:
    return {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}


def of_responses(tools: list[Any] | None = None, **response: Any) -> dict[str, Any]:
    """Return what LangChain hands on of an answer of the Responses API."""
    metadata = {"object": "response", **response}
    message = {"kwargs": {"response_metadata": metadata, "tool_calls": tools or []}}
    return {"generations": [[{"text": "x", "generation_info": None, "message": message}]]}


SHAPES: list[tuple[str, Any, list[str], bool]] = [
    ("the conventions", [{**MESSAGES[0], "finish_reason": "stop"}], ["stop"], False),
    ("two messages", [{"role": "a", "finish_reason": "length"}] * 2, ["length"] * 2, False),
    ("a refusal part", [{"role": "a", "parts": [{"type": "refusal"}]}], [], True),
    ("a refusal member", [{"role": "a", "refusal": "x", "parts": []}], [], True),
    ("chat completion", {"choices": [choice("tool_calls")]}, ["tool_call"], False),
    ("two choices", {"choices": [choice("stop"), choice("length")]}, ["stop", "length"], False),
    ("chat refusal", {"choices": [choice("stop", refusal="x")]}, ["stop"], True),
    ("no refusal", {"choices": [choice("stop", refusal=None)]}, ["stop"], False),
    ("empty refusal", {"choices": [choice("stop", refusal="")]}, ["stop"], False),
    ("choices alone", [choice("stop", refusal="x")], ["stop"], True),
    ("choice event", choice("stop", refusal="x"), ["stop"], True),
    ("bare message", {"role": "assistant", "refusal": "x"}, [], True),
    ("chunks", [{"choices": [{"delta": {}}]}, {"choices": [choice("stop")]}], ["stop"], False),
    ("responses", RESPONSE, ["stop"], False),
    ("a call", {**RESPONSE, "output": [{"type": "function_call"}]}, ["tool_call"], False),
    (
        "responses refusal",
        {**RESPONSE, "output": [{"type": "message", "content": [{"type": "refusal"}]}]},
        ["stop"],
        True,
    ),
    (
        "a list of responses",
        [
            {
                "status": None,
                "output": [
                    {"type": "message", "content": [{"type": "refusal", "refusal": "x"}]},
                ],
            }
        ],
        [],
        True,
    ),
    (
        "a refusal part as text",
        [{"role": "a", "parts": [{"type": "text", "content": REFUSAL_AS_TEXT}]}],
        [],
        True,
    ),
    (
        "an answer in JSON",
        [{"role": "a", "parts": [{"type": "text", "content": '{"type": "x", "refusal": "y"}'}]}],
        [],
        False,
    ),
    (
        "responses cut off",
        {
            **RESPONSE,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
        },
        ["length"],
        False,
    ),
    ("responses failed", {**RESPONSE, "status": "failed"}, ["error"], False),
    ("anthropic", {"role": "a", "content": [], "stop_reason": "refusal"}, ["refusal"], False),
    ("gemini", {"candidates": [{"finishReason": "MAX_TOKENS"}]}, ["length"], False),
    ("gemini blocked", {"promptFeedback": {"blockReason": "SAFETY"}}, ["content_filter"], False),
    (
        "bedrock",
        {"output": {"message": {"role": "assistant"}}, "stopReason": "guardrail_intervened"},
        ["guardrail"],
        False,
    ),
    ("cohere", {"finish_reason": "COMPLETE", "message": {"role": "assistant"}}, ["stop"], False),
    ("ollama", {"message": {"role": "assistant"}, "done_reason": "length"}, ["length"], False),
    (
        "langchain",
        {"generations": [[{"text": "x", "generation_info": {"finish_reason": "stop"}}]]},
        ["stop"],
        False,
    ),
    (
        "langchain in javascript",
        {"generations": [[{"text": "x", "generationInfo": {"finish_reason": "length"}}]]},
        ["length"],
        False,
    ),
    (
        "langchain of the responses api",
        of_responses(status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        ["length"],
        False,
    ),
    (
        "langchain of the responses api, a tool",
        of_responses([{"name": "lookup_order"}], status="completed"),
        ["tool_call"],
        False,
    ),
    ("a message and usage", {"message": {"role": "a", "refusal": "x"}, "usage": {}}, [], True),
    ("wrapped", {"response": {"choices": [choice("length")]}}, ["length"], False),
    (
        "llamaindex",
        {"message": {"role": "a"}, "raw": {"choices": [choice("length")]}},
        ["length"],
        False,
    ),
    (
        "haystack",
        {"replies": ["ChatMessage(_content=[Text(text='x')], _meta={'finish_reason': 'length'})"]},
        ["length"],
        False,
    ),
    ("nothing known", {"answer": "x", "finish": 1}, [], False),
    ("no reason", {"choices": [choice()]}, [], False),
]


@pytest.mark.parametrize(
    ("content", "reasons", "refuses"),
    [shape[1:] for shape in SHAPES],
    ids=[shape[0] for shape in SHAPES],
)
def test_shapes_of_answers_structured_as_json_and_as_python(
    content: Any, reasons: list[str], refuses: bool
) -> None:
    for written in (content, json.dumps(content), json.dumps(json.dumps(content)), repr(content)):
        assert answer_in(written)[:2] == (reasons, refuses)


@pytest.mark.parametrize(
    ("written", "reasons", "refuses"),
    [
        (
            "ChatCompletion(id='c', choices=[Choice(finish_reason='stop', index=0)])",
            ["stop"],
            False,
        ),
        (
            "id='c' choices=[Choice(finish_reason='stop'), Choice(finish_reason='length')]",
            ["stop", "length"],
            False,
        ),
        ("Message(id='m', content=[], stop_reason='max_tokens')", ["length"], False),
        ("Candidate(finish_reason=<FinishReason.SAFETY: 'SAFETY'>)", ["content_filter"], False),
        ("ChatCompletionMessage(content=None, refusal='x')", [], True),
        ('ChatCompletionMessage(content=None, refusal="I can\'t")', [], True),
        ("ChatCompletionMessage(content='x', refusal=None)", [], False),
        ("Choice(finish_reason=None)", [], False),
        # What the answer's text says is nothing of the answer.
        ("Message(content=\"finish_reason='stop' refusal='x'\")", [], False),
        ('Message(content=\'it\\\'s {"finish_reason": "stop"}\')', [], False),
        (
            "Message(content='the finish_reason=\\'stop\\' and', stop_reason='length')",
            ["length"],
            False,
        ),
        ("Message(content='cut off: finish_reason=\\'stop\\'", [], False),
        ("my_finish_reason='stop'", [], False),
        ("a plain text with finish_reason='stop' in it", [], False),
    ],
)
def test_objects_that_repr_wrote(written: str, reasons: list[str], *, refuses: bool) -> None:
    for content in (written, json.dumps([written]), json.dumps(written)):
        assert answer_in(content)[:2] == (reasons, refuses)


def test_filled_in_error_is_no_finish_reason() -> None:
    content = json.dumps([{"role": "assistant", "parts": [], "finish_reason": "error"}])
    assert answer_in(content) == NOTHING


def test_text_that_talks_about_refusals_is_none() -> None:
    content = json.dumps(
        [{"role": "assistant", "parts": [{"type": "text", "content": 'a "refusal" it is'}]}]
    )
    assert answer_in(content) == NOTHING


@pytest.mark.parametrize(
    "content",
    [
        '[{"finish_reason": "stop"',
        '[{"finish_reason": "stop", "x": "' + "x" * MAX_JSON_CHARS + '"}]',
        '{"status": "completed"}',
        "{'finish_reason': stop}",
        "[" * 100_000 + '"finish_reason"',
        "",
    ],
)
def test_broken_or_oversized_content_says_nothing(content: str) -> None:
    assert answer_in(content) == NOTHING


@given(anything)
def test_nothing_raises(content: object) -> None:
    answer_in(content)  # type: ignore[arg-type]


SECRET = "the customer's card is 4242"
texts = st.sampled_from([SECRET, f"{SECRET} finish_reason refusal", "stop", "refusal", "x"])
NAMES = """role parts content type text refusal finish_reason stop_reason finishReason message
    choices output status incomplete_details reason tool_calls function name arguments
    candidates delta generations generation_info kwargs response promptFeedback blockReason"""
names = st.sampled_from(NAMES.split())
answers = st.recursive(
    texts | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=6),
    max_leaves=40,
)


@given(answers, st.sampled_from([lambda value: value, json.dumps, repr]))
def test_no_text_of_an_answer_ever_comes_back(answer: Any, written: Any) -> None:
    found = answer_in(written(answer))
    assert {type(found.refuses), type(found.calls_tool)} == {bool}
    assert len(found.finish_reasons) <= MAX_ITEMS
    assert set(found.finish_reasons) <= {*FINISH_REASONS.values(), "other"}


@pytest.mark.parametrize(
    ("written", "refuses"),
    [
        ("{'content': None, 'refusal': \"I can't.\", 'role': 'assistant'}", True),
        ('{"type": "refusal", "refusal": "I cannot."}', True),
        ("{'content': 'Yes.', 'refusal': None, 'role': 'assistant'}", False),
        # What the model wrote is nobody's refusal.
        ('{"refusal": "none needed"}', False),
        ('{"refusal": {"role": "assistant"}, "role": "assistant"}', False),
        ("{'refusal': ", False),
    ],
)
def test_message_written_down_as_a_parts_text_refuses(written: str, *, refuses: bool) -> None:
    message = {"role": "assistant", "parts": [{"type": "text", "content": written}]}
    assert answer_in(json.dumps([message])).refuses is refuses
