"""Sealed evidence: what is in a bundle, who may read it, what shows when it was touched."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.play import story
from tests.store.samples import event, incident
from tests.traffic import requests
from tripswitch.config.evidence_section import REDACTED
from tripswitch.errors import LedgerError
from tripswitch.store.evidence import MANIFEST, Vault
from tripswitch.store.ledger import Ledger
from tripswitch.store.recent_spans import RecentSpans

SPAN = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "4242424242424242" * 2,
                            "attributes": [
                                {"key": "q", "value": {"stringValue": "mail ada@example.org now"}},
                                {"key": "c", "value": {"stringValue": "4111 1111 1111 1111"}},
                                {"key": "k", "value": {"stringValue": "sk-abcdefghijklmnop"}},
                            ],
                        }
                    ]
                }
            ]
        }
    ]
}


def file_of(*, security: bool = False, incident_id: str = "inc_1") -> dict[str, Any]:
    found = incident(id=incident_id, security=security).as_json()
    return {"incident": found, "timeline": [], "actions": []}


def test_a_bundle_is_whole_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    sealed = vault.seal(file_of(), "a: 1\n", [SPAN], REDACTED)
    assert vault.bundles("inc_1") == [sealed.path]
    assert vault.damage(sealed.path) == []
    assert vault.digest(sealed.path) == sealed.digest
    assert sealed.spans == 1
    modes = {stat.S_IMODE(path.stat().st_mode) for path in sealed.path.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(sealed.path.stat().st_mode) == 0o700
    text = (sealed.path / "spans.jsonl").read_text()
    assert "ada@example.org" not in text
    assert "4111" not in text
    assert "sk-abc" not in text
    assert text.count("[redacted]") == 3
    assert "4242424242424242" in text


def test_without_capture_a_bundle_says_that_content_was_not_kept(tmp_path: Path) -> None:
    sealed = Vault(tmp_path).seal(file_of(), "", None, ())
    assert "not kept" in (sealed.path / "CONTENT.txt").read_text()
    assert json.loads((sealed.path / MANIFEST).read_text())["content_kept"] is False


def test_whatever_is_done_to_a_bundle_shows(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    bundle = vault.seal(file_of(), "a: 1\n", None, ()).path
    (bundle / "config.yaml").write_text("a: 2\n")
    (bundle / "timeline.json").unlink()
    (bundle / "more.txt").write_text("x")
    assert vault.damage(bundle) == [
        "timeline.json is missing",
        "config.yaml was changed",
        "more.txt was added",
    ]
    (bundle / MANIFEST).write_text("{}")
    assert vault.damage(bundle) == [f"{MANIFEST} cannot be read"]


def test_each_sealing_is_a_bundle_of_its_own_and_a_half_written_one_is_none(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    first = vault.seal(file_of(), "", None, ()).path
    (tmp_path / "evidence" / "inc_1" / "2").mkdir()
    second = vault.seal(file_of(), "", None, ()).path
    assert [path.name for path in (first, second)] == ["1", "2"]
    assert vault.bundles("inc_1") == [first, second]
    assert vault.bundles("../x") == []


def test_what_is_old_or_too_much_goes_but_not_the_security_class(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    for number, security in ((1, False), (2, True), (3, False)):
        file = file_of(security=security, incident_id=f"inc_{number}")
        folder = vault.seal(file, "", None, ()).path.parent
        os.utime(folder, (number * 1000, number * 1000))
    assert vault.prune(1500, 1 << 30) == 1
    assert [len(vault.bundles(f"inc_{number}")) for number in (1, 2, 3)] == [0, 1, 1]
    assert vault.prune(0, 1) == 1
    assert [len(vault.bundles(f"inc_{number}")) for number in (2, 3)] == [1, 0]


def test_a_disk_that_refuses_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file")
    with pytest.raises(LedgerError, match="cannot seal evidence of inc_1"):
        Vault(tmp_path).seal(file_of(), "", None, ())


def test_recent_spans_are_bounded_in_bytes_and_age_and_found_by_trace() -> None:
    bodies = list(requests(story(), 0.5))
    recent = RecentSpans()
    for second, body in enumerate(bodies):
        recent.add(body, second * 10**9, max_bytes=1 << 30, window_ns=10**12)
    assert recent.held_bytes == sum(map(len, bodies))
    first = next(iter(recent.of_traces([])), None)
    assert first is None
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    span = ExportTraceServiceRequest.FromString(bodies[0]).resource_spans[0].scope_spans[0].spans[0]
    (found,) = recent.of_traces([span.trace_id.hex()])
    spans = found["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert [each["traceId"] for each in spans] == [span.trace_id.hex()]
    recent.add(bodies[-1], 10**18, max_bytes=1 << 30, window_ns=10**12)
    assert recent.held_bytes == len(bodies[-1])
    recent.add(bodies[-1], 10**18, max_bytes=len(bodies[-1]) - 1, window_ns=10**12)
    assert recent.held_bytes == 0


def test_the_ledger_gives_all_that_is_known_of_an_incident(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.record([event(), event()], [])
        found = ledger.incident_file(incident().id)
        assert found is not None
        assert [each["event"] for each in found["timeline"]] == [event().name.value] * 2
        assert ledger.incident_file("inc_none") is None
        audit = ledger.audit()
        assert audit["whole"]
        assert (audit["events"], audit["tip"]) == (2, found["timeline"][-1]["link"])


def test_sealing_again_writes_over_nothing_also_where_a_bundle_was_damaged(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    first, second = (vault.seal(file_of(), "a: 1\n", None, []) for _ in range(2))
    (first.path / MANIFEST).unlink()
    third = vault.seal(file_of(), "a: 2\n", None, [])
    assert third.path.name == "3"
    assert vault.damage(second.path) == []
    assert (second.path / "config.yaml").read_text() == "a: 1\n"
