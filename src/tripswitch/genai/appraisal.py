"""What evaluations mean: a rubric's score, a refusal, a guardrail's verdict.

The one place where an evaluation as it was sent (`tripswitch.genai.sightings.Evaluation`) is
weighed: its purpose, range and direction, by configuration, by its name, and by what was learnt.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from tripswitch.config.evaluations_section import EvaluationRule
from tripswitch.genai import evaluations as names
from tripswitch.genai.guards import evaluated, is_guard_name
from tripswitch.genai.score_ranges import ScoreRange, ScoreRanges
from tripswitch.genai.spellings import folded
from tripswitch.model.calls import Eval, Guardrail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.evaluations_section import EvaluationKind
    from tripswitch.config.model import Config
    from tripswitch.genai.sightings import Evaluation

_MAX_NAMES_REMEMBERED: Final = 1024
_MOST_VERSIONS: Final = 8
# Of an evaluation that is about nothing else.
_RUBRICS: Final = ("auto", "rubric")
_NO_RULE: Final = EvaluationRule()
# What a named tuple's class does when called, without the call in between.
_new_tuple: Final = tuple.__new__


class Appraised:
    """What the evaluations of one call say together.

    ``rubrics`` are (name, score 0..1 with higher better); ``refusal`` is None unless an evaluation
    is about refusing, ``refusal_kind`` unless one says whether refusing was right. ``pii_leak`` and
    ``prompt_injection`` say whether it happened, None unless an evaluation looked.
    """

    __slots__ = (
        "evals",
        "guardrails",
        "pii_leak",
        "prompt_injection",
        "refusal",
        "refusal_kind",
        "rubrics",
    )

    def __init__(
        self,
        evals: list[Eval] | None = None,
        rubrics: list[tuple[str, float]] | None = None,
        *,
        pii_leak: bool | None = None,
        prompt_injection: bool | None = None,
    ) -> None:
        self.evals = [] if evals is None else evals
        self.rubrics = [] if rubrics is None else rubrics
        self.refusal: bool | None = None
        self.refusal_kind: str | None = None
        self.pii_leak = pii_leak
        self.prompt_injection = prompt_injection
        # Few calls have any.
        self.guardrails: Sequence[Guardrail] = ()


class _Named(NamedTuple):
    """What is known of an evaluation by its name alone: the rubric's name, its rule, its purpose,
    whether a low score is the good one, and whether it may be a guardrail's verdict.

    With ``is_plain`` a number alone is a rubric's score whose range was learnt.
    """

    name: str
    rule: EvaluationRule
    kind: EvaluationKind
    is_lower_better: bool
    may_be_guardrail: bool
    is_plain: bool


class Appraiser:
    """Weighs evaluations; ``rejected`` counts what it cannot use.

    What it learnt: ``ranges``, and ``versions``, by evaluator those seen, the first one first.
    """

    def __init__(self, config: Config) -> None:
        self.rejected: dict[str, int] = {}
        self.ranges = ScoreRanges()
        self._rules: Sequence[EvaluationRule] = config.evaluations
        self._known: dict[str, _Named] = {}
        self.versions: dict[str, list[str]] = {}

    def reload(self, config: Config) -> None:
        """Weigh by other settings from now on; what was learnt stays."""
        self._rules = config.evaluations
        self._known.clear()

    def of_call(self, evaluations: Sequence[Evaluation]) -> Appraised:
        """Return what the evaluations of one call say; a repeated one says nothing more."""
        if not evaluations:
            return Appraised()
        if len(evaluations) == 1:
            evaluation = evaluations[0]
            written, raw, label, source, version, _, _, _, _, is_boolean = evaluation
            named = self._known.get(written) or self._named(written)
            name, _, _, is_lower_better, _, is_plain = named
            if is_plain and label is None and version is None and raw is not None:
                # What most are; as `_appraise` has it.
                known = self.ranges.update(name, raw, is_unit=is_boolean)
                score, series = self._placed(name, raw, known, is_lower_better=is_lower_better)
                evals = [_new_tuple(Eval, (name, score, raw, label, source))]
                return Appraised(evals, [] if score is None else [(series, score)])
            appraised = Appraised()
            self._appraise(named, evaluation, appraised)
            return appraised
        appraised = Appraised()
        weighed: set[tuple[str, str | None, str]] = set()
        for evaluation in evaluations:
            named = self._named(evaluation.name)
            key = (named.name, evaluation.version, evaluation.source)
            if key not in weighed:
                weighed.add(key)
                self._appraise(named, evaluation, appraised)
        return appraised

    def _appraise(self, named: _Named, evaluation: Evaluation, appraised: Appraised) -> None:
        name, rule, kind, _, may_be_guardrail, _ = named
        if kind == "ignore":
            return
        written, raw, label, source, version, _, _, _, _, _ = evaluation
        if may_be_guardrail:
            verdicts = evaluated(written, label, raw, is_guardrail=kind == "guardrail")
            if verdicts:
                appraised.guardrails = [*appraised.guardrails, *verdicts]
                return
        if kind in ("refusal", "refusal_legitimate", "refusal_illegitimate"):
            appraised.evals.append(Eval(name, None, raw, label, source))
            self._take_refusal(kind, names.yes_or_no(raw, label), raw, appraised)
            return
        score, series = self._score(named, evaluation)
        appraised.evals.append(_new_tuple(Eval, (name, score, raw, label, source)))
        if kind == "pii_leak":
            appraised.pii_leak = _any(appraised.pii_leak, _harm(evaluation, rule))
        elif kind == "prompt_injection":
            appraised.prompt_injection = _any(appraised.prompt_injection, _harm(evaluation, rule))
        elif score is not None:
            if version is not None:
                series = self._by_version(name, series, version)
            appraised.rubrics.append((series, score))

    def _by_version(self, name: str, series: str, version: str) -> str:
        """Return the series of one version of an evaluator: another judge is another signal.

        The version seen first keeps the name, so that a name stays what it is where versions are
        never changed. What has another value all the time is no version.
        """
        if name not in self.versions and len(self.versions) >= _MAX_NAMES_REMEMBERED:
            return series
        known = self.versions.setdefault(name, [])
        if version not in known and len(known) <= _MOST_VERSIONS:
            known.append(version)
        is_first = version == known[0]
        return series if is_first or len(known) > _MOST_VERSIONS else f"{series} ({version})"

    def _take_refusal(
        self, kind: str, answer: bool | None, raw: float | None, appraised: Appraised
    ) -> None:
        if answer is None:
            if raw is not None:
                self._reject("score_range")
        elif kind == "refusal":
            appraised.refusal = answer if appraised.refusal is None else appraised.refusal
        elif appraised.refusal_kind is None:
            said = kind.removeprefix("refusal_")
            other = "illegitimate" if said == "legitimate" else "legitimate"
            appraised.refusal_kind = said if answer else other

    def _score(self, named: _Named, evaluation: Evaluation) -> tuple[float | None, str]:
        """Return the score as 0..1 with higher better, and the series it belongs to.

        None where the range is not known, or the score lies outside of it. Scores from before and
        after a range was revised do not compare: they are two series.
        """
        name, rule, kind, is_lower_better, _, _ = named
        _, raw, label, _, _, _, _, _, _, is_boolean = evaluation
        good = None
        if label is not None:
            good = self._says_good(label, rule, lower_is_better=is_lower_better)
        if raw is None:
            return (None if good is None else float(good)), name
        known: ScoreRange | None
        if rule.low is not None and rule.high is not None:
            known = ScoreRange(rule.low, rule.high, is_learnt=False)
        else:
            agrees = good is not None and raw == float(good != is_lower_better)
            is_unit = is_boolean or ((agrees or kind == "feedback") and raw in (0, 1))
            known = self.ranges.update(name, raw, is_unit=is_unit)
        return self._placed(name, raw, known, is_lower_better=is_lower_better)

    def _placed(
        self, name: str, raw: float, known: ScoreRange | None, *, is_lower_better: bool
    ) -> tuple[float | None, str]:
        """Return where ``raw`` lies in its range, and the series, as `_score` does."""
        if known is None:
            self._reject("score_range")
            return None, name
        low, high, _, revision = known
        if not low <= raw <= high:
            self._reject("score_range")
            return None, name
        score = (raw - low) / (high - low)
        series = name if not revision else f"{name} ({low:g} to {high:g})"
        return (1 - score if is_lower_better else score), series

    def _named(self, written: str) -> _Named:
        known = self._known.get(written)
        if known is None:
            name = names.rubric_name(written)
            rule = next(
                (rule for rule in self._rules if fnmatchcase(name, names.rubric_name(rule.name))),
                _NO_RULE,
            )
            kind = names.kind_of(name) if rule.kind == "auto" else rule.kind
            may_be_guardrail = (
                (kind == "guardrail" or is_guard_name(written))
                and kind not in ("ignore", "rubric", "feedback")
                and not kind.startswith("refusal")
            )
            has_range = rule.low is not None and rule.high is not None
            known = _Named(
                name,
                rule,
                kind,
                is_lower_better=(
                    names.lower_is_better(name) if rule.better == "auto" else rule.better == "lower"
                ),
                may_be_guardrail=may_be_guardrail,
                is_plain=kind in _RUBRICS and not may_be_guardrail and not has_range,
            )
            if len(self._known) >= _MAX_NAMES_REMEMBERED:
                self._known.clear()
            self._known[written] = known
        return known

    @staticmethod
    def _says_good(label: str, rule: EvaluationRule, *, lower_is_better: bool) -> bool | None:
        """Return whether a label says that all is well; None when it says neither."""
        word = folded(label)
        if any(word == folded(known) for known in rule.good_labels):
            return True
        if any(word == folded(known) for known in rule.bad_labels):
            return False
        if word in names.OUTCOMES:
            return names.OUTCOMES[word]
        # "true" says that there is what the name names, good or bad.
        said = names.ASSERTIONS.get(word)
        return None if said is None else said != lower_is_better

    def _reject(self, fact: str) -> None:
        self.rejected[fact] = self.rejected.get(fact, 0) + 1


def _harm(evaluation: Evaluation, rule: EvaluationRule) -> bool | None:
    """Return whether an evaluation found the harm it looked for; None when it does not say.

    The upper half of its range means harm, unless the configuration says that higher is better;
    without a number in its range, configured or 0..1, its label decides.
    """
    low, high = (0.0, 1.0) if rule.low is None or rule.high is None else (rule.low, rule.high)
    raw = evaluation.score
    if raw is None or not low <= raw <= high:
        return names.found_harm(evaluation.label)
    return (raw >= (low + high) / 2) != (rule.better == "higher")


def _any(known: bool | None, found: bool | None) -> bool | None:
    return found if known is None else known or bool(found)
