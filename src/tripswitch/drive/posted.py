"""What comes by the API instead of OTLP: scores, changes that people make, and what they want done.

Items are checked one by one; a bad one is refused with its place and what was wanted, the others
are taken. Texts are cut to what a fact may hold.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NamedTuple, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tripswitch.genai.coercion import MAX_TEXT
from tripswitch.genai.sightings import Evaluation
from tripswitch.model.clocktext import NS_PER_S, ns_of
from tripswitch.model.incident import Change, Shape
from tripswitch.model.instruction import Act, Instruction, Opening, Trigger
from tripswitch.model.scope import Scope

MAX_ITEMS: Final = 10_000

_CLOCK_SKEW_NS: Final = 300 * NS_PER_S

Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


Item = TypeVar("Item", bound=_Item)


class PostedScore(_Item):
    """One score of one call: which call, by whom, and what it says."""

    trace_id: str | None = Field(None, pattern=r"^[0-9a-fA-F]{32}$")
    span_id: str | None = Field(None, pattern=r"^[0-9a-fA-F]{16}$")
    response_id: Name | None = None
    name: Name
    score: float | bool | None = None
    label: Name | None = None
    source: Name = "unknown"
    version: Name | None = None

    @model_validator(mode="after")
    def _names_a_call(self) -> PostedScore:
        if self.trace_id is None and self.response_id is None:
            raise ValueError("name the call: trace_id, with span_id if known, or response_id")
        if self.score is None and self.label is None:
            raise ValueError("give a score, a label, or both")
        return self

    def evaluation(self, now_ns: int) -> Evaluation:
        """Return the score as an evaluation that was made at ``now_ns``."""
        return Evaluation(
            name=self.name,
            score=None if self.score is None else float(self.score),
            label=self.label,
            source=self.source,
            version=self.version,
            target_trace_id=None if self.trace_id is None else self.trace_id.lower(),
            target_span_id=None if self.span_id is None else self.span_id.lower(),
            response_id=self.response_id,
            at_ns=now_ns,
            is_boolean=isinstance(self.score, bool),
        )


class PostedChange(_Item):
    """One change that somebody or something made: a deploy, a flag, a prompt, a guardrail."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = "deployment"
    to: Name
    before: Name | None = Field(None, alias="from")
    time: str | None = None
    route: Name | None = None
    prompt_name: Name | None = None
    cohort: Name | None = None

    def change(self, now_ns: int) -> Change:
        """Return the change; without a time of its own it happened at ``now_ns``."""
        at_ns = now_ns if self.time is None else ns_of(self.time)
        scope = Scope(self.route, self.prompt_name, None, self.cohort)
        return Change(self.kind, at_ns, scope, self.before, self.to)

    @model_validator(mode="after")
    def _time_can_be_read(self, info: ValidationInfo) -> PostedChange:
        if self.time is None:
            return self
        try:
            at_ns = ns_of(self.time)
        except ValueError:
            raise ValueError("time: expected RFC 3339, such as 2026-11-24T16:30:00Z") from None
        if info.context is not None and at_ns > info.context + _CLOCK_SKEW_NS:
            raise ValueError("time: is ahead of this machine's clock by more than 5 minutes")
        return self


class PostedInstruction(_Item):
    """Who wants something done, why, and where to see more."""

    by: Annotated[str, Field(min_length=1, max_length=200)]
    note: Annotated[str, Field(max_length=2_000)] = ""
    link: Annotated[str, Field(max_length=2_000)] = ""

    @field_validator("link")
    @classmethod
    def _is_for_the_web(cls, link: str) -> str:
        if link and not link.startswith(("http://", "https://")):
            raise ValueError("expected http:// or https://")
        return link


class PostedScope(_Item):
    """The slice of the traffic that an incident opened by hand is about."""

    route: Name | None = None
    prompt_name: Name | None = None
    prompt_version: Name | None = None
    cohort: Name | None = None
    request_model: Name | None = None
    provider: Name | None = None


class PostedOpening(_Item):
    """An incident that a person opens."""

    by: Annotated[str, Field(min_length=1, max_length=200)]
    sentence: Annotated[str, Field(min_length=1, max_length=2_000)]
    scope: PostedScope = PostedScope()
    trigger: Trigger | None = None
    shape: Shape = Shape.GUARDRAIL_REGRESSION
    traces: Annotated[
        list[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{32}$")]], Field(max_length=20)
    ] = []

    def opening(self) -> Opening:
        """Return it as the engine takes it."""
        return Opening(
            Scope(**self.scope.model_dump()),
            self.sentence,
            self.by,
            self.trigger,
            self.shape,
            tuple(trace.lower() for trace in self.traces),
        )


def read_instruction(document: Any, incident_id: str, act: Act) -> Instruction:
    """Return what is wanted of an incident. Raises ValueError with what was wrong."""
    posted = _read_one(document, PostedInstruction)
    return Instruction(incident_id, act, posted.by, posted.note, posted.link)


def read_opening(document: Any) -> Opening:
    """Return the incident that a person opens. Raises ValueError with what was wrong."""
    return _read_one(document, PostedOpening).opening()


def _read_one(document: Any, kind: type[Item]) -> Item:
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - the API knows no other
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise ValueError(_sentence(error)) from None


class Refused(NamedTuple):
    """One item that was not taken, by its place in the list, and why."""

    place: int
    error: str

    def as_json(self) -> dict[str, Any]:
        """Return the refusal as plain JSON values."""
        return {"index": self.place, "error": self.error}


def read_scores(document: Any, now_ns: int) -> tuple[list[PostedScore], list[Refused]]:
    """Return the good scores of a list, and the bad ones. Raises ValueError when it is no list."""
    return _read(document, PostedScore, now_ns)


def read_changes(document: Any, now_ns: int) -> tuple[list[PostedChange], list[Refused]]:
    """Return the good changes of a list or of one alone, and the bad ones; else as above."""
    return _read([document] if isinstance(document, dict) else document, PostedChange, now_ns)


def _read(document: Any, kind: type[Item], now_ns: int) -> tuple[list[Item], list[Refused]]:
    if not isinstance(document, list) or len(document) > MAX_ITEMS:
        raise ValueError(f"expected a JSON list of at most {MAX_ITEMS} objects")
    taken, refused = [], []
    for place, item in enumerate(document):
        try:
            taken.append(kind.model_validate(item, context=now_ns))
        except ValidationError as error:
            refused.append(Refused(place, _sentence(error)))
    return taken, refused


def _sentence(error: ValidationError) -> str:
    """Return what is wrong without what was sent: it may be anybody's text."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(step) for step in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        problems.append(f"{place}: {message}" if place else message)
    return "; ".join(problems)
