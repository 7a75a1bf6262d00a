"""Times as text: nanoseconds since the epoch to RFC 3339 in UTC, and durations for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NS_PER_S = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_S
NS_PER_HOUR = 3600 * NS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(time_ns: int) -> str:
    """Return ``time_ns`` as RFC 3339 in UTC with milliseconds.

    >>> rfc3339(1_795_485_401_647_041_178)
    '2026-11-24T01:16:41.647Z'
    """
    moment = _EPOCH + timedelta(microseconds=time_ns // 1000)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def ns_of(text: str) -> int:
    """Return the time of an RFC 3339 text; one without an offset is UTC. Raises ValueError.

    >>> ns_of("2026-11-24T01:16:41.647Z")
    1795483001647000000
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def minutes_text(duration_ns: int) -> str:
    """Return a duration in words, to the second below two minutes and to the minute above.

    >>> minutes_text(90 * NS_PER_S)
    '90 s'
    >>> minutes_text(15 * NS_PER_MINUTE)
    '15 min'
    """
    seconds = duration_ns // NS_PER_S
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"
