"""Which of the names on a span is the model that was asked for, and which the one that served."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tripswitch.genai.spellings import MODEL_PREFIXES

if TYPE_CHECKING:
    from tripswitch.genai.facts import SpanFacts
    from tripswitch.genai.sightings import CallFacts
    from tripswitch.genai.spellings import Kind

# Parts of the names of models that do not chat; what is embedded in something may well.
_KINDS: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile(r"embedding|embed(?![a-z])"), "embedding"),
    (re.compile(r"rerank"), "rerank"),
)

# A model's name that says which one it is: a date, or a build behind a colon or an at sign.
_DATED = re.compile(r"\d{4}-\d\d-\d\d|\d{8}|\d{6}$|[-@:]\d{3,4}$|:[a-z0-9]+$")

# A model's name as only Amazon Bedrock is asked for it, whose answers name none.
_ASKED_OF_BEDROCK = re.compile(
    r"arn:aws[\w-]*:bedrock:|(?:[a-z-]+\.)?[a-z][a-z0-9]*\.[a-z][\w.-]*(?::\d+)?$"
)


def tell_models_apart(facts: SpanFacts, call: CallFacts) -> None:
    """Settle which of the names is the model that was asked for, and which the one that served.

    A provider answers an alias with the dated name of what served. An alias in the response's place
    is the request's name again, written by a gateway or a stream that knew no better.
    """
    if call.error_class is not None and not has_answered(call):
        if call.request_model is None and facts.has("only_model"):
            call.request_model = facts.text("only_model")
        call.response_model = None
    elif call.response_model and _is_request(call.response_model, is_chat=call.is_chat):
        if call.request_model is None:
            call.request_model = call.response_model
        if call.request_model == call.response_model:
            call.response_model = None
    elif (
        call.request_model is not None
        and call.request_model == call.response_model
        and call.is_chat
        and facts.key_of("request_model") == facts.key_of("response_model")
    ):
        # One name, read as both.
        call.request_model = None


def has_answered(call: CallFacts) -> bool:
    """Return whether a call tells of an answer by its id or its usage."""
    return call.response_id is not None or call.input_tokens == call.input_tokens


@lru_cache(maxsize=1024)
def _is_request(model: str, *, is_chat: bool) -> bool:
    """Return whether a name in the response's place is what was asked for."""
    if _ASKED_OF_BEDROCK.match(model):
        return True
    # Models of embeddings have no dates.
    return is_chat and _DATED.search(model) is None


def split_prefix(model: str) -> tuple[str, str]:
    """Return (provider as written, model) of ``provider/model``; ("", model) of anything else.

    >>> split_prefix("openai/gpt-4o"), split_prefix("meta-llama/Llama-3")
    (('openai', 'gpt-4o'), ('', 'meta-llama/Llama-3'))
    """
    prefix, slash, rest = model.partition("/")
    if slash and rest and prefix.lower() in MODEL_PREFIXES:
        return prefix, rest
    return "", model


def kind_by_model(model: str) -> Kind:
    """Return what a call of ``model`` is, for who calls every model's call the same.

    >>> kind_by_model("amazon.titan-embed-text-v2:0"), kind_by_model("embedded-systems-chat")
    ('embedding', 'chat')
    """
    name = model.lower()
    return next((kind for sign, kind in _KINDS if sign.search(name)), "chat")
