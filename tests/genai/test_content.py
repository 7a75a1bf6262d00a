"""The extractor takes facts out of message content and leaves the text behind."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests.genai.test_coercion import anything
from tripswitch.genai.coercion import MAX_JSON_CHARS
from tripswitch.genai.content import NOTHING, answer_in

STREAMED = [
    {"role": "assistant", "parts": [{"type": "text", "content": "secret"}], "finish_reason": "stop"}
]
REFUSED = [{"role": "assistant", "parts": [{"type": "refusal", "content": "secret"}]}]
REFUSED_AS_MEMBER = [{"role": "assistant", "refusal": "secret", "parts": []}]


@pytest.mark.parametrize("structured", [True, False])
def test_finish_reason_and_refusal_are_found(structured: bool) -> None:
    def read(messages: object) -> tuple[list[str], bool]:
        content = messages if structured else json.dumps(messages)
        return answer_in(content)[:2]  # type: ignore[arg-type]

    assert read(STREAMED) == (["stop"], False)
    assert read(REFUSED) == ([], True)
    assert read(REFUSED_AS_MEMBER) == ([], True)


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
        "[" * 100_000 + '"finish_reason"',
        "",
    ],
)
def test_broken_or_oversized_content_says_nothing(content: str) -> None:
    assert answer_in(content) == NOTHING


@given(anything)
def test_nothing_raises(content: object) -> None:
    answer_in(content)  # type: ignore[arg-type]
