"""Roll-ups: scopes over several arms or routes, judged beside them where each alone is too thin.

Three widths: a version over all its cohorts, a prompt over all its arms, and an upstream (provider
and model, or provider) over all routes through it. A roll-up is a scope with rings and rows like
any other; what arrives in its members is added up into it at every tick. It is judged while it has
2.5 times the calls of its largest member at least: else that member says the same as soon.

The sum of unlike members moves when traffic moves between them, and with one bad member alone. So
what a roll-up shows counts only where its members show it, each against its own normal (Simpson),
and those without the worst of them still do: one that is bad alone speaks for itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.families import Family
from tripswitch.detect.roster import Roster
from tripswitch.detect.signals import ABSOLUTE, CALLS, SIGNALS, Rule, kinds_of
from tripswitch.detect.steps import is_same
from tripswitch.model.clocktext import NS_PER_HOUR, NS_PER_MINUTE
from tripswitch.model.scope import Scope
from tripswitch.model.snapshot import Snapshot
from tripswitch.windows.rings import WIDE, Floats, Rows, by_slot
from tripswitch.windows.scopes import OVERFLOW, Measure, ScopeRecord, Scopes

if TYPE_CHECKING:
    from tripswitch.detect.comparison import Comparisons

_ACTIVE_NS: Final = NS_PER_HOUR
_WORTH: Final = 2.5
"""A roll-up has so many times the calls of its largest member, or is not judged."""
_MOST_MEASURES: Final = 48
_FEWEST_KNOWN: Final = 30.0
_KNOWN_SHARE: Final = 0.5
_ACROSS_ROUTES: Final = frozenset({"calls", "eval_score", "refusal", "error", "slow"})
"""Measures that mean the same on every route; what is spent, and tools, do not."""
_SECURITY: Final = frozenset({"pii_leak", "leak_trace", "prompt_injection"})


@dataclass(slots=True, eq=False)
class Rollup:
    """One roll-up; ``is_fed`` is False where the intake counts in its scope already.

    ``pairs`` are by member the number of its series and their ring rows with the roll-up's, (2, K).
    """

    record: ScopeRecord
    is_fed: bool
    members: list[ScopeRecord] = field(default_factory=list)
    pairs: dict[int, tuple[int, Rows]] = field(default_factory=dict)

    @property
    def is_upstream(self) -> bool:
        """Return whether it goes over several routes."""
        return self.record.scope.route is None

    @property
    def is_version(self) -> bool:
        """Return whether it is one version over its cohorts."""
        return self.record.scope.prompt_version is not None

    def inside(self, other: Rollup) -> list[ScopeRecord]:
        """Return the members that ``other`` covers when it is narrower than this, else none."""
        if other.is_upstream:
            covered = {member.scope for member in other.members}
            found = [member for member in self.members if member.scope in covered]
        else:
            covered = {member.scope for member in other.members}
            found = [member for member in self.members if member.scope.arm() in covered]
        return found if len(found) < len(self.members) else []

    def takes(self, measure: Measure) -> bool:
        """Return whether a measure of its members means something in their sum."""
        if self.is_upstream:
            return measure.name in _ACROSS_ROUTES
        return not self.is_version or measure.name not in _SECURITY


class Rollups:
    """All roll-ups by scope; chosen once a minute, fed at every tick."""

    def __init__(self, scopes: Scopes, roster: Roster, comparisons: Comparisons) -> None:
        self.scopes = scopes
        self.roster = roster
        self.comparisons = comparisons
        self.known: dict[Scope, Rollup] = {}
        self._minute = -1
        self._possible: tuple[int, list[Family]] = (-1, [])
        self._rows: Rows = np.zeros(0, dtype=np.int64)
        self._samples: Floats = np.zeros(0)
        self._usual: Floats = np.zeros(0)
        self._from: Rows = np.zeros(0, dtype=np.int64)
        self._to: Rows = np.zeros(0, dtype=np.int64)
        self._stretches = _stretches(self._to)
        self._pipes: list[Rows] = []

    def refresh(self, now_ns: int, detect: Detect) -> None:
        """Choose the roll-ups and their members; nothing when that was done in this minute."""
        if now_ns // NS_PER_MINUTE == self._minute:
            return
        self._minute = now_ns // NS_PER_MINUTE
        self.roster.revision += 1
        wanted = dict(self._wanted(now_ns))
        for scope, rollup in list(self.known.items()):
            if self.scopes.records.get(scope) is not rollup.record or not self._is_free(rollup):
                del self.known[scope]
            elif scope not in wanted:
                self._judge(rollup, is_judged=False)
                rollup.members, rollup.pairs = [], {}
        calls = self._calls(wanted.values())
        for scope, members in wanted.items():
            each = [calls.get(member.id, 0.0) for member in members]
            is_worth = sum(each) >= _WORTH * max(each) > 0
            known = self.known.get(scope)
            if known is None and is_worth:
                known = self._make(scope, members)
            if known is None:
                continue
            known.members = members
            self._take_measures(known, detect)
            self._judge(known, is_judged=is_worth)
            if known.is_version:
                self._compare(known, now_ns)
        self._lay_pipes()

    def feed(self, fresh: Floats) -> None:
        """Add what arrived in members, ``fresh`` of the rings, to their roll-ups, there too."""
        rings = self.scopes.rings
        slots = np.array(rings.taken_slots, dtype=np.int64)
        if not len(self._from) or not len(slots):
            return
        flat = by_slot(fresh).reshape(-1, 3)
        # Slots lie behind one another, each with all series.
        firsts = slots[:, None] * fresh.shape[0]
        each = flat.take(firsts + self._from, axis=0)
        came = np.add.reduce(each[:, :, 0], axis=0).nonzero()[0]
        if not len(came):
            return
        if len(came) == len(self._from):
            rows, starts = self._stretches
        else:
            rows, starts = _stretches(self._to.take(came))
            each = each.take(came, axis=1)
        found = np.add.reduceat(each, starts, axis=1)
        into = firsts + rows
        found += flat.take(into, axis=0)
        # A row of numbers is written at once, which is some times faster than one by one.
        flat.view(WIDE).put(into, found.view(WIDE))
        rings.add_fresh(rows, slots, found)

    def compare(self, rows: Rows, samples: Floats, usual: Floats) -> None:
        """Take what is usual for each of ``rows`` from now on, and the samples it stands on."""
        self._rows, self._samples, self._usual = rows, samples, usual

    def of(self, scope: Scope | None) -> Rollup | None:
        """Return the roll-up whose scope this is."""
        return None if scope is None else self.known.get(scope)

    def is_shown(
        self,
        rollup: Rollup,
        row: int,
        window: str,
        line: float,
        without: Iterable[ScopeRecord] = (),
    ) -> bool:
        """Return whether the members, each against its own normal, show half of ``line``.

        So must they without the one that shows it most; or without those of ``without``.
        """
        _, measure, kind = self.roster.key(row)
        signal = SIGNALS[kind]
        if signal.rule in ABSOLUTE:
            return True
        left_out = {member.id for member in without}
        members = [member for member in rollup.members if member.id not in left_out]
        judged = [self.roster.by_key.get((member.scope, measure, kind)) for member in members]
        known = np.array([found for found in judged if found is not None], dtype=np.int64)
        index = np.searchsorted(self._rows, known)
        stats = self.scopes.rings.window(self.roster.series[known], window)
        n, enough = stats[:, 0], self._samples[index] >= _FEWEST_KNOWN
        if n[enough].sum() < _KNOWN_SHARE * n.sum() or not enough.any():
            return False
        n, usual = n[enough], self._usual[index[enough]]
        excess = stats[enough, 1] - n * usual
        if signal.is_mirrored:
            excess = -excess
        if signal.rule is Rule.RATIO:
            excess, n = excess / np.maximum(usual, 1e-9), n
        worst = int(np.argmax(excess))
        rest = float(n.sum() - n[worst])
        shown = float(excess.sum()) >= line / 2 * float(n.sum())
        return shown and (
            bool(left_out) or (rest > 0 and float(excess.sum() - excess[worst]) >= line / 2 * rest)
        )

    def save(self, snapshot: Snapshot) -> None:
        """Put what is rolled up now into ``snapshot``; rings and rows go with the others."""
        snapshot.facts["rollups.minute"] = self._minute
        snapshot.facts["rollups"] = [
            [snapshot.number(scope), rollup.is_fed, [member.id for member in rollup.members]]
            for scope, rollup in self.known.items()
        ]

    def restore(self, snapshot: Snapshot, by_id: dict[int, ScopeRecord]) -> None:
        """Know again what `save` put there; nothing where it is from before there was any."""
        self._minute = snapshot.facts.get("rollups.minute", -1)
        for number, is_fed, members in snapshot.facts.get("rollups", ()):
            record = self.scopes.records.get(snapshot.scope(number) or OVERFLOW)
            if record is not None:
                rollup = Rollup(record, is_fed, [by_id[member] for member in members])
                self.known[record.scope] = rollup
                self._note(rollup)
        self._lay_pipes()

    def _wanted(self, now_ns: int) -> Iterator[tuple[Scope, list[ScopeRecord]]]:
        upstreams: dict[Scope, list[ScopeRecord]] = {}
        for family in self._families():
            arms = [arm for arm in family.arms.values() if now_ns - arm.last_seen_ns <= _ACTIVE_NS]
            for arm in arms:
                for leaf in family.leaves.get(arm.scope, {}).values():
                    provider, model = leaf.scope.provider, leaf.scope.request_model
                    if provider is None or now_ns - leaf.last_seen_ns > _ACTIVE_NS:
                        continue
                    for upstream in {Scope(provider=provider), _upstream(provider, model)}:
                        upstreams.setdefault(upstream, []).append(leaf)
            # Fewer are never worth it; what was rolled up before is looked after all the same.
            if len(arms) > _WORTH or (len(arms) > 1 and family.rollups):
                yield from _of_family(family, arms)
        for upstream, leaves in sorted(upstreams.items(), key=lambda item: _texts(item[0])):
            models = {leaf.scope.request_model for leaf in leaves}
            is_same = upstream.request_model is None and models != {None} and len(models) == 1
            if not is_same and len({leaf.scope.family() for leaf in leaves}) > 1:
                yield upstream, leaves

    def _families(self) -> list[Family]:
        """Return those that may have roll-ups of any sort, whoever in them is active."""
        revision, families = self._possible
        if revision != self.scopes.revision:
            families = [
                family
                for family in self.comparisons.families.values()
                if family.scope != OVERFLOW.family()
                and (
                    len(family.arms) > _WORTH
                    or (len(family.arms) > 1 and family.rollups)
                    or _has_provider(family)
                )
            ]
            self._possible = (self.scopes.revision, families)
        return families

    def _is_free(self, rollup: Rollup) -> bool:
        """Return whether traffic of its own has not come to a scope that is fed from others."""
        scope = rollup.record.scope
        family = self.comparisons.families.get(scope.family())
        if family is None or not rollup.is_fed:
            return not rollup.is_upstream or family is None
        return scope not in family.arms and scope not in family.references

    def _calls(self, wanted: Iterable[list[ScopeRecord]]) -> dict[int, float]:
        """Return the calls of the last hour of all that may be members, by record id."""
        series = {
            member.id: row
            for members in wanted
            for member in members
            if (row := member.series.get(CALLS)) is not None
        }
        rows = np.array(list(series.values()), dtype=np.int64)
        calls = self.scopes.rings.counts(rows, "1h").tolist()
        return dict(zip(series, calls, strict=True))

    def _make(self, scope: Scope, members: list[ScopeRecord]) -> Rollup | None:
        record = self.scopes.records.get(scope)
        family = self.comparisons.families.get(scope.family())
        is_fed = record is None
        if record is None:
            first_seen_ns = min(member.first_seen_ns for member in members)
            found_running = any(member.found_running for member in members)
            record = self.scopes.see(scope, first_seen_ns, found_running=found_running)
            if record.scope != scope:
                return None
        elif family is None or scope not in family.references or scope in family.arms:
            return None
        rollup = self.known[scope] = Rollup(record, is_fed)
        self._note(rollup)
        return rollup

    def _note(self, rollup: Rollup) -> None:
        family = self.comparisons.families.get(rollup.record.scope.family())
        if family is not None:
            family.rollups[rollup.record.scope] = rollup.record
            self._possible = (-1, [])

    def _take_measures(self, rollup: Rollup, detect: Detect) -> None:
        """See to it that a roll-up has a series and rows for what its members measure."""
        record = rollup.record
        record.last_seen_ns = max(member.last_seen_ns for member in rollup.members)
        sources = rollup.members if rollup.is_fed else [record]
        for member in sources:
            known = rollup.pairs.get(member.id)
            if known is not None and known[0] == len(member.series):
                continue
            for measure in member.series:
                has_room = measure in record.series or len(record.series) < _MOST_MEASURES
                if rollup.takes(measure) and has_room:
                    self.scopes.row(record, measure)
            for measure in list(record.series):
                if kinds_of(measure):
                    self.comparisons.judge_series(record, measure, detect)
            rollup.pairs[member.id] = (len(member.series), _pairs(member, rollup))

    def _judge(self, rollup: Rollup, *, is_judged: bool) -> None:
        rows = self.roster.by_scope.get(rollup.record.scope, [])
        self.roster.judged[rows] = is_judged

    def _compare(self, rollup: Rollup, now_ns: int) -> None:
        """Compare a version over its cohorts with the one before, while it is young."""
        scope, record = rollup.record.scope, rollup.record
        rivals = [
            other.record
            for other in self.known.values()
            if other.is_version
            and other.record.scope.family() == scope.family()
            and other.record.first_seen_ns < record.first_seen_ns
        ]
        before = max(rivals, key=lambda one: (one.last_seen_ns, one.id), default=None)
        self.comparisons.compare_before(record, before, now_ns)

    def _lay_pipes(self) -> None:
        pairs = [
            _pairs(member, rollup) if known is None else known[1]
            for rollup in self.known.values()
            if rollup.is_fed
            for member in rollup.members
            for known in (rollup.pairs.get(member.id),)
        ]
        if is_same(self._pipes, pairs):
            return
        self._pipes = pairs
        both = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        order = np.argsort(both[1], kind="stable")
        self._from, self._to = both[0][order], both[1][order]
        self._stretches = _stretches(self._to)


def _has_provider(family: Family) -> bool:
    return any(leaf.provider is not None for leaves in family.leaves.values() for leaf in leaves)


def _upstream(provider: str, model: str | None) -> Scope:
    return Scope(provider=provider, request_model=model)


def _of_family(
    family: Family, arms: list[ScopeRecord]
) -> Iterator[tuple[Scope, list[ScopeRecord]]]:
    """Yield the roll-ups of one prompt on a route, the narrower ones first."""
    of_version: dict[Scope, list[ScopeRecord]] = {}
    for arm in arms:
        route, prompt_name, version, _, model, provider = arm.scope
        if version is not None:
            whole = Scope(route, prompt_name, version, None, model, provider)
            of_version.setdefault(whole, []).append(arm)
    for scope, members in of_version.items():
        if len(members) > 1 and scope not in family.arms:
            yield scope, members
    # Where some traffic has no cohort, the prompt's own scope counts only that.
    is_whole = family.scope not in family.references or all(
        arm.scope.cohort is None for arm in arms
    )
    if is_whole and family.scope not in family.arms and len(of_version) != 1:
        yield family.scope, arms


def _pairs(member: ScopeRecord, rollup: Rollup) -> Rows:
    into = rollup.record.series
    found = [
        (row, into[measure])
        for measure, row in member.series.items()
        if measure in into and rollup.takes(measure)
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2).T


def _stretches(to: Rows) -> tuple[Rows, Rows]:
    """Return the rows that follow each other in ``to``, and where each begins there."""
    starts = np.flatnonzero(np.diff(to, prepend=-1))
    return to[starts], starts


def _texts(scope: Scope) -> tuple[str, ...]:
    return tuple(part or "" for part in scope)
