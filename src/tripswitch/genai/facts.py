"""The facts of one span: the rows of the vocabulary applied to what the span carries."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tripswitch.genai import coercion
from tripswitch.genai.content import tells
from tripswitch.genai.model_names import kind_by_model, split_prefix
from tripswitch.genai.rows import KNOWN, Row
from tripswitch.genai.sightings import Context, Ranked
from tripswitch.genai.spellings import MOVING_LABELS, Kind, folded, provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tripswitch.genai.plan import Plan
    from tripswitch.otlp.values import Value

# More tokens than any context window; more dollars than any call.
_MAX_TOKENS = 1e9
_MAX_COST_USD = 1e6
# A "name" of a prompt with any of these in it is the prompt's text.
_TEMPLATE_SIGNS = ("{", "}", "\n", "<")

_CALLS: Final = frozenset({"chat", "embedding", "rerank"})

# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__

Fact = TypeVar("Fact")


class SpanFacts:
    """Looks up the facts of one span.

    ``plan`` holds the rows worth trying. What is present but unusable is counted by fact in
    ``rejected``; text that had to be cut is counted as ``<fact>_cut``.
    """

    __slots__ = ("_on_resource", "_on_span", "_opened", "_rejected", "_rows", "plan")

    def __init__(
        self,
        plan: Plan,
        on_span: dict[str, Value],
        on_resource: dict[str, Value],
        rejected: dict[str, int],
    ) -> None:
        self.plan = plan
        self._rows = plan.rows
        self._on_span = on_span
        self._on_resource = on_resource
        self._rejected = rejected
        # JSON that several facts stand in is opened once.
        self._opened: dict[str, Any] | None = None

    def common_key(self) -> tuple[Any, ...]:
        """Return what `context` depends on, besides the cohort names."""
        plan, on_span, on_resource = self.plan, self._on_span, self._on_resource
        return (
            plan,
            *[on_span[key] for key in plan.common_keys],
            *[on_resource[key] for key in plan.common_resource_keys],
        )

    def context(self, kinds: Mapping[str, str], cohort_names: frozenset[str]) -> Context:
        """Return the context; bare tags are cohorts when among ``cohort_names``."""
        version, label = self._prompt_version()
        provider_name, model = self._provider_and_model()
        response_model = self._response_model()
        kind = self._kind(kinds)
        if kind == "chat":
            kind = kind_by_model(model or response_model or "")
        return Context(
            kind=kind,
            dialect=self.plan.dialect,
            route=self._route(kind),
            prompt_name=self._prompt_name(),
            prompt_version=version,
            prompt_label=self.ranked("prompt_label") or label,
            cohort=self._cohort(cohort_names),
            tenant=self.ranked("tenant"),
            provider=provider_name,
            request_model=model,
            response_model=response_model,
            service_version=self.text("service_version"),
            deployment=self.text("deployment"),
            tool_name=self.text("tool_name"),
            writer=self.plan.scope_name[: coercion.MAX_TEXT],
            is_inferred=not self._says_kind(kinds),
        )

    def text(self, fact: str) -> str | None:
        """Return a text fact of at most `coercion.MAX_TEXT` characters."""
        found = self._first(fact, coercion.text)
        return None if found is None else self.cut(fact, found)

    def name(self, fact: str) -> str | None:
        """Return a text fact, as `text` does, that is more than a placeholder for no name."""
        for row in self._rows.get(fact, ()):
            value = self._value(row)
            found = coercion.text(value)
            if found is None and value not in (None, "", []):
                self.reject(fact)
            elif found is not None and coercion.is_name(found):
                return self.cut(fact, found)
        return None

    def ranked(self, fact: str) -> Ranked | None:
        """Return a text fact with the rank of the row it was found by."""
        for row in self._rows.get(fact, ()):
            value = self._on_span.get(row.key)
            if value is None or row.member is not None or row.only is not None:
                value = self._value(row)
                if value is None:
                    continue
            found = coercion.text(value)
            if found is not None:
                if len(found) > coercion.MAX_TEXT:
                    found = self.cut(fact, found)
                return _new_tuple(Ranked, (row.standing, row.rank, found))
            if value not in ("", []):
                self.reject(fact)
        return None

    def flag(self, fact: str) -> bool | None:
        """Return a yes-or-no fact."""
        return self._first(fact, coercion.flag)

    def texts(self, fact: str) -> list[str]:
        """Return a fact that is a list of texts; empty when not said."""
        rows = self._rows.get(fact, ())
        numbered = [row for row in rows if row.rank == rows[0].rank]
        if len(numbered) > 1:
            # The values under `key.0`, `key.1` and so on make one list.
            found = [coercion.text(self._value(row)) for row in numbered]
            return [coercion.cut(item) for item in found if item is not None]
        return self._first(fact, coercion.text_list) or []

    def number(self, fact: str) -> float:
        """Return a finite number of at least 0; NaN when not said."""
        return self._number(fact, math.inf)

    def tokens(self, fact: str) -> float:
        """Return a token count; NaN when not said."""
        # Most are a whole number under the first key, and nothing else has to be looked at.
        key = self.plan.plain_keys.get(fact)
        if key is not None:
            value = self._on_span.get(key)
            if type(value) is int and 0 <= value <= _MAX_TOKENS:
                return float(value)
        return self._number(fact, _MAX_TOKENS) // 1

    def counts_apart(self, fact: str) -> bool:
        """Return whether the row that a number is found by counts what is not in the whole."""
        rows = self._rows.get(fact, ())
        if not any(row.apart for row in rows):
            return False
        found = (row.apart for row in rows if coercion.number(self._value(row)) is not None)
        return next(found, False)

    def cost_usd(self) -> float:
        """Return the reported cost in US dollars; NaN when not said."""
        if "cost_usd" in self._rows:
            total = self._number("cost_usd", _MAX_COST_USD)
            if total == total:
                return total
        parts = [
            self._number(fact, _MAX_COST_USD) for fact in ("cost_input_usd", "cost_output_usd")
        ]
        said = [part for part in parts if part == part]
        return sum(said) if said else math.nan

    def values(self, fact: str) -> list[Value]:
        """Return every value that stands under a row of ``fact``, best first, as it came."""
        found = [self._value(row) for row in self._rows.get(fact, ())]
        return [value for value in found if value is not None]

    def answers(self) -> list[Value]:
        """Return what was answered and may tell something, opened.

        Other facts may stand in the same text, which is opened once.
        """
        found: list[Value] = []
        for row in self._rows.get("output_content", ()):
            value = self._value(row)
            if isinstance(value, str):
                if not tells(value):
                    continue
                whole = self._open(row.key, value) if row.member is None else None
                value = value if whole is None else whole
            if value is not None:
                found.append(value)
        return found

    def has(self, fact: str) -> bool:
        """Return whether a row of ``fact`` is present."""
        return fact in self._rows

    def key_of(self, fact: str) -> str | None:
        """Return the attribute that a text fact was found under."""
        rows = self._rows.get(fact, ())
        return next((row.key for row in rows if coercion.text(self._value(row))), None)

    def raw(self, key: str) -> Value:
        """Return the value under an attribute's name."""
        return self._on_span.get(key)

    def cut(self, fact: str, found: str) -> str:
        """Return at most `coercion.MAX_TEXT` characters of ``found``, counting what is cut."""
        if len(found) > coercion.MAX_TEXT:
            self.reject(f"{fact}_cut")
        return coercion.cut(found)

    def reject(self, fact: str) -> None:
        """Count ``fact`` as present but unusable."""
        self._rejected[fact] = self._rejected.get(fact, 0) + 1

    def _kind(self, kinds: Mapping[str, str]) -> Kind:
        """Return what kind of span it says it is.

        An evaluator is one whichever key says so: what runs under it is no user traffic. Of the
        others the first word that is known counts; one that is known as nothing in particular
        yields to a later that is.
        """
        answer: Kind | None = None
        says_nothing = True
        for row in self._rows.get("operation", ()):
            value = coercion.text(self._value(row))
            if value is None:
                continue
            says_nothing = False
            word = folded(value)
            kind = kinds.get(word) or kinds.get(word.partition(" ")[0])
            if kind == "evaluator":
                return "evaluator"
            if kind is not None and answer in (None, "other"):
                answer = kind  # type: ignore[assignment]  # the tables hold nothing but kinds
        if answer is not None:
            return answer
        if says_nothing:
            return self._unsaid_kind()
        # A word of its own, for what named a model and was paid by the token.
        return "chat" if self.plan.signs >= {"request_model", "input_tokens"} else "other"

    def _unsaid_kind(self) -> Kind:
        """Return what kind of span it is, of one that does not say."""
        plan = self.plan
        if plan.raw:
            return "raw"
        if plan.has_guardrail and not plan.shows_answer:
            return "guardrail"
        if self.has("tool_name") and not plan.shows_answer:
            return "tool"
        if "request_model" in plan.signs and (plan.shows_answer or self.has("invocation")):
            return "chat"
        return plan.unsaid or "other"

    def _says_kind(self, kinds: Mapping[str, str]) -> bool:
        words = (coercion.text(self._value(row)) for row in self._rows.get("operation", ()))
        return any(word is not None and folded(word) in kinds for word in words)

    def _route(self, kind: Kind) -> Ranked | None:
        route = self.ranked("route")
        if route is not None and route.standing >= KNOWN and not coercion.is_name(route.value):
            # A library's word for none; a person's own key says what it says.
            return None
        if route is not None and kind in _CALLS and route.value == self.text("method"):
            # What a model's provider was asked to do is no part of the application.
            return None
        return route

    def _response_model(self) -> str | None:
        model = self.name("response_model")
        return None if model is None else split_prefix(model)[1]

    def _prompt_name(self) -> Ranked | None:
        for row in self._rows.get("prompt_name", ()):
            found = coercion.text(self._value(row))
            if found is not None and not any(sign in found for sign in _TEMPLATE_SIGNS):
                return Ranked(row.standing, row.rank, self.cut("prompt_name", found))
        return None

    def _prompt_version(self) -> tuple[Ranked | None, Ranked | None]:
        """Return (version, label): a moving label such as "prod" is never a version."""
        label = None
        for row in self._rows.get("prompt_version", ()):
            found = coercion.text(self._value(row))
            if found is None:
                continue
            ranked = Ranked(row.standing, row.rank, self.cut("prompt_version", found))
            if found.lower() not in MOVING_LABELS:
                return ranked, label
            label = label or ranked
        return None, label

    def _provider_and_model(self) -> tuple[str | None, str | None]:
        """Return provider and model; a model may be written ``provider/model``."""
        named = self.name("provider")
        name = None if named is None else provider(named)
        model = self.name("request_model")
        if model is not None:
            prefix, rest = split_prefix(model)
            if prefix and name in (None, provider(prefix)):
                return provider(prefix), rest
        return name, model

    def _cohort(self, names: frozenset[str]) -> Ranked | None:
        """Return the cohort: from its keys, else from a tag that is, or names, a known one.

        Tags are read as ``cohort:NAME`` or ``variant:NAME`` with any name, and bare only when the
        tag is one of ``names`` (lower case).
        """
        found = self.ranked("cohort")
        if found is not None or "tags" not in self._rows:
            return found
        row = self._rows["tags"][0]
        # Any key says more than a tag.
        rank = 1000 + row.rank
        for tag in self.texts("tags"):
            head, colon, name = tag.partition(":")
            if colon and name.strip() and head.strip().lower() in ("cohort", "variant"):
                return Ranked(row.standing, rank, name.strip())
            if tag.lower() in names:
                return Ranked(row.standing, rank, tag)
        return None

    def _number(self, fact: str, largest: float) -> float:
        rows = self._rows.get(fact)
        if rows is None:
            return math.nan
        for row in rows:
            value = self._value(row)
            if value is None or value == "":
                continue
            found = coercion.number(value)
            if found is not None and found * row.scale <= largest:
                return found * row.scale
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
        if row.only is not None and self._on_span.get(row.only[0]) != row.only[1]:
            return None
        if row.member is None or value is None:
            return value
        whole = self._open(row.key, value)
        if row.without is not None and coercion.at_path(whole, row.without) is not None:
            return None
        if row.beside is not None and coercion.at_path(whole, row.beside) is None:
            return None
        return coercion.at_path(whole, row.member)

    def _open(self, key: str, value: Value) -> Any:
        opened = self._opened
        if opened is None:
            opened = self._opened = {}
        if key not in opened:
            opened[key] = coercion.opened(value)
        return opened[key]
