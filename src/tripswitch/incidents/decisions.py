"""What became of every rollback that was decided on: whether it was right, target by target.

A target that only observes or proposes is scored like one that acts: its decision was right when
the same move was made, by an approval or by another hand, and the signal came back. That share is
what a person looks at before letting a target act by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tripswitch.model.incident import Incident, RollbackPlan, RollbackState

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAKEN_BACK: Final = (RollbackState.UNDOING, RollbackState.UNDONE, RollbackState.REVERTED)
_NOT_MADE: Final = (RollbackState.PROPOSED, RollbackState.WITHHELD, RollbackState.EXPIRED)
_UNTOLD: Final = (RollbackState.FAILED, RollbackState.UNKNOWN)

ENDS: Final[dict[str, str]] = {
    "right": "moved and the signal came back",
    "refused": "a person refused it",
    "taken_back": "it was taken back",
    "no_help": "moved and the signal stayed bad",
    "not_needed": "the signal came back without it",
    "untold": "the target failed or gave no answer, which tells nothing of the decision",
    "open": "not known yet",
}
"""How a decision ends, in words. The first was right, the next four were not."""

MOST_SCORED: Final = 1000
"""Latest incidents that are scored."""

_WRONG: Final = ("refused", "taken_back", "no_help", "not_needed")


def decisions_of(incidents: Iterable[Incident]) -> dict[str, Any]:
    """Return the score of each target as JSON, in the order of the alphabet.

    ``right_share`` is the share of right decisions among those whose end is known, 0..1, null where
    none is; a target's ``sentence`` says it with the numbers.
    """
    scores: dict[str, Counter[str]] = {}
    for incident in incidents:
        for plan in (*incident.rollbacks, incident.rollback):
            if plan is not None and not plan.undoes:
                score = scores.setdefault(plan.target, Counter())
                score[_end_of(plan, incident)] += 1
                score["by_itself"] += _went_by_itself(plan)
    return {"targets": [_as_json(name, scores[name]) for name in sorted(scores)]}


def _end_of(plan: RollbackPlan, incident: Incident) -> str:
    is_back = incident.recovered_at_ns is not None
    if plan.state is RollbackState.REJECTED:
        return "refused"
    if plan.state in _TAKEN_BACK:
        return "taken_back"
    if plan.state in _UNTOLD:
        return "untold"
    if plan.state in _NOT_MADE:
        return "not_needed" if is_back else "open"
    if plan in incident.rollbacks:
        # Another rung followed it.
        return "no_help"
    moved = plan.state in (RollbackState.CONFIRMED, RollbackState.RELEASED)
    return "right" if moved and is_back else "open"


def _went_by_itself(plan: RollbackPlan) -> bool:
    asked = (*_NOT_MADE, RollbackState.REJECTED)
    return plan.mode == "auto" and not plan.decided_by and plan.state not in asked


def _as_json(target: str, score: Counter[str]) -> dict[str, Any]:
    right, wrong = score["right"], sum(score[end] for end in _WRONG)
    known = right + wrong
    total = sum(score[end] for end in ENDS)
    share = right / known if known else None
    if share is None:
        sentence = f"{target}: {total} decided on, none with a known end yet"
    else:
        parts = [f"{score[end]} where {ENDS[end]}" for end in _WRONG if score[end]]
        sentence = (
            f"{target}: {right} of {known} rollbacks decided on were right ({100 * share:.0f} %)"
            + (f"; {', '.join(parts)}" if parts else "")
        )
    return {
        "target": target,
        "decisions": total,
        "by_itself": score["by_itself"],
        "ends": {end: score[end] for end in ENDS},
        "right_share": share,
        "sentence": sentence,
    }
