"""Comparisons: which rows exist, and what each is compared with. Refreshed once a minute.

Choosing is the one part of detection that looks at scopes as objects; what it finds it writes
into the columns of the `Roster`, where the judge reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import of_version_before, ratio_of
from tripswitch.detect.before import was_beyond_line
from tripswitch.detect.families import Candidates, Family, Traffic, control_of, version_before
from tripswitch.detect.family_yardsticks import FamilyYardsticks
from tripswitch.detect.lines import lines_of
from tripswitch.detect.rollups import Rollups
from tripswitch.detect.roster import NONE, Roster
from tripswitch.detect.signals import LEAK_TRACE, RATIOS, Kind, kinds_of
from tripswitch.detect.steady import ACTIVE_NS, Steady
from tripswitch.detect.upstreams import Upstreams
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

_PREVIOUS_LASTS_NS: Final = 48 * NS_PER_HOUR
_NO_ROWS: Final[list[int]] = []


class Comparisons:
    """The families, and the upkeep of the roster's references and yardsticks."""

    def __init__(self, scopes: Scopes, roster: Roster) -> None:
        self.scopes = scopes
        self.roster = roster
        self.families: dict[Scope, Family] = {}
        self.yardsticks = FamilyYardsticks(scopes, roster)
        self.upstreams = Upstreams(scopes, self.families)
        self.rollups = Rollups(scopes, roster, self)
        self.measured_minute = -1
        self.watching_since_ns = 0
        self._traffic = Traffic(scopes)
        self._compared: dict[Scope, tuple[ScopeRecord | None, int, int]] = {}
        self._steady: Steady | None = None
        self._stood: dict[Scope, tuple[list[int], int, bool]] = {}

    @property
    def incident_families(self) -> set[Scope]:
        """Return the families with an incident, whose yardsticks stay as they are."""
        return self.yardsticks.incident_families

    @incident_families.setter
    def incident_families(self, families: set[Scope]) -> None:
        self.yardsticks.incident_families = families

    def family_of(self, scope: Scope, now_ns: int) -> Family:
        """Return the family of ``scope``, making it when new."""
        key = scope.family()
        family = self.families.get(key)
        if family is None:
            family = self.families[key] = Family(key, now_ns)
        return family

    def judge_series(self, record: ScopeRecord, measure_: Measure, detect: Detect) -> None:
        """Make the rows that judge one measure of an arm or leaf, when they are not there yet."""
        kinds = kinds_of(measure_)
        for kind in kinds:
            if (record.scope, measure_, kind) in self.roster.by_key:
                continue
            raw, of_success = self._companions(record, measure_, kind)
            self.scopes.rings.learn_by_hour(self.scopes.row(record, measure_))
            self.roster.add(
                record,
                measure_,
                kind,
                series=self.scopes.row(record, measure_),
                raw=raw,
                of_success=of_success,
                lines=lines_of(kind, detect.for_route(record.scope.route)),
                is_two_sided=len(kinds) > 1,
            )

    def _companions(self, record: ScopeRecord, measure_: Measure, kind: Kind) -> tuple[int, int]:
        """Return the ring rows that a row is read with besides its own, `NONE` for none.

        They are made where they are not there yet: a first success goes there later.
        """
        if kind is Kind.PII_LEAK:
            return self.scopes.row(record, LEAK_TRACE), NONE
        if measure_ not in RATIOS:
            return NONE, NONE
        raw, of_success = RATIOS[measure_]
        return self.scopes.row(record, raw), self.scopes.row(record, of_success)

    def set_lines(self, detect: Detect) -> None:
        """Take the lines of a reloaded configuration; the evidence stays."""
        for (scope, _, kind), row in self.roster.by_key.items():
            self.roster.set_lines(row, lines_of(kind, detect.for_route(scope.route)))

    def refresh(self, now_ns: int, detect: Detect) -> None:
        """Choose controls, versions before and yardsticks anew."""
        self.roster.revision += 1
        traffic = self._traffic
        traffic.read()
        self._choose(traffic, now_ns, detect)
        # New rows make a refresh between minutes too; what has to last is counted by the minute.
        minute = now_ns // NS_PER_MINUTE
        if minute != self.measured_minute:
            self.measured_minute = minute
            self.yardsticks.refresh(self.families.values(), traffic, now_ns, detect)

    def _choose(self, traffic: Traffic, now_ns: int, detect: Detect) -> None:
        """Choose what every family is compared with, but of those that nothing changed for."""
        steady, same = self._steady, set[int]()
        if steady is not None and steady.holds(self.scopes.revision, detect):
            changed = steady.changed(traffic, now_ns)
            same = steady.families() - changed
            # The others are noted anew at the next minute.
            steady = None if changed else steady
        else:
            steady = None
        if steady is None:
            steady = Steady(self.scopes.revision, detect)
        for family in self.families.values():
            if id(family) in same:
                continue
            candidates = Candidates(family, traffic)
            is_same = self._refresh_family(family, candidates, now_ns, detect)
            if is_same and candidates.is_by_name:
                steady.note(family, candidates)
        steady.begin(now_ns)
        self._steady = steady

    def forget(self, scope: Scope) -> None:
        """Drop a scope that made way."""
        self._steady = None
        self.roster.drop_scope(scope)
        self._compared.pop(scope, None)
        self._stood.pop(scope, None)
        family = self.families.get(scope.family())
        if family is not None:
            family.forget(scope)
            if not family.arms and not family.references:
                del self.families[family.scope]

    def _refresh_family(
        self, family: Family, candidates: Candidates, now_ns: int, detect: Detect
    ) -> bool:
        """Choose anew in one family; return whether all stayed, and will as long as this does."""
        is_same = True
        for arm in _active(family.arms.values(), now_ns):
            leaves = list(_active(family.leaves.get(arm.scope, {}).values(), now_ns))
            for record in (arm, *leaves):
                rows = self.roster.by_scope.get(record.scope, _NO_ROWS)
                # With one model behind an arm its only leaf is the arm itself.
                is_judged = record is arm or len(leaves) > 1
                self._stand(record, rows, is_judged=is_judged)
                if is_judged and rows:
                    is_same &= self._compare(family, candidates, record, rows, now_ns, detect)
        return is_same

    def _stand(self, record: ScopeRecord, rows: list[int], *, is_judged: bool) -> None:
        """Have the rows of a scope judged or not, where that is not so already."""
        known = self._stood.get(record.scope)
        if known is None or known[0] is not rows or known[1:] != (len(rows), is_judged):
            self.roster.judged[rows] = is_judged
            self._stood[record.scope] = (rows, len(rows), is_judged)

    def _compare(
        self,
        family: Family,
        candidates: Candidates,
        record: ScopeRecord,
        rows: list[int],
        now_ns: int,
        detect: Detect,
    ) -> bool:
        control = control_of(candidates, record, detect.control_cohorts)
        if self._is_as_before(record, control, rows):
            if control is None:
                self._compare_alone(family, record, rows, now_ns)
            return control is not None or record.found_running
        held = self.roster.control[rows].tolist()
        for row, series_before in zip(rows, held, strict=True):
            series = NONE
            if control is not None:
                series = control.series.get(self.roster.measure(row), NONE)
            if series != series_before:
                self._set_control(row, series, record, control, now_ns, detect)
                if control is not None:
                    self._look_before(row, version_before(family, record), control)
        if control is not None:
            self.roster.previous_samples[rows] = 0.0
            self._compared[record.scope] = (control, len(control.series), len(rows))
            return False
        self._compared[record.scope] = (None, 0, len(rows))
        self._compare_alone(family, record, rows, now_ns)
        return False

    def _compare_alone(
        self, family: Family, record: ScopeRecord, rows: list[int], now_ns: int
    ) -> None:
        """Compare a scope without a control with the version before it, where it may have one."""
        if record.found_running:
            return
        is_young = now_ns - record.first_seen_ns <= _PREVIOUS_LASTS_NS
        is_known = bool(np.all(self.roster.previous_samples[rows]))
        before = version_before(family, record) if is_young and not is_known else None
        self.compare_before(record, before, now_ns)

    def _is_as_before(
        self, record: ScopeRecord, control: ScopeRecord | None, rows: list[int]
    ) -> bool:
        """Return whether all of a scope is compared with the very control it was before."""
        known = self._compared.get(record.scope)
        if known is None or known[0] is not control:
            return False
        return known[1:] == (0 if control is None else len(control.series), len(rows))

    def compare_before(self, record: ScopeRecord, before: ScopeRecord | None, now_ns: int) -> None:
        """Compare a young version with the one ``before`` it, as far as that is not done yet."""
        rows = self.roster.by_scope.get(record.scope, [])
        if now_ns - record.first_seen_ns > _PREVIOUS_LASTS_NS:
            self.roster.previous_samples[rows] = 0.0
        elif before is not None and not record.found_running:
            for row in rows:
                if self.roster.previous_samples[row] == 0:
                    self._set_previous(row, before)

    def _set_control(
        self,
        row: int,
        series: int,
        record: ScopeRecord,
        control: ScopeRecord | None,
        now_ns: int,
        detect: Detect,
    ) -> None:
        """Compare a row with another ``series`` of ``control`` from now on, NONE for none."""
        roster = self.roster
        roster.control[row] = series
        roster.refer(row, None if series == NONE or control is None else control.scope)
        if control is not None:
            companions = self._companions(control, roster.measure(row), Kind(roster.kind[row]))
            roster.control_raw[row], roster.control_of_success[row] = companions
        share = 0.5 if roster.two_sided[row] else 1.0
        if record.found_running or series == NONE:
            share = 0.0
        else:
            begun = roster.control_share[row]
            roster.control_share[row] = 1.0 if begun == 0 else begun / 2
            share *= roster.control_share[row]
        roster.detectors["page_control"].start(row, share * detect.alpha_start, now_ns)
        roster.detectors["look_control"].start(row, share * detect.alpha_investigate, now_ns)
        roster.pending[row] = 0.0
        if series != NONE:
            seen = self.scopes.rings.history(np.array([series]))[0]
            weight = min(1.0, 1000.0 / seen[0]) if seen[0] > 0 else 0.0
            roster.control_n[row], roster.control_s[row] = seen[0] * weight, seen[1] * weight

    def _look_before(
        self, row: int, before: ScopeRecord | None, control: ScopeRecord | None
    ) -> None:
        """Note whether the version before was as bad already against the same reference."""
        if before is not None and was_beyond_line(
            self.scopes.rings, self.roster, row, before, control
        ):
            self.roster.bad_before[row] = True

    def _set_previous(self, row: int, before: ScopeRecord) -> None:
        """Freeze what the version before looked like, as the baseline of this row."""
        series = before.series.get(self.roster.measure(row))
        if series is None:
            return
        self._look_before(row, before, None)
        rings, roster = self.scopes.rings, self.roster
        base = of_version_before(rings, np.array([series]))
        roster.previous_samples[row] = base.samples[0]
        roster.previous_mean[row] = base.mean[0]
        roster.previous_error[row] = base.standard_error[0]
        roster.previous_effect[row] = base.design_effect[0]
        roster.previous_scopes[row] = before.scope
        companions = RATIOS.get(self.roster.measure(row), ())
        rows = [before.series.get(companion, NONE) for companion in companions]
        if rows and NONE not in rows:
            raw, of_success = rings.history(np.array(rows))
            ratio, error = ratio_of(raw[None], of_success[None])
            roster.previous_ratio[row], roster.previous_ratio_error[row] = ratio[0], error[0]


def _active(records: Iterable[ScopeRecord], now_ns: int) -> Iterable[ScopeRecord]:
    return (record for record in records if now_ns - record.last_seen_ns <= ACTIVE_NS)
