"""The postmortem's content: every figure from the ledger, every item with its loop."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.incidents.cases import MINUTE_NS, TRACES, case, document, points, signal
from tests.store.samples import NOW_NS, SCOPE
from tripswitch.errors import ConfigError
from tripswitch.incidents.case import Case, case_of
from tripswitch.incidents.postmortem.actions import drafted_actions
from tripswitch.incidents.postmortem.document import (
    Postmortem,
    PostmortemSettings,
    postmortem_of,
)
from tripswitch.incidents.postmortem.figures import figures_of, served_while_bad, share_of_traffic
from tripswitch.incidents.postmortem.filled_in import (
    FilledIn,
    filled_in_of,
    missing_items,
    new_file,
)
from tripswitch.incidents.postmortem.gate import explanations
from tripswitch.model.drift import DriftSignal

SETTINGS = PostmortemSettings()
REFUSALS = signal("refusal_rate", unit="share", usual=0.04, good=0.04, bad=0.22, n=260)


def made(of: Case, filled: FilledIn | None = None, **more: Any) -> Postmortem:
    return postmortem_of(of, filled or FilledIn(), SETTINGS, **more)


def items(*signals: DriftSignal, **changes: Any) -> dict[str, str]:
    of = case(*signals, **changes)
    drafted = drafted_actions(of, figures_of(of), 1e-3)
    return {item.key: f"{item.title}. {item.detail}" for item in drafted}


def test_figures_are_those_of_the_bad_minutes_against_the_same_minutes() -> None:
    of = case(signal(bad_minutes=5))
    (figure,) = figures_of(of)
    # Onset and rollback are three minutes apart; the last of them is not whole.
    assert figure.value == pytest.approx(0.81)
    assert figure.usual == pytest.approx(0.9, abs=0.005)
    assert figure.worse_by == pytest.approx(0.09, abs=0.005)
    assert figure.page == pytest.approx(0.05)
    assert figure.n == figure.usual_n == 600
    assert figure.has_moved
    assert figure.half_width == pytest.approx(1.96 * (2 * 0.25**2 / 600) ** 0.5, rel=0.02)


def test_a_share_of_which_none_was_seen_is_not_certain_to_be_nothing() -> None:
    none = signal("error_rate", unit="share", usual=0.0, good=0.0, bad=0.0)
    (figure,) = figures_of(case(none))
    low, high = (float(one.removesuffix(" points")) for one in figure.interval_text().split(" to "))
    assert low < 0 < high


def test_scatter_has_not_moved() -> None:
    (figure,) = figures_of(case(signal(bad=0.895)))
    assert not figure.has_moved
    (unlined,) = figures_of(case(replace(signal(bad=0.885, n=50), usual=None)))
    assert not unlined.has_moved


def test_without_a_reference_the_usual_value_counts() -> None:
    alone = replace(signal(), series=signal().series[:2])
    (figure,) = figures_of(case(alone))
    assert (figure.usual, figure.usual_n) == (0.9, 0)
    assert "against the usual 0.900" in figure.sentence()


def test_share_and_answers_are_counted_while_it_was_bad() -> None:
    of = case(signal(), REFUSALS)
    assert share_of_traffic(of) == pytest.approx(0.5)
    assert served_while_bad(of) == 3 * 260


def test_sections_hold_what_the_ledger_says() -> None:
    doc = made(case())
    assert doc.title == (
        "Postmortem: faithfulness down 9.0 points on /chat/refund refund-bot v18 cohort canary"
    )
    assert doc.pinned is not None
    assert doc.pinned.trace_id == TRACES[0]
    assert [row.what for row in doc.timeline] == [
        *("change seen", "onset", "incident opened", "incident escalated", "rollback planned"),
        *("rollback acknowledged", "rollback confirmed", "incident recovered"),
    ]
    assert [row.signal for row in doc.cause.versions] == ["faithfulness", "refusal rate"]
    assert (doc.cause.bad, doc.cause.good) == ("v18", "v17")
    facts = {fact.name: fact.value for fact in doc.facts}
    assert facts["Draft due"] == "2026-11-26 02:11:41 UTC"
    assert facts["To be published by"] == "2026-12-01 02:11:41 UTC"
    assert facts["Paged"].endswith("(2 min 10 s after the onset)")
    assert [chart.file for chart in doc.charts] == ["drift.svg", "drift-2.svg"]


def test_an_open_incident_is_told_as_open() -> None:
    doc = made(case(recovered_at_ns=None))
    assert not doc.is_over
    assert any("has not recovered yet" in sentence for sentence in doc.summary)


def test_the_prompts_difference_is_shown_where_there_is_one() -> None:
    assert made(case()).cause.diff is None
    diff = made(case(), prompts=("be kind\nquote", "be strict\nquote")).cause.diff
    assert diff is not None
    assert ("+", "be strict") in [(line.kind, line.text) for line in diff]


def gate(*signals: DriftSignal, **changes: Any) -> dict[str, tuple[str, str]]:
    of = case(*signals, **changes)
    return {
        one.name: (" ".join(one.speaks_for), " ".join(one.speaks_against))
        for one in explanations(of, figures_of(of))
    }


def test_gate_scores_that_fell_speak_for_the_judge_and_against_a_loose_line() -> None:
    found = gate(signal(), REFUSALS)
    assert "the judge saw it" in found["Judge calibration"][1]
    assert found["Judge calibration"][0] == ""
    assert "1.8 times the page line of 5.0 points" in found["Threshold too loose"][1]
    assert "A case set that only asks for scores" in found["Dataset gap"][0]


def test_gate_refusals_that_moved_while_scores_did_not() -> None:
    found = gate(signal(bad=0.9), REFUSALS)
    assert "refusal rate moved while faithfulness did not" in found["Dataset gap"][0]
    assert "the judge did not say so" in found["Judge calibration"][0]


def test_gate_a_drop_below_the_line_speaks_for_a_loose_one() -> None:
    found = gate(signal(bad=0.86, n=600))
    assert "only 8" in found["Threshold too loose"][0]
    assert "% of the page line of 5.0 points" in found["Threshold too loose"][0]


def test_gate_one_tenants_calls_speak_for_a_gap() -> None:
    many = gate(signal(), tenants=(("acme", 90), ("globex", 5), ("initech", 5)))
    assert "acme has 90 % of the bad calls" in many["Dataset gap"][0]
    even = gate(signal(), tenants=(("acme", 35), ("globex", 33), ("initech", 32)))
    assert "no single tenant" in even["Dataset gap"][1]


def test_gate_slow_detection_speaks_for_itself() -> None:
    slow = gate(signal(), onset_ns=NOW_NS - 120 * MINUTE_NS)
    assert "2 h" in slow["Live detection too slow"][0]
    assert gate(signal())["Live detection too slow"][0] == ""


def test_items_close_the_loop_with_numbers() -> None:
    found = items(signal(), REFUSALS)
    assert list(found) == ["cases", "gate", "canary-share"]
    assert all(trace in found["cases"] for trace in TRACES)
    assert "faithfulness falls by more than 4.5 points (half of the 9.0 points" in found["gate"]
    assert "cases a version" in found["gate"]


def test_items_tighten_a_line_that_a_real_drop_stayed_below() -> None:
    found = items(signal(bad=0.86, n=900))
    text = found["page-line-eval_score:faithfulness"]
    assert "Tighten the page line of faithfulness to 2.0 points" in text
    assert "lower it by 3.0 points" in text


def test_items_never_put_a_line_into_the_scatter() -> None:
    loose = items(signal(bad=0.87, n=300))
    text = loose.get("page-line-eval_score:faithfulness", "")
    noise = 100 * 3 * (2 * 0.25**2 / (15 * 300)) ** 0.5
    if text:
        assert f"to {max(1.5, noise):.1f} points" in text


def test_items_say_what_share_a_canary_needs() -> None:
    said = items(signal(n=60))["canary-share"]
    # 3 ln(1000) 2 0.0625 / 0.05^2 = 1036 values at 60 a minute: 17.3 min at half of the traffic.
    assert "(at the page line) in about 18 min" in said
    assert "score every call of the canary" in said
    plenty = items(signal(n=300), REFUSALS)["canary-share"]
    assert "Keep the canary's share at 50 %" in plenty


def test_items_ask_why_a_rollback_did_not_go() -> None:
    from tests.store.samples import plan
    from tripswitch.model.incident import RollbackState

    held = plan(state=RollbackState.WITHHELD, reason="the kill switch is on")
    assert "the kill switch is on" in items(signal(), rollback=held)["rollback"]
    assert "Configure a rollback" in items(signal(), rollback=None)["rollback"]


def test_final_is_refused_for_each_thing_that_is_missing() -> None:
    doc = made(case(), is_final=True)
    assert len(doc.problems()) == len(doc.actions)
    assert all("without an owner" in problem for problem in doc.problems())
    owners = [{"key": item.key, "owner": "eval-owner"} for item in doc.drafted]
    assert made(case(), filled_in_of({"actions": owners}, "x")).problems() == []
    own = filled_in_of({"actions": [*owners, {"key": "mine", "title": "More"}]}, "x")
    assert made(case(), own).problems() == [
        "mine: without an owner and a due date and a loop it closes (More)"
    ]


def test_what_people_filled_in_wins_and_what_they_drop_is_named() -> None:
    filled = filled_in_of(
        {
            "root_cause": "The new prompt asks for a form.",
            "lessons": ["Ask the support desk first."],
            "actions": [
                {"key": "cases", "owner": "eval-owner", "due": "2026-12-24"},
                {"key": "gate", "drop": "the gate goes away"},
            ],
        },
        "x",
    )
    doc = made(case(), filled)
    cases = next(item for item in doc.actions if item.key == "cases")
    assert (cases.owner, cases.due) == ("eval-owner", "2026-12-24")
    assert cases.loop == "production traces to offline cases"
    assert "gate" not in [item.key for item in doc.actions]
    assert doc.dropped == (
        ("Make the gate before a rollout fail on what happened here", "the gate goes away"),
    )
    assert doc.root_cause == "The new prompt asks for a form."
    assert doc.lessons[0] == "Ask the support desk first."


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"actions": [{"key": "a", "due": "soon"}]}, "2026-11-27"),
        ({"actions": [{"key": "a", "ownr": "x"}]}, "ownr"),
        ({"root_casue": "x"}, "root_casue"),
        ([1], "filled-in.yaml"),
    ],
)
def test_a_bad_file_is_refused_in_words(content: Any, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        filled_in_of(content, "filled-in.yaml")


def test_a_new_file_holds_every_item_and_no_more_are_missing() -> None:
    import yaml

    doc = made(case())
    text = new_file("inc-1", doc.drafted)
    read = filled_in_of(yaml.safe_load(text), "x")
    assert [one.key for one in read.actions] == [item.key for item in doc.drafted]
    assert missing_items(read, doc.drafted) == []
    assert made(case(), read) == doc


def test_triage_and_confirmations_are_told_where_the_ledger_has_them() -> None:
    told = document()
    told["incident"] |= {
        "triage": {
            "cause": "our_change",
            "sentence": "v18 came with the onset",
            "traces": [
                {
                    "trace_id": TRACES[0],
                    "role": "bad",
                    "facts": {"finish_reasons": "refusal", "output_tokens": "12"},
                },
                {"trace_id": "f" * 32, "role": "contrast", "facts": {}},
            ],
            "recommended": {"path": "cohort", "why": "one cohort has it"},
        },
        "acknowledged": {"by": "eval-owner", "at": "2026-11-24T01:58:00.000Z"},
        "confirmations": [
            {
                "what": "fix_in_review",
                "by": "release-captain",
                "link": "https://example.com/1",
                "at": "x",
            }
        ],
        "waiver": {"what": "waiver", "by": "release-captain", "note": "no fix needed"},
    }
    doc = made(case_of(told))
    assert "Triage: v18 came with the onset" in doc.cause.sentences
    assert doc.pinned is not None
    assert doc.pinned.facts == ("finish reasons refusal", "output tokens 12")
    assert doc.contrast is not None
    assert [one.what for one in doc.told] == ["acknowledged", "fix in review"]
    assert (
        "waived: no fix needed (release-captain)"
        in {fact.name: fact.value for fact in doc.facts}["State"]
    )


def test_a_case_of_an_older_ledger_is_told_without_what_it_lacks() -> None:
    told = document()
    bare = {"incident": told["incident"] | {"changes": [], "tenants": [], "rollback": None}}
    doc = made(case_of(bare))
    assert doc.charts == ()
    assert doc.cause.versions == ()
    assert [item.key for item in doc.actions] == ["cases", "rollback"]


def test_a_hole_in_the_arm_does_not_stretch_its_minutes() -> None:
    from tripswitch.model.drift import DriftSeries

    one = signal()
    first = one.series[0].points[0].minute
    holed = DriftSeries("arm", SCOPE, points(first, [0.81, None, 0.81], 100.0))
    (figure,) = figures_of(case(replace(one, series=(holed, *one.series[1:]))))
    assert figure.per_minute == pytest.approx(100.0)
