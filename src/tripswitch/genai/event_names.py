"""Names of span events and log records that say something, and of the attributes they say it in."""

from __future__ import annotations

from typing import Final

EVALUATION_EVENT = "gen_ai.evaluation.result"
EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE_KEY = "exception.type"
EXCEPTION_MESSAGE_KEY = "exception.message"
EXCEPTION_TRACE_KEY = "exception.stacktrace"
ERROR_TYPE_KEY = "error.type"
EVENT_CONTENT_KEY = "gen_ai.event.content"
FLAG_EVENTS: Final = ("feature_flag.evaluation", "feature_flag")
FIRST_TOKEN_EVENTS: Final = (
    "First Token Stream Event",
    "first_token_received",
    "ai.stream.firstChunk",
    "gen_ai.content.completion.chunk",
    "llm.content.completion.chunk",
)
CHOICE_EVENTS: Final = ("gen_ai.choice", "gen_ai.content.completion")
DETAILS_EVENT = "gen_ai.client.inference.operation.details"
EXCEPTION_LOG = "gen_ai.client.operation.exception"

FLAG_KEYS: Final = (
    "feature_flag.key",
    "feature_flag.result.variant",
    "feature_flag.variant",
    "feature_flag.result.value",
    "feature_flag.result.reason",
    "feature_flag.evaluation.result",
)

# Event -> under which key an evaluation or a guardrail's verdict stands as JSON.
JUDGEMENT_EVENTS: Final = {"langwatch.evaluation.custom": "json_encoded_event"}

GUARD_EVENTS: Final[dict[str, tuple[str, str, str, str]]] = {
    # Event -> where its guardrail's name, verdict, category and stage stand.
    "guard.evaluation": ("guard.name", "guard.action", "guard.classification", "guard.phase"),
    "gen_ai.guardrail.result": (
        "gen_ai.guardrail.component.name",
        "gen_ai.guardrail.result.value",
        "gen_ai.guardrail.risk.name",
        "gen_ai.guardrail.source",
    ),
    "gen_ai.security.finding": (
        "gen_ai.security.guardrail.name",
        "gen_ai.security.action.type",
        "gen_ai.security.risk.finding",
        "gen_ai.security.guardrail.stage",
    ),
}

WANTED_EVENTS: Final = frozenset(
    {
        EVALUATION_EVENT,
        EXCEPTION_EVENT,
        DETAILS_EVENT,
        *CHOICE_EVENTS,
        *FLAG_EVENTS,
        *FIRST_TOKEN_EVENTS,
        *GUARD_EVENTS,
        *JUDGEMENT_EVENTS,
    }
)
WANTED_LOGS: Final = frozenset(
    {EVALUATION_EVENT, DETAILS_EVENT, EXCEPTION_LOG, *CHOICE_EVENTS, *FLAG_EVENTS, *GUARD_EVENTS}
)
LOGS_WITH_BODY: Final = frozenset(CHOICE_EVENTS)
# What events and records carry, besides what stands on spans.
EVENT_KEYS: Final = frozenset(
    {
        EXCEPTION_TYPE_KEY,
        EXCEPTION_MESSAGE_KEY,
        EXCEPTION_TRACE_KEY,
        "event.name",
        "event_name",
        "finish_reason",
        "message",
        "label",
        ERROR_TYPE_KEY,
        EVENT_CONTENT_KEY,
        *FLAG_KEYS,
        *JUDGEMENT_EVENTS.values(),
        *(key for keys in GUARD_EVENTS.values() for key in keys),
    }
)
