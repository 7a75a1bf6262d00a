"""Templates to text, in Jinja's sandbox: HTML with autoescape, Markdown and plain text without.

Templates come in as text, by name; nothing is read here. In Markdown every value that a template
puts in is escaped, in plain text it is made one plain line; only what this package made itself
(`Made`) goes in as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from jinja2 import DictLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from tripswitch.errors import ConfigError
from tripswitch.incidents.markdown import escaped
from tripswitch.model.plain_text import plain_line

Form = Literal["html", "markdown", "text"]

_TEXT_CHARS: Final = 5000


class Made(str):
    """Text that was made here, of values that were escaped where it was made."""

    __slots__ = ()


def render(templates: Mapping[str, str], name: str, form: Form, values: Mapping[str, Any]) -> str:
    """Return the template ``name`` of ``templates``, filled with ``values``.

    Raises ConfigError, which names template and line, for one that cannot be used: only an
    operator's own can be such.
    """
    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader(dict(templates)),
        autoescape=form == "html",
        undefined=StrictUndefined,
        finalize=_FINALIZE[form],
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Ranges and the like are of no use in a document, and a template could ask for a billion.
    environment.globals.clear()
    if form == "markdown":
        environment.filters["made"] = Made
    try:
        return environment.get_template(name).render(values)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f"{name}, line {line}" if line else name
        raise ConfigError(
            f"the template {place} cannot be used: {plain_line(error)}",
            hint="compare it with the built-in one of that name",
        ) from None


def _html(value: Any) -> Any:
    if isinstance(value, Made):
        return Markup(value)  # noqa: S704 - made by this package, of escaped values
    return plain_line(value, _TEXT_CHARS) if isinstance(value, str) else value


def _markdown(value: Any) -> Any:
    return value if isinstance(value, Made) else escaped(value)


def _text(value: Any) -> Any:
    return value if isinstance(value, Made) else plain_line(value, _TEXT_CHARS)


_FINALIZE: Final[dict[Form, Callable[[Any], Any]]] = {
    "html": _html,
    "markdown": _markdown,
    "text": _text,
}
