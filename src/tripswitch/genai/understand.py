"""From spans and log records to sightings: what each says by itself.

Nothing that a sender writes raises: what cannot be used is counted in ``Sighted.rejected``.
Whether a span is a call in the end, whose evaluation an evaluation is, and what a call inherits
from the spans above it is decided when its trace is put together, in `tripswitch.genai.traces`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from tripswitch.genai import judgements
from tripswitch.genai.answers import call_facts, error_of
from tripswitch.genai.coercion import MAX_TEXT
from tripswitch.genai.facts import SpanFacts
from tripswitch.genai.records import note_of
from tripswitch.genai.sightings import Context, Ranked, Sighted, Sighting
from tripswitch.genai.vocabulary import (
    LOGS_WITH_BODY,
    WANTED_EVENTS,
    WANTED_LOGS,
    Vocabulary,
)
from tripswitch.otlp.attributes import AttributeReader, Wanted
from tripswitch.otlp.delivery import Signal
from tripswitch.otlp.log_reader import LogReader
from tripswitch.otlp.reader import SpanTable, read_spans

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.config.read_section import Read

DEFAULT_COHORTS = ("control", "canary")

# One entry for each combination of scope, tenant and models; about 1 kB each.
_MAX_REMEMBERED_CONTEXTS = 8192
_MAX_DURATION_NS = 24 * 3600 * 10**9
_SERVER, _CONSUMER = 2, 5

# Kinds of span whose own usage is looked at.
_CALLING = frozenset({"chat", "embedding", "rerank", "raw"})


class Understanding:
    """Reads OTLP trace and log requests into sightings; remembers nothing of one in the next.

    ``cohort_names`` are the cohorts that a bare tag may name, `DEFAULT_COHORTS` when empty.
    """

    def __init__(self, read: Read, cohort_names: Sequence[str] = ()) -> None:
        self._vocabulary = Vocabulary(read.keys, read.dialects, content_facts=read.content_facts)
        self._reader = AttributeReader(Wanted(self._vocabulary.wants, self._vocabulary.private))
        self._log_reader = LogReader(self._reader, WANTED_LOGS, LOGS_WITH_BODY)
        self._cohort_names = frozenset(name.lower() for name in (cohort_names or DEFAULT_COHORTS))
        # BLAKE2b takes keys of at most 64 bytes.
        key = read.user_hash_key.get_secret_value().encode()
        self._user_key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        self._contexts: dict[tuple[Any, ...], Context] = {}

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
        table = read_spans(requests, self._reader, WANTED_EVENTS)
        sighted = Sighted(spans=table.read, unreadable=table.unreadable)
        for fact, count in (
            ("bad_ids", table.bad_ids),
            ("bad_attributes", table.bad_attributes),
        ):
            if count:
                sighted.rejected[fact] = count
        resource_keys = [tuple(resource) for resource in table.resources]
        request_of = table.request_index.tolist()
        row = 0
        for request in range(len(requests)):
            latest: int | None = None
            while row < len(request_of) and request_of[row] == request:
                sighting = self._sighting(table, row, resource_keys, sighted.rejected)
                row += 1
                if sighting is None:
                    continue
                sighted.items.append(sighting)
                if latest is None or sighting.end > latest:
                    latest = sighting.end
            sighted.ends.append(len(sighted.items))
            sighted.latest_ns.append(latest)
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

    def _sighting(
        self,
        table: SpanTable,
        row: int,
        resource_keys: list[tuple[str, ...]],
        rejected: dict[str, int],
    ) -> Sighting | None:
        attributes = table.attributes[row]
        resource = table.resource[row]
        plan = self._vocabulary.plan(
            tuple(attributes), resource_keys[resource], table.scope_name[row]
        )
        start, end = int(table.start[row]), int(table.end[row])
        if not 0 <= end - start <= _MAX_DURATION_NS:
            # An unbelievable duration is made 0: the end decides the minute.
            rejected["duration"] = rejected.get("duration", 0) + 1
            start = end
        events = table.events[row]
        sighting = Sighting(
            table.trace_id[row],
            table.span_id[row],
            table.parent_span_id[row],
            start,
            end,
            is_entry=table.kind[row] in (_SERVER, _CONSUMER),
            failed=table.status_code[row] == 2,
        )
        if plan.is_bare and not events:
            return sighting
        facts = SpanFacts(plan, attributes, table.resources[resource], rejected)
        context = self._context(facts, rejected)
        if context.kind == "other" and facts.text("span_type") == "pending_span":
            # A start marker of Logfire's: the span itself comes when it ends.
            return None
        sighting.context = context
        error_type, error_class = error_of(facts, table.status_code[row], events)
        sighting.failed = error_class is not None
        if facts.has("session"):
            sighting.session = facts.ranked("session")
        if facts.has("user"):
            sighting.user = self._hashed(facts.ranked("user"))
        if context.kind in _CALLING and (plan.shows_call or plan.raw or sighting.failed):
            sighting.call = call_facts(
                facts,
                context,
                events,
                start,
                end,
                (error_type, error_class),
                content_facts=self._vocabulary.content_facts,
            )
        if (
            plan.evaluations
            or plan.has_guardrail
            or events
            or context.kind
            in (
                "evaluator",
                "guardrail",
                "tool",
            )
            or facts.has("evaluation_name")
            or facts.has("scores")
            or facts.has("output_content")
        ):
            sighting.name = table.name[row][:MAX_TEXT]
            judgements.of_span(sighting, facts, events, table.links[row])
        return sighting

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
                if len(self._contexts) >= _MAX_REMEMBERED_CONTEXTS:
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
