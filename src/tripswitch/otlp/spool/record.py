"""One record of a segment: a request with its headers, and what it takes to find it again.

    mark        8 bytes   random, the same for every record of a segment, part of its file's name
    sequence    u64       number of the record in the spool, without gaps
    kept_ns     u64       wall time when the request was handed over; age counts from here
    credential  u64       hash of the headers that say who the sender is, 0 where there are none
    signal      u8        position in `SIGNALS`, then three zero bytes
    head_bytes  u32       length of the head
    body_bytes  u32       length of the body
    content_crc u32       CRC-32 of head and body
    header_crc  u32       CRC-32 of all of the above

then the head (JSON: everything of the request but its body) and the body as it came. Numbers are
big-endian. A reader that lost its place looks for the mark, which no sender can know and so cannot
plant in a body. The checksum is that of zlib (CRC-32 of ISO 3309): it is in the standard library
and finds every single error of up to 32 bits in a row.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tripswitch.otlp.delivery import Delivery, Signal

if TYPE_CHECKING:
    from tripswitch.otlp.delivery import Metadata

MARK_BYTES: Final = 8
SIGNALS: Final = (
    Signal.TRACES,
    Signal.LOGS,
    Signal.METRICS,
    Signal.PROFILES,
    Signal.OTHER,
)

_FIELDS: Final = struct.Struct(f">{MARK_BYTES}sQQQBxxxIII")
_CRC: Final = struct.Struct(">I")
HEADER_BYTES: Final = _FIELDS.size + _CRC.size
MAX_PART_BYTES: Final = (1 << 32) - 1
_MAX_U64: Final = (1 << 64) - 1

_NAMES_A_SENDER: Final = re.compile(
    r".*(authorization|api-?key|access-?key|license-?key|token|secret|credential|cookie|tenant"
    r"|orgid|team|dataset).*"
)


class DamagedRecordError(ValueError):
    """The bytes of a record are not what was written."""


@dataclass(frozen=True, slots=True)
class Header:
    """The fixed part of a record; see the module for the fields."""

    sequence: int
    kept_ns: int
    credential: int
    signal: Signal
    head_bytes: int
    body_bytes: int
    content_crc: int

    @property
    def content_bytes(self) -> int:
        """Return the length of head and body together."""
        return self.head_bytes + self.body_bytes

    @property
    def record_bytes(self) -> int:
        """Return the length of the whole record."""
        return HEADER_BYTES + self.content_bytes

    def written(self, mark: bytes) -> bytes:
        """Return the header as it stands in a segment with this ``mark``."""
        fields = _FIELDS.pack(
            mark,
            self.sequence,
            self.kept_ns,
            self.credential,
            SIGNALS.index(self.signal),
            self.head_bytes,
            self.body_bytes,
            self.content_crc,
        )
        return fields + _CRC.pack(zlib.crc32(fields))


@dataclass(frozen=True, slots=True)
class Death:
    """Why a record is a dead letter, and since when (wall time)."""

    why: str
    died_ns: int


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that has no place in a segment yet: it is numbered when it is written."""

    head: bytes
    body: bytes
    signal: Signal
    credential: int
    kept_ns: int

    @property
    def record_bytes(self) -> int:
        """Return the length that the record will have."""
        return HEADER_BYTES + len(self.head) + len(self.body)

    def numbered(self, sequence: int) -> Header:
        """Return the header for this place; reads the whole body for its checksum."""
        return Header(
            sequence,
            self.kept_ns,
            self.credential,
            self.signal,
            len(self.head),
            len(self.body),
            zlib.crc32(self.body, zlib.crc32(self.head)),
        )


def draft_of(delivery: Delivery, kept_ns: int, death: Death | None = None) -> Draft:
    """Return ``delivery`` as a record to be written; ``death`` where it is a dead letter.

    Raises ValueError where head or body are 4 GiB or more, which no receiver lets through.
    """
    head: dict[str, Any] = {
        "protocol": delivery.protocol,
        "address": delivery.address,
        "received_ns": delivery.received_ns,
        "content_type": delivery.content_type,
        "content_encoding": delivery.content_encoding,
        "metadata": [
            [key, value]
            if isinstance(value, str)
            else [key, base64.b64encode(value).decode("ascii"), "base64"]
            for key, value in delivery.metadata
        ],
    }
    if death is not None:
        head["death"] = [death.why, death.died_ns]
    text = json.dumps(head, separators=(",", ":")).encode("ascii")
    if len(text) > MAX_PART_BYTES or len(delivery.body) > MAX_PART_BYTES:
        raise ValueError(
            f"a request of {len(delivery.body)} bytes with a head of {len(text)} does not fit a "
            f"record: each may have {MAX_PART_BYTES}"
        )
    return Draft(
        text,
        delivery.body,
        delivery.signal,
        credential_of(delivery.metadata),
        min(max(kept_ns, 0), _MAX_U64),
    )


def credential_of(metadata: Metadata) -> int:
    """Return a hash of the headers that say who the sender is, 0 where there are none.

    Those are the ones named like a credential or a tenant: ``authorization``, ``x-api-key``,
    ``x-scope-orgid`` and their kin.
    """
    named = sorted(
        (key, value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass"))
        for key, value in metadata
        if _NAMES_A_SENDER.fullmatch(key)
    )
    if not named:
        return 0
    digest = hashlib.blake2b(digest_size=8)
    for key, value in named:
        for part in (key.encode("utf-8", "surrogatepass"), value):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return int.from_bytes(digest.digest(), "big") or 1


def header_of(data: bytes, mark: bytes) -> Header | None:
    """Return the header at the start of ``data``, None where there is none or it is damaged."""
    if len(data) < HEADER_BYTES or not data.startswith(mark):
        return None
    fields = data[: _FIELDS.size]
    if _CRC.unpack_from(data, _FIELDS.size)[0] != zlib.crc32(fields):
        return None
    _, sequence, kept_ns, credential, signal, head_bytes, body_bytes, crc = _FIELDS.unpack(fields)
    if signal >= len(SIGNALS):
        return None
    return Header(sequence, kept_ns, credential, SIGNALS[signal], head_bytes, body_bytes, crc)


def content_of(header: Header, content: bytes) -> tuple[Delivery, Death | None]:
    """Return the request that head and body (``content``) hold. Raises DamagedRecordError."""
    if len(content) != header.content_bytes or zlib.crc32(content) != header.content_crc:
        raise DamagedRecordError("checksum of head and body")
    try:
        head = json.loads(content[: header.head_bytes])
        delivery = Delivery(
            protocol=_protocol(head["protocol"]),
            address=_text(head["address"]),
            signal=header.signal,
            metadata=tuple(_pair(*pair) for pair in head["metadata"]),
            body=content[header.head_bytes :],
            received_ns=_number(head["received_ns"]),
            content_type=_text(head["content_type"]),
            content_encoding=_text(head["content_encoding"]),
        )
        death = head.get("death")
        return delivery, None if death is None else Death(_text(death[0]), _number(death[1]))
    except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
        raise DamagedRecordError(f"head: {type(error).__name__}") from error


def _protocol(value: object) -> Any:
    if value not in ("grpc", "http"):
        raise ValueError("protocol")
    return value


def _pair(key: object, value: object, encoding: object = None) -> tuple[str, str | bytes]:
    if encoding is None:
        return _text(key), _text(value)
    if encoding != "base64":
        raise ValueError("encoding")
    try:
        return _text(key), base64.b64decode(_text(value), validate=True)
    except binascii.Error as error:
        raise ValueError("base64") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError("number")
    return value
