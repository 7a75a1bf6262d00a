"""What guardrails say, in one vocabulary: verdict, category, stage.

The tables hold the words of LiteLLM, OpenLIT, Traceloop, FutureAGI, NeMo, Guardrails AI, Bedrock,
Azure, OpenAI and the proposals to the OpenTelemetry conventions, in the form that `folded` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from tripswitch.genai.spellings import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = Literal["pass", "flag", "redact", "block", "error", "not_run"]
Category = Literal["pii", "prompt_injection", "jailbreak", "toxicity", "topic", "other"]
Stage = Literal["input", "output", "tool", "retrieval"]

VERDICTS: Final[dict[str, Verdict]] = {
    **dict.fromkeys(
        (
            "pass",
            "passed",
            "success",
            "succeeded",
            "allow",
            "allowed",
            "ok",
            "none",
            "safe",
            "clean",
            "continue",
            "no_match_found",
            "not_flagged",
            "valid",
            "approved",
        ),
        "pass",
    ),
    **dict.fromkeys(
        (
            "flag",
            "flagged",
            "guardrail_flagged",
            "warn",
            "warning",
            "logged",
            "monitor",
            "detected",
        ),
        "flag",
    ),
    **dict.fromkeys(
        (
            "redact",
            "redacted",
            "modified",
            "modify",
            "mask",
            "masked",
            "anonymized",
            "fix",
            "fixed",
        ),
        "redact",
    ),
    **dict.fromkeys(
        (
            "block",
            "blocked",
            "guardrail_intervened",
            "intervened",
            "fail",
            "failed",
            "deny",
            "denied",
            "reject",
            "rejected",
            "violation",
            "violated",
            "unsafe",
            "match_found",
            "invalid",
            "stop",
            "tripwire_triggered",
            "tripped",
            "refrain",
            "exception",
        ),
        "block",
    ),
    **dict.fromkeys(
        ("guardrail_failed_to_respond", "error", "errored", "timeout", "failed_to_respond"), "error"
    ),
    **dict.fromkeys(("not_run", "skipped", "disabled", "not_applicable"), "not_run"),
}

# Parts of names, the first that fits decides; Bedrock's and Lakera's "prompt attack" is both.
CATEGORY_SIGNS: Final[tuple[tuple[Category, tuple[str, ...]], ...]] = (
    (
        "pii",
        ("pii", "sensitive", "presidio", "spii", "mask", "dlp", "secret", "credential", "privacy"),
    ),
    ("prompt_injection", ("inject", "prompt_attack", "indirect", "exfiltrat")),
    ("jailbreak", ("jailbreak", "attack", "self_check_input")),
    (
        "toxicity",
        (
            "toxic",
            "hate",
            "moderation",
            "content_safety",
            "content_filter",
            "profan",
            "violence",
            "sexual",
            "harass",
            "self_harm",
            "insult",
            "bias",
        ),
    ),
    ("topic", ("topic", "denied_topic", "off_topic", "competitor", "policy", "relevan")),
)
_BOTH_ATTACKS: Final = ("prompt_attack", "prompt_guard", "promptguard", "lakera")

STAGES: Final[dict[str, Stage]] = {
    **dict.fromkeys(
        (
            "input",
            "pre_call",
            "during_call",
            "preflight",
            "user_prompt",
            "prompt",
            "request",
            "pre",
        ),
        "input",
    ),
    **dict.fromkeys(
        (
            "output",
            "post_call",
            "postflight",
            "completion",
            "response",
            "model_output",
            "post",
            "logging_only",
        ),
        "output",
    ),
    **dict.fromkeys(
        (
            "tool",
            "tool_input",
            "tool_output",
            "tool_call",
            "pre_mcp_call",
            "during_mcp_call",
            "post_mcp_call",
            "execution",
        ),
        "tool",
    ),
    **dict.fromkeys(("retrieval", "context", "document"), "retrieval"),
}

# What is done when a validator fails, for those that only say that it did.
_STOPPING: Final = frozenset({"exception", "filter", "refrain", "reask"})


def verdict_of(value: Any, *, true_means: Verdict = "block", masked: float = 0) -> Verdict | None:
    """Return the verdict that a value tells of; None when it is no word of any guardrail.

    ``true_means`` says what a bare true is: a tripwire that was triggered, unless the key says that
    something passed. With ``masked`` above 0 something was taken out, and the rest went through.

    >>> verdict_of("GUARDRAIL_INTERVENED"), verdict_of(False), verdict_of("PASSED", masked=2)
    ('block', 'pass', 'redact')
    """
    found: Verdict | None
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    if isinstance(value, bool):
        other: Verdict = "pass" if true_means == "block" else "block"
        found = true_means if value else other
    else:
        found = VERDICTS.get(folded(str(value))) if isinstance(value, str) else None
    return "redact" if found == "pass" and masked > 0 else found


def passed(value: Any, on_fail: str | None = None) -> Verdict:
    """Return the verdict of a validator that says whether it passed, and what it does if not."""
    if value:
        return "pass"
    return "redact" if on_fail is not None and folded(on_fail) not in _STOPPING else "block"


def category_of(names: Iterable[str]) -> Category:
    """Return what a guardrail guards against, going by its categories, then by its own name.

    >>> category_of(["", "pii-guard"]), category_of(["PROMPT_ATTACK"]), category_of(["x"])
    ('pii', 'prompt_injection', 'other')
    """
    for name in names:
        word = folded(name)
        for category, signs in CATEGORY_SIGNS:
            if any(sign in word for sign in signs):
                return category
    return "other"


def categories_of(names: Iterable[str]) -> list[Category]:
    """Return every category that a guardrail guards against, the leading one first."""
    names = list(names)
    first = category_of(names)
    lumped = any(sign in folded(name) for name in names for sign in _BOTH_ATTACKS)
    if lumped and first in ("prompt_injection", "jailbreak", "other"):
        return ["prompt_injection", "jailbreak"]
    return [first]


def stage_of(word: str | None) -> Stage | None:
    """Return where in a request a guardrail looks; None when it does not say."""
    if word is None:
        return None
    found = folded(word)
    if found in STAGES:
        return STAGES[found]
    return next((stage for sign, stage in STAGES.items() if found.startswith(sign)), None)
