"""What the values mean: the spellings that libraries use, and the one word each stands for here.

Keys of the tables are in the form that `folded` gives, where nothing else is said. Errors have a
module of their own, `tripswitch.genai.error_classes`.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from tripswitch.genai.error_classes import error_class, error_name

__all__ = [
    "FINISH_REASONS",
    "KINDS",
    "MODEL_PREFIXES",
    "MOVING_LABELS",
    "PROVIDERS",
    "Kind",
    "error_class",
    "error_name",
    "finish_reason",
    "folded",
    "provider",
    "says_stream",
]

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
    "embed": "embedding",
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

# Keys as `_bare` gives them: without separators, since every SDK has its own.
_FINISH_WORDS: Final[tuple[tuple[str, str], ...]] = (
    (
        "stop",
        # 1 to 5 are the numbers of Gemini's enumeration.
        (
            "stop stopped endturn stopsequence stopsequences complete completed finish finished "
            "eos eostoken endoftext done 1"
        ),
    ),
    (
        "length",
        (
            "length maxtokens maxoutputtokens maxcompletiontokens modellength maxlen maxlength "
            "maxcontext tokenlimit tokenlimitreached errorlimit modelcontextwindowexceeded "
            "contextlengthexceeded 2"
        ),
    ),
    ("tool_call", "toolcall toolcalls tooluse functioncall functioncalls customtoolcall"),
    (
        "content_filter",
        (
            "contentfilter contentfiltered filtered blocked safety recitation blocklist "
            "prohibitedcontent spii errortoxic imagesafety imageprohibitedcontent "
            "imagerecitation 3 4"
        ),
    ),
    ("guardrail", "guardrail guardrailintervened guardrailblocked modelarmor"),
    ("refusal", "refusal refused"),
    (
        "error",
        (
            "error failed timeout malformedfunctioncall malformedtooluse malformedmodeloutput "
            "malformedresponse unexpectedtoolcall toomanytoolcalls missingthoughtsignature "
            "insufficientsystemresource"
        ),
    ),
)
FINISH_REASONS: Final = {word: reason for reason, words in _FINISH_WORDS for word in words.split()}
_FINISH_PREFIXES: Final = ("finishreason", "stopreason", "reason")

PROVIDERS: dict[str, str] = {
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "azureopenai": "azure.ai.openai",
    "azure_open_ai": "azure.ai.openai",
    "open_ai": "openai",
    "az.ai.inference": "azure.ai.inference",
    "azure_ai": "azure.ai.inference",
    "xai": "x_ai",
    "x.ai": "x_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "google_vertex": "gcp.vertex_ai",
    "google.vertex": "gcp.vertex_ai",
    "gemini": "gcp.gemini",
    "google.generative_ai": "gcp.gemini",
    "google": "gcp.gen_ai",
    "google_genai": "gcp.gen_ai",
    "google_genai_ai": "gcp.gen_ai",
    "googleai": "gcp.gemini",
    "google_ai_gemini": "gcp.gemini",
    "google_vertex_ai_gemini": "gcp.vertex_ai",
    "gcp.vertex.agent": "gcp.gen_ai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "watsonx": "ibm.watsonx.ai",
}

# "stream" as a word of its own, whatever the words are joined by.
_STREAMS: Final = re.compile(
    r"(?:^|[^A-Za-z])a?stream(?:ing)?(?![a-z])|(?<=[a-z])Stream(?:ing)?(?![a-z])"
)

_CURRENT_PROVIDERS: Final = frozenset(PROVIDERS.values())
_PLAIN_PROVIDERS: Final = frozenset(
    {"anthropic", "cohere", "deepseek", "groq", "openai", "perplexity"}
)
# A model name may be written provider/model; anything else before a slash is part of the name.
MODEL_PREFIXES = frozenset(PROVIDERS) | _PLAIN_PROVIDERS

# A prompt "version" of this name moves from one real version to the next: it is a label.
MOVING_LABELS = frozenset({"prod", "production", "latest", "staging", "draft"})


def folded(text: str) -> str:
    """Return ``text`` as the tables spell it: lower case, blanks and dashes as underscores."""
    return text.strip().lower().replace("-", "_").replace(" ", "_")


def finish_reason(text: str) -> str:
    """Return the one word for a provider's finish reason; "other" when it is not known.

    >>> [finish_reason(word) for word in ("FinishReason.MAX_TOKENS", "tool-calls", "EndTurn")]
    ['length', 'tool_call', 'stop']
    """
    # A name longer than any of these is none.
    word = _bare(text[:100].rpartition(".")[2])
    for prefix in _FINISH_PREFIXES:
        word = word.removeprefix(prefix)
    return FINISH_REASONS.get(word, "other")


def says_stream(name: str) -> bool:
    """Return whether the name of a method, or of a span called after one, says that it streams.

    >>> [says_stream(name) for name in ("ConverseStream", "OpenAI.stream_chat", "livestreams chat")]
    [True, True, False]
    """
    return _STREAMS.search(name) is not None


def provider(text: str) -> str:
    """Return the conventions' current name of a provider.

    Some say which of its interfaces they called, behind a dot.

    >>> [provider(name) for name in ("az.ai.openai", "openai.chat", "google.vertex.chat", "me.too")]
    ['azure.ai.openai', 'openai', 'gcp.vertex_ai', 'me.too']
    """
    name = text.strip().lower()
    word = "" if name in _CURRENT_PROVIDERS else folded(name)
    while word:
        if word in PROVIDERS:
            return PROVIDERS[word]
        if word in _PLAIN_PROVIDERS:
            return word
        word = word.rpartition(".")[0]
    return name


def _bare(text: str) -> str:
    return "".join(sign for sign in text.lower() if sign.isascii() and sign.isalnum())
