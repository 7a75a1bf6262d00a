"""What guardrails say, in one vocabulary: verdict, category, stage.

The tables hold the words of LiteLLM, OpenLIT, Traceloop, FutureAGI, NeMo, Guardrails AI, Bedrock,
Azure, OpenAI, Model Armor and the proposals to the OpenTelemetry conventions, in the form that
`folded` gives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

from tripswitch.genai.coercion import number, opened
from tripswitch.genai.spellings import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tripswitch.model.calls import ErrorClass

Verdict = Literal["pass", "flag", "redact", "block", "error", "not_run"]
Category = Literal["pii", "prompt_injection", "jailbreak", "toxicity", "topic", "other"]
Stage = Literal["input", "output", "tool", "retrieval"]

_VERDICT_WORDS: Final[tuple[tuple[Verdict, str], ...]] = (
    (
        "pass",
        (
            "pass passed success succeeded allow allowed ok none safe clean continue "
            "no_match_found not_flagged valid approved compliant harmless benign no_violation "
            "not_triggered"
        ),
    ),
    (
        "flag",
        (
            "flag flagged guardrail_flagged warn warning logged monitor detected review "
            "escalate escalated"
        ),
    ),
    (
        "redact",
        (
            "redact redacted modified modify mask masked anonymized fix fixed anonymize "
            "sanitize sanitized replaced"
        ),
    ),
    (
        "block",
        (
            "block blocked guardrail_intervened intervened fail failed deny denied reject "
            "rejected violation violated unsafe match_found invalid stop tripwire_triggered "
            "tripped refrain exception intervene filter filtered reask refuse refused "
            "non_compliant noncompliant malicious harmful"
        ),
    ),
    (
        "error",
        "guardrail_failed_to_respond failed_to_respond error errored timeout timed_out unavailable",
    ),
    ("not_run", "not_run skipped skip disabled not_applicable n/a"),
)
VERDICTS: Final = {word: verdict for verdict, words in _VERDICT_WORDS for word in words.split()}

# Parts of names, in lower case; the first category that fits decides.
CATEGORY_SIGNS: Final[tuple[tuple[Category, tuple[str, ...]], ...]] = (
    (
        "pii",
        # Not in "apiid".
        ("(?<!a)pii", "sensitive", "presidio", "mask", "dlp", "secret", "credential", "privacy"),
    ),
    ("prompt_injection", ("inject", "prompt_?attack", "indirect", "exfiltrat")),
    ("jailbreak", ("jailbreak", "attack", "self_?check_?input")),
    (
        "toxicity",
        (
            "toxic",
            # Not in "whatever".
            "(?<![a-z])hate",
            "moderation",
            "content_?safety",
            "content_?filter",
            "profan",
            "violence",
            "sexual",
            "harass",
            "self_?harm",
            "insult",
            "abus",
            "nsfw",
            "bias",
        ),
    ),
    ("topic", ("topic", "competitor", "policy", "relevan")),
)
_CATEGORIES: Final = [(category, re.compile("|".join(signs))) for category, signs in CATEGORY_SIGNS]
# Bedrock and Lakera do not tell the two apart.
_BOTH_ATTACKS: Final = re.compile("prompt_?attack|prompt_?guard|lakera")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

_STAGE_WORDS: Final[tuple[tuple[Stage, str], ...]] = (
    (
        "input",
        (
            "input pre_call during_call preflight user_prompt prompt request pre before "
            "inbound ingress"
        ),
    ),
    (
        "output",
        (
            "output post_call postflight completion response model_output post answer after "
            "outbound egress logging_only"
        ),
    ),
    (
        "tool",
        (
            "tool tool_input tool_output tool_call pre_mcp_call during_mcp_call post_mcp_call "
            "execution"
        ),
    ),
    ("retrieval", "retrieval context document"),
)
STAGES: Final = {word: stage for stage, words in _STAGE_WORDS for word in words.split()}

# What is done when a validator fails, for those that only say that it did.
_STOPPING: Final = frozenset({"exception", "filter", "refrain", "reask"})


def verdict_of(value: Any, *, true_means: Verdict = "block", masked: float = 0) -> Verdict | None:
    """Return the verdict that a value tells of; None when it is no word of any guardrail.

    ``true_means`` says what a bare true, yes or 1 is: a tripwire that was triggered, unless the key
    says that something passed. With ``masked`` above 0 something was taken out, and the rest went
    through.

    >>> verdict_of("GUARDRAIL_INTERVENED"), verdict_of(False), verdict_of("PASSED", masked=2)
    ('block', 'pass', 'redact')
    """
    found: Verdict | None = None
    if isinstance(value, str):
        word = folded(value)
        # A flag that is written as text is one; a bare digit may be a severity.
        value = {"true": True, "yes": True, "false": False, "no": False}.get(word)
        found = VERDICTS.get(word)
    if isinstance(value, bool | int) and value in (0, 1):
        other: Verdict = "block" if true_means == "pass" else "pass"
        found = true_means if value else other
    return "redact" if found == "pass" and masked > 0 else found


def passed(value: Any, on_fail: str | None = None) -> Verdict:
    """Return the verdict of a validator that says whether it passed, and what it does if not."""
    if value:
        return "pass"
    return "redact" if on_fail is not None and folded(on_fail) not in _STOPPING else "block"


def verdict_of_failure(error: ErrorClass | None) -> Verdict:
    """Return the verdict of a guardrail whose span failed and says nothing else.

    Raising is how most of them block; one that timed out, or whose own provider failed, found
    nothing out.
    """
    return "block" if error in (None, "unknown", "guardrail") else "error"


def masked_count(value: Any) -> float:
    """Return how many things were taken out: a number, or numbers by kind as an object or JSON.

    >>> masked_count(2), masked_count('{"EMAIL": 1, "PHONE": 2}'), masked_count("none")
    (2.0, 3.0, 0.0)
    """
    found = number(value)
    if found is not None:
        return found
    by_kind = opened(value)
    if not isinstance(by_kind, dict):
        return 0.0
    return sum(count for each in by_kind.values() if (count := number(each)) is not None)


def category_of(name: str) -> Category | None:
    """Return what a guardrail or a finding of this name is about; None when it does not say.

    >>> category_of("pii-guard"), category_of("PROMPT_ATTACK"), category_of("x")
    ('pii', 'prompt_injection', None)
    """
    word = folded(_CAPITAL.sub("_", name))
    return next((category for category, signs in _CATEGORIES if signs.search(word)), None)


def categories_of(listed: Iterable[str], name: str = "") -> list[Category]:
    """Return every category that a guardrail guards against, in the order they are named.

    What it lists counts; where that says nothing its ``name`` does. Those who cannot tell a prompt
    injection from a jailbreak ("prompt attack", Lakera) are given both.

    >>> categories_of(["PII", "custom"], "lakera"), categories_of(["custom"], "topics")
    (['pii'], ['topic'])
    """
    for names in (listed, (name,)):
        found: list[Category] = []
        for each in names:
            category = category_of(each)
            if _BOTH_ATTACKS.search(folded(each)) and category in (
                "prompt_injection",
                "jailbreak",
                None,
            ):
                found += ["prompt_injection", "jailbreak"]
            elif category is not None:
                found.append(category)
        if found:
            return list(dict.fromkeys(found))
    return ["other"]


def stage_of(word: str | None) -> Stage | None:
    """Return where in a request a guardrail looks; None when it does not say.

    >>> stage_of("pre_call"), stage_of("GUARDRAIL_OUTPUT"), stage_of("tool_input"), stage_of("x")
    ('input', 'output', 'tool', None)
    """
    if word is None:
        return None
    found = folded(word)
    if found in STAGES:
        return STAGES[found]
    if any(sign in found for sign in ("tool", "mcp")):
        return "tool"
    return next((STAGES[part] for part in re.split(r"[^a-z]+", found) if part in STAGES), None)
