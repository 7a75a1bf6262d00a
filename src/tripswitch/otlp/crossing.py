"""Requests across protocols: OTLP over HTTP made into gRPC and the other way round.

The protobuf message is never parsed. From gRPC to HTTP it is the body as it is. From HTTP to gRPC
its content-encoding is undone. JSON to gRPC is the one transcoding: keys that the schema compiled
into this release does not know are lost there, which the JSON encoding cannot avoid.

What cannot cross is answered here, with what OTLP makes final: sent again it would fail again.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import grpc

from tripswitch.errors import WireError
from tripswitch.otlp.delivery import GRPC_METHODS, HTTP_PATHS, Signal
from tripswitch.otlp.encodings import TooLargeError, decode, encode, normal
from tripswitch.otlp.headers import as_grpc_metadata, as_http_headers
from tripswitch.otlp.json_encoding import encode_request_of
from tripswitch.otlp.replies import refusal
from tripswitch.otlp.status_bodies import JSON, PROTOBUF, http_refusal, media_type

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Delivery
    from tripswitch.otlp.replies import GrpcReply, Reply

# Every signal so far is named by the same pattern, and so will one be that is not known yet.
_METHOD = re.compile(r"/opentelemetry\.proto\.collector\.([a-z]+)\.(v[0-9][a-z0-9]*)\.\w+/Export")
_PATH = re.compile(r".*/(v[0-9][a-z0-9]*)/([a-z]+)/?")
_SINGULAR_PACKAGES: Final = {"traces": "trace"}
_PLURAL_PATHS: Final = {package: path for path, package in _SINGULAR_PACKAGES.items()}


def to_grpc(delivery: Delivery, max_bytes: int) -> Delivery | Reply:
    """Return an HTTP request as a gRPC one, or the refusal where it cannot become one.

    ``max_bytes`` bounds the message, after decompression.
    """
    method = method_of(delivery)
    if method is None:
        return refusal(
            grpc.StatusCode.UNIMPLEMENTED, "no OTLP signal has this path over gRPC, the upstream's"
        )
    try:
        message = protobuf_of(delivery, max_bytes)
    except TooLargeError as error:
        return http_refusal(413, error.message, delivery.content_type)
    except WireError as error:
        return refusal(grpc.StatusCode.INVALID_ARGUMENT, error.message)
    return replace(
        delivery,
        protocol="grpc",
        address=method,
        metadata=as_grpc_metadata(delivery.metadata),
        body=message,
        content_type="",
        content_encoding="",
    )


def to_http(delivery: Delivery, compression: str) -> Delivery | GrpcReply:
    """Return a gRPC request as an HTTP one, or the refusal where it cannot become one.

    ``compression`` is the content-encoding the body gets, ``identity`` for none.
    """
    path = path_of(delivery)
    if path is None:
        return refusal(
            grpc.StatusCode.UNIMPLEMENTED,
            "no OTLP signal has this method over HTTP, the upstream's",
        )
    return replace(
        delivery,
        protocol="http",
        address=path,
        metadata=as_http_headers(delivery.metadata),
        body=encode(delivery.body, compression),
        content_type=PROTOBUF,
        content_encoding="" if compression == "identity" else compression,
    )


def protobuf_of(delivery: Delivery, max_bytes: int) -> bytes:
    """Return the request as a protobuf message, of at most ``max_bytes``.

    Raises `WireError` where the body is not what its headers say, or is JSON of an unknown signal.
    """
    if delivery.protocol == "grpc":
        return delivery.body
    body = decode(delivery.body, delivery.content_encoding, max_bytes)
    if media_type(delivery.content_type) != JSON:
        return body
    return encode_request_of(delivery.signal.value, body)


def method_of(delivery: Delivery) -> str | None:
    """Return the gRPC method of an HTTP request, None where its path names no signal."""
    if delivery.signal is not Signal.OTHER:
        return GRPC_METHODS[delivery.signal]
    match = _PATH.fullmatch(delivery.address.partition("?")[0])
    if match is None:
        return None
    version, name = match.groups()
    package = _SINGULAR_PACKAGES.get(name, name)
    return (
        f"/opentelemetry.proto.collector.{package}.{version}.{package.capitalize()}Service/Export"
    )


def path_of(delivery: Delivery) -> str | None:
    """Return the HTTP path of a gRPC request, None where its method names no signal."""
    if delivery.signal is not Signal.OTHER:
        return HTTP_PATHS[delivery.signal]
    match = _METHOD.fullmatch(delivery.address)
    if match is None:
        return None
    package, version = match.groups()
    return f"/{version}/{_PLURAL_PATHS.get(package, package)}"


def is_heavy(delivery: Delivery, compression: str = "identity") -> bool:
    """Return whether the crossing takes long enough to be kept off the event loop."""
    return len(delivery.body) > _LIGHT_BYTES and (
        normal(delivery.content_encoding) != "identity"
        or media_type(delivery.content_type) == JSON
        or compression != "identity"
    )


# Unpacking or transcoding this much takes about a millisecond.
_LIGHT_BYTES: Final = 16 << 10
