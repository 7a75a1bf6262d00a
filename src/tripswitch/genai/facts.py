"""The facts of one span: the rows of the vocabulary applied to what the span carries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tripswitch.genai import coercion
from tripswitch.genai.spellings import KINDS, MODEL_PREFIXES, MOVING_LABELS, Kind, folded, provider
from tripswitch.genai.vocabulary import SEMCONV, Plan, Row
from tripswitch.model.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tripswitch.otlp.attributes import Value

# More tokens than any context window; more dollars than any call.
_MAX_TOKENS = 1e9
_MAX_COST_USD = 1e6

Fact = TypeVar("Fact")


class CommonFacts(NamedTuple):
    """The facts of which an application has few: what the span is, and where it belongs."""

    kind: Kind
    dialect: str
    scope: Scope
    prompt_label: str | None
    tenant: str | None
    response_model: str | None


class SpanFacts:
    """Looks up the facts of one span.

    ``plan`` holds the rows worth trying. What is present but unusable is counted by fact in
    ``rejected``; text that had to be cut is counted as ``<fact>_cut``.
    """

    __slots__ = ("_on_resource", "_on_span", "_plan", "_rejected", "_rows")

    def __init__(
        self,
        plan: Plan,
        on_span: dict[str, Value],
        on_resource: dict[str, Value],
        rejected: dict[str, int],
    ) -> None:
        self._plan = plan
        self._rows = plan.rows
        self._on_span = on_span
        self._on_resource = on_resource
        self._rejected = rejected

    def common_key(self) -> tuple[Any, ...]:
        """Return what `common` depends on, besides the cohort names."""
        plan, on_span, on_resource = self._plan, self._on_span, self._on_resource
        return (
            plan,
            *[on_span[key] for key in plan.common_keys],
            *[on_resource[key] for key in plan.common_resource_keys],
        )

    def common(self, cohort_names: frozenset[str]) -> CommonFacts:
        """Return the common facts; bare tags are cohorts when among ``cohort_names``."""
        kind, dialect = self.kind()
        version, label = self.prompt_version()
        provider_name, model = self.provider_and_model()
        scope = Scope(
            self.text("route"),
            self.text("prompt_name"),
            version,
            self.cohort(cohort_names),
            model,
            provider_name,
        )
        tenant, response_model = self.text("tenant"), self.text("response_model")
        return CommonFacts(kind, dialect, scope, label, tenant, response_model)

    def kind(self) -> tuple[Kind, str]:
        """Return what kind of span it says it is, and the dialect that says so.

        An evaluator is one whichever key says so: what runs under it is no user traffic.
        """
        answer: tuple[Kind, str] | None = None
        for row in self._rows.get("operation", ()):
            value = self._value(row)
            kind = KINDS.get(folded(value)) if isinstance(value, str) else None
            if kind == "evaluator":
                return kind, row.dialect
            if kind is not None and answer is None:
                answer = (kind, row.dialect)
        return answer or ("other", SEMCONV)

    def text(self, fact: str) -> str | None:
        """Return a text fact of at most `coercion.MAX_TEXT` characters."""
        found = self._first(fact, coercion.text)
        return None if found is None else self.cut(fact, found)

    def whole_text(self, fact: str) -> str | None:
        """Return a text fact uncut, for hashing."""
        return self._first(fact, coercion.text)

    def flag(self, fact: str) -> bool | None:
        """Return a yes-or-no fact."""
        return self._first(fact, coercion.flag)

    def texts(self, fact: str) -> list[str]:
        """Return a fact that is a list of texts; empty when not said."""
        return self._first(fact, coercion.text_list) or []

    def tokens(self, fact: str) -> float:
        """Return a token count; NaN when not said."""
        count = self._number(fact, _MAX_TOKENS)
        return count // 1

    def cost_usd(self) -> float:
        """Return the reported cost in US dollars; NaN when not said."""
        return self._number("cost_usd", _MAX_COST_USD)

    def ttft(self, duration_s: float) -> float:
        """Return the time to the first token in seconds; NaN when not said or not believable.

        It must lie inside the call. Some write milliseconds where seconds are meant: a value that
        only fits the call as milliseconds is taken as such.
        """
        if "ttft" not in self._rows:
            return math.nan
        value = self._number("ttft", math.inf)
        if 0 < value < duration_s:
            return value
        if value > duration_s and 0 < value / 1000 < duration_s:
            return value / 1000
        if value == value:
            self.reject("ttft")
        return math.nan

    def prompt_version(self) -> tuple[str | None, str | None]:
        """Return (version, label): a moving label such as "prod" is never a version."""
        version = label = None
        for row in self._rows.get("prompt_version", ()):
            found = coercion.text(self._value(row))
            if found is None:
                continue
            if found.lower() not in MOVING_LABELS:
                version = self.cut("prompt_version", found)
                break
            label = label or found
        return version, self.text("prompt_label") or label

    def provider_and_model(self) -> tuple[str | None, str | None]:
        """Return (provider, request model), also from a model written ``provider/model``."""
        named = self.text("provider")
        name = None if named is None else provider(named)
        model = self.text("request_model")
        if model is not None:
            prefix, slash, rest = model.partition("/")
            if slash and rest and prefix.lower() in MODEL_PREFIXES:
                prefix = provider(prefix)
                if name is None or name == prefix:
                    return prefix, rest
        return name, model

    def cohort(self, names: frozenset[str]) -> str | None:
        """Return the cohort: from its keys, else from a tag that is, or names, a known one.

        Tags are read as ``cohort:NAME`` or ``variant:NAME`` with any name, and bare only when the
        tag is one of ``names`` (lower case).
        """
        found = self.text("cohort")
        if found is not None or "tags" not in self._rows:
            return found
        for tag in self.texts("tags"):
            head, colon, name = tag.partition(":")
            if colon and name.strip() and head.strip().lower() in ("cohort", "variant"):
                return name.strip()
            if tag.lower() in names:
                return tag
        return None

    def cut(self, fact: str, found: str) -> str:
        """Return at most `coercion.MAX_TEXT` characters of ``found``, counting what is cut."""
        if len(found) > coercion.MAX_TEXT:
            self.reject(f"{fact}_cut")
        return coercion.cut(found)

    def reject(self, fact: str) -> None:
        """Count ``fact`` as present but unusable."""
        self._rejected[fact] = self._rejected.get(fact, 0) + 1

    def _number(self, fact: str, largest: float) -> float:
        rows = self._rows.get(fact)
        if rows is None:
            return math.nan
        for row in rows:
            value = self._value(row)
            found = coercion.number(value)
            if found is not None and found * row.scale <= largest:
                return found * row.scale
            if value not in (None, ""):
                self.reject(fact)
        return math.nan

    def _first(self, fact: str, coerce: Callable[[Value], Fact | None]) -> Fact | None:
        rows = self._rows.get(fact)
        if rows is None:
            return None
        for row in rows:
            value = self._value(row)
            if value is None:
                continue
            found = coerce(value)
            if found is not None:
                return found
            if value not in ("", []):
                self.reject(fact)
        return None

    def _value(self, row: Row) -> Value:
        value = self._on_span.get(row.key)
        if value is None and row.anywhere:
            value = self._on_resource.get(row.key)
        return value if row.member is None else coercion.member(value, row.member)
