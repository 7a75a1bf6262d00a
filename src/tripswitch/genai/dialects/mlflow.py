"""MLflow. Its values are JSON, plain texts included. Source: mlflow-skinny 3.17.2.

Sums of a whole trace (``mlflow.trace.*``) are not a call's. Assessments do not travel as OTLP.
"""

from __future__ import annotations

from tripswitch.genai.rows import Dialect, Row, bag

_USAGE = "mlflow.chat.tokenUsage"

MLFLOW = Dialect(
    "mlflow",
    scopes=("mlflow",),
    markers=("mlflow.spanType",),
    rows=(
        Row("operation", "mlflow.spanType"),
        Row("provider", "mlflow.llm.provider"),
        Row("response_model", "mlflow.spanOutputs", member="model"),
        Row("request_model", "mlflow.spanInputs", member="model"),
        Row("request_model", "mlflow.llm.model"),
        Row("response_id", "mlflow.spanOutputs", member="id"),
        Row("streaming", "mlflow.spanInputs", "flag", member="stream"),
        Row("input_tokens", _USAGE, "number", member="input_tokens"),
        Row("output_tokens", _USAGE, "number", member="output_tokens"),
        Row("total_tokens", _USAGE, "number", member="total_tokens"),
        Row("cached_tokens", _USAGE, "number", member="cache_read_input_tokens"),
        Row("cache_write_tokens", _USAGE, "number", member="cache_creation_input_tokens"),
        Row("reasoning_tokens", _USAGE, "number", member="reasoning_tokens"),
        Row(
            "cached_tokens",
            "mlflow.spanOutputs",
            "number",
            member="usage.prompt_tokens_details.cached_tokens",
            order=5,
        ),
        Row(
            "reasoning_tokens",
            "mlflow.spanOutputs",
            "number",
            member="usage.completion_tokens_details.reasoning_tokens",
            order=5,
        ),
        Row("cost_usd", "mlflow.llm.cost", "number", member="total_cost"),
        Row("prompt_name", "mlflow.linkedPrompts", member="0.name"),
        Row("prompt_version", "mlflow.linkedPrompts", member="0.version"),
        Row("session", "mlflow.trace.session"),
        Row("user", "mlflow.trace.user"),
        *bag("mlflow.trace.metadata.", order=6),
        *bag("mlflow.traceTag.", order=6),
        # With the conventions' keys it writes the response's model for the request's.
        Row("request_model", "model", order=-1, own_spans=True),
        Row("streaming", "stream", "flag", own_spans=True),
        Row("input_tokens", "mlflow.spanOutputs", "number", member="usage.prompt_tokens", order=5),
        Row(
            "output_tokens",
            "mlflow.spanOutputs",
            "number",
            member="usage.completion_tokens",
            order=5,
        ),
        Row("output_content", "mlflow.spanOutputs", "content"),
    ),
    kinds={
        "llm": "chat",
        "chat_model": "chat",
        "completion": "chat",
        "agent": "agent",
        "chain": "workflow",
        "tool": "tool",
        "retriever": "retrieval",
        "embedding": "embedding",
        "reranker": "rerank",
        "parser": "other",
        "guardrail": "guardrail",
        "evaluator": "evaluator",
        "memory": "other",
        "task": "workflow",
        "workflow": "workflow",
        "unknown": "other",
    },
)
