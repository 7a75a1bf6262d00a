"""OpenInference: Phoenix, Arize, and many frameworks.

Source: openinference-semantic-conventions 0.1.42 and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.dialects.langchain import LANGCHAIN_ID, LANGCHAIN_MODEL, LANGCHAIN_STREAM
from tripswitch.genai.rows import Dialect, Row, bag

OPENINFERENCE = Dialect(
    "openinference",
    scopes=("openinference.instrumentation",),
    markers=("openinference.span.kind",),
    sole=frozenset({"finish_reasons", "output_content"}),
    rows=(
        Row("operation", "openinference.span.kind"),
        Row("provider", "llm.provider"),
        Row("provider", "llm.system"),
        Row("request_model", "llm.request.model_name"),
        # Beside its own keys it may write the conventions', with the response's model for both.
        Row(
            "request_model",
            "llm.invocation_parameters",
            member="model",
            order=-1,
            own_spans=True,
            # With an id they are the answer's: its model too.
            without="id",
        ),
        Row(
            "request_model",
            "embedding.invocation_parameters",
            member="model",
            order=-1,
            own_spans=True,
        ),
        Row("request_model", "input.value", member="model", order=8),
        *LANGCHAIN_MODEL,
        Row("response_model", "llm.response.model_name"),
        Row("response_model", "llm.model_name"),
        # On a call that failed the model that was asked for.
        Row("only_model", "llm.model_name"),
        Row("response_model", "embedding.model_name"),
        Row("response_model", "reranker.model_name"),
        # It has no key for this. Answers that models compose have ids of anything, but no usage.
        Row("response_id", "output.value", member="id", order=8, own_spans=True, beside="usage"),
        *LANGCHAIN_ID,
        Row("input_tokens", "llm.token_count.prompt", "number"),
        Row("output_tokens", "llm.token_count.completion", "number"),
        # Of embeddings some only have what was answered.
        *(
            Row(fact, "output.value", "number", member=f"{where}{name}", order=8)
            for where in ("usage.", "meta.usage.")
            for fact, name in (
                ("input_tokens", "prompt_tokens"),
                ("input_tokens", "input_tokens"),
                ("output_tokens", "completion_tokens"),
                ("output_tokens", "output_tokens"),
            )
        ),
        Row("total_tokens", "llm.token_count.total", "number"),
        Row("cached_tokens", "llm.token_count.prompt_details.cache_read", "number"),
        Row("cache_write_tokens", "llm.token_count.prompt_details.cache_write", "number"),
        Row("cache_write_tokens", "llm.token_count.prompt_details.cache_creation", "number"),
        Row("reasoning_tokens", "llm.token_count.completion_details.reasoning", "number"),
        # What has no key may stand in the provider's own answer.
        *(
            Row(fact, "output.value", "number", member=f"usage.{name}", order=8, own_spans=True)
            for fact, name in (
                ("cached_tokens", "prompt_tokens_details.cached_tokens"),
                ("cached_tokens", "input_tokens_details.cached_tokens"),
                ("reasoning_tokens", "completion_tokens_details.reasoning_tokens"),
                ("reasoning_tokens", "output_tokens_details.reasoning_tokens"),
            )
        ),
        Row("cost_usd", "llm.cost.total", "number"),
        Row("cost_input_usd", "llm.cost.prompt", "number"),
        Row("cost_output_usd", "llm.cost.completion", "number"),
        Row("finish_reasons", "llm.finish_reason", "list"),
        *LANGCHAIN_STREAM,
        Row("streaming", "llm.invocation_parameters", "flag", member="stream"),
        Row("invocation", "llm.invocation_parameters", "content"),
        Row("streaming", "input.value", "flag", member="stream", order=8),
        Row("output_content", "output.value", "content"),
        Row("prompt_version", "llm.prompt_template.version"),
        *bag("metadata", json=True),
        # An id may hold name and version; what metadata says comes first.
        Row("prompt_name", "prompt.id", order=7),
        Row("tags", "tag.tags", "list"),
        Row("route", "agent.name", order=8),
        Row("tool_name", "tool.name"),
    ),
    kinds={
        "llm": "chat",
        "embedding": "embedding",
        "reranker": "rerank",
        "retriever": "retrieval",
        "chain": "workflow",
        "agent": "agent",
        "tool": "tool",
        "guardrail": "guardrail",
        "evaluator": "evaluator",
        "prompt": "other",
        "decision": "other",
        "unknown": "other",
    },
)
