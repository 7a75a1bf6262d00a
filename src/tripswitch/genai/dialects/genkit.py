"""Genkit, in JavaScript and in Go: keys of its own, and the answer as one document.

The model's span is named for the model; what encloses it repeats the answer. Of a plugin's answer
the provider's own is kept under ``raw``, in JavaScript alone. Source: genkit 1.42.0 for JavaScript,
1.4.0 for Go, and recorded payloads.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

_OUTPUT = "genkit:output"

GENKIT = Dialect(
    "genkit",
    scopes=("genkit-tracer",),
    markers=("genkit:type", "genkit:path"),
    rows=(
        Row("operation", "genkit:metadata:subtype"),
        Row("operation", "genkit:type", order=1),
        Row("route", "genkit:metadata:flow:name", order=7),
        # In JavaScript, on the spans of a flow and of a prompt.
        Row("route", "genkit:name", order=7, only=("genkit:metadata:subtype", "flow")),
        Row("prompt_name", "genkit:name", order=5, only=("genkit:type", "dotprompt")),
        Row("session", "genkit:sessionId", order=5),
        Row("request_model", "genkit:name", order=5, own_spans=True),
        Row("tool_name", "genkit:name", order=5, own_spans=True),
        # Of OpenAI, Anthropic and others; of Gemini.
        Row("response_model", _OUTPUT, member="raw.model", order=5),
        Row("response_model", _OUTPUT, member="raw.modelVersion", order=5),
        Row("response_id", _OUTPUT, member="raw.id", order=5),
        Row("response_id", _OUTPUT, member="raw.responseId", order=5),
        *(
            Row(fact, _OUTPUT, "number", member=member, order=5)
            for fact, member in (
                ("input_tokens", "usage.inputTokens"),
                ("output_tokens", "usage.outputTokens"),
                ("total_tokens", "usage.totalTokens"),
                ("cached_tokens", "usage.cachedContentTokens"),
                ("reasoning_tokens", "usage.thoughtsTokens"),
                ("cached_tokens", "raw.usage.prompt_tokens_details.cached_tokens"),
                ("reasoning_tokens", "raw.usage.completion_tokens_details.reasoning_tokens"),
            )
        ),
        # Anthropic does not count what it has in its cache.
        Row(
            "cached_tokens",
            _OUTPUT,
            "number",
            member="raw.usage.cache_read_input_tokens",
            order=5,
            apart=True,
        ),
        Row(
            "cache_write_tokens",
            _OUTPUT,
            "number",
            member="raw.usage.cache_creation_input_tokens",
            order=5,
        ),
        # It writes "stop" where a tool was asked for.
        Row("finish_reasons", _OUTPUT, "list", member="raw.choices.0.finish_reason", order=5),
        Row("finish_reasons", _OUTPUT, "list", member="raw.stop_reason", order=5),
        Row("finish_reasons", _OUTPUT, "list", member="finishReason", order=6),
        Row("output_content", _OUTPUT, "content", member="raw", order=5),
    ),
    kinds={
        "model": "chat",
        "embedder": "embedding",
        "reranker": "rerank",
        "retriever": "retrieval",
        "tool.v2": "tool",
        "flow": "workflow",
        "flowstep": "workflow",
        "util": "workflow",
        "dotprompt": "workflow",
        "executable_prompt": "workflow",
        "prompttemplate": "other",
        "background_model": "other",
        "helper": "other",
        "indexer": "other",
        "action": "other",
        "custom": "other",
    },
)
