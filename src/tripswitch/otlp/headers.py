"""Which headers belong to the request and which to one hop, and how each protocol spells them.

Sources: RFC 9110 section 7.6.1 ("Connection"); gRPC over HTTP/2 protocol, "Request-Headers" and
"Custom-Metadata" (keys, ASCII values, ``-bin`` values in base64).
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tripswitch.otlp.delivery import Metadata

OWN_TELEMETRY: Final = "x-tripswitch-own-telemetry"
"""Marks what a tripswitch sends about itself: to be forwarded like anything else, never judged."""

_OF_ONE_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

# gRPC writes these itself, on every hop.
_OF_A_GRPC_HOP: Final = _OF_ONE_HOP | {"content-type", "user-agent"}

# `Delivery` holds the first two apart; the third is between the client and our listener.
_OF_AN_HTTP_HOP: Final = _OF_ONE_HOP | {"content-type", "content-encoding", "expect"}

_RETURNED_HOP: Final = _OF_ONE_HOP

# What describes an HTTP body or asks for one; a gRPC message has no use for it.
_OF_AN_HTTP_BODY: Final = frozenset({"user-agent", "date", "server", "vary", "allow", "age"})
_OF_HTTP: Final = re.compile(r"accept|accept-.*|content-.*|if-.*|cache-control|range")

_METADATA_KEY: Final = re.compile(r"[0-9a-z_.\-]+")
_METADATA_TEXT: Final = re.compile(r"[\x20-\x7e]*")


def of_a_grpc_request(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return ``metadata`` without what belongs to one hop: gRPC's own keys and connection keys."""
    return tuple(
        (key, value)
        for key, value in metadata
        if key not in _OF_A_GRPC_HOP and not key.startswith((":", "grpc-"))
    )


def of_grpc_trailers(trailers: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return the trailers that a client is owed: end-to-end ones and the rich status."""
    return tuple(
        (key, value)
        for key, value in trailers
        if key == "grpc-status-details-bin" or of_a_grpc_request(((key, value),))
    )


def of_an_http_request(headers: Iterable[tuple[str, str]]) -> Metadata:
    """Return the end-to-end ``headers`` (lower-case) but for the two that describe the body."""
    return _without(headers, _OF_AN_HTTP_HOP)


def of_an_http_reply(headers: Iterable[tuple[str, str]]) -> Metadata:
    """Return the end-to-end ``headers`` (lower-case) of an answer; the length is written anew."""
    return _without(headers, _RETURNED_HOP)


def as_grpc_metadata(headers: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return HTTP ``headers`` as gRPC metadata.

    Left out is what is about HTTP bodies, and what gRPC cannot carry: keys or values outside of
    its character set, ``-bin`` values that are no base64.
    """
    crossed: list[tuple[str, str | bytes]] = []
    for key, value in of_a_grpc_request(headers):
        is_about_http = key in _OF_AN_HTTP_BODY or _OF_HTTP.fullmatch(key)
        if is_about_http or not _METADATA_KEY.fullmatch(key):
            continue
        if not key.endswith("-bin"):
            if isinstance(value, str) and _METADATA_TEXT.fullmatch(value):
                crossed.append((key, value))
            continue
        try:
            padding = "=" * (-len(value) % 4)
            crossed.append((key, base64.b64decode(str(value) + padding, validate=True)))
        except (binascii.Error, ValueError):
            continue
    return tuple(crossed)


def as_http_headers(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Return gRPC ``metadata`` as HTTP headers, ``-bin`` values in base64 as gRPC sends them."""
    return tuple(
        (key, value if isinstance(value, str) else base64.b64encode(value).decode("ascii"))
        for key, value in metadata
        if key not in _OF_AN_HTTP_HOP
    )


def overridden(metadata: Metadata, own: Mapping[str, str]) -> Metadata:
    """Return ``metadata`` with ``own`` (lower-case keys) in place of what has the same key."""
    if not own:
        return metadata
    kept = tuple((key, value) for key, value in metadata if key not in own)
    return (*kept, *own.items())


def value_of(metadata: Iterable[tuple[str, str | bytes]], name: str) -> str:
    """Return the first text under ``name``, empty where there is none."""
    return next((value for key, value in metadata if key == name and isinstance(value, str)), "")


def _without(headers: Iterable[tuple[str, str]], hop: frozenset[str]) -> Metadata:
    pairs = tuple(headers)
    named = {
        name.strip().lower()
        for key, value in pairs
        if key == "connection"
        for name in value.split(",")
    }
    return tuple((key, value) for key, value in pairs if key not in hop and key not in named)
