"""The postmortem of the demo's story, made by the program: ``docs/examples/refund-bot-v18``.

    python -m tripswitch.drive.demo.example docs/examples/refund-bot-v18

The story of `tripswitch.drive.demo.story` with a quarter of its traffic, in one process and on the
time in its spans, so that a second run writes the same bytes: spans into the engine, its commands
into a ledger, a gateway that does as it is asked, people who confirm, and from that ledger alone
the documents. What stands in the folder's ``filled-in.yaml`` is kept, as it always is.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tripswitch.config.model import Config
from tripswitch.drive.demo import story
from tripswitch.drive.demo.traffic import call_attributes
from tripswitch.drive.papers import LEDGER_FILE, Written, write_postmortem
from tripswitch.drive.session import Arrival, Session
from tripswitch.incidents.case import Case, case_of
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.instruction import Act, Instruction
from tripswitch.model.messages import Command, Rollback, RollbackOutcome
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.util.types import AttributeValue

PROMPTS: Final = ("prompt-v17.txt", "prompt-v18.txt")
"""The texts of both versions, as a registry would give them; they stand beside the documents."""

_SEED: Final = 6
_STEP_S: Final = 10.0
_SHARE_OF_TRAFFIC: Final = 0.25
_CONFIRMED_AFTER_S: Final = 120.0
_GOES_ON_S: Final = 120.0
_WORDS: Final = (
    (Act.FIX_IN_REVIEW, "the release captain", "https://review.example/refund-bot"),
    (Act.COMMS_CLOSED, "the comms drafter", ""),
)


def example_config() -> Config:
    """Return the configuration of the example: the defaults, one target, one sidecar."""
    return Config.model_validate(
        {
            "clock": {"source": "telemetry"},
            "fleet": {"single": True},
            "rollback": {
                "targets": [
                    {
                        "type": "webhook",
                        "name": "gateway",
                        "url": "https://gateway.example/rollback",
                        "secret": "whsec_" + "A" * 44,
                        "routes": [story.REFUND_ROUTE],
                    }
                ]
            },
        }
    )


def played_case(folder: Path) -> Case:
    """Play the story into a ledger in ``folder`` and return its one incident's case."""
    session = Session(example_config())
    with Ledger(folder / LEDGER_FILE) as ledger:
        for commands in _played(session):
            ledger.record(commands, [])
        (incident,) = ledger.incidents(2)
        document = ledger.case(incident["id"])
    assert document is not None
    return case_of(document)


def write_example(folder: Path) -> Written:
    """Write the example's documents into ``folder``, where the prompts' texts are."""
    with tempfile.TemporaryDirectory(prefix="tripswitch-example-") as scratch:
        case = played_case(Path(scratch))
    prompts = (folder / PROMPTS[0], folder / PROMPTS[1])
    return write_postmortem(case, folder, example_config(), prompts=prompts, with_png=False)


def _played(session: Session) -> Iterator[Sequence[Command]]:
    """Yield what the session commands, step by step, until some time after it was resolved."""
    told = story.STORIES["regression"]
    spans = _Spans(_SEED)
    answers = _quieter(story.visits(_SEED))
    visit = next(answers)
    asked: Rollback | None = None
    put_back_s, recovered_s, resolved_s = float("inf"), float("inf"), float("inf")
    end_s = _STEP_S
    while end_s < min(told.end_s, resolved_s + _GOES_ON_S):
        request = ExportTraceServiceRequest()
        scope_spans = request.resource_spans.add().scope_spans.add()
        while visit.start_s < end_s:
            version = _version(visit, put_back_s)
            answer = story.answer(visit, version, told.behaviours[version])
            scope_spans.spans.extend(spans.of(answer))
            visit = next(answers)
        commands = session.feed([Arrival(request.SerializeToString(), 0)])
        yield commands
        for command in commands:
            if isinstance(command, Rollback):
                asked = command
            is_over = getattr(command, "name", None) == "incident.recovered"
            recovered_s = min(recovered_s, end_s) if is_over else recovered_s
        if asked is not None and put_back_s > end_s:
            put_back_s = end_s
            answered = f"the gateway serves {asked.plan.to_version} to {asked.plan.pointer.cohort}"
            yield session.outcome(RollbackOutcome(asked.key, "acknowledged", answered))
        if asked is not None and recovered_s + _CONFIRMED_AFTER_S <= end_s < resolved_s:
            resolved_s = end_s
            incident = asked.event.incident
            assert incident is not None
            for act, by, link in _WORDS:
                yield session.instruct(Instruction(incident.id, act, by, link=link))
        end_s += _STEP_S
    yield session.finish()


def _quieter(visits: Iterator[story.Visit]) -> Iterator[story.Visit]:
    """Yield a share of the visits, drawn once and for all."""
    rng = random.Random(_SEED)  # noqa: S311 - simulated traffic, no secret
    return (visit for visit in visits if rng.random() < _SHARE_OF_TRAFFIC)


def _version(visit: story.Visit, put_back_s: float) -> str:
    is_new = story.ROLLOUT_S <= visit.start_s < put_back_s
    return story.NEW_VERSION if is_new and visit.cohort == story.CANARY else story.OLD_VERSION


class _Spans:
    """Makes the spans of answers as `tripswitch.drive.demo.traffic` does, without an SDK."""

    def __init__(self, seed: int) -> None:
        self._ids = random.Random(seed + (1 << 32))  # noqa: S311 - ids, no secret

    def of(self, answer: story.Answer) -> tuple[Span, Span]:
        """Return the server span of an answer and the call below it."""
        visit = answer.visit
        trace_id, root_id, call_id = (self._ids.randbytes(size) for size in (16, 8, 8))
        call_start_s = visit.start_s + visit.overhead_s / 2
        root = Span(
            trace_id=trace_id,
            span_id=root_id,
            name=f"POST {visit.route.path}",
            kind=Span.SPAN_KIND_SERVER,
            start_time_unix_nano=_ns(visit.start_s),
            end_time_unix_nano=_ns(answer.end_s),
            attributes=_attributes({"http.request.method": "POST", "http.route": visit.route.path}),
        )
        call = Span(
            trace_id=trace_id,
            span_id=call_id,
            parent_span_id=root_id,
            name=f"chat {story.MODEL}",
            kind=Span.SPAN_KIND_CLIENT,
            start_time_unix_nano=_ns(call_start_s),
            end_time_unix_nano=_ns(call_start_s + visit.latency_s),
            attributes=_attributes(call_attributes(answer)),
        )
        if answer.score is not None:
            call.events.add(
                time_unix_nano=call.end_time_unix_nano,
                name="gen_ai.evaluation.result",
                attributes=_attributes(
                    {
                        "gen_ai.evaluation.name": story.RUBRIC,
                        "gen_ai.evaluation.score.value": answer.score,
                    }
                ),
            )
        if answer.failed:
            call.attributes.extend(_attributes({"error.type": "timeout"}))
            for span in (root, call):
                span.status.CopyFrom(Status(code=Status.STATUS_CODE_ERROR))
        return root, call


def _attributes(values: Mapping[str, AttributeValue]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items()]


def _value(value: Any) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(array_value=ArrayValue(values=[_value(one) for one in value]))


def _ns(story_s: float) -> int:
    return story.START_NS + int(story_s * NS_PER_S)


def main() -> int:
    """Write the example; return the exit code."""
    parser = argparse.ArgumentParser(description="Write the postmortem of the demo's story.")
    parser.add_argument("folder", type=Path, help="where the prompts' texts are")
    for file in write_example(parser.parse_args().folder).files:
        sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
