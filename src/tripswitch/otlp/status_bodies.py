"""Failure bodies of OTLP/HTTP: a ``google.rpc.Status`` in the content type of the request.

Source: OTLP specification, "OTLP/HTTP Response" and "Failures".
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from tripswitch.otlp.replies import HttpReply

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Metadata

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"


def media_type(content_type: str) -> str:
    """Return the type of a Content-Type header without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def reply_media(content_type: str) -> str:
    """Return the content type of the answer to a request of ``content_type``."""
    return JSON if media_type(content_type) == JSON else PROTOBUF


def http_refusal(status: int, message: str, content_type: str, headers: Metadata = ()) -> HttpReply:
    """Return an answer of our own whose body is a ``google.rpc.Status`` without a code."""
    media = reply_media(content_type)
    body = status_body(Status(message=message), media)
    return HttpReply(status, (("content-type", media), *headers), body)


def status_body(status: Status, media: str) -> bytes:
    """Return ``status`` as the body of a failure, protobuf or JSON."""
    if media != JSON:
        encoded: bytes = status.SerializeToString()
        return encoded
    try:
        document = MessageToDict(status)
    except Exception:  # noqa: BLE001 - whatever an upstream has made up must not become a 500
        # JSON has to spell details out, which takes a schema for each of them, and whole ones.
        document = MessageToDict(Status(code=status.code, message=status.message))
    return json.dumps(document).encode()
