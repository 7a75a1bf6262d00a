"""What a flag's targeting gives to whom, and the same rule with one outcome put in another's place.

Rules are JsonLogic as flagd reads it: ``if`` chains and ``fractional`` splits of variants, null or
no rule for the default variant. Source: flagd, "Flag Definitions" and "Fractional Operation".
Everything here is pure; a rule that cannot be followed is `UnreadableRuleError`, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Rule: TypeAlias = Any
"""JSON as it stands in the file."""

_MAX_DEPTH = 40


class UnreadableRuleError(Exception):
    """The rule is of a form that is not followed here; the text says which."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Whose outcome is looked at: those whose context ``key`` is ``cohort``; None for everybody."""

    key: str
    cohort: str | None


def outcomes(rule: Rule, whom: Whom) -> set[str | None]:
    """Return every variant that ``whom`` may get; None stands for the default variant."""
    found: set[str | None] = set()
    # An empty rule is none, but only as the whole: inside another it is no variant.
    _walk(None if rule == {} else rule, whom, found, 0)
    return found


def put_back(rule: Rule, whom: Whom, bad: frozenset[str | None], good: str) -> Rule:
    """Return the rule that gives ``whom`` the variant ``good`` wherever it gave a ``bad`` one.

    Nobody else's outcome changes: where a branch serves others too, a branch for ``whom`` alone
    goes in front.
    """
    rule = None if rule == {} else rule
    if whom.cohort is None:
        return _replaced(rule, bad, good)
    inside = _replaced_for(rule, whom, bad, good)
    if not outcomes(inside, whom) & bad:
        return inside
    own = _replaced(rule, bad, good)
    if outcomes(own, whom) == {good}:
        own = good
    only = {"==": [{"var": whom.key}, whom.cohort]}
    return {"if": [only, own, *(_arguments(rule) if _is(rule, "if") else [rule])]}


def _walk(rule: Rule, whom: Whom, found: set[str | None], depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise UnreadableRuleError("its targeting is nested too deep")
    if rule is None:
        found.add(None)
    elif isinstance(rule, bool):
        found.add("true" if rule else "false")
    elif isinstance(rule, str):
        found.add(rule)
    elif _is(rule, "if"):
        for condition, result in _branches(_arguments(rule)):
            holds = True if condition is _ELSE else _holds(condition, whom)
            if holds is not False:
                _walk(result, whom, found, depth + 1)
            if holds:
                return
        found.add(None)
    elif _is(rule, "fractional"):
        for share in _shares(rule):
            _walk(share[0], whom, found, depth + 1)
    else:
        raise UnreadableRuleError("its targeting is no chain of if and fractional")


def _replaced(rule: Rule, bad: frozenset[str | None], good: str) -> Rule:
    """Replace every outcome, whoever gets it."""
    if rule is None:
        return good if None in bad else rule
    if isinstance(rule, str | bool):
        return good if (str(rule).lower() if isinstance(rule, bool) else rule) in bad else rule
    if _is(rule, "if"):
        arguments = _arguments(rule)
        new = [
            part
            for condition, result in _branches(arguments)
            for part in (
                [_replaced(result, bad, good)]
                if condition is _ELSE
                else [condition, _replaced(result, bad, good)]
            )
        ]
        if len(arguments) % 2 == 0 and None in bad:
            new.append(good)
        return {"if": new}
    shares = _shares(rule)
    seed = [each for each in _arguments(rule) if not isinstance(each, list)]
    return {"fractional": [*seed, *([_replaced(s[0], bad, good), *s[1:]] for s in shares)]}


def _replaced_for(rule: Rule, whom: Whom, bad: frozenset[str | None], good: str) -> Rule:
    """Replace outcomes only in the branches that nobody but ``whom`` gets into."""
    if not _is(rule, "if"):
        return rule
    new: list[Rule] = []
    for condition, result in _branches(_arguments(rule)):
        if condition is _ELSE:
            new.append(result)
        elif _is_only(condition, whom):
            new += [condition, _replaced(result, bad, good)]
        else:
            new += [condition, result]
    return {"if": new}


_ELSE = object()


def _branches(arguments: list[Rule]) -> list[tuple[Any, Rule]]:
    pairs: list[tuple[Any, Rule]] = list(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2:
        pairs.append((_ELSE, arguments[-1]))
    return pairs


def _holds(condition: Rule, whom: Whom) -> bool | None:
    """Return whether a condition holds for ``whom``; None when that depends on something else."""
    if isinstance(condition, bool):
        return condition
    named = _cohorts_named(condition, whom.key)
    if whom.cohort is None or named is None:
        return None
    return whom.cohort in named


def _is_only(condition: Rule, whom: Whom) -> bool:
    return _cohorts_named(condition, whom.key) == {whom.cohort}


def _cohorts_named(condition: Rule, key: str) -> set[str] | None:
    """Return the cohorts that a condition on the cohort alone lets in, None for another one."""
    variables = ({"var": key}, {"var": [key]})
    for name in ("==", "==="):
        if _is(condition, name):
            sides = _arguments(condition)
            texts = [side for side in sides if isinstance(side, str)]
            if len(sides) == 2 and len(texts) == 1 and any(v in sides for v in variables):
                return set(texts)
    if _is(condition, "in"):
        sides = _arguments(condition)
        if len(sides) == 2 and sides[0] in variables and isinstance(sides[1], list):
            texts = [each for each in sides[1] if isinstance(each, str)]
            return set(texts) if len(texts) == len(sides[1]) else None
    return None


def _shares(rule: Rule) -> list[list[Rule]]:
    if not _is(rule, "fractional"):
        raise UnreadableRuleError("its targeting is no chain of if and fractional")
    shares = [each for each in _arguments(rule) if isinstance(each, list)]
    if not shares or not all(shares):
        raise UnreadableRuleError("a fractional rule in it has no shares")
    return shares


def _is(rule: Rule, name: str) -> bool:
    return isinstance(rule, dict) and set(rule) == {name}


def _arguments(rule: Rule) -> list[Rule]:
    arguments = next(iter(rule.values()))
    return arguments if isinstance(arguments, list) else [arguments]
