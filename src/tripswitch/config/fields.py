"""The fields of the configuration model: which field a path names, and what it expects in words."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr

from tripswitch.config.model import Config
from tripswitch.config.quantities import Quantity
from tripswitch.config.section import Section
from tripswitch.config.variants import variants_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo

_UNIT_BY_SUFFIX = {
    "_points": "points",
    "_ratio": "times the baseline",
    "_multiple": "times the baseline",
}
_MAX_CHOICES_SHOWN = 24


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in the model: the type that is wanted there, and the field it belongs to."""

    annotation: Any
    field: FieldInfo | None
    name: str = ""

    @property
    def section(self) -> type[Section] | None:
        """The section class, where the spot is a mapping of named fields."""
        if isinstance(self.annotation, type) and issubclass(self.annotation, Section):
            return self.annotation
        return None

    @property
    def variants(self) -> dict[str, type[Section]]:
        """The section of each kind, where the spot is an entry of a list of several kinds."""
        return variants_of(self.annotation)

    def of_kind(self, kind: str | None) -> Spot | None:
        """Return the spot of one kind of entry, the default's for None; None where unknown."""
        variants = self.variants
        found = variants.get(next(iter(variants)) if kind is None else kind)
        return None if found is None else Spot(found, self.field, self.name)

    def entries(self) -> list[tuple[str, Spot]]:
        """Return what an entry of a list of mappings can be: kind and section, the default first.

        The kind is empty where there is only one; nothing is returned for other lists.
        """
        entry = self.inner(0) if self.origin is list else None
        if entry is None:
            return []
        if entry.section is not None:
            return [("", entry)]
        return [
            (kind, Spot(each, entry.field, entry.name)) for kind, each in entry.variants.items()
        ]

    @property
    def origin(self) -> Any:
        """``list``, ``dict`` or None."""
        return get_origin(self.annotation) if get_origin(self.annotation) in (list, dict) else None

    @property
    def quantity(self) -> Quantity | None:
        """How the quantity is written, where the spot is a duration, a size or a share."""
        if self.field is None or self.origin or self.section:
            return None
        return next((each for each in self.field.metadata if isinstance(each, Quantity)), None)

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.annotation is SecretStr

    @property
    def is_text(self) -> bool:
        """Whether a scalar here is taken as it is written."""
        return (
            self.annotation in (str, SecretStr) or bool(self.choices) or self.quantity is not None
        )

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are allowed here, where only some are."""
        literal = next(
            (part for part in _union_parts(self.annotation) if get_origin(part) is Literal), None
        )
        return tuple(str(word) for word in get_args(literal))

    @property
    def optional(self) -> bool:
        """Whether null is a value here."""
        return type(None) in _union_parts(self.annotation)

    @property
    def reloadable(self) -> bool:
        """Whether an edit takes effect without a restart."""
        extra = None if self.field is None else self.field.json_schema_extra
        return isinstance(extra, dict) and bool(extra.get("reloadable"))

    def inner(self, step: str | int) -> Spot | None:
        """Return the spot that ``step`` leads to, or None where the model knows none."""
        section = self.section
        if section is not None:
            field = section.model_fields.get(str(step))
            return None if field is None else Spot(field.annotation, field, str(step))
        if self.variants:
            return self.of_kind(str(step))
        if self.origin is not None:
            return Spot(get_args(self.annotation)[-1], self.field, self.name)
        return None

    def field_names(self) -> list[str]:
        """Return the names of the fields below; empty where any name, or none, is allowed."""
        return [] if self.section is None else list(self.section.model_fields)


ROOT = Spot(Config, None)


def spot_at(path: Sequence[str | int]) -> Spot | None:
    """Return the spot that ``path`` names, or None where the model has no such field."""
    spot: Spot | None = ROOT
    for step in path:
        if spot is None:
            return None
        spot = spot.inner(step)
    return spot


def leaves(spot: Spot = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Spot]]:
    """Yield every field that is no section, in the order of the file; lists and dicts are one."""
    for name in spot.field_names():
        inner = spot.inner(name)
        if inner is None:
            continue
        if inner.section is None:
            yield (*path, name), inner
        else:
            yield from leaves(inner, (*path, name))


def wanted_text(spot: Spot, *, with_example: bool = True) -> str:
    """Return what is expected, as a phrase: kind, unit, range and, where wanted, an example."""
    if spot.section is not None or spot.variants:
        return "a mapping of settings"
    if spot.origin is list:
        inner = spot.inner(0)
        is_mapping = inner is not None and (inner.section is not None or inner.variants)
        kind = "mappings" if is_mapping else "texts"
        return f"a list of {kind}"
    if spot.origin is dict:
        return "a mapping by name"
    if spot.choices:
        return _choices_text(spot.choices) + (", or null" if spot.optional else "")
    if spot.annotation is bool:
        return "true or false"
    bounds = " ".join(part for part in (_kind_text(spot), _range_text(spot), _unit(spot)) if part)
    example = _example(spot) if with_example else ""
    return f"{bounds}, such as {example}" if example else bounds


def key_list_text(spot: Spot) -> str:
    """Return the keys that a mapping may have, as a phrase."""
    return _choices_text(tuple(spot.field_names()))


def _kind_text(spot: Spot) -> str:
    quantity = spot.quantity
    if quantity is not None:
        return quantity.noun
    if spot.annotation is int:
        return "a whole number"
    if spot.annotation is float:
        return "a number"
    if spot.annotation is SecretStr:
        return "a secret text"
    pattern = None if spot.field is None else _pattern(spot.field)
    return f"text that matches {pattern}" if pattern else _text_kind(spot)


def _text_kind(spot: Spot) -> str:
    if spot.name != "endpoint":
        return "text"
    return "host:port or empty" if spot.field and spot.field.is_required() else "host:port"


def _range_text(spot: Spot) -> str:
    bounds: dict[str, str] = {}
    for each in [] if spot.field is None or spot.origin else spot.field.metadata:
        for name in ("ge", "gt", "le", "lt"):
            if hasattr(each, name):
                bounds[name] = value_text(spot, getattr(each, name))
    if "ge" in bounds and "le" in bounds:
        return f"from {bounds['ge']} to {bounds['le']}"
    words = {"ge": "of at least", "gt": "above", "le": "up to", "lt": "below"}
    return " and ".join(f"{words[name]} {bound}" for name, bound in bounds.items())


def value_text(spot: Spot, value: Any) -> str:
    """Return ``value`` as a person writes it in the file."""
    quantity = spot.quantity
    if quantity is not None:
        return quantity.text(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _unit(spot: Spot) -> str:
    unit = next((unit for end, unit in _UNIT_BY_SUFFIX.items() if spot.name.endswith(end)), "")
    return f"({unit})" if unit else ""


def _example(spot: Spot) -> str:
    if spot.field is None or spot.is_secret:
        return ""
    default = spot.field.get_default()
    if spot.field.examples:
        default = spot.field.examples[0]
    return value_text(spot, default) if isinstance(default, int | float | str) and default else ""


def _pattern(field: FieldInfo) -> str | None:
    return next((each.pattern for each in field.metadata if getattr(each, "pattern", None)), None)


def _choices_text(words: Sequence[str]) -> str:
    listed = ", ".join(words[:_MAX_CHOICES_SHOWN])
    return f"the word {listed}" if len(words) == 1 else f"one of: {listed}"


def _union_parts(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)
