"""The gateway's spans: what the official exporter sends, what is counted, what tripswitch reads."""

from __future__ import annotations

from itertools import islice

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from tests.drive.demo.upstream import Upstream
from tests.genai.reading import read_all
from tripswitch.drive.demo import story
from tripswitch.drive.demo.tally import Tally
from tripswitch.drive.demo.traffic import CountingExporter, Traffic
from tripswitch.model.clocktext import NS_PER_S


def answers(count: int) -> list[story.Answer]:
    behaviour = story.STORIES["regression"].behaviours[story.NEW_VERSION]
    return [
        story.answer(visit, story.NEW_VERSION, behaviour)
        for visit in islice(story.visits(5), count)
    ]


def sent(given: list[story.Answer]) -> tuple[Upstream, Traffic, list[str]]:
    with Upstream() as upstream:
        traffic = Traffic(upstream.endpoint, 5)
        traces = []
        for start in range(0, len(given), 100):
            traces += [traffic.record(answer) for answer in given[start : start + 100]]
            traffic.flush()
        traffic.close()
    return upstream, traffic, traces


def test_the_tally_is_of_the_very_bytes_that_arrive() -> None:
    upstream, traffic, _ = sent(answers(450))
    arrived = Tally()
    for body in upstream.bodies:
        arrived.add(body, 0)
    counted = traffic.exporter.tally.totals()
    assert counted["digest"] == arrived.totals()["digest"]
    assert counted["bytes"] == sum(map(len, upstream.bodies)) > 0
    assert counted["requests"] == len(upstream.bodies) >= 5
    assert counted["spans"] == len(upstream.spans()) == 900
    assert traffic.exporter.failed_spans == 0


def test_a_call_stands_below_the_root_of_its_own_trace_in_story_time() -> None:
    given = answers(40)
    upstream, _, traces = sent(given)
    spans = upstream.spans()
    for answer, trace, call, root in zip(given, traces, spans[::2], spans[1::2], strict=True):
        assert call.trace_id.hex() == root.trace_id.hex() == trace
        assert call.parent_span_id == root.span_id
        assert not root.parent_span_id
        start_ns = story.START_NS + int(answer.visit.start_s * NS_PER_S)
        assert root.start_time_unix_nano == start_ns
        assert root.start_time_unix_nano <= call.start_time_unix_nano
        assert call.end_time_unix_nano <= root.end_time_unix_nano


def test_tripswitch_reads_every_fact_of_every_answer() -> None:
    given = answers(400)
    upstream, _, traces = sent(given)
    observed = read_all(upstream.bodies, cohort_names=["control", "canary"])
    calls = observed.calls
    assert calls.trace_id == traces
    assert calls.route == [answer.visit.route.path for answer in given]
    assert calls.prompt_name == [answer.visit.route.prompt_name for answer in given]
    assert set(calls.prompt_version) == {story.NEW_VERSION}
    assert calls.cohort == [answer.visit.cohort for answer in given]
    assert calls.tenant == [answer.visit.tenant for answer in given]
    assert calls.session == [answer.visit.session for answer in given]
    assert [refusal is True for refusal in calls.refusal] == [answer.refused for answer in given]
    assert [kind is not None for kind in calls.error_class] == [answer.failed for answer in given]
    scores = {score.trace_id: score.score for score in observed.scores}
    expected = zip(traces, given, strict=True)
    assert scores == {t: pytest.approx(a.score) for t, a in expected if a.score is not None}
    assert not observed.rejected


def test_one_seed_gives_the_same_bytes() -> None:
    given = answers(50)
    assert sent(given)[0].bodies == sent(given)[0].bodies


def test_spans_that_were_not_accepted_are_counted_as_failed() -> None:
    exporter = CountingExporter("127.0.0.1:1")
    exporter.shutdown()
    exporter.export([ReadableSpan("one"), ReadableSpan("two")])
    assert exporter.failed_spans == 2
    assert exporter.tally.totals()["requests"] == 0
