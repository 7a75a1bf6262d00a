"""Findings: decided rows as verdicts, each at the scope that is to blame, with its sentence."""

from __future__ import annotations

from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.decision import LOOK, NOTHING, PAGE, Decision
from tripswitch.detect.explain import Account, sentence
from tripswitch.detect.lines import lines_of
from tripswitch.detect.narrowest import Narrowest
from tripswitch.detect.point_rule import WINDOW_MINUTES, WINDOW_TEXT
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import SIGNALS, Kind, Rule
from tripswitch.model.clocktext import NS_PER_MINUTE, minutes_text
from tripswitch.model.incident import Severity
from tripswitch.model.scope import Scope
from tripswitch.model.verdict import Comparison, Finding, Verdict
from tripswitch.windows.rings import Rows

_SERVED_NS: Final = NS_PER_MINUTE
# An arm that serves no more says nothing of now, whatever its windows still show.
_SIBLING_MINUTES: Final = 5
# Of those who share an upstream so many must show what is to be blamed on it.
_MOST_SHARE: Final = 2 / 3


class Findings:
    """Makes verdicts of rows."""

    def __init__(self, roster: Roster, comparisons: Comparisons) -> None:
        self.roster = roster
        self.comparisons = comparisons
        self.upstreams = comparisons.upstreams
        self.narrowest = Narrowest(roster, comparisons)

    def regressed(
        self, rows: Rows, decision: Decision, detect: Detect, now_ns: int, *, is_lossy: bool
    ) -> list[Verdict]:
        """Return the verdicts that act, in an order that does not depend on how rows were made."""
        if is_lossy or decision.is_quiet:
            return []
        hot = [
            int(index)
            for index in np.flatnonzero(decision.level > NOTHING)
            if self._is_served(int(rows[index]), now_ns)
        ]
        narrowest = self.narrowest.of(hot, rows, decision)
        verdicts = [self.verdict(rows, decision, index, detect) for index in narrowest]
        return sorted(
            verdicts,
            key=lambda verdict: (
                tuple(part or "" for part in verdict.scope),
                verdict.severity is not Severity.PAGE,
                -min(verdict.evidence, 1e12),
                verdict.signal,
                verdict.rubric or "",
                verdict.direction,
            ),
        )

    def _is_served(self, row: int, now_ns: int) -> bool:
        """Return whether a row's scope has had traffic lately.

        Evidence changes only with arrivals; what an emptied scope's windows still show is old.
        """
        scope = self.roster.scopes[row]
        record = None if scope is None else self.comparisons.scopes.records.get(scope)
        if record is None:
            return False
        rollup = self.comparisons.rollups.of(scope)
        members = [record] if rollup is None else rollup.members
        return any(now_ns - one.last_seen_ns <= _SERVED_NS for one in members)

    def verdict(
        self,
        rows: Rows,
        decision: Decision,
        index: int,
        detect: Detect,
        *,
        is_lossy: bool = False,
    ) -> Verdict:
        """Return the verdict of one row, whatever it is."""
        row = int(rows[index])
        roster = self.roster
        kind = Kind(roster.kind[row])
        signal = SIGNALS[kind]
        scope = roster.scopes[row]
        assert scope is not None
        level = int(decision.level[index])
        comparison, reference = self._reference(row, decision, index)
        rollup = self.comparisons.rollups.of(scope)
        is_wide = rollup is not None and not rollup.is_version
        is_common = level > NOTHING and (is_wide or self._is_common(row, rows, decision, index))
        reading = decision.reading
        value, usual = float(reading.value[index]), float(reading.usual[index])
        if signal.rule is Rule.SCORE:
            value, usual = 1 - value, 1 - usual
        finding = _finding(level, decision, index, is_lossy=is_lossy)
        page_line, look_line = float(roster.line_page[row]), float(roster.line_look[row])
        line = look_line if level == LOOK and np.isfinite(look_line) else page_line
        window = int(decision.window[index])
        blamed = scope.family() if is_common and scope.route is not None else scope
        upstream = None
        if rollup is not None and rollup.is_upstream:
            blamed = upstream = scope
        elif level > NOTHING and not decision.is_control[index]:
            upstream = self.upstreams.of(blamed)
            shared = self._shared_upstream(row, rows, decision, upstream)
            if shared is not None:
                is_common, blamed = True, shared
        account = Account(
            finding=finding,
            signal=signal.name,
            rubric=roster.rubrics[row],
            scope=blamed,
            comparison=comparison,
            reference=reference,
            estimate=float(reading.estimate[index]),
            line=line,
            slow_multiple=lines_of(kind, detect.for_route(scope.route)).page_multiple,
            value=value,
            usual=usual,
            samples=int(reading.samples[index]),
            usual_samples=int(reading.usual_samples[index]),
            fewest=int(roster.fewest[row]),
            events=round(float(reading.events[index])),
            fewest_events=int(roster.fewest_events[row]),
            fewest_traces=int(roster.fewest_traces[row]),
            usual_share=float(roster.usual_share[row]),
            window=self._window_text(row, window),
            evidence=float(decision.evidence[index]),
            is_falling=signal.is_mirrored,
            is_common=is_common,
            rolled_up=0 if rollup is None else len(rollup.members),
        )
        severity = {LOOK: Severity.INVESTIGATE, PAGE: Severity.PAGE}.get(level)
        return Verdict(
            finding=finding,
            severity=severity,
            signal=account.signal,
            rubric=account.rubric,
            shape=signal.shape,
            direction="down" if signal.is_mirrored else "up",
            scope=blamed,
            comparison=comparison,
            reference=reference,
            estimate=account.estimate,
            line=line,
            value=value,
            usual=usual,
            samples=account.samples,
            usual_samples=account.usual_samples,
            window=WINDOW_TEXT[window] if window >= 0 else WINDOW_TEXT[-1],
            evidence=account.evidence,
            onset_ns=self._onset_ns(row, decision, index),
            is_common=is_common,
            why=sentence(account),
            measured=scope,
            upstream=upstream,
            was_bad_before=bool(roster.bad_before[row]),
        )

    def _window_text(self, row: int, window: int) -> str:
        """Return the window in words, and when the scope began where that was inside it."""
        index = window if window >= 0 else len(WINDOW_TEXT) - 1
        began_minute = self.roster.first_seen_ns[row] // NS_PER_MINUTE
        age = max(1, self.comparisons.scopes.rings.now_minute - began_minute)
        if age >= WINDOW_MINUTES[index]:
            return WINDOW_TEXT[index]
        return f"{WINDOW_TEXT[index]} (it began {minutes_text(age * NS_PER_MINUTE)} ago)"

    def _reference(
        self, row: int, decision: Decision, index: int
    ) -> tuple[Comparison | None, Scope | None]:
        if not decision.is_comparable[index]:
            return None, None
        if decision.is_control[index]:
            return Comparison.CONTROL, self.roster.references[row]
        if decision.is_previous[index]:
            return Comparison.PREVIOUS, self.roster.previous_scopes[row]
        return Comparison.HISTORY, None

    def _onset_ns(self, row: int, decision: Decision, index: int) -> int:
        name = "page_control" if decision.is_control[index] else "page_own"
        onset_ns = self.roster.detectors[name].onset_ns(row)
        return max(onset_ns, self.roster.first_seen_ns[row])

    def _is_common(self, row: int, rows: Rows, decision: Decision, index: int) -> bool:
        """Return whether every other serving arm shows the same, so that none is to blame.

        An arm that is compared with this one at the same time shares its fate unless it is proven
        worse than it; an arm with a past of its own when it is worse than that past too.
        """
        if decision.is_control[index]:
            return False
        scope = self.roster.scopes[row]
        assert scope is not None
        siblings: list[bool] = []
        for candidate in self._siblings(row, scope):
            other = int(np.searchsorted(rows, candidate))
            if not decision.is_comparable[other] or decision.reading.samples[other] <= 0:
                continue
            if decision.is_control[other]:
                proven_worse = decision.level[other] > NOTHING or decision.evidence[other] >= 1
                siblings.append(not proven_worse)
            else:
                siblings.append(self.narrowest.shows_it(candidate, decision, other))
        return bool(siblings) and all(siblings)

    def _shared_upstream(
        self, row: int, rows: Rows, decision: Decision, upstream: Scope | None
    ) -> Scope | None:
        """Return the upstream to blame: others that share it, and most of them, show the same.

        Others are other routes or other prompt versions; those with a control at the same time
        say nothing of what both have in common, and one that is proven worse than its control
        clears the upstream. The narrowest upstream counts, then the provider alone.
        """
        if upstream is None:
            return None
        scope = self.roster.scopes[row]
        assert scope is not None
        for shared in dict.fromkeys((upstream, Scope(provider=upstream.provider))):
            votes = []
            for other_scope in self.upstreams.through(shared):
                is_other = (
                    other_scope.family() != scope.family()
                    or other_scope.prompt_version != scope.prompt_version
                )
                key = (other_scope, self.roster.measure(row), Kind(self.roster.kind[row]))
                candidate = self.roster.by_key.get(key) if is_other else None
                if candidate is None or not self.roster.judged[candidate]:
                    continue
                other = int(np.searchsorted(rows, candidate))
                if other >= len(rows) or not decision.is_comparable[other]:
                    continue
                if decision.is_control[other]:
                    if decision.level[other] > NOTHING:
                        return None
                elif decision.window[other] >= 0:
                    votes.append(self.narrowest.shows_it(candidate, decision, other))
            if votes and sum(votes) >= _MOST_SHARE * len(votes):
                return shared
        return None

    def _siblings(self, row: int, scope: Scope) -> list[int]:
        """Return the rows of the same kind and rubric of the family's other arms that serve."""
        roster, scopes = self.roster, self.comparisons.scopes
        family = self.comparisons.families.get(scope.family())
        oldest_ns = (scopes.rings.now_minute - _SIBLING_MINUTES) * NS_PER_MINUTE
        rollup = self.comparisons.rollups.of(scope)
        own = {scope.arm()} if rollup is None else {member.scope for member in rollup.members}
        return [
            candidate
            for arm, record in (family.arms if family is not None else {}).items()
            if arm not in own and record.last_seen_ns >= oldest_ns
            for candidate in roster.by_scope.get(arm, ())
            if roster.kind[candidate] == roster.kind[row]
            and roster.rubrics[candidate] == roster.rubrics[row]
        ]


def _finding(level: int, decision: Decision, index: int, *, is_lossy: bool) -> Finding:
    if is_lossy:
        return Finding.TELEMETRY_LOST
    if level > NOTHING:
        return Finding.REGRESSED
    if not decision.is_comparable[index] or decision.window[index] < 0:
        return Finding.INSUFFICIENT
    return Finding.HEALTHY
