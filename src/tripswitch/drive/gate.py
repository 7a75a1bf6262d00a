"""The gate: whether a prompt version may be promoted, from what is known of it and nothing else.

It passes only where every signal that matters was seen often enough that a change at its page line
would have been noticed by now, against a control or the version before, and none was. Whatever was
not seen, not compared, lost or rolled back is a no, with what is missing in words: a gate that
reads nothing is loud and never green.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tripswitch.drive.gate_proofs import (
    Proof,
    Question,
    State,
    ages_of,
    is_arm,
    proof_of,
    proof_of_leaf,
    unseen,
)

_MOST_LISTED: Final = 8
_MOVED: Final = ("planned", "acknowledged", "unknown", "confirmed")


_ORDER: Final = (State.REGRESSED, State.TELEMETRY_LOST, State.INSUFFICIENT, State.PASSED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate says. ``missing`` are sentences of what would have to be there to pass."""

    question: Question
    state: State
    sentence: str
    proofs: tuple[Proof, ...] = ()
    missing: tuple[str, ...] = ()
    judged_at: str | None = None
    incidents: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Return whether the version may be promoted."""
        return self.state is State.PASSED

    @property
    def is_final(self) -> bool:
        """Return whether waiting cannot help: it passed, or it is bad."""
        return self.state in (State.PASSED, State.REGRESSED)

    def as_json(self) -> dict[str, Any]:
        """Return it under fixed names."""
        asked = self.question
        return {
            "passed": self.passed,
            "state": self.state.value,
            "sentence": self.sentence,
            "route": asked.route,
            "prompt_version": asked.version,
            "cohort": asked.cohort or None,
            "against": asked.against or None,
            "judged_at": self.judged_at,
            "missing": list(self.missing),
            "signals": [proof.as_json() for proof in self.proofs],
            "incidents": list(self.incidents),
        }


def unreachable(question: Question, why: str) -> Answer:
    """Return the answer where nobody could be asked."""
    sentence = f"{question.version} is not let through: nobody could be asked. {why}"
    return Answer(question, State.UNREACHABLE, sentence, missing=(why,))


def answer_of(
    question: Question,
    explained: dict[str, Any],
    route: dict[str, Any] | None,
    incidents: list[dict[str, Any]],
) -> Answer:
    """Return the answer, from JSON as the API has it.

    ``explained`` is ``/v1/explain`` of the route, ``route`` is ``/v1/route`` of it (None where it
    is not known), ``incidents`` are the latest, open or not.
    """
    now = explained.get("now")
    if now is None:
        return _unknown(question, "nothing was judged yet: no telemetry has come", None)
    of_route = [one for one in explained["scopes"] if one["scope"]["route"] == question.route]
    found = [one for one in of_route if _is_asked(one["scope"], question)]
    arms = [one for one in found if is_arm(one["scope"])]
    if not arms:
        return _unknown(question, _nothing_of_it(explained, of_route), now)
    ages = ages_of(route)
    proofs = [
        proof_of(question, arm, signal, ages, of_route) for arm in arms for signal in arm["signals"]
    ]
    proofs += [
        proof_of_leaf(leaf, signal)
        for leaf in found
        if not is_arm(leaf["scope"])
        for signal in leaf["signals"]
        if signal["finding"] == "regressed"
    ]
    for arm in arms:
        proofs += unseen(question, arm)
    told = _incidents(question, incidents)
    if explained.get("left_out_scopes"):
        left = f"{explained['left_out_scopes']} scopes of the route are too many to be read"
        told.append((State.INSUFFICIENT, left))
    states = {proof.state for proof in proofs} | {state for state, _ in told}
    state = next((one for one in _ORDER if one in states), State.INSUFFICIENT)
    missing = tuple(
        dict.fromkeys(
            [sentence for _, sentence in told]
            + [
                sentence
                for proof in proofs
                if proof.state is not State.PASSED
                for sentence in proof.missing
            ]
        )
    )
    return Answer(
        question,
        state,
        _sentence(question, state, proofs, [sentence for _, sentence in told], missing),
        tuple(sorted(proofs, key=lambda one: (_ORDER.index(one.state), one.scope, one.signal))),
        missing,
        now,
        tuple(sentence for _, sentence in told),
    )


def _is_asked(scope: dict[str, str | None], question: Question) -> bool:
    return scope["prompt_version"] == question.version and (
        not question.cohort or scope["cohort"] == question.cohort
    )


def _unknown(question: Question, why: str, now: str | None) -> Answer:
    sentence = f"{_who(question)} is not let through: {why}"
    return Answer(question, State.UNKNOWN, sentence, missing=(why,), judged_at=now)


def _who(question: Question) -> str:
    cohort = f" in cohort {question.cohort}" if question.cohort else ""
    return f"{question.version} of {question.route}{cohort}"


def _nothing_of_it(explained: dict[str, Any], of_route: list[dict[str, Any]]) -> str:
    """Return in words that the version is not seen, and what is."""
    if explained.get("left_out_scopes"):
        return f"{explained['left_out_scopes']} scopes of the route are too many to be read"
    if not of_route:
        known = ", ".join(str(one) for one in explained.get("routes", [])[:_MOST_LISTED])
        return f"no calls of this route were judged lately (known are: {known or 'none'})"
    seen = sorted(
        {
            (one["scope"]["prompt_version"] or "-")
            + (f" in {one['scope']['cohort']}" if one["scope"]["cohort"] else "")
            for one in of_route
            if is_arm(one["scope"])
        }
    )
    return f"it is not seen there (seen are: {', '.join(seen[:_MOST_LISTED])})"


def _incidents(question: Question, incidents: list[dict[str, Any]]) -> list[tuple[State, str]]:
    """Return what incidents say against the version, each with how bad that is."""
    found = []
    for one in incidents:
        scope = one["scope"]
        is_open = one["state"] == "open"
        opened = f"{one['id']} is open: {one['why']}"
        if scope["route"] is None:
            if is_open and one["severity"] == "page":
                found.append((State.INSUFFICIENT, opened))
            continue
        is_cohort = not question.cohort or scope["cohort"] in (None, question.cohort)
        if scope["route"] != question.route or not is_cohort:
            continue
        if is_open and scope["prompt_version"] in (None, question.version):
            found.append((State.REGRESSED, opened))
        else:
            found += [(State.REGRESSED, said) for said in _rolled_back(question, one)]
    return found


def _rolled_back(question: Question, incident: dict[str, Any]) -> list[str]:
    """Return that an incident rolled the version back, and that it stands; at most once."""
    return [
        f"{question.version} was rolled back to {plan['to']} by {plan['target']} in "
        f"{incident['id']} ({plan['state']}), and nobody let it serve again"
        for plan in [incident["rollback"], *incident["rollbacks"]]
        if plan and plan["from"] == question.version and plan["state"] in _MOVED
    ][:1]


def _sentence(
    question: Question,
    state: State,
    proofs: list[Proof],
    told: list[str],
    missing: tuple[str, ...],
) -> str:
    who = _who(question)
    if state is State.PASSED:
        proven = sum(not proof.sentence.startswith("not asked for") for proof in proofs)
        return f"{who} may be promoted: {proven} signals are well, with enough evidence"
    if state is State.REGRESSED:
        bad = [proof.sentence for proof in proofs if proof.state is State.REGRESSED]
        return f"{who} is not let through: {(bad + told)[0]}"
    if state is State.TELEMETRY_LOST:
        return f"{who} is not let through: telemetry is being lost, so nothing can be said"
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    return f"{who} is not let through yet: {missing[0] if missing else 'nothing is proven'}{more}"
