"""What changed is noticed whatever else is seen, and what is written of it is bounded."""

from __future__ import annotations

from tripswitch.config.model import Config
from tripswitch.engine import Engine
from tripswitch.incidents import changes
from tripswitch.incidents.changes import ChangeLog
from tripswitch.incidents.news import MOST_CHANGES_A_MINUTE
from tripswitch.model.calls import Score
from tripswitch.model.clocktext import NS_PER_MINUTE
from tripswitch.model.incident import Change
from tripswitch.model.scope import Scope
from tripswitch.model.scores import Scores

SCOPE = Scope("/chat/refund", "refund-bot", "v18", "canary")


def seen(log: ChangeLog, *rubrics: str) -> list[str]:
    """Let scores of ``rubrics`` be seen; return what changed."""
    scores = [
        Score("0" * 32, "0" * 16, SCOPE, None, rubric, 0.9, 5, -1, "eval_score")
        for rubric in rubrics
    ]
    return [change.after for change in log.see_rubrics(Scores.of(scores))]


def test_an_evaluator_that_speaks_in_another_version_is_a_change() -> None:
    log = ChangeLog()
    assert seen(log, "faithfulness (1)", "tone") == []
    assert seen(log, "faithfulness (2)") == ["faithfulness (2)"]
    assert seen(log, "faithfulness (2)") == []


def test_a_flood_of_names_does_not_blind_to_it() -> None:
    log = ChangeLog()
    seen(log, "faithfulness (1)")
    for number in range(changes._MOST_RUBRICS + 10):
        seen(log, f"made-up-{number}", "faithfulness (1)")
    assert len(log._rubrics) == changes._MOST_RUBRICS
    assert seen(log, "faithfulness (2)") == ["faithfulness (2)"]


def test_of_a_flood_of_changes_only_so_many_are_written_down() -> None:
    engine = Engine(Config())
    flood = [Change("deployment", 5, SCOPE, None, f"r{number}") for number in range(500)]
    assert len(engine.take_changes(flood)) == MOST_CHANGES_A_MINUTE
    assert engine.counters()["incidents_untold_changes_total"] == 500 - MOST_CHANGES_A_MINUTE
    # Triage knows of the latest all the same.
    assert engine.changes.before(SCOPE, 6)[0].kind == "deployment"
    engine.now_ns = NS_PER_MINUTE
    assert len(engine.take_changes(flood[:5])) == 5
