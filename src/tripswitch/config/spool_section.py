"""The part of the configuration that bounds the spool."""

from __future__ import annotations

from pydantic import Field

from tripswitch.config.quantities import DurationS, SizeBytes
from tripswitch.config.section import LIVE, Section


class Spool(Section):
    """Requests that wait on disk, with their headers, until the upstream takes them."""

    directory: str = Field(
        "",
        description=(
            "Folder of the spool, made when missing, for tripswitch alone. Empty means spool "
            "in storage.directory."
        ),
        examples=["/var/lib/tripswitch/spool"],
    )
    max_bytes: SizeBytes = Field(
        1 << 30,
        ge=1 << 20,
        le=1 << 50,
        description=(
            "Most bytes on disk. When full, new work is refused with a retryable code; nothing "
            "that waits is dropped for it."
        ),
        json_schema_extra=LIVE,
    )
    max_age: DurationS = Field(
        86_400.0,
        gt=0,
        le=365 * 86_400,
        description="What could not be delivered for this long becomes a dead letter.",
        json_schema_extra=LIVE,
    )
    segment_bytes: SizeBytes = Field(
        64 << 20,
        ge=1 << 16,
        le=1 << 32,
        description=(
            "Size of one file; space comes back a file at a time. At most a quarter of "
            "max_bytes is used."
        ),
        json_schema_extra=LIVE,
    )
    drain_bytes_per_s: SizeBytes = Field(
        32 << 20,
        ge=1 << 10,
        le=1 << 40,
        description="Most bytes a second sent from the spool, beside the live traffic.",
        json_schema_extra=LIVE,
    )
    drain_in_flight: int = Field(
        4,
        ge=1,
        le=1000,
        description="Most requests from the spool in flight at once; each is in memory.",
        json_schema_extra=LIVE,
    )
    dead_letter_bytes: SizeBytes = Field(
        64 << 20,
        ge=1 << 16,
        le=1 << 50,
        description=(
            "Most bytes of dead letters (expired or refused for good) kept on disk for you to "
            "look at; the oldest make way."
        ),
        json_schema_extra=LIVE,
    )
