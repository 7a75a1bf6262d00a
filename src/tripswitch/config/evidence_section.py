"""What is kept of an incident besides its facts: its spans, where somebody wants that."""

from __future__ import annotations

import re

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.quantities import DurationS, SizeBytes
from tripswitch.config.section import LIVE, Section

REDACTED = (
    r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
    r"\b(?:\d[ -]?){12,18}\d\b",
    r"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{10,}",
    r"(?i)\bbearer\s+[A-Za-z0-9._~+/=-]{10,}",
)
"""E-mail addresses, card numbers, keys of common makers, bearer tokens."""


class Evidence(Section):
    """Spans of incidents, with prompts and answers; off unless switched on."""

    enabled: bool = Field(
        False,
        description=(
            "Keep the spans of an incident's exemplar traces, prompts and answers included, in "
            "files that only this user can read. Off, a bundle holds facts and ids alone."
        ),
        json_schema_extra=LIVE,
    )
    max_bytes: SizeBytes = Field(
        64 << 20,
        ge=1 << 20,
        le=1 << 32,
        description="Most memory for recent spans, so that they are there when an incident opens.",
        json_schema_extra=LIVE,
    )
    window: DurationS = Field(
        900.0, gt=0, le=86_400, description="How far back they reach.", json_schema_extra=LIVE
    )
    max_traces: int = Field(
        10, ge=1, le=100, description="Most traces of one incident.", json_schema_extra=LIVE
    )
    redact: list[str] = Field(
        default_factory=lambda: list(REDACTED),
        description="Regular expressions; what they match in a value is replaced before writing.",
        examples=[["[A-Z]{2}[0-9]{8}"]],
        json_schema_extra=LIVE,
    )
    retain: DurationS = Field(
        90 * 86_400.0,
        gt=0,
        le=10 * 365 * 86_400,
        description="How long it is kept after the incident; the security class is kept for good.",
        json_schema_extra=LIVE,
    )
    max_disk_bytes: SizeBytes = Field(
        256 << 20,
        ge=1 << 20,
        le=1 << 40,
        description="Most disk for all of it; the oldest outside the security class makes way.",
        json_schema_extra=LIVE,
    )

    @field_validator("redact")
    @classmethod
    def _are_expressions(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error:
                raise PydanticCustomError(
                    "format",
                    "expected regular expressions",
                    {"wanted": "regular expressions as Python reads them"},
                ) from None
        return patterns
