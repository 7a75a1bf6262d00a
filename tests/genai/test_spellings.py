"""The many spellings of finish reasons, providers and errors come down to one word each."""

from __future__ import annotations

import pytest

from tripswitch.genai import spellings


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("end_turn", "stop"),
        ("tool-calls", "tool_call"),
        ("tool_use", "tool_call"),
        ("MAX_TOKENS", "length"),
        ("content-filter", "content_filter"),
        ("SAFETY", "content_filter"),
        ("guardrail_intervened", "guardrail"),
        ("refusal", "refusal"),
        ("pause_turn", "other"),
        ("no such reason", "other"),
    ],
)
def test_finish_reasons(spelling: str, reason: str) -> None:
    assert spellings.finish_reason(spelling) == reason


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("az.ai.openai", "azure.ai.openai"), ("XAI", "x_ai"), ("OpenAI", "openai"), ("mine", "mine")],
)
def test_providers(spelling: str, name: str) -> None:
    assert spellings.provider(spelling) == name


@pytest.mark.parametrize(
    ("error_type", "answer"),
    [
        ("500", "provider"),
        ("503", "provider"),
        ("529", "provider"),
        ("InternalServerError", "provider"),
        ("APIError", "provider"),
        ("APIConnectionError", "provider"),
        ("ServiceUnavailableError", "provider"),
        ("overloaded_error", "provider"),
        ("429", "provider_throttle"),
        ("RateLimitError", "provider_throttle"),
        ("insufficient_quota", "provider_throttle"),
        ("ThrottlingException", "provider_throttle"),
        ("ResourceExhausted", "provider_throttle"),
        ("408", "timeout"),
        ("504", "timeout"),
        ("APITimeoutError", "timeout"),
        ("ReadTimeout", "timeout"),
        ("DeadlineExceeded", "timeout"),
        ("400", "client"),
        ("422", "client"),
        ("BadRequestError", "client"),
        ("AuthenticationError", "client"),
        ("context_length_exceeded", "client"),
        ("content_filter", "guardrail"),
        ("ContentPolicyViolationError", "guardrail"),
        ("499", "cancelled"),
        ("CancelledError", "cancelled"),
        ("GeneratorExit", "cancelled"),
        ("context canceled", "cancelled"),
        ("_OTHER", "unknown"),
        ("PaymentGatewayError", "unknown"),
        ("4290", "unknown"),
    ],
)
def test_error_classes(error_type: str, answer: str) -> None:
    assert spellings.error_class(error_type) == answer


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("<class 'openai.RateLimitError'>", "RateLimitError"),
        ("openai.APITimeoutError", "APITimeoutError"),
        ("RateLimitError", "RateLimitError"),
        ("context deadline. exceeded", "context deadline. exceeded"),
        ("429", "429"),
    ],
)
def test_error_names(written: str, name: str) -> None:
    assert spellings.error_name(written) == name
