"""What every part of the configuration model is made of."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

NEEDED: Final[dict[str, Any]] = {"needed": True}
"""Marks a field of a list's entry that must not be empty."""

WEB_URL: Final[dict[str, Any]] = {"web_url": True}
"""Marks a field that holds an http:// or https:// URL, which may carry a token and is not shown."""

SIGNING_SECRET: Final[dict[str, Any]] = {"signing_secret": True}
"""Marks a field that holds a Standard Webhooks secret, ``whsec_...``."""

LIVE: Final[dict[str, Any]] = {"reloadable": True}
"""Marks a field whose edit takes effect at the next tick; the others need a restart."""


class Section(BaseModel):
    """A part of the file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=False,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )
