"""What Spring AI writes, and LangChain4j, and how Micrometer hands on what they observe.

Micrometer writes every value as text, and "none" or "unknown" where there is none. Source: Spring
AI 1.1.2 and 2.0.1 and what they sent, and the code of LangChain4j's module for observations.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row

# Its chat model's own spans are the conventions'; what runs around them calls itself "framework".
SPRING_AI = Dialect(
    "spring_ai",
    markers=("spring.ai.kind",),
    rows=(
        Row("operation", "spring.ai.kind", order=-1),
        Row("session", "spring.ai.chat.client.conversation.id", order=5),
        Row("tool_name", "spring.ai.tool.definition.name", order=5),
    ),
    kinds={
        "chat_client": "workflow",
        "advisor": "other",
        "tool_call": "tool",
        "vector_store": "retrieval",
    },
)

# Spans of anybody who is observed by way of it, so that these names count there alone.
MICROMETER = Dialect(
    "micrometer",
    scopes=("org.springframework.boot", "io.micrometer"),
    rows=(
        # The path's template, on a server's span.
        Row("route", "uri", order=9, own_spans=True),
        # LangChain4j's.
        Row("input_tokens", "input_tokens", "number", order=9, own_spans=True),
        Row("output_tokens", "output_tokens", "number", order=9, own_spans=True),
    ),
)
