"""The reference page of what is answered when something is refused: exit codes, OTLP, API.

What an answer over gRPC is over HTTP, and whether it may be sent again, is asked of the very code
that answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.cli.markdown_tables import code, table

if TYPE_CHECKING:
    from tripswitch.otlp.replies import Reply

EXIT_ONES: Final = {
    "check": "`--probe` found a rollback target that cannot be used.",
    "comms": "With `--check`: something holds the text back.",
    "demo": "Something that the story claims was not observed.",
    "drill": "It was not noticed, or not told and rolled back as the file says it would be.",
    "gate": "The version may not go on: worse, not proven well, or nothing could be read.",
    "incidents verify": "The timeline's chain is broken: a row was edited or removed.",
    "postmortem": "With `--final`: an action item lacks an owner, a date or a loop.",
    "replay": "With `--fail`: there was an incident.",
    "spool": "With `--verify`: a record is damaged.",
}
"""What the exit code 1 of a command says."""

_HEAD: Final = """\
# Exit codes and answers

What tripswitch refuses, how it says so, and what to do. Whatever is refused is said in words; the
codes are for programs.

This page is generated: `tripswitch schema --pages docs/reference`.

## Exit codes

- **0**: fine.
- **1**: the answer is no. What that says depends on the command, below.
- **2**: it cannot be done: the usage or the configuration is wrong, or nobody answers. Standard
  error says what was found, what was expected, and after `hint:` what to do next.

"""

_CONFIGURATION: Final = """\
## Configuration

Every problem of a file is listed at once, by file and line, with a stable code in brackets. What
each code says and what to do stands in [config-errors.md](config-errors.md).

"""

_OTLP: Final = """\
## OTLP

Where the upstream has answered, its answer is passed on, in the words of the client's protocol.
What tripswitch answers by itself is below. Clients that keep to OTLP send a request again by
themselves where it says so, and drop it otherwise; each of these is counted in
`tripswitch_receiver_requests_total` ([metrics.md](metrics.md)). A dash means that it does not come
up in that protocol.

"""

_CROSSING: Final = """\
### Between gRPC and HTTP

What an upstream of the other protocol answers becomes this, as in the Collector. What may be sent
again stays so, but for `RESOURCE_EXHAUSTED` without a RetryInfo, which is final over gRPC and
becomes 429, after which a client comes again.

"""

_API: Final = """\
## API

[The API](api.md) answers with the body `{"error": "a sentence"}`.

"""


class _Answer(NamedTuple):
    """One thing that is refused. None where it does not come up over that protocol."""

    when: str
    over_grpc: Reply | None
    over_http: Reply | None
    remedy: str


def reference_text() -> str:
    """Return the page as Markdown."""
    rows = [(code(f"tripswitch {name}"), said) for name, said in EXIT_ONES.items()]
    lines = table(("command", "exit code 1"), rows)
    return (
        _HEAD
        + "\n".join(lines)
        + "\n"
        + _CONFIGURATION
        + _configuration()
        + _OTLP
        + _otlp()
        + _CROSSING
        + _crossing()
        + _API
        + _api()
    )


def _configuration() -> str:
    from tripswitch.config.problems import ERROR_CODES, WARNING_CODES

    rows = [
        (f"[{code(each)}](config-errors.md#{each.replace('.', '')})", what)
        for codes, what in ((ERROR_CODES, "refused, exit code 2"), (WARNING_CODES, "warning"))
        for each in codes
    ]
    return "\n".join(table(("code", "what follows"), rows)) + "\n"


def _otlp() -> str:
    from tripswitch.otlp.delivery import Signal
    from tripswitch.otlp.reply_crossing import as_http

    rows = []
    for answer in _answers():
        grpc_text, http_text, again = "-", "-", False
        if answer.over_grpc is not None:
            grpc_text, again = code(answer.over_grpc.name), answer.over_grpc.is_retryable
        if answer.over_http is not None:
            over_http = as_http(answer.over_http, "application/x-protobuf", Signal.TRACES)
            http_text, again = code(over_http.name), over_http.is_retryable
        rows.append((answer.when, grpc_text, http_text, "yes" if again else "no", answer.remedy))
    return "\n".join(table(("when", "gRPC", "HTTP", "sent again", "what to do"), rows)) + "\n"


def _answers() -> list[_Answer]:
    import grpc

    from tripswitch.otlp.replies import HttpReply, back_pressure, no_answer_in, no_room, refusal
    from tripswitch.otlp.status_bodies import http_refusal

    busy = back_pressure("")
    too_large = http_refusal(413, "", "")
    unreadable = refusal(grpc.StatusCode.INVALID_ARGUMENT, "")
    unknown = refusal(grpc.StatusCode.UNIMPLEMENTED, "")
    unreached = refusal(grpc.StatusCode.UNAVAILABLE, "")
    return [
        _Answer(
            "As many requests are in flight as may be.",
            busy,
            busy,
            "Raise `max_concurrent_rpcs`, `max_concurrent_requests`, or the pace of the upstream.",
        ),
        _Answer(
            "The requests in flight have as many bytes as they may.",
            no_room(1),
            no_room(1),
            "Raise `receivers.otlp.max_in_flight_bytes`.",
        ),
        _Answer(
            "The request did not arrive within `read_timeout`.",
            busy,
            busy,
            "Look at the network between.",
        ),
        _Answer(
            "The upstream cannot be reached and the spool takes no more.",
            busy,
            busy,
            "Bring the upstream back; see `tripswitch spool`.",
        ),
        _Answer(
            "The upstream did not answer in time (`forward.acknowledge: upstream`).",
            no_answer_in(1.0),
            no_answer_in(1.0),
            "Bring it back, or let requests be kept on disk meanwhile.",
        ),
        _Answer(
            "The upstream cannot be reached (`forward.acknowledge: upstream`).",
            unreached,
            unreached,
            "The same.",
        ),
        _Answer("A fault of tripswitch's own.", busy, busy, "Report it with the log's line."),
        _Answer(
            "A bearer token is needed and none that is known was sent.",
            refusal(grpc.StatusCode.UNAUTHENTICATED, ""),
            http_refusal(401, "", ""),
            "Send one of `receivers.otlp.protocols.*.auth`.",
        ),
        _Answer(
            "The request is larger than it may be, also once unpacked.",
            refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, ""),
            too_large,
            "Send smaller batches, or raise `max_recv_msg_size`, `max_request_body_size`.",
        ),
        _Answer(
            "The body is not what its headers say, and the upstream speaks gRPC.",
            None,
            unreadable,
            "Mend the sender: content-type and content-encoding have to be true.",
        ),
        _Answer(
            "No signal has this path, or method, in the upstream's protocol.",
            unknown,
            unknown,
            "Send to `/v1/traces`, `/v1/logs`, `/v1/metrics`, or to the services of OTLP.",
        ),
        _Answer(
            "The path is below no prefix of `path_prefixes`.",
            None,
            HttpReply(404),
            "Correct the address, or the prefixes.",
        ),
        _Answer("The method is not POST.", None, HttpReply(405), "Send POST."),
        _Answer(
            "The content-type is neither protobuf nor JSON.",
            None,
            HttpReply(415),
            "Send `application/x-protobuf` or `application/json`.",
        ),
    ]


def _crossing() -> str:
    import grpc

    from tripswitch.otlp.delivery import Signal
    from tripswitch.otlp.replies import GrpcReply, HttpReply
    from tripswitch.otlp.reply_crossing import as_grpc, as_http

    statuses = (400, 401, 403, 404, 413, 429, 500, 502, 503, 504)
    from_http = []
    for status in statuses:
        over_grpc = as_grpc(HttpReply(status))
        from_http.append((code(str(status)), code(over_grpc.name), _again(over_grpc)))
    from_grpc = []
    for each in grpc.StatusCode:
        over_http = as_http(GrpcReply(each), "application/x-protobuf", Signal.TRACES)
        if not over_http.is_ok:
            from_grpc.append((code(each.name), code(over_http.name), _again(over_http)))
    lines = table(("HTTP upstream", "to a gRPC client", "sent again"), from_http)
    lines += table(("gRPC upstream", "to an HTTP client", "sent again"), from_grpc)
    return "\n".join(lines) + "\n"


def _again(reply: Reply) -> str:
    return "yes" if reply.is_retryable else "no"


def _api() -> str:
    from tripswitch.web.openapi import document

    reasons: dict[str, str] = {}
    for operations in document()["paths"].values():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if not status.startswith("2"):
                    reasons[status] = answer["description"]
    rows = [(code(status), reason) for status, reason in sorted(reasons.items())]
    return "\n".join(table(("status", "why"), rows)).rstrip() + "\n"
