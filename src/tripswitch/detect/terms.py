"""Terms: by what every row is decided, for as long as it is compared with the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from tripswitch.config.detect_sections import Detect
from tripswitch.detect.baseline import Baseline
from tripswitch.detect.point_rule import Flags, Reference
from tripswitch.detect.reader import Reader
from tripswitch.detect.roster import DETECTORS, NONE, Roster
from tripswitch.detect.signals import Rule, among, rules_of
from tripswitch.windows.rings import Floats, Rows

if TYPE_CHECKING:
    from tripswitch.detect.judge import Judge

_IS_RATIO: Final = among(Rule.RATIO)


@dataclass(slots=True)
class Terms:
    """What the rows are decided by, for as long as they and their references stay what they are.

    ``evidence`` are places in the evidence of all detectors: of the evidence of each row that may
    page, of that which may ask for a look, and of what must be ``rare`` and has a control against
    that. ``rare`` are the positions of these.
    """

    rows: Rows
    base: Baseline
    reader: Reader
    line_look: Floats
    is_control: Flags
    by_control: Flags
    is_previous: Flags
    is_comparable: Flags
    evidence: Rows
    rare: Rows
    hangs_on: list[bytes]

    @classmethod
    def of(
        cls, judge: Judge, rows: Rows, base: Baseline, detect: Detect, before: Terms | None
    ) -> Terms:
        """Return the terms of all ``rows``, with the baseline of each.

        Those from ``before`` are taken up where only what is usual is another now.
        """
        roster = judge.roster
        hangs_on = _hangs_on(roster, rows)
        if before is not None and hangs_on == before.hangs_on:
            before.reader.renew(*_references(judge, rows, base, detect))
            return replace(
                before,
                base=base,
                is_previous=judge.has_previous(rows, detect) & ~roster.is_absolute[rows],
                is_comparable=_is_comparable(roster, rows, base),
            )
        is_control, is_absolute = roster.control[rows] != NONE, roster.is_absolute[rows]
        # What must be rare pages by itself; its control is blamed only where it is proven better.
        by_control = is_control & ~is_absolute
        rare = (is_control & is_absolute).nonzero()[0]
        page_control, page_own, look_control, look_own = (
            rows + DETECTORS.index(name) * len(roster.kind)
            for name in ("page_control", "page_own", "look_control", "look_own")
        )
        return cls(
            rows=rows,
            base=base,
            reader=reader_of(judge, rows, base, detect),
            line_look=roster.line_look[rows],
            is_control=is_control,
            by_control=by_control,
            is_previous=judge.has_previous(rows, detect) & ~is_absolute,
            is_comparable=_is_comparable(roster, rows, base),
            evidence=np.concatenate(
                [
                    np.where(by_control, page_control, page_own),
                    np.where(by_control, look_control, look_own),
                    page_control[rare],
                ]
            ),
            rare=rare,
            hangs_on=hangs_on,
        )


def _is_comparable(roster: Roster, rows: Rows, base: Baseline) -> Flags:
    has_reference = (roster.control[rows] != NONE) | (base.samples > 0) | roster.is_absolute[rows]
    return np.asarray(has_reference & roster.judged[rows])


def _hangs_on(roster: Roster, rows: Rows) -> list[bytes]:
    """Return all that decides how ``rows`` are read, but for the numbers of what is usual."""
    columns = (
        roster.kind,
        roster.series,
        roster.raw,
        roster.of_success,
        roster.control,
        roster.control_raw,
        roster.control_of_success,
        roster.line_look,
        roster.fewest,
        roster.fewest_events,
        roster.mirrored,
        roster.is_absolute,
    )
    return [column.tobytes() for column in (rows, *columns)]


def reader_of(judge: Judge, rows: Rows, base: Baseline, detect: Detect) -> Reader:
    """Return what reads a window for some of ``rows``, by their positions."""
    roster = judge.roster
    control, is_absolute = roster.control[rows], roster.is_absolute[rows]
    means, effect, ratios = _references(judge, rows, base, detect)
    return Reader(
        judge.scopes.rings,
        series=roster.series[rows],
        means=means,
        mirrored=roster.mirrored[rows],
        effect=effect,
        is_ratio=_IS_RATIO[rules_of(roster.kind[rows])],
        of_ratios=tuple(
            column[rows]
            for column in (
                roster.raw,
                roster.of_success,
                roster.control_raw,
                roster.control_of_success,
            )
        ),
        ratios=ratios,
        fewest=roster.fewest[rows],
        fewest_events=np.where(is_absolute, roster.fewest_events[rows], 0.0),
        by_control=(control != NONE) & ~is_absolute,
    )


def _references(
    judge: Judge, rows: Rows, base: Baseline, detect: Detect
) -> tuple[Reference, Floats, Reference]:
    """Return what the means of rows are compared with, their design effect, and that of ratios."""
    control = judge.roster.control[rows]
    control_effect = judge.control_effect if len(judge.control_effect) == len(rows) else 1.0
    ratio, ratio_error = judge.ratio_baseline(rows, detect)
    return (
        Reference(control, base.mean, base.standard_error, base.samples),
        np.where(control != NONE, control_effect, base.design_effect),
        Reference(control, ratio, ratio_error, base.samples),
    )
