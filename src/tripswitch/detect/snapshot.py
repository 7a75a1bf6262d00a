"""Detection in a snapshot: families, rows with their evidence, and the baselines of this minute.

A row is known by its scope, its measure and its kind, all by name, so that what is kept is never
applied to another. Rows are made anew by the code as it is now and what was kept is written over
them, column by column: a kind or a column that the snapshot does not know has its default, and one
that this code does not know is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import Baseline
from tripswitch.detect.coming import Coming
from tripswitch.detect.comparison import Comparisons
from tripswitch.detect.families import Family
from tripswitch.detect.judge import Judge
from tripswitch.detect.roster import NONE, Roster
from tripswitch.detect.signals import kinds_of
from tripswitch.detect.validity import Kept
from tripswitch.detect.yardsticks import Yardstick
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot, SnapshotMismatch
from tripswitch.windows.rings import Rows
from tripswitch.windows.scopes import Measure, ScopeRecord

_ARM: Final = 0
_LEAF: Final = 1
_REFERENCE: Final = 2

_YARDSTICK: Final = frozenset(member.name for member in fields(Yardstick))
_BASELINE: Final = tuple(column.name for column in fields(Baseline))
# A kind's number may be another in each version; its name is what a row is known by.
_BY_NAME: Final = ("used", "kind")
_STARTS_UNSEEN_NS: Final = NS_PER_HOUR
_EVIDENCE_LASTS_NS: Final = 24 * NS_PER_HOUR
_OF_MINUTE: Final = ("own_ratio", "own_ratio_error", "control_effect")


@dataclass(slots=True)
class Taken:
    """How many rows a snapshot gave, how many of its rows found no place, how many are new."""

    rows: int = 0
    unplaced: int = 0
    added: int = 0


def save_detection(snapshot: Snapshot, judge: Judge) -> None:
    """Put families, rows, evidence and the baselines in force into ``snapshot``."""
    _save_families(snapshot, judge.comparisons)
    judge.comparisons.upstreams.save(snapshot)
    judge.comparisons.rollups.save(snapshot)
    _save_roster(snapshot, judge.roster)
    for name in _BASELINE:
        snapshot.arrays[f"judge.own.{name}"] = getattr(judge.own, name).copy()
    for name in _OF_MINUTE:
        snapshot.arrays[f"judge.{name}"] = getattr(judge, name).copy()
    snapshot.facts["judge.incident_rows"] = sorted(judge.incident_rows)


def restore_detection(snapshot: Snapshot, judge: Judge, detect: Detect) -> Taken:
    """Take from ``snapshot`` what `save_detection` put there; its scopes are restored already.

    The judge and all that it knows is new before. Raises SnapshotMismatch.
    """
    by_id = {record.id: record for record in judge.scopes.records.values()}
    _restore_families(snapshot, judge.comparisons, by_id)
    judge.comparisons.upstreams.restore(snapshot)
    judge.comparisons.rollups.restore(snapshot, by_id)
    taken = _restore_roster(snapshot, judge, detect)
    judge.incident_rows = set(snapshot.facts["judge.incident_rows"])
    if not taken.unplaced and not taken.added:
        # Else the rows are others, and the next tick makes these anew.
        columns = [snapshot.arrays[f"judge.own.{name}"].copy() for name in _BASELINE]
        judge.own = Baseline(*columns)
        for name in _OF_MINUTE:
            setattr(judge, name, snapshot.arrays[f"judge.{name}"].copy())
    return taken


def pass_gap(
    judge: Judge, coming: Coming, now_ns: int, gap_ns: int, detect: Detect, kept: Kept
) -> None:
    """Let minutes pass in which nobody watched, up to ``now_ns``.

    Windows move on and baselines fade as they do. What waited to be paired is given up: minutes
    that lie apart would be taken for one. After a gap of a day nothing of the evidence is of now.
    A version that first shows itself after an hour's gap may have begun at any time in it.
    """
    scopes, roster = judge.scopes, judge.roster
    last_minute, now_minute = scopes.rings.now_minute, now_ns // NS_PER_MINUTE
    minutes = now_minute - last_minute
    scopes.rings.advance(now_ns)
    scopes.rings.take_fresh()
    scopes.pass_minutes(minutes)
    coming.pass_gap(last_minute, now_minute, detect)
    roster.pending[:] = 0.0
    for detector in roster.detectors.values():
        detector.close_minute()
    if gap_ns >= _STARTS_UNSEEN_NS:
        judge.comparisons.watching_since_ns = now_ns
    if gap_ns >= _EVIDENCE_LASTS_NS:
        for row in roster.rows().tolist():
            roster.restart(row, now_ns)
        coming.traffic.restart()
        kept.rows = 0
        kept.dropped.append("all evidence, which is more than a day old")


def _save_families(snapshot: Snapshot, comparisons: Comparisons) -> None:
    families, members = [], []
    for number, family in enumerate(comparisons.families.values()):
        families.append(
            {
                "scope": snapshot.number(family.scope),
                "first_seen_ns": family.first_seen_ns,
                "tells_refusals_apart": family.tells_refusals_apart,
                "moved_minutes": [
                    [list(measure), minutes] for measure, minutes in family.moved_minutes.items()
                ],
                "yardsticks": [
                    [list(measure), asdict(yardstick)]
                    for measure, yardstick in family.yardsticks.items()
                ],
            }
        )
        members += [(number, *member) for member in _members(snapshot, family)]
    snapshot.facts["families"] = families
    snapshot.facts["families.measured_minute"] = comparisons.measured_minute
    snapshot.facts["families.watching_since_ns"] = comparisons.watching_since_ns
    snapshot.facts["families.troubled"] = sorted(
        snapshot.number(scope) for scope in comparisons.incident_families
    )
    snapshot.arrays["families.members"] = np.array(members, dtype=np.int64).reshape(-1, 4)


def _members(snapshot: Snapshot, family: Family) -> Iterator[tuple[int, int, int]]:
    for scope, record in family.arms.items():
        yield _ARM, snapshot.number(scope), record.id
    for arm, leaves in family.leaves.items():
        for record in leaves.values():
            yield _LEAF, snapshot.number(arm), record.id
    for scope, record in family.references.items():
        yield _REFERENCE, snapshot.number(scope), record.id


def _restore_families(
    snapshot: Snapshot, comparisons: Comparisons, by_id: dict[int, ScopeRecord]
) -> None:
    families: list[Family] = []
    for kept in snapshot.facts["families"]:
        scope = snapshot.scope(kept["scope"])
        if scope is None:
            raise SnapshotMismatch("it has a family without a scope")
        family = Family(scope, kept["first_seen_ns"])
        family.tells_refusals_apart = kept.get("tells_refusals_apart", False)
        # One of another make is left out, to be measured anew.
        family.yardsticks = {
            Measure(*measure): Yardstick(**yardstick)
            for measure, yardstick in kept.get("yardsticks", ())
            if yardstick.keys() == _YARDSTICK
        }
        family.moved_minutes = {
            Measure(*measure): minutes
            for measure, minutes in (kept["moved_minutes"] if "yardsticks" in kept else ())
        }
        families.append(family)
        comparisons.families[scope] = family
    for number, role, scope_number, record_id in snapshot.arrays["families.members"].tolist():
        family, record = families[number], by_id[record_id]
        scope = snapshot.scope(scope_number)
        assert scope is not None
        if role == _LEAF:
            family.leaves.setdefault(scope, {})[record.scope] = record
        else:
            (family.arms if role == _ARM else family.references)[scope] = record
    comparisons.measured_minute = snapshot.facts["families.measured_minute"]
    comparisons.watching_since_ns = snapshot.facts["families.watching_since_ns"]
    for number in snapshot.facts["families.troubled"]:
        scope = snapshot.scope(number)
        if scope is not None:
            comparisons.incident_families.add(scope)


def _save_roster(snapshot: Snapshot, roster: Roster) -> None:
    size = len(roster)
    kinds: dict[str, int] = {}
    measures: dict[Measure, int] = {}
    keys = [
        (
            row,
            snapshot.number(scope),
            measures.setdefault(measure, len(measures)),
            kinds.setdefault(kind.name, len(kinds)),
        )
        for (scope, measure, kind), row in roster.by_key.items()
    ]
    snapshot.facts["roster.kinds"] = list(kinds)
    snapshot.facts["roster.measures"] = [list(measure) for measure in measures]
    snapshot.arrays["roster.keys"] = np.array(keys, dtype=np.int64).reshape(-1, 4)
    snapshot.arrays["roster.free"] = np.array(roster.free, dtype=np.int64)
    for name in ("references", "previous_scopes"):
        snapshot.arrays[f"roster.{name}"] = snapshot.numbers(getattr(roster, name))
    snapshot.arrays["roster.first_seen_ns"] = np.array(roster.first_seen_ns, dtype=np.int64)
    snapshot.put("roster.columns", roster.columns().items(), size)


def _restore_roster(snapshot: Snapshot, judge: Judge, detect: Detect) -> Taken:
    roster, records = judge.roster, judge.scopes.records
    taken = Taken()
    wanted: dict[tuple[Scope, Measure], dict[str, int]] = {}
    for (scope, measure), rows in _kept_rows(snapshot).items():
        record = records.get(scope)
        known = {kind.name for kind in kinds_of(measure)}
        if record is not None and measure in record.series and known:
            wanted[scope, measure] = {name: row for name, row in rows.items() if name in known}
            taken.rows += len(wanted[scope, measure])
            taken.unplaced += len(rows.keys() - known)
        else:
            taken.unplaced += len(rows)
    for record in _judged(judge.comparisons):
        for measure in record.series:
            wanted.setdefault((record.scope, measure), {})
    size = len(snapshot.whole("roster.references"))
    taken.added = sum(len(kinds_of(measure)) for _, measure in wanted) - taken.rows
    roster.lay_out(size + taken.added)
    spare = list(range(size + taken.added - 1, size - 1, -1))
    saved: list[int] = []
    for (scope, measure), rows in wanted.items():
        kinds = kinds_of(measure)
        places = [rows.get(kind.name, NONE) for kind in kinds]
        roster.free = [spare.pop() if place == NONE else place for place in places][::-1]
        judge.comparisons.judge_series(records[scope], measure, detect)
        # Only what landed where it was: evidence is never of another kind than it was gathered for.
        saved += [
            place
            for kind, place in zip(kinds, places, strict=True)
            if place != NONE and roster.by_key.get((scope, measure, kind)) == place
        ]
    taken.unplaced += taken.rows - len(saved)
    taken.rows = len(saved)
    used = set(roster.by_key.values())
    before = [row for row in snapshot.whole("roster.free") if row not in used]
    roster.free = [*sorted(set(range(len(roster))) - used - set(before)), *before]
    _overlay(snapshot, roster, np.array(sorted(saved), dtype=np.int64))
    return taken


def _kept_rows(snapshot: Snapshot) -> dict[tuple[Scope, Measure], dict[str, int]]:
    """Return by scope and measure the rows that were kept, by the name of their kind."""
    kinds = snapshot.facts["roster.kinds"]
    measures = [Measure(*measure) for measure in snapshot.facts["roster.measures"]]
    kept: dict[tuple[Scope, Measure], dict[str, int]] = {}
    for row, number, measure, kind in snapshot.arrays["roster.keys"].tolist():
        scope = snapshot.scope(number)
        assert scope is not None
        kept.setdefault((scope, measures[measure]), {})[kinds[kind]] = row
    return kept


def _judged(comparisons: Comparisons) -> Iterator[ScopeRecord]:
    for family in comparisons.families.values():
        yield from family.arms.values()
        for leaves in family.leaves.values():
            yield from leaves.values()


def _overlay(snapshot: Snapshot, roster: Roster, rows: Rows) -> None:
    """Write what was kept of ``rows`` over what they were made with."""
    columns = roster.columns()
    kept = {
        name: found
        for name, column in columns.items()
        if (found := snapshot.column(f"roster.columns.{name}", column.shape[1:])) is not None
    }
    for detector in roster.detectors:
        # One that lacks a column has to begin anew as a whole.
        own = {name for name in columns if name.startswith(f"{detector}.")}
        if not own <= kept.keys():
            kept = {name: found for name, found in kept.items() if name not in own}
    turned = np.zeros(len(rows), dtype=np.bool_)
    for name, found in kept.items():
        if name not in roster.GIVEN:
            columns[name][rows] = found[rows]
        elif name not in _BY_NAME:
            turned |= found[rows] != columns[name][rows]
    references, previous, first_seen_ns = (
        snapshot.whole(f"roster.{name}")
        for name in ("references", "previous_scopes", "first_seen_ns")
    )
    for row in rows.tolist():
        roster.refer(row, snapshot.scope(references[row]))
        roster.previous_scopes[row] = snapshot.scope(previous[row])
        roster.first_seen_ns[row] = first_seen_ns[row]
    for row in rows[turned].tolist():
        # A kind that is weighed otherwise now: what was gathered says nothing of it.
        roster.restart(row, snapshot.taken_ns)
