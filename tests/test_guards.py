"""Every guard of a rollback has a test of its own, and the table of them names what is there.

The numbers are those of docs/guards.md: a guard that is added there without a test fails here, and
so does a test that is renamed.
"""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]

_ALONE: Final = "incidents.test_plan:test_a_guard_alone_holds_it_back"
_NOTHING: Final = "incidents.test_plan:test_nothing_is_planned_where_nothing_can_be_blamed"

TESTS: Final[dict[int, tuple[str, ...]]] = {
    1: (_NOTHING,),
    2: (_NOTHING,),
    3: (
        "detect.test_evidence:test_null_scores_cross_no_more_than_their_budget",
        "detect.test_evidence:test_null_scores_beside_a_control_cross_no_more_than_their_budget",
    ),
    4: (_ALONE,),
    5: (_ALONE,),
    6: (_ALONE,),
    7: (
        "incidents.test_plan:test_what_was_beyond_its_line_before_the_version_came_waits_for_a_person",
    ),
    8: (
        _ALONE,
        "incidents.test_plan:test_moving_a_whole_route_is_proposed",
        "test_engine_incidents:test_the_kill_switch_holds_an_approval_back",
        "actions.test_executor:test_the_kill_switch_holds_between_two_attempts",
    ),
    9: (
        "actions.test_rehearsal:test_a_dry_run_is_the_literal_request_in_words",
        "actions.rollback.test_pointers:test_the_dry_run_is_what_is_sent_and_shows_no_secret",
        "incidents.test_decisions:test_a_decision_ends_by_what_became_of_it",
    ),
    10: (
        _ALONE,
        "actions.rollback.test_pointers:test_a_version_that_the_registry_does_not_hold_is_refused_by_name",
    ),
    11: (
        _ALONE,
        "incidents.test_plan:test_what_expired_or_was_released_may_go_and_a_release_makes_another_key",
    ),
    12: (_ALONE, "incidents.test_plan:test_moving_a_whole_route_is_proposed"),
    13: (
        _ALONE,
        "actions.test_executor:test_two_executors_on_one_ledger_send_each_effect_once",
        "actions.rollback.test_pointers:test_a_pointer_that_a_person_moved_is_left_alone",
    ),
    14: (
        _ALONE,
        "incidents.test_plan:test_a_freeze_that_is_over_or_of_another_route_holds_nothing_back",
        "actions.rollback.test_pointers:test_a_write_that_is_refused",
    ),
    15: ("incidents.test_plan:test_a_guardrail_is_loosened_by_a_person_only",),
    16: (
        "actions.test_crash:test_a_pointer_is_moved_once_whenever_its_mover_dies",
        "actions.test_executor:test_a_call_that_may_have_acted_is_not_made_again",
        "actions.test_executor:test_a_lost_answer_is_read_back_and_found_applied",
    ),
    17: (
        "actions.rollback.test_pointers:test_probe_reads_with_the_credentials_and_writes_nothing",
        "actions.rollback.test_pointers:test_no_answer_gives_a_secret_away",
    ),
    18: (
        "incidents.test_plan:test_a_target_is_asked_once_for_a_version_and_then_the_next_one",
        "test_engine_incidents:test_a_target_that_did_not_act_makes_way_for_the_next",
    ),
    19: (
        "test_engine_incidents:test_an_undo_goes_the_way_back_and_the_version_stays_a_persons_matter",
        "actions.rollback.test_pointers:test_an_undo_leaves_alone_what_a_person_moved_since",
    ),
    20: ("test_engine_incidents:test_somebody_elses_undoing_is_told_and_not_fought",),
    21: (
        "test_engine_incidents:test_an_answer_that_the_spans_belie_is_no_recovery_and_climbs_the_ladder",
        "incidents.test_recovery:test_a_drop_that_is_still_there_is_never_called_recovered",
    ),
    22: ("test_engine_incidents:test_a_rollback_that_does_not_help_was_the_wrong_cause",),
    23: (
        _ALONE,
        "incidents.test_recovery:test_a_bad_stretch_starts_the_window_anew",
    ),
    24: (
        _ALONE,
        "test_engine_incidents:test_a_released_version_may_be_rolled_back_anew",
        "test_engine_incidents:test_what_a_person_rejected_is_not_proposed_again",
    ),
    25: (
        "store.test_chain:test_every_send_and_answer_of_a_rollback_is_a_link",
        "store.test_chain:test_an_answer_that_was_edited_or_removed_shows",
    ),
    26: (
        "actions.test_executor:test_while_the_ledger_refuses_nothing_is_sent_and_no_answer_is_lost",
        "drive.test_judge:test_what_the_ledger_refuses_is_kept_until_it_takes_it",
        "drive.test_supervisor:test_a_judge_that_says_nothing_is_killed_and_replaced",
    ),
    27: (
        "actions.notify.test_alertmanager:test_an_alert_outlives_a_restart_of_the_server_and_the_heart_beats",
    ),
}


@pytest.mark.parametrize("number", range(1, 28))
def test_each_guard_has_its_tests(number: int) -> None:
    for named in TESTS[number]:
        module, _, name = named.partition(":")
        assert callable(getattr(importlib.import_module(f"tests.{module}"), name)), named


def test_the_page_has_each_guard_once() -> None:
    text = (ROOT / "docs" / "guards.md").read_text("utf-8")
    assert [int(one) for one in re.findall(r"^(\d+)\. ", text, re.MULTILINE)] == list(TESTS)
