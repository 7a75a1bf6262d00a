"""Where each fact of a call may stand: one row a key, in the order they are tried.

Another dialect is more rows, not more code. Within one fact, rows are tried from top to bottom
and the first value that is present and usable wins: first tripswitch's own keys, then the keys a
user configured, then the OpenTelemetry GenAI conventions from the current names to the oldest.
A row with ``anywhere`` is looked up among the resource attributes too, after the span's.

Source: OpenTelemetry semantic conventions 1.26 to 1.41 and the GenAI conventions repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Shape = Literal["text", "number", "flag", "list"]

SEMCONV = "semconv"


class Row(NamedTuple):
    """One key that may hold ``fact``.

    ``shape`` is how the value is coerced. With ``member`` the value is JSON (structured or as
    text) and the fact is that member of it. ``scale`` turns a number into the fact's unit.
    ``dialect`` names who writes this key; ``fixed`` rows cannot be overtaken by a user's keys.
    """

    fact: str
    key: str
    shape: Shape = "text"
    dialect: str = SEMCONV
    member: str | None = None
    scale: float = 1.0
    fixed: bool = False
    anywhere: bool = False


ROWS: tuple[Row, ...] = (
    Row("route", "tripswitch.route", fixed=True, anywhere=True),
    Row("route", "http.route"),
    Row("route", "gen_ai.workflow.name"),
    Row("route", "gen_ai.agent.name"),
    Row("route", "url.template"),
    Row("route", "rpc.method"),
    Row("prompt_name", "tripswitch.prompt.name", fixed=True, anywhere=True),
    Row("prompt_name", "gen_ai.prompt.name"),
    Row("prompt_version", "tripswitch.prompt.version", fixed=True, anywhere=True),
    Row("prompt_version", "gen_ai.prompt.version"),
    Row("prompt_label", "gen_ai.prompt.template.label", dialect="traceai"),
    Row("cohort", "tripswitch.cohort", fixed=True, anywhere=True),
    Row("cohort", "feature_flag.result.variant"),
    Row("cohort", "feature_flag.variant"),
    Row("tenant", "tripswitch.tenant", fixed=True, anywhere=True),
    Row("tenant", "tenant.id"),
    Row("tenant", "tenant_id"),
    Row("session", "gen_ai.conversation.id"),
    Row("session", "session.id"),
    Row("user", "user.id"),
    Row("user", "enduser.id"),
    Row("user", "enduser.pseudo.id"),
    Row("user", "user.hash"),
    Row("provider", "gen_ai.provider.name"),
    Row("provider", "gen_ai.system"),
    Row("request_model", "gen_ai.request.model"),
    Row("response_model", "gen_ai.response.model"),
    Row("response_id", "gen_ai.response.id"),
    Row("input_tokens", "gen_ai.usage.input_tokens", "number"),
    Row("input_tokens", "gen_ai.usage.prompt_tokens", "number"),
    Row("output_tokens", "gen_ai.usage.output_tokens", "number"),
    Row("output_tokens", "gen_ai.usage.completion_tokens", "number"),
    Row("cached_tokens", "gen_ai.usage.cache_read.input_tokens", "number"),
    Row("cached_tokens", "gen_ai.usage.cache_read_input_tokens", "number"),
    Row("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens", "number"),
    Row("reasoning_tokens", "gen_ai.usage.reasoning_tokens", "number"),
    # The conventions have no key for cost; these are what instrumentations agree on.
    Row("cost_usd", "gen_ai.usage.cost", "number"),
    Row("cost_usd", "gen_ai.cost.total", "number"),
    Row("cost_usd", "operation.cost", "number"),
    Row("ttft", "gen_ai.response.time_to_first_chunk", "number"),
    Row("ttft", "gen_ai.client.operation.time_to_first_chunk", "number"),
    Row("streaming", "gen_ai.request.stream", "flag"),
    Row("streaming", "gen_ai.is_streaming", "flag"),
    Row("finish_reasons", "gen_ai.response.finish_reasons", "list"),
    Row("finish_reasons", "gen_ai.response.finish_reason", "list"),
    Row("error_type", "error.type"),
    Row("operation", "gen_ai.operation.name"),
    Row("operation", "gen_ai.span.kind", dialect="traceai"),
    Row("operation", "openinference.span.kind", dialect="openinference"),
    Row("tags", "tag.tags", "list", "openinference"),
)

# Content attributes that may hold a finish reason or a refusal; their text is never kept.
OUTPUT_CONTENT_KEY = "gen_ai.output.messages"

EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION_NAME_KEY = "gen_ai.evaluation.name"
EVALUATION_SCORE_KEY = "gen_ai.evaluation.score.value"
EVALUATION_LABEL_KEY = "gen_ai.evaluation.score.label"

EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE_KEY = "exception.type"
ERROR_TYPE_KEY = "error.type"

_FURTHER_NAMES = frozenset(
    {
        EVALUATION_EVENT,
        EVALUATION_NAME_KEY,
        EVALUATION_SCORE_KEY,
        EVALUATION_LABEL_KEY,
        EXCEPTION_EVENT,
        EXCEPTION_TYPE_KEY,
        ERROR_TYPE_KEY,
    }
)

# Key sets seen on spans: an application has a few dozen, a hostile sender as many as it likes.
_MAX_PLANS = 4096

# Facts of which an application has few: read once for each combination, not once a span.
COMMON_FACTS = (
    "operation",
    "route",
    "prompt_name",
    "prompt_version",
    "prompt_label",
    "cohort",
    "tags",
    "tenant",
    "provider",
    "request_model",
    "response_model",
)
# A span that says it is a call must have one of these to show for it.
_CALL_FACTS = ("request_model", "response_model", "input_tokens", "output_tokens")


class Plan:
    """The rows worth trying on spans with one set of keys, by fact.

    ``common_keys`` and ``common_resource_keys`` are the keys, there on every such span and its
    resource, that `COMMON_FACTS` depend on. ``shows_call`` says that a model or tokens are named.
    """

    __slots__ = ("common_keys", "common_resource_keys", "rows", "shows_call")

    def __init__(
        self, rows: Mapping[str, tuple[Row, ...]], on_span: set[str], on_resource: set[str]
    ) -> None:
        self.rows: dict[str, tuple[Row, ...]] = {}
        for fact, candidates in rows.items():
            present = tuple(
                row
                for row in candidates
                if row.key in on_span or (row.anywhere and row.key in on_resource)
            )
            if present:
                self.rows[fact] = present
        common = {row for fact in COMMON_FACTS for row in self.rows.get(fact, ())}
        self.common_keys = tuple(sorted({row.key for row in common} & on_span))
        self.common_resource_keys = tuple(
            sorted({row.key for row in common if row.anywhere} & on_resource)
        )
        self.shows_call = any(fact in self.rows for fact in _CALL_FACTS)


class Vocabulary:
    """The rows with a user's own keys put in front, by fact.

    ``own_keys`` maps a fact to attribute keys, best first; they are also looked up among the
    resource attributes.
    """

    def __init__(self, own_keys: Mapping[str, Sequence[str]], *, content_facts: bool) -> None:
        shapes = {row.fact: row.shape for row in ROWS}
        own = [
            Row(fact, key, shapes[fact], anywhere=True)
            for fact, keys in own_keys.items()
            for key in keys
        ]
        ordered = [row for row in ROWS if row.fixed] + own + [row for row in ROWS if not row.fixed]
        self.rows: dict[str, tuple[Row, ...]] = {
            fact: tuple(row for row in ordered if row.fact == fact) for fact in shapes
        }
        self.wanted = (
            frozenset(row.key for row in ordered)
            | _FURTHER_NAMES
            | (frozenset({OUTPUT_CONTENT_KEY}) if content_facts else frozenset())
        )
        # Content and user ids pass through the reader without being remembered there.
        self.private = frozenset(row.key for row in self.rows["user"]) | {OUTPUT_CONTENT_KEY}
        self._plans: dict[tuple[tuple[str, ...], tuple[str, ...]], Plan] = {}

    def plan(self, span_keys: tuple[str, ...], resource_keys: tuple[str, ...]) -> Plan:
        """Return what to try on spans that have just these keys.

        Spans of one emitter share their keys, so the plan of a key set is made once.
        """
        keys = (span_keys, resource_keys)
        plan = self._plans.get(keys)
        if plan is None:
            plan = Plan(self.rows, set(span_keys), set(resource_keys))
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[keys] = plan
        return plan
