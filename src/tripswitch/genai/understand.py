"""From spans and log records to sightings: what each says by itself.

Nothing that a sender writes raises: what cannot be used is counted in ``Sighted.rejected``.
Whether a span is a call in the end, whose evaluation an evaluation is, and what a call inherits
from the spans above it is decided when its trace is put together, in `tripswitch.genai.traces`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from tripswitch.genai import judgements
from tripswitch.genai.answers import call_facts
from tripswitch.genai.coercion import MAX_TEXT
from tripswitch.genai.event_names import LOGS_WITH_BODY, WANTED_EVENTS, WANTED_LOGS
from tripswitch.genai.facts import SpanFacts
from tripswitch.genai.guards import told_by_failure
from tripswitch.genai.records import note_of
from tripswitch.genai.sightings import Context, Ranked, Sighted, Sighting
from tripswitch.genai.sketches import Sketch
from tripswitch.genai.technical_keys import TECHNICAL_KEYS
from tripswitch.genai.vocabulary import Vocabulary
from tripswitch.otlp.attributes import AttributeReader, Wanted
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.log_reader import LogReader
from tripswitch.otlp.reader import SpanReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.config.read_section import Read
    from tripswitch.otlp.attributes import Marks
    from tripswitch.otlp.reader import SpanRow
    from tripswitch.otlp.values import Value

DEFAULT_COHORTS = ("control", "canary")

# One entry for each combination of scope, tenant and models; about 1 kB each.
_MAX_REMEMBERED = 8192
_MAX_DURATION_NS = 24 * 3600 * 10**9
# What a status message names stands in front; a stack trace may follow.
_MAX_STATUS_BYTES = 2_000
# A server's span, and a consumer's.
_ENTRY_KINDS = frozenset({2, 5})
_CLIENT = 3
_ERROR = 2
# What the conventions have writers call the span of a call.
_CALL_NAME = re.compile(
    rb"(chat|text_completion|generate_content|embeddings) ([A-Za-z0-9][\w./:@+-]{0,200})"
)


class Understanding:
    """Reads OTLP trace and log requests into sightings.

    What is remembered from one to the next changes no answer, only its cost.
    ``cohort_names`` are the cohorts that a bare tag may name, `DEFAULT_COHORTS` when empty.
    """

    def __init__(self, read: Read, cohort_names: Sequence[str] = ()) -> None:
        self._vocabulary = Vocabulary(read.keys, read.dialects, content_facts=read.content_facts)
        self._reader = AttributeReader(
            Wanted(
                self._vocabulary.wants,
                self._vocabulary.private,
                self._vocabulary.tells,
                TECHNICAL_KEYS,
            )
        )
        self._log_reader = LogReader(self._reader, WANTED_LOGS, LOGS_WITH_BODY)
        self._cohort_names = frozenset(name.lower() for name in (cohort_names or DEFAULT_COHORTS))
        # BLAKE2b takes keys of at most 64 bytes.
        key = read.user_hash_key.get_secret_value().encode()
        self._user_key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        self._contexts: dict[tuple[Any, ...], Context] = {}
        self._sketches: dict[tuple[Marks, Marks, str, int], Sketch] = {}

    def read(self, requests: Sequence[tuple[Signal, bytes]]) -> Sighted:
        """Read requests of traces and logs, each (signal, serialised request), in order."""
        bodies: dict[Signal, list[bytes]] = {Signal.TRACES: [], Signal.LOGS: []}
        for signal, body in requests:
            bodies[signal].append(body)
        parts = {Signal.TRACES: self.traces(bodies[Signal.TRACES])}
        if not bodies[Signal.LOGS]:
            return parts[Signal.TRACES]
        parts[Signal.LOGS] = self.logs(bodies[Signal.LOGS])
        return _in_order([signal for signal, _ in requests], parts)

    def traces(self, requests: Sequence[bytes]) -> Sighted:
        """Read ``requests``, each a serialised ``ExportTraceServiceRequest``."""
        reader = SpanReader(self._reader, WANTED_EVENTS)
        rejected: dict[str, int] = {}
        sighted = Sighted()
        items: list[Sighting] = []
        for request in requests:
            first = len(items)
            for row in reader.spans(request):
                sighting = self._sighting(row, rejected)
                if sighting is not None:
                    items.append(sighting)
            times_ns = [sighting.end for sighting in items[first:]]
            sighted.ends.append(len(items))
            sighted.latest_ns.append(max(times_ns, default=None))
            sighted.earliest_ns.append(min(times_ns, default=None))
        sighted.items += items
        sighted.spans, sighted.unreadable = reader.read, reader.unreadable
        for fact, count in (
            ("bad_ids", reader.bad_ids),
            ("bad_attributes", reader.bad_attributes),
        ):
            if count:
                sighted.rejected[fact] = count
        sighted.rejected.update(rejected)
        return sighted

    def logs(self, requests: Sequence[bytes]) -> Sighted:
        """Read ``requests``, each a serialised ``ExportLogsServiceRequest``."""
        table = self._log_reader.read(requests)
        sighted = Sighted(records=table.read, unreadable=table.unreadable)
        if table.bad_attributes:
            sighted.rejected["bad_attributes"] = table.bad_attributes
        row = 0
        for request in range(len(requests)):
            while row < len(table) and table.request_index[row] == request:
                note = note_of(
                    table.event_name[row],
                    table.trace_id[row],
                    table.span_id[row],
                    table.time_ns[row],
                    table.attributes[row],
                    table.bodies[row],
                )
                if note is not None:
                    sighted.items.append(note)
                row += 1
            sighted.ends.append(len(sighted.items))
            sighted.latest_ns.append(None)
        return sighted

    def _sighting(self, row: SpanRow, rejected: dict[str, int]) -> Sighting | None:
        (
            trace_id,
            span_id,
            parent_span_id,
            name,
            kind,
            start,
            end,
            status_code,
            message,
            resource,
            resource_marks,
            scope_name,
            attributes,
            marks,
            events,
            links,
        ) = row
        if not 0 <= end - start <= _MAX_DURATION_NS:
            # An unbelievable duration is made 0: the end decides the minute.
            rejected["duration"] = rejected.get("duration", 0) + 1
            start = end
        if status_code == _ERROR and not attributes:
            row = self._told_by_name(row)
            attributes, marks = row[12], row[13]
        sketch = self._sketches.get((marks, resource_marks, scope_name, status_code))
        if sketch is None or ((events or message) and not sketch.is_steady):
            sketch = self._sketch(row, rejected)
        if sketch.is_start:
            # A start marker of Logfire's: the span itself comes when it ends.
            return None
        sighting = Sighting(trace_id, span_id, parent_span_id, start, end)
        sighting.is_entry = kind in _ENTRY_KINDS
        if sketch.is_bare and not events:
            sighting.failed = status_code == _ERROR
            return sighting
        sighting.context = sketch.context
        sighting.failed = sketch.error_class is not None
        if message and status_code == _ERROR and sketch.context.kind != "guardrail":
            said = message[:_MAX_STATUS_BYTES].decode("utf-8", "replace")
            sighting.guardrails = tuple(told_by_failure(said))
        if sketch.is_done and not events:
            return sighting
        facts = SpanFacts(sketch.plan, attributes, resource, rejected)
        if sketch.has_session:
            sighting.session = facts.ranked("session")
        if sketch.has_user:
            sighting.user = self._hashed(facts.ranked("user"))
        if sketch.call is not None:
            sighting.call = call_facts(
                facts,
                sketch,
                sketch.call,
                name,
                events,
                start,
                end,
                content_facts=self._vocabulary.content_facts,
            )
        if sketch.judges or events:
            sighting.name = name.decode("utf-8", "replace")[:MAX_TEXT]
            judgements.of_span(sighting, facts, events, links)
        return sighting

    def _told_by_name(self, row: SpanRow) -> SpanRow:
        """Return a failed span without attributes with what its name says of the call it was.

        Some instrumentations write everything at the end of a call that went well, and of one that
        did not only how its span is called, by the conventions or by a word of its own. Others'
        spans have any name.
        """
        dialect = self._vocabulary.dialect_of(set(), row[11])
        if dialect == "semconv":
            return row
        said: dict[str, Value] = {}
        match = _CALL_NAME.fullmatch(row[3]) if row[4] == _CLIENT else None
        if match is not None:
            operation, model = (part.decode("ascii") for part in match.groups())
            said = {"gen_ai.operation.name": operation, "gen_ai.request.model": model}
        elif row[3] in self._vocabulary.call_words(dialect):
            said = {"gen_ai.operation.name": row[3].decode("ascii")}
        return (*row[:12], said, (None,), *row[14:]) if said else row

    def _sketch(self, row: SpanRow, rejected: dict[str, int]) -> Sketch:
        """Return what the span has in common with those that are alike, worked out from it."""
        status_code, message, resource, resource_marks, scope_name = row[7:12]
        attributes, marks, events, _ = row[12:]
        plan = self._vocabulary.plan(tuple(attributes), tuple(resource), scope_name)
        already_rejected = sum(rejected.values())
        facts = SpanFacts(plan, attributes, resource, rejected)
        sketch = Sketch(facts, self._context(facts, rejected), status_code, message, events)
        if (
            plan.is_sketchable
            and None not in marks
            and None not in resource_marks
            and len(scope_name) <= MAX_TEXT
            and (sketch.is_steady or not (events or message))
            # Each span with an unusable value has to be counted.
            and sum(rejected.values()) == already_rejected
        ):
            if len(self._sketches) >= _MAX_REMEMBERED:
                self._sketches.clear()
            self._sketches[marks, resource_marks, scope_name, status_code] = sketch
        return sketch

    def _context(self, facts: SpanFacts, rejected: dict[str, int]) -> Context:
        if not facts.plan.is_memorable:
            return facts.context(self._vocabulary.kinds, self._cohort_names)
        key = facts.common_key()
        try:
            found = self._contexts.get(key)
        except TypeError:
            # A list or an object among the values, tags for instance.
            return facts.context(self._vocabulary.kinds, self._cohort_names)
        if found is None:
            already_rejected = sum(rejected.values())
            found = facts.context(self._vocabulary.kinds, self._cohort_names)
            # Only text is remembered, as True, 1 and 1.0 are the same key of a dict; and only
            # where nothing was rejected, since each span has to be counted.
            if sum(rejected.values()) == already_rejected and all(
                isinstance(value, str) and len(value) <= MAX_TEXT for value in key[1:]
            ):
                if len(self._contexts) >= _MAX_REMEMBERED:
                    self._contexts.clear()
                self._contexts[key] = found
        return found

    def _hashed(self, user: Ranked | None) -> Ranked | None:
        if user is None:
            return None
        digest = hashlib.blake2b(user.value.encode(), key=self._user_key, digest_size=8)
        return user._replace(value=digest.hexdigest())


def _in_order(signals: Sequence[Signal], parts: Mapping[Signal, Sighted]) -> Sighted:
    """Return the requests of several signals as one reading, in the order they came."""
    merged = Sighted()
    for part in parts.values():
        merged.spans += part.spans
        merged.records += part.records
        merged.unreadable += part.unreadable
        for fact, count in part.rejected.items():
            merged.rejected[fact] = merged.rejected.get(fact, 0) + count
    queues = {signal: iter(part.by_request()) for signal, part in parts.items()}
    for signal in signals:
        part = next(queues[signal])
        merged.items += part.items
        merged.ends.append(len(merged.items))
        merged.latest_ns += part.latest_ns
    return merged
