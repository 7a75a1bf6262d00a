"""Whose fault an error is, from every name that SDKs, providers and gateways give it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.captures import capture
from tests.genai.ground_truth import calls_in, truth_of
from tests.genai.reading import read_all
from tests.genai.spans import CHAT, EventOf, SpanOf, request_of
from tripswitch.genai.error_classes import error_class, error_name, names_in_message
from tripswitch.model.calls import ErrorClass

CLASSES: dict[ErrorClass, str] = {
    "provider": """
        500 502 503 520 529 599 424 InternalServerError APIError APIConnectionError ServerError
        ServiceUnavailable ServiceUnavailableError ServiceUnavailableException overloaded_error
        server_error api_error model_overloaded engine_overloaded BadGateway INTERNAL UNAVAILABLE
        StatusCode.UNAVAILABLE DATA_LOSS 13 14 15 ModelErrorException ModelStreamErrorException
        ModelNotReadyException InternalServerException InternalFailure ConnectError
        ConnectionResetError ConnectionAbortedError ClientConnectorError RemoteProtocolError
        ECONNRESET ENOTFOUND SSLError MidStreamFallbackError AI_APICallError
        EndpointConnectionError java.net.ConnectException java.io.IOException
        com.openai.errors.OpenAIIoException com.google.genai.errors.GenAiIOException
        java.net.SocketException javax.net.ssl.SSLHandshakeException java.io.EOFException
        reactor.netty.http.client.PrematureCloseException
        org.springframework.ai.retry.TransientAiException
        org.springframework.web.client.ResourceAccessException System.IO.IOException
        System.Net.Http.HttpRequestException *net.DNSError io.EOF Faraday::ConnectionFailed
        """,
    "provider_throttle": """
        429 429.0 RateLimitError openai.RateLimitError rate_limit_error rate_limit_exceeded
        insufficient_quota ThrottlingException TooManyRequestsException TooManyRequestsError
        ServiceQuotaExceededException ResourceExhausted RESOURCE_EXHAUSTED 8
        StatusCode.RESOURCE_EXHAUSTED com.openai.errors.RateLimitException
        OpenAI::Errors::RateLimitError RouterRateLimitError slow_down
        """,
    "timeout": """
        408 504 524 timeout timeout_error APITimeoutError Timeout TimeoutError ReadTimeout
        httpx.ReadTimeout ConnectTimeout DeadlineExceeded DEADLINE_EXCEEDED 4 GatewayTimeoutError
        ModelTimeoutException System.TimeoutException java.net.SocketTimeoutException ETIMEDOUT
        UND_ERR_HEADERS_TIMEOUT context.deadlineExceededError
        java.io.InterruptedIOException
        """,
    "client": """
        400 401 402 403 404 409 413 422 BadRequestError AuthenticationError PermissionDeniedError
        NotFoundError UnprocessableEntityError InvalidRequestError invalid_request_error
        context_length_exceeded ContextWindowExceededError string_above_max_length model_not_found
        invalid_api_key authentication_error permission_error not_found_error request_too_large
        billing_error INVALID_ARGUMENT PERMISSION_DENIED UNAUTHENTICATED NOT_FOUND 3 5 7 16
        FailedPrecondition ValidationException AccessDeniedException ResourceNotFoundException
        DeploymentNotFound BudgetExceededError UnsupportedParamsError ValidationError
        JSONSchemaValidationError AI_NoObjectGeneratedError AI_LoadAPIKeyError
        tokens_exceeded_error OutputParserException
        org.springframework.ai.retry.NonTransientAiException
        """,
    "guardrail": """
        content_filter ContentFilterError ContentFilterFinishReasonError content_policy_violation
        ContentPolicyViolationError ResponsibleAIPolicyViolation responsible_ai_policy_violation
        GuardrailRaisedException BlockedPiiEntityError InputGuardrailTripwireTriggered
        BlockedPromptException SAFETY
        """,
    "cancelled": """
        499 CancelledError asyncio.exceptions.CancelledError GeneratorExit KeyboardInterrupt
        CANCELLED 1 OperationCanceled System.Threading.Tasks.TaskCanceledException AbortError
        APIUserAbortError ClientDisconnect ClientClosedRequestError
        """,
    "unknown": """
        _OTHER Exception ValueError KeyError HTTPException PaymentGatewayError tool_error 200 302
        4290 0 2 NoneType whatever
        """,
}


@pytest.mark.parametrize(
    ("name", "answer"),
    [(name, answer) for answer, names in CLASSES.items() for name in names.split()],
)
def test_every_name(name: str, answer: ErrorClass) -> None:
    assert error_class(name) == answer


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("context deadline exceeded", "timeout"),
        ("context canceled", "cancelled"),
        ("HTTP 503", "provider"),
        ("503 Service Unavailable", "provider"),
        ("status code 429", "provider_throttle"),
        (" 404 ", "client"),
        ("<class 'openai.RateLimitError'>", "provider_throttle"),
        ("it took 500 tries", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_names_of_several_words(name: str | None, answer: ErrorClass) -> None:
    assert error_class(name) == answer


@pytest.mark.parametrize(
    ("error_type", "status", "hints", "answer"),
    [
        ("BadRequestError", 400, ["content_filter"], "guardrail"),
        ("APIStatusError", 429, [], "provider_throttle"),
        ("APIError", 400, [], "client"),
        ("APIError", None, ["context_length_exceeded"], "client"),
        ("APIError", None, [], "provider"),
        ("RateLimitError", 500, ["server_error"], "provider_throttle"),
        (None, 504, [], "timeout"),
        ("System.Threading.Tasks.TaskCanceledException", None, ["HttpClient.Timeout"], "timeout"),
        ("com.openai.errors.OpenAIIoException", None, ["SocketTimeoutException"], "timeout"),
        ("NonTransientAiException", None, ["429"], "provider_throttle"),
        (None, None, ["", "x", "503"], "provider"),
        ("_OTHER", 200, [], "unknown"),
    ],
)
def test_the_name_that_tells_more_counts(
    error_type: str | None, status: int | None, hints: list[str], answer: ErrorClass
) -> None:
    assert error_class(error_type, status, hints) == answer


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("<class 'openai.RateLimitError'>", "RateLimitError"),
        ("openai.APITimeoutError", "APITimeoutError"),
        ("OpenAI::Errors::RateLimitError", "RateLimitError"),
        ("com.acme.Client$RetryError", "RetryError"),
        ("*url.Error", "Error"),
        ("RateLimitError", "RateLimitError"),
        (" 429 ", "429"),
        ("429.5", "429.5"),
        ("context deadline. exceeded", "context deadline. exceeded"),
        ("gpt-4.1 failed", "gpt-4.1 failed"),
    ],
)
def test_error_type_is_the_last_part_of_the_classs_name(written: str, name: str) -> None:
    assert error_name(written) == name


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (
            "Error code: 429 - {'error': {'message': 'x', 'code': 'rate_limit_exceeded'}}",
            ["rate_limit_exceeded", "429"],
        ),
        ('{"error": {"type": "overloaded_error"}}', ["overloaded_error"]),
        ("HTTP 503: try again", ["503"]),
        ("503 Service Unavailable", ["503"]),
        ("Request timed out. ", ["Request timed out."]),
        # As JavaScript writes a plain error, and Node the system's.
        ("Error: Request timed out.", ["Request timed out."]),
        ("Error: 429 Rate limit reached", ["429"]),
        ("Error: connect ECONNREFUSED 127.0.0.1:443", ["ECONNREFUSED"]),
        (
            "Error while getting the response: {'error': 'Request timed out.'}",
            ["Request timed out."],
        ),
        (
            "Failed to connect to the API of the model: Request timed out.",
            ["Request timed out."],
        ),
        ("status_code: 429, model_name: gpt-4o-mini, body: {}", ["429"]),
        ("it failed with: `litellm.Timeout: too slow`. Try again.", ["litellm.Timeout"]),
        (
            "OpenAIRateLimitError('Error code: 429 - too many')",
            ["429", "OpenAIRateLimitError"],
        ),
        ("no class stands in a SomeError that a sentence mentions, only before a colon", []),
        # As the AWS SDK for Java writes it.
        (
            "Unable to execute HTTP request: First received frame was not SETTINGS (attempt 1)",
            ["Unable to execute HTTP request", "First received frame was not SETTINGS"],
        ),
        # As Go's client writes it, with what it asked for in front.
        (
            'chat: Post "https://a.test/v1": dial tcp 10.0.0.1:443: connect: connection refused',
            ["dial tcp 10.0.0.1:443", "connect", "connection refused"],
        ),
        (
            'Post "https://a.test/v1": context deadline exceeded (Client.Timeout exceeded)',
            ["context deadline exceeded"],
        ),
        (
            "The request was canceled due to the configured HttpClient.Timeout of 100 s elapsing.",
            ["HttpClient.Timeout"],
        ),
        ("the answer had 500 words and an error on page 404", []),
        ("", []),
    ],
)
def test_codes_are_taken_from_a_message_only_where_codes_stand(
    message: str, names: list[str]
) -> None:
    assert names_in_message(message) == names


NO_ANSWER = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
}


def failed(attributes: dict[str, Any]) -> tuple[str | None, str | None]:
    span = SpanOf({**CHAT, **attributes}, status=2)
    call = read_all([request_of(span)]).calls.as_json(0)
    return call["error_type"], call["error_class"]


def test_code_and_message_beside_the_type_are_read_and_not_kept() -> None:
    assert failed({"error.type": "APIStatusError", "error.code": "insufficient_quota"}) == (
        "APIStatusError",
        "provider_throttle",
    )
    azure = "Error code: 400 - {'error': {'code': 'content_filter', 'message': 'the prompt ...'}}"
    assert failed({"error.type": "BadRequestError", "error.message": azure}) == (
        "BadRequestError",
        "guardrail",
    )
    assert failed({"error.type": "APIError", "http.response.status_code": 422})[1] == "client"


@pytest.mark.parametrize(
    ("raised", "said", "answer"),
    [
        ("AI_APICallError", "Rate limit reached", "provider_throttle"),
        ("Error", "connect ETIMEDOUT 192.0.2.1:443", "timeout"),
        ("Error", "Error: Request timed out.", "timeout"),
        ("AI_APICallError", "The server had an error", "provider"),
        ("ModelProviderError", "The server had an error", "provider"),
        ("ModelProviderError", "Failed to call the model: Request timed out.", "timeout"),
        ("ModelHTTPError", "status_code: 429, model_name: m, body: {}", "provider_throttle"),
        ("OpenAIAPIError", "Error code: 500 - The server had an error", "provider"),
        ("CallableException", "it failed: `litellm.RateLimitError: no`.", "provider_throttle"),
        ("BadRequestError", "Error code: 400 - {'code': 'content_filter'}", "guardrail"),
        ("RateLimitError", "Error code: 500", "provider_throttle"),
        ("TypeError", "terminated", "provider"),
        ("TypeError", "fetch failed", "provider"),
        ("Error", "Error: socket hang up", "provider"),
    ],
)
def test_message_tells_what_the_class_leaves_open(raised: str, said: str, answer: str) -> None:
    exception = EventOf("exception", {"exception.type": raised, "exception.message": said})
    for span in (
        SpanOf(CHAT, status=2, events=[exception]),
        SpanOf({**CHAT, "error.type": raised}, status=2, message=said),
        # Without an answer even a status that says all is well is a failure.
        SpanOf({**NO_ANSWER}, status=1, events=[exception]),
    ):
        call = read_all([request_of(span)]).calls.as_json(0)
        assert (call["error_type"], call["error_class"]) == (raised, answer)


def test_status_message_alone_tells_the_class_of_each_of_two_alike_spans() -> None:
    spans = [
        SpanOf(CHAT, span=number, status=2, message=f"Failed: {{'error': 'Error code: {code}'}}")
        for number, code in ((1, 429), (2, 500), (3, 429))
    ]
    calls = read_all([request_of(*spans)]).calls
    assert [calls.as_json(row)["error_class"] for row in range(3)] == [
        "provider_throttle",
        "provider",
        "provider_throttle",
    ]
    assert calls.as_json(0)["error_type"] is None


def test_status_message_of_a_span_that_did_not_fail_is_no_error() -> None:
    span = SpanOf(CHAT, status=1, message="Error code: 500")
    assert read_all([request_of(span)]).calls.as_json(0)["error_class"] is None


@pytest.mark.parametrize("library", ["langfuse", "litellm-sdk", "traceai-openai", "traceloop-sdk"])
def test_recorded_failures_have_their_class(library: str) -> None:
    folder = capture(library)
    found = {call["span_id"]: call for call in calls_in(folder / "payloads")}
    wanted = {"c14": "provider_throttle", "c15": "provider", "c26": "timeout"}
    classes = {
        call["call_id"]: found[call["span_id"]]["error_class"]
        for call in truth_of(folder)
        if call["call_id"] in wanted
    }
    assert classes == wanted


@given(st.text(max_size=300), st.none() | st.integers(), st.lists(st.text(max_size=40)))
def test_nothing_raises(name: str, status: int | None, hints: list[str]) -> None:
    assert error_class(name, status, [*hints, *names_in_message(name)]) in CLASSES
    assert len(error_name(name)) <= len(name)


def test_no_name_stands_for_two_classes() -> None:
    listed = Counter(name for names in CLASSES.values() for name in names.split())
    assert max(listed.values()) == 1


@pytest.mark.parametrize(
    ("reason", "expected"), [("content_filter", "guardrail"), ("max_output_tokens", "client")]
)
def test_reason_why_an_answer_broke_off_is_read_from_the_message(
    reason: str, expected: str
) -> None:
    message = (
        "{'message': 'Error getting response', 'data': {'error': \"Responses stream ended with "
        "terminal event `response.incomplete`. status=incomplete; "
        f"incomplete_details=IncompleteDetails(reason='{reason}').\"}}}}"
    )
    assert error_class(None, hints=names_in_message(message)) == expected
    as_json = f'{{"status":"incomplete","incomplete_details":{{"reason":"{reason}"}}}}'
    assert error_class(None, hints=names_in_message(as_json)) == expected
