"""Why the gate before the rollout missed it: three explanations, each with the figures.

The ledger does not know the gate's own result, so nothing here is a verdict. Each explanation
lists what speaks for it and what against it, and what a person has to look up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tripswitch.incidents.case import Case
from tripswitch.incidents.postmortem.figures import Figure
from tripswitch.incidents.values import lasted_text
from tripswitch.model.clocktext import NS_PER_MINUTE

_CONCENTRATED: Final = 2.0
"""A tenant with so many times its even share of the bad calls makes them its own."""

_BEHAVIOUR: Final = ("refusal_rate", "error_rate", "tokens_per_success", "p99_latency")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One explanation with its figures; ``ask`` is what the ledger cannot know.

    ``key`` names it where people answer in the file that they fill in.
    """

    key: str
    name: str
    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    ask: str


def explanations(case: Case, figures: tuple[Figure, ...]) -> tuple[Explanation, ...]:
    """Return the three explanations, and how long the live detection took as a fourth."""
    scores = [figure for figure in figures if figure.name.startswith("eval_score")]
    behaviour = [figure for figure in figures if figure.name in _BEHAVIOUR]
    return (
        _dataset(case, scores, behaviour),
        _judge(case, scores, behaviour),
        _threshold(figures),
        _delay(case, figures),
    )


def _dataset(case: Case, scores: list[Figure], behaviour: list[Figure]) -> Explanation:
    moved = [figure for figure in behaviour if figure.has_moved]
    still = [figure for figure in scores if not figure.has_moved]
    against: list[str] = []
    speaks_for = [
        f"{figure.sentence()}. A case set that only asks for scores has no case that notices."
        for figure in moved
    ]
    if moved and still:
        names = ", ".join(figure.label() for figure in still)
        speaks_for.append(f"{moved[0].label()} moved while {names} did not")
    for figure in scores:
        if figure.has_moved:
            wanted = figure.cases_to_see(figure.worse_by)
            speaks_for.append(
                f"the drop of {figure.label()} is visible with {wanted:,} cases a version like "
                "these calls (two-sided 5 %, power 90 %); a set of at least that size that shows "
                "nothing does not hold such calls"
            )
    total = sum(calls for _, calls in case.tenants)
    if len(case.tenants) > 1 and total:
        name, calls = case.tenants[0]
        share, even = calls / total, 1 / len(case.tenants)
        text = f"{name} has {100 * share:.0f} % of the bad calls of {len(case.tenants)} tenants"
        if share >= _CONCENTRATED * even:
            speaks_for.append(text + ": look for that tenant's kind of request in the case set")
        else:
            against.append(text + ": no single tenant's kind of request stands out")
    return Explanation(
        "dataset",
        "Dataset gap",
        tuple(speaks_for),
        tuple(against),
        "Which cases of the set are like the exemplar traces, and when were they last renewed?",
    )


def _judge(case: Case, scores: list[Figure], behaviour: list[Figure]) -> Explanation:
    speaks_for: list[str] = []
    against: list[str] = []
    moved = [figure for figure in behaviour if figure.has_moved]
    for figure in scores:
        if figure.has_moved:
            against.append(
                f"live, the judge saw it: {figure.sentence()} (95 % interval of the change "
                f"{figure.interval_text()})"
            )
        elif moved:
            speaks_for.append(
                f"behaviour changed ({moved[0].sentence()}), and the judge did not say so: "
                f"{figure.sentence()}"
            )
    if scores and any(figure.has_moved for figure in scores) and behaviour and not moved:
        speaks_for.append("scores moved and no behaviour did: the judge itself may have changed")
    if case.cause == "judge":
        speaks_for.append(case.cause_sentence)
    if not scores:
        speaks_for.append("no score of this scope was seen at all, so no judge could have noticed")
    return Explanation(
        "judge",
        "Judge calibration",
        tuple(speaks_for),
        tuple(against),
        "Is the judge's model and prompt the same offline and live, and when was it last compared "
        "with people's labels?",
    )


def _threshold(figures: tuple[Figure, ...]) -> Explanation:
    speaks_for: list[str] = []
    against: list[str] = []
    for figure in figures:
        if figure.page is None or not figure.is_sure:
            continue
        times = figure.worse_by / figure.page if figure.page > 0 else float("inf")
        line = figure.amount(figure.page)
        change = f"{figure.label()} got worse by {figure.amount(figure.worse_by)}"
        if times >= 1:
            against.append(f"{change}, {times:.1f} times the page line of {line}")
        else:
            speaks_for.append(f"{change}, only {100 * times:.0f} % of the page line of {line}")
    return Explanation(
        "threshold",
        "Threshold too loose",
        tuple(speaks_for),
        tuple(against),
        "What drop does the gate before the rollout allow, and on how many cases?",
    )


def _delay(case: Case, figures: tuple[Figure, ...]) -> Explanation:
    speaks_for: list[str] = []
    against: list[str] = []
    if case.paged_ns is not None:
        took_ns = case.paged_ns - case.onset_ns
        first = next((one for one in figures if one.name == case.signal), None)
        text = f"from the onset to the page it took {lasted_text(took_ns)}"
        if first is not None:
            text += f" at {first.per_minute:,.0f} values a minute of {first.label()}"
        (against if took_ns <= 15 * NS_PER_MINUTE else speaks_for).append(text)
    else:
        speaks_for.append("nothing paged")
    return Explanation(
        "detection",
        "Live detection too slow",
        tuple(speaks_for),
        tuple(against),
        "How long may a bad version serve before somebody has to know?",
    )
