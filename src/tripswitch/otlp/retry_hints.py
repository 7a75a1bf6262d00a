"""When to come back: RetryInfo in both gRPC trailers, Retry-After in HTTP, and reading them.

Source: OTLP specification, "OTLP/gRPC Throttling" and "OTLP/HTTP Throttling"; RFC 9110 section
10.2.3.
"""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Metadata

RETRY_AFTER_S: Final = 1.9
"""Hint given when there is no room. The Python exporter makes five waits inside its 10 s deadline
at 1.9 s, fewer at more, and gives up at once when the hint exceeds what is left of the deadline.
Over HTTP it is rounded up to 2 s, the header having no fractions."""

STATUS_DETAILS: Final = "grpc-status-details-bin"
BARE_RETRY_INFO: Final = "google.rpc.retryinfo-bin"

RETRY_INFO_TRAILERS: Final = (BARE_RETRY_INFO, STATUS_DETAILS)
"""Go and the Collector read the rich status, the Python exporter reads only the bare RetryInfo."""

_UNAVAILABLE: Final = 14

# A Duration holds 315 billion seconds; no client waits longer than a day.
_LONGEST_S: Final = 86_400.0


def retry_hint(details: str, code: int = _UNAVAILABLE, after_s: float = RETRY_AFTER_S) -> Metadata:
    """Return both trailers that ask the client to come back after ``after_s``."""
    delay = Duration()
    delay.FromMilliseconds(round(min(after_s, _LONGEST_S) * 1000))
    info = RetryInfo(retry_delay=delay)
    packed = AnyMessage()
    packed.Pack(info)
    status = Status(code=code, message=details, details=[packed])
    return (
        (BARE_RETRY_INFO, info.SerializeToString()),
        (STATUS_DETAILS, status.SerializeToString()),
    )


def hinted_delay_s(trailers: Metadata) -> float | None:
    """Return the delay that gRPC trailers ask for, s, None where they ask for none."""
    for key, value in trailers:
        if not isinstance(value, bytes):
            continue
        info = RetryInfo()
        try:
            if key == BARE_RETRY_INFO:
                info.ParseFromString(value)
                return _seconds(info)
            if key == STATUS_DETAILS:
                details = Status.FromString(value).details
                if any(each.Unpack(info) for each in details):
                    return _seconds(info)
        except (DecodeError, ValueError):
            continue
    return None


def retry_after_s(text: str, now_s: float) -> float | None:
    """Return the delay of a Retry-After header, seconds or a date; None where it is neither."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_S)
    try:
        when = parsedate_to_datetime(text)
        # "-0000" is UTC too, but says that nothing is known of where the sender is.
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now_s)
    except (TypeError, ValueError, OverflowError):
        return None


def retry_after_text(delay_s: float) -> str:
    """Return ``delay_s`` as a Retry-After header, rounded up to whole seconds."""
    return str(math.ceil(max(0.0, delay_s)))


def _seconds(info: RetryInfo) -> float:
    return float(info.retry_delay.seconds) + float(info.retry_delay.nanos) / 1e9
