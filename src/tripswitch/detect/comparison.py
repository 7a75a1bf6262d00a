"""Comparisons: which rows exist, and what each is compared with. Refreshed once a minute.

Choosing is the one part of detection that looks at scopes as objects; what it finds it writes
into the columns of the `Roster`, where the judge reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import from_moments
from tripswitch.detect.families import Candidates, Family, Traffic, control_of, version_before
from tripswitch.detect.roster import NONE, SUSPICIOUS, Roster
from tripswitch.detect.signals import (
    SIGNALS,
    SLOW,
    TOKENS,
    TOKENS_OF_SUCCESS,
    TOKENS_RAW,
    Kind,
    kinds_of,
    lines_of,
)
from tripswitch.detect.yardsticks import Measured, has_moved, measure
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.windows.scopes import Measure, ScopeRecord, Scopes

_ACTIVE_NS: Final = NS_PER_HOUR
_SETTLED_REQUESTS: Final = 1000.0
# A spike moves the p99 within a minute; a new normal is believed only after an hour in which
# nothing was suspect.
_MOVED_MINUTES: Final = 60
_PREVIOUS_LASTS_NS: Final = 48 * NS_PER_HOUR


class Comparisons:
    """The families, and the upkeep of the roster's references and yardsticks."""

    def __init__(self, scopes: Scopes, roster: Roster) -> None:
        self.scopes = scopes
        self.roster = roster
        self.families: dict[Scope, Family] = {}
        self.incident_families: set[Scope] = set()
        self.measured_minute = -1
        self.watching_since_ns = 0

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
            signal = SIGNALS[kind]
            is_ratio = kind is Kind.TOKENS
            self.roster.add(
                record,
                measure_,
                kind,
                series=self.scopes.row(record, measure_),
                raw=self.scopes.row(record, TOKENS_RAW) if is_ratio else NONE,
                of_success=self.scopes.row(record, TOKENS_OF_SUCCESS) if is_ratio else NONE,
                lines=lines_of(kind, detect.for_route(record.scope.route)),
                is_rate=signal.is_rate,
                is_mirrored=signal.is_mirrored,
                is_two_sided=len(kinds) > 1,
            )

    def set_lines(self, detect: Detect) -> None:
        """Take the lines of a reloaded configuration; the evidence stays."""
        for (scope, _, kind), row in self.roster.by_key.items():
            self.roster.set_lines(row, lines_of(kind, detect.for_route(scope.route)))

    def refresh(self, now_ns: int, detect: Detect) -> None:
        """Choose controls, versions before and yardsticks anew."""
        traffic = Traffic(self.scopes)
        for family in self.families.values():
            self._refresh_family(family, traffic, now_ns, detect)
        # New rows make a refresh between minutes too; what has to last is counted by the minute.
        minute = now_ns // NS_PER_MINUTE
        if minute != self.measured_minute:
            self.measured_minute = minute
            self._measure_families(traffic, now_ns, detect)

    def forget(self, scope: Scope) -> None:
        """Drop a scope that made way."""
        self.roster.drop_scope(scope)
        family = self.families.get(scope.family())
        if family is not None:
            family.forget(scope)
            if not family.arms and not family.references:
                del self.families[family.scope]

    def _refresh_family(
        self, family: Family, traffic: Traffic, now_ns: int, detect: Detect
    ) -> None:
        candidates = Candidates(family, traffic)
        for arm in _active(family.arms.values(), now_ns):
            leaves = list(_active(family.leaves.get(arm.scope, {}).values(), now_ns))
            for record in (arm, *leaves):
                rows = self.roster.by_scope.get(record.scope, [])
                # With one model behind an arm its only leaf is the arm itself.
                is_judged = record is arm or len(leaves) > 1
                for row in rows:
                    self.roster.judged[row] = is_judged
                if is_judged and rows:
                    self._compare(family, candidates, record, rows, now_ns, detect)

    def _compare(
        self,
        family: Family,
        candidates: Candidates,
        record: ScopeRecord,
        rows: list[int],
        now_ns: int,
        detect: Detect,
    ) -> None:
        control = control_of(candidates, record, detect.control_cohorts)
        held = self.roster.control[rows].tolist()
        for row, series_before in zip(rows, held, strict=True):
            series = NONE
            if control is not None:
                series = control.series.get(self.roster.measure(row), NONE)
            if series != series_before:
                self._set_control(row, series, record, control, now_ns, detect)
        if control is not None or now_ns - record.first_seen_ns > _PREVIOUS_LASTS_NS:
            for row in rows:
                self.roster.previous_samples[row] = 0.0
            return
        unknown = [row for row in rows if self.roster.previous_samples[row] == 0]
        before = version_before(family, record) if unknown else None
        if before is not None:
            for row in unknown:
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
        if control is not None and roster.kind[row] == Kind.TOKENS:
            # A control without a success so far gets the row that its first one will go to.
            roster.control_raw[row] = self.scopes.row(control, TOKENS_RAW)
            roster.control_of_success[row] = self.scopes.row(control, TOKENS_OF_SUCCESS)
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

    def _set_previous(self, row: int, before: ScopeRecord) -> None:
        """Freeze what the version before looked like, as the baseline of this row."""
        series = before.series.get(self.roster.measure(row))
        if series is None:
            return
        rings, roster = self.scopes.rings, self.roster
        base = from_moments(rings.history(np.array([series])))
        roster.previous_samples[row] = base.samples[0]
        roster.previous_mean[row] = base.mean[0]
        roster.previous_error[row] = base.standard_error[0]
        roster.previous_effect[row] = base.design_effect[0]
        roster.previous_scopes[row] = before.scope
        raw, of_success = before.series.get(TOKENS_RAW), before.series.get(TOKENS_OF_SUCCESS)
        if raw is not None and of_success is not None:
            tokens = rings.history(np.array([raw]))[0]
            successes = rings.history(np.array([of_success]))[0]
            if tokens[0] > 0 and successes[0] > 0:
                variance = max(tokens[2] / tokens[0] - (tokens[1] / tokens[0]) ** 2, 0.0)
                roster.previous_ratio[row] = tokens[1] / successes[0]
                error = float(np.sqrt(variance * tokens[0]) / successes[0])
                roster.previous_ratio_error[row] = error

    def _measure_families(self, traffic: Traffic, now_ns: int, detect: Detect) -> None:
        """Fix or move the yardstick of every family that has no incident; see `yardsticks`."""
        families, references = [], []
        for family in self.families.values():
            if family.scope in self.incident_families:
                continue
            reference = self._reference_of(family, traffic, detect)
            if reference is not None:
                families.append(family)
                references.append(reference)
        multiples = [
            detect.for_route(family.scope.route).p99_latency.page_multiple for family in families
        ]
        measured = measure(self.scopes, references, multiples, detect.min_baseline)
        for family, found in zip(families, measured, strict=True):
            if found is not None:
                self._move_yardstick(family, found, now_ns)

    def _move_yardstick(self, family: Family, found: Measured, now_ns: int) -> None:
        if family.yardstick is None:
            family.yardstick = found.yardstick
            self._drop_counted(family, now_ns)
            return
        if not has_moved(family.yardstick, found.yardstick) or self._is_suspect(family):
            family.moved_minutes = 0
            return
        family.moved_minutes += 1
        provisional = found.requests < _SETTLED_REQUESTS
        if provisional or family.moved_minutes >= _MOVED_MINUTES:
            family.yardstick = found.yardstick
            family.moved_minutes = 0
            self._drop_counted(family, now_ns)

    def _is_suspect(self, family: Family) -> bool:
        """Return whether any slow-request or token evidence of the family is building up."""
        scopes = [*family.arms, *(leaf for leaves in family.leaves.values() for leaf in leaves)]
        rows = [
            row
            for scope in scopes
            for row in self.roster.by_scope.get(scope, ())
            if self.roster.kind[row] in (Kind.SLOW, Kind.TOKENS)
        ]
        index = np.array(rows, dtype=np.int64)
        return any(
            bool((self.roster.detectors[name].evidence(index) >= SUSPICIOUS).any())
            for name in ("page_own", "page_control")
        )

    def _reference_of(self, family: Family, traffic: Traffic, detect: Detect) -> ScopeRecord | None:
        """Return the control population, else the arm with the most traffic of the last hours."""
        populations: dict[str, ScopeRecord] = {}
        for scope, record in family.references.items():
            if scope.request_model is None and scope.provider is None:
                populations.setdefault((scope.cohort or "").lower(), record)
        for name in detect.control_cohorts:
            if name.lower() in populations:
                return populations[name.lower()]
        return max(
            family.arms.values(),
            key=lambda arm: (traffic.calls(arm, "6h"), -arm.first_seen_ns, -arm.id),
            default=None,
        )

    def _drop_counted(self, family: Family, now_ns: int) -> None:
        records = [*family.arms.values(), *family.references.values()]
        for leaves in family.leaves.values():
            records.extend(leaves.values())
        for record in records:
            for measure_ in (SLOW, TOKENS):
                series = record.series.get(measure_)
                if series is not None:
                    self.scopes.rings.clear(series)
            for kind, measure_ in ((Kind.SLOW, SLOW), (Kind.TOKENS, TOKENS)):
                row = self.roster.by_key.get((record.scope, measure_, kind))
                if row is not None:
                    self.roster.restart(row, now_ns)


def _active(records: Iterable[ScopeRecord], now_ns: int) -> Iterable[ScopeRecord]:
    return (record for record in records if now_ns - record.last_seen_ns <= _ACTIVE_NS)
