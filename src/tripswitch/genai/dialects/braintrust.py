"""Braintrust, its ``braintrust.*`` namespace. Source: braintrust 0.48.1."""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

BRAINTRUST = Dialect(
    "braintrust",
    scopes=("braintrust",),
    markers=("braintrust.parent", "braintrust.span_attributes"),
    rows=(
        Row("operation", "braintrust.span_attributes", member="type"),
        *bag("braintrust.metadata", json=True),
        *bag("braintrust.metadata."),
        Row("request_model", "braintrust.metadata", member="model"),
        Row("provider", "braintrust.metadata", member="provider"),
        Row("input_tokens", "braintrust.metrics", "number", member="prompt_tokens"),
        Row("output_tokens", "braintrust.metrics", "number", member="completion_tokens"),
        Row("cached_tokens", "braintrust.metrics", "number", member="prompt_cached_tokens"),
        Row(
            "reasoning_tokens",
            "braintrust.metrics",
            "number",
            member="completion_reasoning_tokens",
        ),
        Row("ttft", "braintrust.metrics", "number", member="time_to_first_token"),
        Row("tags", "braintrust.tags", "list"),
        Row("output_content", "braintrust.output", "content"),
        Row("output_content", "braintrust.output_json", "content"),
        Row("scores", "braintrust.scores", "content"),
    ),
    kinds={
        "llm": "chat",
        "task": "workflow",
        "function": "workflow",
        "score": "evaluator",
        "eval": "evaluator",
        "tool": "tool",
    },
)
