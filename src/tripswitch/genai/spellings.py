"""What the values mean: the spellings that libraries use, and the one word each stands for here.

Keys of the tables are in the form that `folded` gives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tripswitch.model.calls import ErrorClass

Kind = Literal[
    "chat",
    "embedding",
    "rerank",
    "retrieval",
    "agent",
    "workflow",
    "tool",
    "guardrail",
    "evaluator",
    "raw",
    "other",
]

KINDS: dict[str, Kind] = {
    "chat": "chat",
    "generate_content": "chat",
    "text_completion": "chat",
    "embeddings": "embedding",
    "embedding": "embedding",
    "rerank": "rerank",
    "reranker": "rerank",
    "invoke_agent": "agent",
    "create_agent": "agent",
    "agent": "agent",
    "invoke_workflow": "workflow",
    "plan": "workflow",
    "workflow": "workflow",
    "chain": "workflow",
    "execute_tool": "tool",
    "tool": "tool",
    "evaluator": "evaluator",
    "evaluate": "evaluator",
    "evaluation": "evaluator",
}

FINISH_REASONS: dict[str, str] = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "complete": "stop",
    "completed": "stop",
    "eos": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "tool_call": "tool_call",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "guardrail_intervened": "guardrail",
    "guardrail": "guardrail",
    "refusal": "refusal",
    "error": "error",
}

PROVIDERS: dict[str, str] = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "xai": "x_ai",
    "vertex_ai": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google": "gcp.gen_ai",
    "bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
}

# A model name may be written provider/model; anything else before a slash is part of the name.
MODEL_PREFIXES = frozenset(PROVIDERS) | {
    "anthropic",
    "cohere",
    "deepseek",
    "groq",
    "openai",
    "perplexity",
}

# A prompt "version" of this name moves from one real version to the next: it is a label.
MOVING_LABELS = frozenset({"prod", "production", "latest", "staging", "draft"})

_ERROR_NAMES: dict[str, ErrorClass] = {
    "429": "provider_throttle",
    "rate_limit_exceeded": "provider_throttle",
    "insufficient_quota": "provider_throttle",
    "resource_exhausted": "provider_throttle",
    "resourceexhausted": "provider_throttle",
    "408": "timeout",
    "504": "timeout",
    "499": "cancelled",
    "generatorexit": "cancelled",
    "content_filter": "guardrail",
    "server_error": "provider",
    "overloaded_error": "provider",
    "apierror": "provider",
    "api_error": "provider",
    "internal": "provider",
    "unavailable": "provider",
    "context_length_exceeded": "client",
    "invalid_request_error": "client",
    "invalid_argument": "client",
    "unprocessableentityerror": "client",
}

# Tried in this order on the lower-case name: "ratelimittimeouterror" is a time-out.
_ERROR_PATTERNS: tuple[tuple[re.Pattern[str], ErrorClass], ...] = (
    (re.compile(r"timeout|timed_out|deadline_?exceeded"), "timeout"),
    (re.compile(r"cancell?ed"), "cancelled"),
    (re.compile(r"ratelimit|rate_limit|throttl|too_?many_?requests|quota"), "provider_throttle"),
    (re.compile(r"content_?filter|content_?policy|guardrail"), "guardrail"),
    (
        re.compile(
            r"badrequest|authentication|permissiondenied|notfounderror|unauthorized|forbidden"
            r"|context_?(length|window)|validationerror|invalid_?request"
        ),
        "client",
    ),
    (
        re.compile(r"internalserver|serviceunavailable|overloaded|badgateway|connect(ion)?error"),
        "provider",
    ),
    (re.compile(r"^4\d\d$"), "client"),
    (re.compile(r"^5\d\d$"), "provider"),
)

_CLASS_REPR = re.compile(r"<class '([^']+)'>")
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


def folded(text: str) -> str:
    """Return ``text`` as the tables spell it: lower case, blanks and dashes as underscores."""
    return text.strip().lower().replace("-", "_").replace(" ", "_")


def finish_reason(text: str) -> str:
    """Return the one word for a provider's finish reason; "other" when it is not known."""
    return FINISH_REASONS.get(folded(text), "other")


def provider(text: str) -> str:
    """Return the conventions' current name of a provider."""
    name = text.strip().lower()
    return PROVIDERS.get(name, name)


def error_name(text: str) -> str:
    """Return the last part of an exception's name; codes and other words stay as they are.

    >>> error_name("<class 'openai.RateLimitError'>")
    'RateLimitError'
    >>> error_name("429")
    '429'
    """
    text = text.strip()
    match = _CLASS_REPR.fullmatch(text)
    if match:
        text = match[1]
    return text.rpartition(".")[2] if _DOTTED_NAME.fullmatch(text) else text


def error_class(error_type: str) -> ErrorClass:
    """Return who has to act on an error of this type.

    >>> error_class("APITimeoutError"), error_class("503"), error_class("_OTHER")
    ('timeout', 'provider', 'unknown')
    """
    name = folded(error_type)
    known = _ERROR_NAMES.get(name)
    if known:
        return known
    for pattern, answer in _ERROR_PATTERNS:
        if pattern.search(name):
            return answer
    return "unknown"
