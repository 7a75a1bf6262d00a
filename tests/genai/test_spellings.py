"""The many spellings of finish reasons and providers come down to one word each."""

from __future__ import annotations

import pytest

from tripswitch.genai import spellings

REASONS = {
    "stop": """
        stop STOP end_turn stop_sequence COMPLETE STOP_SEQUENCE eos eos_token FINISH FINISHED
        FinishReason.STOP completed Stop REASON_STOP 1
        """,
    "length": """
        length max_tokens MAX_TOKENS max_output_tokens model_length ERROR_LIMIT
        model_context_window_exceeded token_limit_reached REASON_MAX_LEN FinishReason.MAX_TOKENS
        """,
    "tool_call": "tool_call tool_calls tool-calls tool_use TOOL_CALL function_call ToolCalls",
    "content_filter": """
        content_filter content-filter content_filtered CONTENT_FILTERED ContentFilter SAFETY
        RECITATION BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY ERROR_TOXIC
        """,
    "guardrail": "guardrail_intervened GUARDRAIL_INTERVENED",
    "refusal": "refusal",
    "error": """
        error ERROR failed MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL malformed_model_output
        insufficient_system_resource
        """,
    "other": """
        pause_turn incomplete OTHER unknown LANGUAGE FINISH_REASON_UNSPECIFIED USER_CANCEL load
        whatever stopping
        """,
}


@pytest.mark.parametrize(
    ("spelling", "reason"),
    [(spelling, reason) for reason, spellings in REASONS.items() for spelling in spellings.split()],
)
def test_finish_reasons(spelling: str, reason: str) -> None:
    assert spellings.finish_reason(spelling) == reason


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("az.ai.openai", "azure.ai.openai"),
        ("azure.ai.openai", "azure.ai.openai"),
        ("azure.ai.inference", "azure.ai.inference"),
        ("XAI", "x_ai"),
        ("OpenAI", "openai"),
        ("openai.chat", "openai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("aws.bedrock", "aws.bedrock"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("gcp.gemini", "gcp.gemini"),
        ("mistral.chat", "mistral_ai"),
        ("mine", "mine"),
        ("mine.too", "mine.too"),
        ("", ""),
    ],
)
def test_providers(spelling: str, name: str) -> None:
    assert spellings.provider(spelling) == name
