"""An answer as LangChain's callbacks hand it on, which instrumentations write down as it is.

Source: langchain-core 1.8, its ``LLMResult`` with messages of OpenAI and others.
"""

from __future__ import annotations

from tripswitch.genai.rows import Row

_FIRST = "generations.0.0"
_USAGE = f"{_FIRST}.message.kwargs.usage_metadata"

LANGCHAIN_ANSWER = (
    *(
        Row("response_model", "output.value", member=member, order=-1, own_spans=True)
        for member in (
            f"{_FIRST}.generation_info.model_name",
            # Answers by the Responses API.
            f"{_FIRST}.message.kwargs.response_metadata.model_name",
            # With more than one choice.
            "llm_output.model_name",
        )
    ),
    Row("response_id", "output.value", member="llm_output.id", order=8, own_spans=True),
    Row(
        "response_id",
        "output.value",
        member=f"{_FIRST}.message.kwargs.response_metadata.id",
        order=8,
        own_spans=True,
    ),
    *(
        Row(fact, "output.value", "number", member=f"{_USAGE}.{member}", order=8, own_spans=True)
        for fact, member in (
            ("input_tokens", "input_tokens"),
            ("output_tokens", "output_tokens"),
            ("cached_tokens", "input_token_details.cache_read"),
            ("cache_write_tokens", "input_token_details.cache_creation"),
            ("reasoning_tokens", "output_token_details.reasoning"),
        )
    ),
)
