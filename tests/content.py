"""Content as instrumentations send it: one text at every place where content is known to be."""

from __future__ import annotations

import json

CONTENT_KEYS = (
    "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content",
    "gen_ai.tool.call.arguments",
    "input.value",
    "llm.input_messages.0.message.content",
    "llm.output_messages.0.message.content",
    "llm.prompts",
    "traceloop.entity.input",
    "traceloop.entity.output",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langsmith.metadata.question",
    "mlflow.spanInputs",
    "ai.prompt",
    "ai.response.text",
    "braintrust.input_json",
    "request_data",
    "exception.message",
    "app.note",
)
"""Attributes that hold content as plain text."""

_MESSAGES = ("gen_ai.input.messages", "gen_ai.output.messages")
_ANSWERS = ("output.value", "mlflow.spanOutputs", "braintrust.output_json", "response_data")


def planted(text: str) -> dict[str, str]:
    """Return attributes with ``text`` as prompt, answer, argument and note of every dialect."""
    messages = json.dumps([{"role": "user", "parts": [{"type": "text", "content": text}]}])
    answer = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
    return (
        dict.fromkeys(CONTENT_KEYS, text)
        | dict.fromkeys(_MESSAGES, messages)
        | dict.fromkeys(_ANSWERS, answer)
    )
