"""The bounded extractor: facts that libraries put only inside message content.

OpenTelemetry's own OpenAI instrumentation, for one, leaves the finish reason of a stream nowhere
but in the output messages. What is read here are the finish reasons and whether a message is a
refusal; the text is not looked at and nothing of it is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tripswitch.genai.coercion import MAX_ITEMS, MAX_JSON_CHARS, cut, parsed_json, text

if TYPE_CHECKING:
    from tripswitch.otlp.attributes import Value


class OutputFacts(NamedTuple):
    """The finish reasons as the provider spells them, and whether a part of the answer refuses."""

    finish_reasons: list[str]
    refuses: bool


NOTHING = OutputFacts([], refuses=False)


def output_facts(content: Value, *, need_finish_reasons: bool) -> OutputFacts:
    """Return the facts inside output messages, structured or as JSON text.

    Text is parsed only when it can hold a fact that is needed, and not above
    `tripswitch.genai.coercion.MAX_JSON_CHARS`.
    """
    if isinstance(content, str):
        if len(content) > MAX_JSON_CHARS:
            return NOTHING
        may_finish = need_finish_reasons and '"finish_reason"' in content
        if not may_finish and '"refusal"' not in content:
            return NOTHING
    messages = parsed_json(content)
    if not isinstance(messages, list):
        return NOTHING
    reasons: list[str] = []
    refuses = False
    for message in messages[:MAX_ITEMS]:
        if isinstance(message, dict):
            reason = text(message.get("finish_reason"))
            # The conventions have writers fill in "error" where no reason arrived.
            if reason is not None and reason != "error":
                reasons.append(cut(reason))
            refuses = refuses or _refuses(message)
    return OutputFacts(reasons, refuses)


def _refuses(message: dict[str, Any]) -> bool:
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return True
    parts = message.get("parts")
    return isinstance(parts, list) and any(
        isinstance(part, dict) and part.get("type") == "refusal" for part in parts[:MAX_ITEMS]
    )
