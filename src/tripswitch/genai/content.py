"""The bounded extractor: facts that libraries put only inside message content.

Read are finish reasons and whether a part of the answer is marked as a refusal, in the shapes that
providers answer in and instrumentations copy: OpenAI Chat Completions (whole and in chunks) and
Responses, Anthropic messages, Gemini candidates, Bedrock Converse, Cohere, Ollama, LangChain's
generations, LlamaIndex's responses, the conventions' output messages, and an event's message; and
objects as Python's repr() writes them: `ChatMessage(_meta={'finish_reason': 'stop'})`. The text is
not looked at, and nothing of it is returned: reasons come back in our words, whatever stood there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tripswitch.genai.coercion import MAX_ITEMS, MAX_JSON_CHARS, opened, text
from tripswitch.genai.spellings import finish_reason

if TYPE_CHECKING:
    from tripswitch.otlp.values import Value

# Text that has none of these words holds no fact, so it is not even parsed.
_TELLING: Final = (
    "finish",
    "stop_reason",
    "stopReason",
    "done_reason",
    "blockReason",
    "block_reason",
    "refus",
    "status",
    "tool",
)
# Under which names providers and SDKs say why an answer ended.
_REASON_KEYS: Final = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")
# Where a structured answer may stand inside what a library wrote down.
_WRAPPERS: Final = (
    "response",
    "result",
    "output",
    "raw_response",
    "lc_kwargs",
    "kwargs",
    "value",
    "replies",
)
_MAX_WRAPPED: Final = 3
# How repr() of an object begins, or str() of a Pydantic one.
_WRITTEN_OBJECT: Final = re.compile(r"[A-Za-z_][\w.]{0,99}(?:\(|=(?!=))")
# In what repr() writes: a field or a member with a text, an enumeration's too; else a whole text,
# which may say anything. One that was cut reaches to the end.
_WRITTEN_FACT: Final = re.compile(
    r"""(?:(?P<quote>['"])(?P<member>finish_reason|stop_reason|refusal)(?P=quote):\ ?
        |(?<![\w.'"])(?P<field>finish_reason|stop_reason|refusal)=)
        (?:<[\w.]{1,99}:\ )?
        (?:'(?P<said>(?:[^'\\]|\\.)*)(?:'|\Z)|"(?P<doubly>(?:[^"\\]|\\.)*)(?:"|\Z))
    |'(?:[^'\\]|\\.)*(?:'|\Z)
    |"(?:[^"\\]|\\.)*(?:"|\Z)""",
    re.VERBOSE | re.DOTALL,
)


class OutputFacts(NamedTuple):
    """The finish reasons in our words, and whether a part of the answer refuses.

    ``calls_tool`` says that the answer asks for a tool, where no reason says so.
    """

    finish_reasons: list[str]
    refuses: bool
    calls_tool: bool = False


NOTHING = OutputFacts([], refuses=False)


def answer_in(content: Value) -> OutputFacts:
    """Return the facts inside an answer: structured, JSON text, or a Python literal as text.

    Text above `tripswitch.genai.coercion.MAX_JSON_CHARS` is not opened.
    """
    if isinstance(content, str):
        if not tells(content):
            return NOTHING
        whole = opened(content)
        if isinstance(whole, str):
            # Written down twice.
            content, whole = whole, opened(whole)
        content = content if whole is None else whole
    found = _Found()
    found.look_at(content, _MAX_WRAPPED)
    return OutputFacts(found.reasons, found.refuses, found.calls_tool)


def tells(written: str) -> bool:
    """Return whether text may hold a fact, so that it is worth opening."""
    return len(written) <= MAX_JSON_CHARS and any(word in written for word in _TELLING)


class _Found:
    """What was found so far in one answer."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.refuses = False
        self.calls_tool = False

    def look_at(self, content: Any, depth: int) -> None:
        """Look for an answer of a known shape."""
        if isinstance(content, str):
            self._written(content)
        elif isinstance(content, list):
            for message in content[:MAX_ITEMS]:
                if isinstance(message, str):
                    self._written(message)
                elif isinstance(message, dict):
                    if depth and (
                        message.keys() & {"choices", "candidates"}
                        or isinstance(message.get("output"), list)
                    ):
                        # Chunks of a stream, or whole answers.
                        self._look_into(message, depth - 1)
                    else:
                        self._message(message)
        elif isinstance(content, dict):
            self._look_into(_provider_answer(content), depth)

    def _look_into(self, content: dict[str, Any], depth: int) -> None:
        choices = content.get("choices", content.get("candidates"))
        if isinstance(choices, list):
            for choice in choices[:MAX_ITEMS]:
                if isinstance(choice, dict):
                    self._choice(choice)
            if not choices:
                self._blocked_prompt(content)
            return
        output = content.get("output")
        if isinstance(output, list):
            self._responses_output(content, output)
            return
        if isinstance(content.get("generations"), list):
            self._generations(content["generations"])
            return
        if self._blocked_prompt(content):
            return
        if _is_message(content):
            self._message(content)
            if isinstance(output, dict) and isinstance(output.get("message"), dict):
                # Bedrock puts the message one step deeper than the reason.
                self.refuses = self.refuses or _refuses(output["message"])
            return
        for name in _WRAPPERS:
            if depth and isinstance(content.get(name), dict | list):
                self.look_at(content[name], depth - 1)
                return

    def _blocked_prompt(self, answer: dict[str, Any]) -> bool:
        """Look at a Gemini answer without candidates: what it was asked was blocked."""
        feedback = answer.get("promptFeedback", answer.get("prompt_feedback"))
        if not isinstance(feedback, dict):
            return False
        blocked = text(feedback.get("blockReason", feedback.get("block_reason"))) is not None
        if blocked:
            self.reasons.append("content_filter")
        return blocked

    def _choice(self, choice: dict[str, Any]) -> None:
        """Look at a Chat Completions choice or a Gemini candidate."""
        self._reason(_reason_of(choice))
        message = choice.get("message", choice.get("delta"))
        if isinstance(message, dict):
            self.refuses = self.refuses or _refuses(message)

    def _responses_output(self, response: dict[str, Any], output: list[Any]) -> None:
        """Look at a Responses API answer: its status, and what its items are."""
        calls_tool = False
        for item in output[:MAX_ITEMS]:
            if isinstance(item, dict):
                kind = item.get("type")
                calls_tool = calls_tool or kind in ("function_call", "custom_tool_call")
                self.refuses = self.refuses or _refuses(item)
        self._status(response, calls_tool=calls_tool)

    def _status(self, response: dict[str, Any], *, calls_tool: bool) -> None:
        status = response.get("status")
        if status == "completed":
            self.reasons.append("tool_call" if calls_tool else "stop")
        elif status == "failed":
            self.reasons.append("error")
        elif status in ("incomplete", "cancelled"):
            details = response.get("incomplete_details")
            reason = details.get("reason") if isinstance(details, dict) else None
            self._reason(reason if isinstance(reason, str) and reason else status)

    def _message(self, message: dict[str, Any]) -> None:
        """Look at one message: the conventions', a provider's, or an item of a response."""
        reason = text(_reason_of(message))
        # The conventions have writers fill in "error" where no reason arrived.
        if reason is not None and reason != "error":
            self._reason(reason)
        elif message.get("status") == "completed" and "finish_reason" not in message:
            self._status(message, calls_tool=message.get("type") == "function_call")
        inner = message.get("message")
        if isinstance(inner, dict):
            self.refuses = self.refuses or _refuses(inner)
            metadata = inner.get("response_metadata")
            if isinstance(metadata, dict) and reason is None:
                self._reason(_reason_of(metadata))
        self.refuses = self.refuses or _refuses(message)
        parts = message.get("parts")
        if isinstance(parts, list):
            self.calls_tool = self.calls_tool or any(
                isinstance(part, dict) and part.get("type") == "tool_call"
                for part in parts[:MAX_ITEMS]
            )

    def _generations(self, generations: list[Any]) -> None:
        """Look at LangChain's form of an answer: lists of generations."""
        for group in generations[:MAX_ITEMS]:
            for generation in (group if isinstance(group, list) else [group])[:MAX_ITEMS]:
                if not isinstance(generation, dict):
                    continue
                # In Python's spelling, in JavaScript's, or nowhere.
                info = generation.get("generation_info", generation.get("generationInfo"))
                reason = text(_reason_of(info if isinstance(info, dict) else generation))
                self._reason(reason)
                message = generation.get("message")
                kwargs = message.get("kwargs", message) if isinstance(message, dict) else None
                if isinstance(kwargs, dict):
                    self.refuses = self.refuses or _refuses(kwargs)
                    if reason is None:
                        self._response_behind(kwargs)

    def _response_behind(self, message: dict[str, Any]) -> None:
        """Look at what LangChain keeps of a Responses API answer beside its message."""
        response = message.get("response_metadata")
        if isinstance(response, dict) and response.get("object") == "response":
            self._status(response, calls_tool=bool(message.get("tool_calls")))

    def _written(self, source: str) -> None:
        """Look at an object that repr() wrote; text of any other kind says nothing."""
        if len(source) > MAX_JSON_CHARS or _WRITTEN_OBJECT.match(source) is None:
            return
        for match in _WRITTEN_FACT.finditer(source):
            said = match["said"] or match["doubly"]
            if not said:
                continue
            if "refusal" in (match["member"], match["field"]):
                self.refuses = True
            else:
                self._reason(said)

    def _reason(self, reason: Any) -> None:
        found = text(reason)
        if found is not None and len(self.reasons) < MAX_ITEMS:
            self.reasons.append(finish_reason(found))


def _provider_answer(content: dict[str, Any]) -> dict[str, Any]:
    """Return the provider's answer that LlamaIndex keeps beside its message, else ``content``."""
    raw = content.get("raw")
    if isinstance(raw, dict) and raw and content.keys() & {"message", "text"}:
        return raw
    return content


def _reason_of(part: dict[str, Any]) -> Any:
    return next((part[key] for key in _REASON_KEYS if part.get(key) is not None), None)


def _is_message(content: dict[str, Any]) -> bool:
    return (
        bool(content.keys() & {"role", "parts", "tool_calls", *_REASON_KEYS})
        or isinstance(content.get("content"), list)
        or isinstance(content.get("message"), dict)
        or content.get("type") == "function_call"
    )


def _refuses(message: dict[str, Any]) -> bool:
    extra = message.get("additional_kwargs")
    for said in (message, extra if isinstance(extra, dict) else {}):
        refusal = said.get("refusal")
        if isinstance(refusal, str) and refusal:
            return True
    for name in ("parts", "content"):
        parts = message.get(name)
        if isinstance(parts, list) and any(
            isinstance(part, dict)
            and (
                part.get("type") == "refusal"
                or bool(part.get("refusal"))
                or _is_refusal_as_text(part)
            )
            for part in parts[:MAX_ITEMS]
        ):
            return True
    return False


def _is_refusal_as_text(part: dict[str, Any]) -> bool:
    """Return whether the text of a part is a refusal, written down by who knew no such part."""
    written = part.get("content", part.get("text"))
    if not isinstance(written, str) or written[:1] != "{" or "refusal" not in written[:2000]:
        return False
    inner = opened(written) if len(written) <= MAX_JSON_CHARS else None
    # A refusal's part, or a whole message.
    return (
        isinstance(inner, dict)
        and (inner.get("type") == "refusal" or inner.get("role") == "assistant")
        and isinstance(inner.get("refusal"), str)
        and bool(inner["refusal"])
    )
