"""Who has to act on an error: its class, from whatever names it.

An error is named by an exception's class, a provider's code, a gRPC code, an HTTP status, or a
message that holds one of these. The more telling name counts: a content filter answers HTTP 400
and raises `BadRequestError`, and is no fault of the request.

Source: the error pages and SDKs of OpenAI, Anthropic, Google, Bedrock, Azure, Cohere, Mistral,
LiteLLM, Vercel, and the gRPC status codes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tripswitch.model.calls import ErrorClass

# Exact names, as `_word` writes them.
_NAME_WORDS: Final[tuple[tuple[ErrorClass, str], ...]] = (
    ("provider_throttle", "rate_limit slow_down resource_exhausted request_limit_exceeded"),
    ("timeout", "etimedout esockettimedout interrupted_io_exception"),
    (
        "cancelled",
        (
            "generator_exit keyboard_interrupt client_disconnect client_disconnected "
            "client_closed_request client_closed_request_error interrupted_exception"
        ),
    ),
    ("guardrail", "safety recitation blocklist prohibited_content spii blocked"),
    (
        "provider",
        (
            "server_error internal_error internal unavailable data_loss overloaded bad_gateway "
            "econnreset econnrefused enotfound eai_again epipe ehostunreach gaierror ssl_error "
            "ssl_cert_verification_error protocol_error remote_protocol_error "
            "local_protocol_error read_error write_error network_error incomplete_read "
            "broken_pipe_error server_disconnected_error chunked_encoding_error "
            "client_payload_error client_connector_error model_error_exception "
            "model_stream_error_exception model_not_ready_exception mid_stream_fallback_error "
            "ai_invalid_response_data_error ai_empty_response_body_error retry_error "
            "unknown_host_exception insufficient_system_resource "
            # What the JVM's clients say of it, and Go's.
            "socket_exception ssl_handshake_exception eof_exception closed_channel_exception "
            "stream_reset_exception premature_close_exception eof unexpected_eof dns_error "
            "connection_failed unable_to_execute_http_request "
            # What Node's clients say of a connection that was lost.
            "fetch_failed terminated premature_close socket_hang_up other_side_closed"
        ),
    ),
    (
        "client",
        (
            "invalid_argument failed_precondition out_of_range unimplemented unauthenticated "
            "permission_denied not_found already_exists bad_request forbidden unauthorized "
            "billing_error billing_not_active billing_hard_limit_reached budget_exceeded_error "
            "string_above_max_length request_too_large invalid_prompt invalid_type "
            "missing_required_parameter unknown_parameter unsupported_parameter unsupported_value "
            "unsupported_params_error unsupported_country_region_territory account_deactivated "
            "conflict_error conflict_exception http_validation_error json_schema_validation_error "
            "length_finish_reason_error max_output_tokens ai_no_object_generated_error "
            "ai_unsupported_functionality_error ai_load_api_key_error ai_load_setting_error "
            "expired_token_exception unrecognized_client_exception no_credentials_error"
        ),
    ),
)
_NAMES: Final = {word: answer for answer, words in _NAME_WORDS for word in words.split()}

# Parts of names, tried in this order: "rate_limit_timeout_error" is a time-out.
_PATTERNS: Final[tuple[tuple[ErrorClass, re.Pattern[str]], ...]] = (
    ("timeout", re.compile(r"time_?out|timed_?out|deadline_?exceeded")),
    ("cancelled", re.compile(r"cancell?ed|cancellation|(?<!connection_)abort")),
    (
        "guardrail",
        re.compile(
            r"content_?filter|content_?policy|policy_violation|guardrail|responsible_ai|moderation"
            r"|tripwire|blocked_(prompt|response|pii)|(prompt|response)_?blocked|stop_candidate"
            r"|safety_(error|exception|violation)|rejected_request|jailbreak"
        ),
    ),
    (
        "provider_throttle",
        re.compile(r"rate_?limit|throttl|too_?many_?requests|quota|resource_?exhausted"),
    ),
    (
        "client",
        re.compile(
            r"bad_?request|authenticat|authori[sz]ation|unauthori[sz]ed|forbidden|permission"
            r"|access_?denied|api_?key|not_?found|no_such_model|context_?(length|window)"
            r"|token_?limit|tokens_?exceeded|too_(large|long)|validation_?(error|exception)"
            r"|invalid_?(request|argument|api_key|parameter|prompt|image|model|tool|function)"
            r"|unprocessable|output_?pars"
        ),
    ),
    (
        "provider",
        re.compile(
            r"internal_?(server|failure|service)|service_?(error|unavailable)|server_(error|exception)"
            r"|overloaded|bad_?gateway|connect(ion)?_?(error|exception|reset|refused|aborted|closed)"
            r"|unavailable"
        ),
    ),
)

# Words for "it failed" that leave open whose fault it was: anything else that is said tells more.
_VAGUE: Final[dict[str, ErrorClass]] = {
    **dict.fromkeys(
        (
            "api_error",
            "ai_api_call_error",
            "model_provider_error",
            "provider_error",
            "transient_ai_exception",
            "resource_access_exception",
            "web_client_request_exception",
            "http_request_exception",
        ),
        "provider",
    ),
    "non_transient_ai_exception": "client",
}
# Reading or writing failed, for whatever cause: "OpenAIIoException", "java.io.IOException".
_IO_ERROR: Final = re.compile(r"(?:.*[a-z]_?)?io_exception")

_STATUSES: Final[dict[int, ErrorClass]] = {
    408: "timeout",
    424: "provider",
    429: "provider_throttle",
    460: "cancelled",
    499: "cancelled",
    504: "timeout",
    522: "timeout",
    524: "timeout",
}
# By number: https://grpc.io/docs/guides/status-codes/
_GRPC_CODES: Final = (
    "ok",
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
)

_CLASS_REPR: Final = re.compile(r"<class '([^']+)'>")
_DOTTED_NAME: Final = re.compile(r"\*?[A-Za-z_]\w*(?:(?:\.|::|\\|\$)[A-Za-z_]\w*)+")
_SEPARATOR: Final = re.compile(r"\.|::|\\|\$")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER_SIGNS: Final = re.compile(r"[^a-z0-9]+")
# A status with a word before or its reason behind: "HTTP 503", "429.0", "503 Service Unavailable".
_STATUS: Final = re.compile(
    r"(?:(?:http|status|error|code)_?)*([1-5]\d\d)(?:_0)?(?:_[a-z][a-z_]*)?"
)
# What a message says of the answer: "Error code: 429 - {'error': {'code': 'x', 'type': 'y'}}".
_CODE_IN_MESSAGE: Final = re.compile(
    r"(?:error|status|code|http)[^a-z0-9]{0,3}(?:code)?[^a-z0-9]{0,3}([45]\d\d)\b"
    r"|^\W{0,3}([45]\d\d)\b",
    re.IGNORECASE,
)
_NAME_IN_MESSAGE: Final = re.compile(
    r"""["'](?:code|type|status)["']\s*:\s*["']([\w.-]{3,64})["']"""
)
# Why an answer broke off: "incomplete_details=IncompleteDetails(reason='content_filter')".
_REASON_IN_MESSAGE: Final = re.compile(
    r"""incomplete_?details\W{1,4}(?:\w{1,32}\()?["']?reason["']?[=:]\s?["'](\w{3,64})["']""",
    re.IGNORECASE,
)
_PHRASE_IN_MESSAGE: Final = re.compile(r"""["']error["']\s*:\s*["']([^"']{3,40})["']""")
# A class that stands in front of what it said: "failed: `litellm.RateLimitError: too many`",
# "OpenAIRateLimitError('Error code: 429')".
_CLASS_IN_MESSAGE: Final = re.compile(
    r"""(?:^|[\s`'"(])((?:[A-Za-z_]\w{0,63}\.){0,8}(?=[A-Z])\w{0,63}(?:Error|Exception|Timeout))(?=:\s|\()"""
)
# JavaScript's plain errors have no name of their own; Node's hold the system's.
_PLAIN_ERROR: Final = re.compile(r"\s*(?:Uncaught )?(?:Error|Exception):\s+")
_SYSTEM_CODE: Final = re.compile(
    r"\b(ECONN[A-Z]{5,9}|E(?:SOCKET)?TIMEDOUT|ENOTFOUND|EAI_AGAIN|EPIPE|EHOSTUNREACH"
    r"|HttpClient\.Timeout)\b"
)
# Go names what was asked for before it says what went wrong.
_GO_REQUEST: Final = re.compile(r"""[^"\n]{0,100}\b(?:Get|Post|Put|Head) "[^"\n]{1,500}": """)
# "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".
_ASIDE: Final = re.compile(r"\s\([^()]*\)\.?$")
# In a Java stack trace: the causes, each with its own trace.
_CAUSE: Final = re.compile(
    r"^Caused by: ((?:[a-z_]\w{0,63}\.){1,12}[A-Z][\w$]{0,99})", re.MULTILINE
)
_MAX_TRACE: Final = 65_536
_MAX_MESSAGE: Final = 2_000
_MAX_NAMES: Final = 8
# Further behind is what the error told of, which may be anybody's text.
_MAX_CLASSES_WITHIN: Final = 300
_LONGEST_NAME: Final = 256
_LONGEST_PHRASE: Final = 40
_MAX_PHRASES: Final = 3


def error_name(text: str) -> str:
    """Return the last part of an exception's name; codes and other words stay as they are.

    >>> error_name("<class 'openai.RateLimitError'>"), error_name("OpenAI::Errors::APIError")
    ('RateLimitError', 'APIError')
    >>> error_name("429")
    '429'
    """
    text = text.strip()
    match = _CLASS_REPR.fullmatch(text)
    if match:
        text = match[1]
    return _SEPARATOR.split(text)[-1] if _DOTTED_NAME.fullmatch(text) else text


def error_class(
    error_type: str | None, http_status: int | None = None, hints: Iterable[str] = ()
) -> ErrorClass:
    """Return who has to act on an error, from its type, an HTTP status and further names of it.

    A guardrail's name anywhere decides; else the first name that tells something, in this order;
    else what the vague ones may mean.

    >>> error_class("APITimeoutError"), error_class("503"), error_class("_OTHER")
    ('timeout', 'provider', 'unknown')
    >>> error_class("BadRequestError", 400, ["content_filter"])
    'guardrail'
    """
    first: ErrorClass | None = None
    vague: ErrorClass | None = None
    names = [name for name in (error_type, *hints) if name]
    if http_status is not None:
        names.append(str(http_status))
    for name in names:
        word = _word(name)
        found = _named(word)
        if found == "guardrail":
            return found
        if first == "cancelled" and found == "timeout":
            # .NET cancels what took too long, and says why in the message.
            first = found
        first = first or found
        vague = vague or _VAGUE.get(word) or ("provider" if _IO_ERROR.fullmatch(word) else None)
    return first or vague or "unknown"


def names_in_message(message: str) -> list[str]:
    """Return the names of an error that its message holds: a provider's own, a status, a class.

    Only what stands where a code does is taken, from the beginning of the message; the rest may be
    anybody's text. A message of few words is a name itself: "Request timed out.". So is each of the
    first parts of a longer one, "Failed to connect to the model: Request timed out.".

    >>> names_in_message("Error code: 400 - {'error': {'code': 'content_filter', 'param': None}}")
    ['content_filter', '400']
    """
    message = message[:_MAX_MESSAGE]
    plain = _PLAIN_ERROR.match(message)
    if plain:
        message = message[plain.end() :]
    names = _NAME_IN_MESSAGE.findall(message)[:_MAX_NAMES]
    status = _CODE_IN_MESSAGE.search(message[:200])
    if status:
        names.append(status[1] or status[2])
    names += _REASON_IN_MESSAGE.findall(message[:_MAX_CLASSES_WITHIN])[:1]
    names += _CLASS_IN_MESSAGE.findall(message[:_MAX_CLASSES_WITHIN])[:_MAX_NAMES]
    names += _SYSTEM_CODE.findall(message[:_MAX_CLASSES_WITHIN])[:1]
    if not names:
        names += _PHRASE_IN_MESSAGE.findall(message[:_MAX_CLASSES_WITHIN])[:1]
    if not names:
        asked = _GO_REQUEST.match(message)
        message = _ASIDE.sub("", message[asked.end() if asked else 0 :])
        phrases = [message, *message[:_MAX_CLASSES_WITHIN].split(": ")[:_MAX_PHRASES]]
        phrases = [phrase.strip() for phrase in phrases]
        names += dict.fromkeys(said for said in phrases if 0 < len(said) <= _LONGEST_PHRASE)
    return names


def causes_in_trace(trace: str) -> list[str]:
    """Return the classes of the causes that a Java stack trace names, the outermost first."""
    return _CAUSE.findall(trace[:_MAX_TRACE])[:_MAX_NAMES]


def _word(name: str) -> str:
    """Return a name in lower case with underscores: ``RateLimitError`` is ``rate_limit_error``."""
    snake = _CAPITAL.sub("_", error_name(name[:_LONGEST_NAME]))
    return _OTHER_SIGNS.sub("_", snake.lower()).strip("_")


def _named(word: str) -> ErrorClass | None:
    if word in _VAGUE:
        return None
    if word.isdigit() and len(word) < 3:
        number = int(word)
        word = _GRPC_CODES[number] if number < len(_GRPC_CODES) else word
    known = _NAMES.get(word)
    if known is not None:
        return known
    status = _STATUS.fullmatch(word)
    if status:
        return _of_status(int(status[1]))
    return next((answer for answer, pattern in _PATTERNS if pattern.search(word)), None)


def _of_status(status: int) -> ErrorClass | None:
    if status in _STATUSES:
        return _STATUSES[status]
    if 400 <= status < 500:
        return "client"
    return "provider" if 500 <= status < 600 else None
