"""The model of ``tripswitch.yaml``: the one source of every field's type, default, range and help.

The commented sample file, the JSON Schema and the checks on loading are all made from these
classes. Every field has a default; an empty file is a valid configuration. A description is the
sentence a person reads in the sample file. ``reloadable`` in a field's ``json_schema_extra`` says
that an edit takes effect at the next tick; the others need a restart.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError

from tripswitch.config.dialect_section import DialectSection
from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.config.prices_section import Prices
from tripswitch.config.quantities import DurationS, Share, SizeBytes
from tripswitch.config.section import LIVE, Section
from tripswitch.config.spool_section import Spool
from tripswitch.config.telemetry_section import Telemetry
from tripswitch.config.wire_sections import Exporters, Forward, Receivers

FACTS = (
    "route",
    "prompt_name",
    "prompt_version",
    "prompt_label",
    "cohort",
    "tenant",
    "session",
    "user",
    "provider",
    "request_model",
    "response_model",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_usd",
    "ttft",
    "finish_reasons",
    "error_type",
    "response_id",
)


class Tap(Section):
    """The hand-over from the forwarding path to the reader; it can lag or drop, never block."""

    max_bytes: SizeBytes = Field(
        64 << 20,
        ge=1 << 20,
        le=1 << 40,
        description=(
            "Most bytes waiting to be read; when full, further requests are counted, not read."
        ),
        json_schema_extra=LIVE,
    )


class Read(Section):
    """How GenAI spans are understood."""

    keys: dict[str, list[str]] = Field(
        default_factory=dict,
        description=(
            "Your own attribute keys by fact, tried before the known ones, for instance "
            "prompt_version: [app.prompt.version]. Facts: " + ", ".join(FACTS) + "."
        ),
        examples=[{"prompt_version": ["app.prompt.version"], "cohort": ["app.rollout.arm"]}],
        json_schema_extra={**LIVE, "propertyNames": {"enum": list(FACTS)}},
    )
    content_facts: bool = Field(
        True,
        description=(
            "Read facts that libraries put only inside message content (finish reason of a "
            "stream, a refusal part). The text itself is discarded at once, whatever this says."
        ),
        json_schema_extra=LIVE,
    )
    user_hash_key: SecretStr = Field(
        SecretStr(""),
        description="Secret that user ids are hashed with before they are kept: ${env:NAME}.",
        json_schema_extra=LIVE,
    )
    dialects: list[DialectSection] = Field(
        default_factory=list,
        description=(
            "Dialects of your own: where a library that is not known puts the facts of a call. "
            "Tried after `keys` and before the known dialects."
        ),
        json_schema_extra=LIVE,
    )
    cohort_flags: list[str] = Field(
        default_factory=list,
        description=(
            "Keys of the feature flags whose variant is the cohort, best first. Without any, the "
            "flag of a trace that has only one."
        ),
        examples=[["refund-bot-rollout"]],
        json_schema_extra=LIVE,
    )
    request_hold: DurationS = Field(
        30.0,
        ge=0,
        le=600,
        description=(
            "How long the calls of one trace wait for its root span before they count as a request."
        ),
        json_schema_extra=LIVE,
    )
    request_linger: DurationS = Field(
        5.0,
        ge=0,
        le=60,
        description=(
            "How long a trace waits for its other spans after its root has come: exporters send "
            "every 5 s."
        ),
        json_schema_extra=LIVE,
    )
    max_held_traces: int = Field(
        50_000,
        ge=100,
        le=10_000_000,
        description="Most traces held at once, with at most ten times as many spans.",
    )
    late_scores: DurationS = Field(
        1800.0,
        ge=0,
        le=86_400,
        description="How late a score may come and still find its call.",
    )
    max_remembered_calls: int = Field(
        2_000_000,
        ge=1000,
        le=100_000_000,
        description="Most calls that late scores are looked up among; one takes about 60 bytes.",
    )

    @field_validator("keys")
    @classmethod
    def _known_facts(cls, keys: dict[str, list[str]]) -> dict[str, list[str]]:
        unknown = [fact for fact in keys if fact not in FACTS]
        if unknown:
            raise PydanticCustomError(
                "unknown_names",
                "unknown facts",
                {"unknown": unknown, "known": list(FACTS)},
            )
        return keys


class Windows(Section):
    """How much is kept in memory."""

    max_scopes: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description=(
            "Most scopes (route, prompt, version, cohort, model, provider) watched at once; "
            "beyond it the least recently seen make way."
        ),
    )
    max_skew: DurationS = Field(
        900.0,
        gt=0,
        le=3600,
        description=(
            "A span whose end is further than this from now is counted as skewed, not judged."
        ),
    )


class BadMinutes(Section):
    """How many bad minutes a page must span, whatever the volume."""

    concurrent_control: int = Field(
        1,
        ge=1,
        le=30,
        description="Against a control cohort that serves at the same time.",
        json_schema_extra=LIVE,
    )
    otherwise: int = Field(
        5,
        ge=1,
        le=30,
        description="Against a previous version or the route's own past.",
        json_schema_extra=LIVE,
    )


class EvalScore(Section):
    """`eval_score`: the mean of each rubric, in points (score x 100). Shape eval_drift."""

    investigate_points: float = Field(
        2.0, gt=0, le=100, description="Drop that is worth a look.", json_schema_extra=LIVE
    )
    page_points: float = Field(
        5.0, gt=0, le=100, description="Drop that wakes a person.", json_schema_extra=LIVE
    )
    min_scores: int = Field(
        50,
        ge=5,
        le=1_000_000,
        description="Fewest scores a page stands on; twice that to investigate.",
        json_schema_extra=LIVE,
    )


class TokensPerSuccess(Section):
    """`tokens_per_success`: tokens of all requests by successful request. Shape cost_spike."""

    investigate_ratio: float = Field(
        1.3,
        gt=1,
        le=1000,
        description="Times the baseline that is worth a look.",
        json_schema_extra=LIVE,
    )
    page_ratio: float = Field(
        1.5,
        gt=1,
        le=1000,
        description="Times the baseline that wakes a person.",
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        50,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class P99Latency(Section):
    """`p99_latency`: share of requests far slower than the usual p99. Shape latency_spike."""

    page_multiple: float = Field(
        2.0,
        gt=1,
        le=1000,
        description="Slow is this times the baseline's p99.",
        json_schema_extra=LIVE,
    )
    page_share: Share = Field(
        0.01,
        gt=0,
        lt=1,
        description=(
            "Share of slow requests that wakes a person: 1% is the same as p99 at the multiple."
        ),
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        100,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_slow: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest slow requests a verdict stands on.",
        json_schema_extra=LIVE,
    )


class RefusalRate(Section):
    """`refusal_rate`: share of answers that refuse, either way. Shape guardrail_regression."""

    investigate_points: float = Field(
        5.0,
        gt=0,
        le=100,
        description="Shift that is worth a look, up or down.",
        json_schema_extra=LIVE,
    )
    page_points: float = Field(
        10.0,
        gt=0,
        le=100,
        description=(
            "Shift that wakes a person by itself; at the investigate line it pages only when "
            "another signal of the scope has evidence too."
        ),
        json_schema_extra=LIVE,
    )
    min_calls: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest calls a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_refusals: int = Field(
        3,
        ge=1,
        le=1_000_000,
        description="Fewest refusals a rise stands on.",
        json_schema_extra=LIVE,
    )


class ErrorRate(Section):
    """`error_rate`: share of requests that failed after their retries. Shape outage."""

    investigate_points: float = Field(
        2.0, gt=0, le=100, description="Rise that is worth a look.", json_schema_extra=LIVE
    )
    page_points: float = Field(
        2.0,
        gt=0,
        le=100,
        description="Rise that wakes a person, if also the multiple is reached.",
        json_schema_extra=LIVE,
    )
    page_multiple: float = Field(
        2.0,
        gt=1,
        le=1000,
        description="Times the baseline that a page needs as well.",
        json_schema_extra=LIVE,
    )
    min_requests: int = Field(
        30,
        ge=5,
        le=1_000_000,
        description="Fewest requests a verdict stands on.",
        json_schema_extra=LIVE,
    )
    min_errors: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="Fewest errors a verdict stands on.",
        json_schema_extra=LIVE,
    )


class Signals(Section):
    """The lines of every signal; `detect.routes` can set each for one route."""

    eval_score: EvalScore = Field(default_factory=EvalScore, description="Rubric means.")
    tokens_per_success: TokensPerSuccess = Field(
        default_factory=TokensPerSuccess, description="Tokens by successful request."
    )
    p99_latency: P99Latency = Field(default_factory=P99Latency, description="Tail latency.")
    refusal_rate: RefusalRate = Field(default_factory=RefusalRate, description="Refusals.")
    error_rate: ErrorRate = Field(default_factory=ErrorRate, description="Failed requests.")


class Detect(Signals):
    """When a change is worth a look and when it wakes a person."""

    tick: DurationS = Field(
        10.0,
        ge=1,
        le=60,
        description="How often everything is judged. Must divide a minute.",
    )
    control_cohorts: list[str] = Field(
        default_factory=lambda: ["control", "stable", "baseline", "incumbent", "production"],
        description="Cohort names that a canary is compared with, first match first.",
        json_schema_extra=LIVE,
    )
    bad_minutes: BadMinutes = Field(
        default_factory=BadMinutes, description="How many bad minutes a page must span."
    )
    alpha_page: float = Field(
        1e-3,
        gt=0,
        lt=1,
        description="False pages tolerated by scope, signal and month.",
        json_schema_extra=LIVE,
    )
    alpha_start: float = Field(
        1e-3,
        gt=0,
        lt=1,
        description="Chance of a false page spent at once when a version or cohort first appears.",
        json_schema_extra=LIVE,
    )
    alpha_investigate: float = Field(
        1e-2,
        gt=0,
        lt=1,
        description="False investigations tolerated by scope, signal and month.",
        json_schema_extra=LIVE,
    )
    min_baseline: int = Field(
        200,
        ge=20,
        le=1_000_000,
        description="Fewest samples a baseline stands on; below it relative rules stay silent.",
        json_schema_extra=LIVE,
    )
    alert_window: DurationS = Field(
        900.0,
        ge=60,
        le=86_400,
        description="How long a slow change must hold, and how long recovery must hold.",
        json_schema_extra=LIVE,
    )
    routes: dict[str, Signals] = Field(
        default_factory=dict,
        description=(
            "Other lines for one route; what a route does not name keeps the defaults, for "
            "instance /chat/refund: {eval_score: {page_points: 4}}."
        ),
        examples=[{"/chat/refund": {"eval_score": {"page_points": 4}}}],
        json_schema_extra=LIVE,
    )

    @field_validator("tick")
    @classmethod
    def _tick_divides_a_minute(cls, tick: float) -> float:
        if abs(60 / tick - round(60 / tick)) > 1e-9:
            raise PydanticCustomError(
                "out_of_range",
                "expected a duration that divides a minute",
                {"wanted": "a duration that divides a minute, such as 5s or 10s"},
            )
        return tick

    def for_route(self, route: str | None) -> Signals:
        """Return the lines that hold on ``route``."""
        return self.routes.get(route or "", self)


class Incidents(Section):
    """The life of an incident."""

    quiet_period: DurationS = Field(
        3600.0,
        ge=0,
        le=30 * 86_400,
        description="A scope that trips again this soon after recovery re-opens the same episode.",
        json_schema_extra=LIVE,
    )
    exemplars: int = Field(
        3, ge=1, le=20, description="Trace ids shown with an incident.", json_schema_extra=LIVE
    )


class WebhookNotifier(Section):
    """A signed alert webhook (Standard Webhooks, CloudEvents body)."""

    type: Literal["webhook"] = Field("webhook", description="Kind of notifier.")
    name: str = Field("webhook", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name, unique.")
    url: str = Field(
        "",
        description="Where to POST; http:// or https://.",
        examples=["https://hooks.example.com/tripswitch"],
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signing secret, whsec_...; write it as ${env:NAME}.",
        examples=["${env:TRIPSWITCH_WEBHOOK_SECRET}"],
    )
    timeout: DurationS = Field(15.0, gt=0, le=60, description="Longest wait for an answer.")


class WebhookTarget(Section):
    """A rollback target that is asked by a signed webhook to put a cohort back."""

    type: Literal["webhook"] = Field("webhook", description="Kind of target.")
    name: str = Field("gateway", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="Name, unique.")
    url: str = Field(
        "",
        description="Where to POST the request to roll back.",
        examples=["https://gateway.example.com/tripswitch/rollback"],
    )
    status_url: str = Field(
        "",
        description=(
            "Optional: where to GET what became of a request after a time-out; it is called "
            'with ?action_id=... and answers {"state": "applied" or "unknown"}.'
        ),
        examples=["https://gateway.example.com/tripswitch/rollback"],
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Signing secret, whsec_...; write it as ${env:NAME}.",
        examples=["${env:TRIPSWITCH_WEBHOOK_SECRET}"],
    )
    timeout: DurationS = Field(15.0, gt=0, le=60, description="Longest wait for an answer.")
    routes: list[str] = Field(
        default_factory=list,
        description="Routes this target serves; empty means every route.",
        examples=[["/chat/refund"]],
    )
    mode: Literal["observe", "propose", "auto"] | None = Field(
        None,
        description=(
            "auto acts, propose asks a person, observe only records. Unset: auto where one "
            "cohort is moved, propose where a whole route is."
        ),
    )


class Rollback(Section):
    """What may be rolled back, and by whom."""

    enabled: bool = Field(
        True,
        description="The kill switch: false stops every automatic rollback within one tick.",
        json_schema_extra=LIVE,
    )
    targets: list[WebhookTarget] = Field(
        default_factory=list, description="Who is asked to roll back."
    )
    confirm_within: DurationS = Field(
        600.0,
        gt=0,
        le=86_400,
        description=(
            "How soon after the call the spans must show the bad version gone; otherwise people "
            "are told that the rollback did not take."
        ),
        json_schema_extra=LIVE,
    )
    not_after: DurationS = Field(
        1800.0,
        gt=0,
        le=7 * 86_400,
        description="A rollback that could not be delivered for this long is given up and paged.",
    )


class Fleet(Section):
    """How many sidecars see a route."""

    single: bool = Field(
        False,
        description=(
            "Say true when this sidecar alone sees all traffic of its routes; otherwise "
            "rollbacks are proposed, never automatic."
        ),
        json_schema_extra=LIVE,
    )


class Storage(Section):
    """Where state is kept."""

    directory: str = Field("state", description="Folder of the ledger; made when missing.")


class Clock(Section):
    """What time it is."""

    source: Literal["wall", "telemetry"] = Field(
        "wall",
        description=(
            "wall for production. telemetry takes the time from the spans, as replay does; it "
            "is for recorded or simulated traffic."
        ),
    )


class Config(Section):
    """The whole file."""

    receivers: Receivers = Field(default_factory=Receivers, description="What listens.")
    exporters: Exporters = Field(default_factory=Exporters, description="Where telemetry goes.")
    forward: Forward = Field(default_factory=Forward, description="When a request is acknowledged.")
    spool: Spool = Field(default_factory=Spool, description="What waits on disk.")
    tap: Tap = Field(default_factory=Tap, description="From the forwarding path to the reader.")
    read: Read = Field(default_factory=Read, description="How spans are understood.")
    evaluations: list[EvaluationRule] = Field(
        default_factory=list,
        description=(
            "What evaluations mean, by name, first match first; the rest goes by their names."
        ),
        json_schema_extra=LIVE,
    )
    prices: Prices = Field(default_factory=Prices, description="What tokens cost.")
    windows: Windows = Field(default_factory=Windows, description="How much is kept in memory.")
    detect: Detect = Field(default_factory=Detect, description="When something is wrong.")
    incidents: Incidents = Field(default_factory=Incidents, description="The life of an incident.")
    notify: list[WebhookNotifier] = Field(default_factory=list, description="Who is told.")
    rollback: Rollback = Field(default_factory=Rollback, description="What may be rolled back.")
    fleet: Fleet = Field(default_factory=Fleet, description="How many sidecars see a route.")
    storage: Storage = Field(default_factory=Storage, description="Where state is kept.")
    clock: Clock = Field(default_factory=Clock, description="What time it is.")
    telemetry: Telemetry = Field(default_factory=Telemetry, description="About itself.")
