"""Lists whose entries are of several kinds, told apart by their ``type``.

A field of this form is ``list[Annotated[A | B, kinds("a")]]``, where each alternative carries
``Tag(its type)``; an entry without a ``type`` is of the default kind.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args, get_origin

from pydantic import Discriminator, Tag

from tripswitch.config.section import Section

UNKNOWN_KIND = "unknown_kind"
"""The type of the validation error for a ``type`` that is none of the kinds."""


def kinds(default: str) -> Discriminator:
    """Return what tells the alternatives apart; ``default`` is the kind of an untyped entry."""

    def kind_of(entry: Any) -> str:
        found = (
            entry.get("type", default) if isinstance(entry, dict) else getattr(entry, "type", None)
        )
        return found if isinstance(found, str) else default

    return Discriminator(
        kind_of, custom_error_type=UNKNOWN_KIND, custom_error_message="unknown type"
    )


def variants_of(annotation: Any) -> dict[str, type[Section]]:
    """Return the section of each kind by its tag, the default's first; empty for anything else."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    found: dict[str, type[Section]] = {}
    for part in get_args(annotation):
        tag = next((each.tag for each in get_args(part)[1:] if isinstance(each, Tag)), None)
        if tag is not None:
            found[tag] = get_args(part)[0]
    return found
