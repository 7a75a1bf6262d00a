"""An answer as LangChain's callbacks hand it on, which instrumentations write down as it is.

Source: langchain-core 1.8, its ``LLMResult`` with messages of OpenAI and others.
"""

from __future__ import annotations

from tripswitch.genai.rows import Row

_FIRST = "generations.0.0"
_USAGE = f"{_FIRST}.message.kwargs.usage_metadata"

# What served, for all who write such an answer down.
LANGCHAIN_MODEL = tuple(
    Row("response_model", "output.value", member=member, order=-1, own_spans=True)
    for member in (
        f"{_FIRST}.generation_info.model_name",
        # Answers by the Responses API.
        f"{_FIRST}.message.kwargs.response_metadata.model_name",
        # With more than one choice.
        "llm_output.model_name",
    )
)
# The provider's id of the answer; the message's own may be one that LangChain made.
LANGCHAIN_ID = tuple(
    Row("response_id", "output.value", member=member, order=8, own_spans=True)
    for member in ("llm_output.id", f"{_FIRST}.message.kwargs.response_metadata.id")
)
# Chunks put together are a stream's, of which the parameters beside say that it is none.
LANGCHAIN_STREAM = tuple(
    Row("streaming", "output.value", "flag", member=member, order=-1, own_spans=True)
    for member in (
        f"{_FIRST}.type",
        # In Python, and in JavaScript.
        f"{_FIRST}.message.id.3",
        f"{_FIRST}.message.id.2",
    )
)
# The rest of it, for who has no keys of their own for it.
LANGCHAIN_ANSWER = (
    *LANGCHAIN_MODEL,
    *LANGCHAIN_ID,
    *LANGCHAIN_STREAM,
    *(
        Row(fact, "output.value", "number", member=f"{_USAGE}.{member}", order=8, own_spans=True)
        for fact, member in (
            ("cached_tokens", "input_token_details.cache_read"),
            ("cache_write_tokens", "input_token_details.cache_creation"),
            ("reasoning_tokens", "output_token_details.reasoning"),
        )
    ),
)
