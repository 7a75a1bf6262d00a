"""The tables, beside the reference's, and what of them misses what is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from bench.detect import bad_minutes, delays, nulls, reference
from bench.detect.bounds import quantile, rate_bound, share_bounds
from bench.detect.cells import Combo

_MOST_SLOWER = 1.2
_DAY = 1440.0
_WITH_THREE_POINTS = (
    "history-3",
    "history",
    "start-3",
    "start",
    "canary-3",
    "canary",
    "canary-200s",
)


def minutes(value: float) -> str:
    """Return a delay in minutes, short."""
    if math.isinf(value):
        return "-"
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"


class Tables:
    """Results by cell and label as text; ``misses`` says in words what is not as asked."""

    def __init__(self, results: Mapping[str, Mapping[str, Combo]]) -> None:
        self.results = results
        self.misses: list[str] = []

    def text(self) -> str:
        """Return all tables of the cells there are."""
        parts = (
            self._months,
            self._rollouts,
            self._history,
            self._start,
            self._canary,
            self._three_points,
            self._others,
            self._rolled_up,
            self._bad_minutes,
        )
        return "\n".join(line for part in parts for line in part()) + "\n"

    def _rows(self, cell: str) -> list[tuple[str, Combo]]:
        return list(self.results.get(cell, {}).items())

    def _ask(self, what: str, *, holds: bool) -> None:
        if not holds:
            self.misses.append(what)

    def _months(self) -> Iterator[str]:
        rows = self._rows("months")
        if rows:
            scopes, pages = sum(one.runs for _, one in rows), sum(one.pages for _, one in rows)
            yield "\nFalse pages of scores in a month, historical baseline (section 9)"
            yield f"{'environment':24}{'scopes':>7}{'pages':>7}{'looks':>7}{'reference':>11}"
            for name, one in rows:
                looked = sum(delay is not None for delay in one.look)
                yield f"{name:24}{one.runs:7}{one.pages:7}{looked:7}{0:11}"
            bound = rate_bound(pages, scopes)
            yield f"all: {pages} pages in {scopes} scope-months, below {bound:.4f} a scope-month"
            self._ask(f"{pages} false pages in {scopes} scope-months", holds=pages == 0)
        for name in nulls.OTHERS:
            for environment, one in self._rows(f"month-{name}"):
                looked = sum(delay is not None for delay in one.look)
                yield f"{name}, {environment}: {one.pages} pages, {looked} looks, {one.runs} scopes"
                self._ask(f"{one.pages} false pages of {name}", holds=one.pages == 0)

    def _rollouts(self) -> Iterator[str]:
        cells = [name for name in self.results if name.startswith("rollouts-")]
        if cells:
            yield "\nFalse rollbacks in 1,000 null rollouts of 8 h (section 9, reference 0 in each)"
            yield (
                f"{'environment':28}{'rollouts':>9}{'rollbacks':>10}{'in 1,000, 95 %':>18}"
                f"{'looks':>7}"
            )
        for cell in cells:
            for name, one in self._rows(cell):
                back = sum(delay is not None for delay in one.rollback)
                looked = sum(delay is not None for delay in one.look)
                low, high = (1000 * bound for bound in share_bounds(back, one.runs))
                yield f"{name:28}{one.runs:9}{back:10}{low:10.2f}-{high:7.2f}{looked:7}"
                asked = name in nulls.ROLLOUTS or name in nulls.REPLACED
                what = f"{back} false rollbacks in {one.runs} rollouts: {name}"
                self._ask(what, holds=not asked or back <= one.runs / 1000)

    def _delays(
        self,
        cells: tuple[str, ...],
        title: str,
        known: Mapping[tuple[float, float], float],
        of: Callable[[Combo], list[float | None]],
        *,
        pages: bool = True,
    ) -> Iterator[str]:
        """Yield median, p95 and misses by rate and change, for what the reference has too."""
        by_label = {label: one for cell in cells for label, one in self._rows(cell)}
        if not by_label:
            return
        yield f"\n{title}"
        yield (
            f"{'a minute, change':20}{'runs':>6}{'median':>8}{'p95':>7}{'never':>7}"
            f"{'reference':>11}{'ratio':>7}"
        )
        for label, one in by_label.items():
            rate, change = (float(part) for part in label.replace("/min", "").split())
            found = of(one)
            never = sum(delay is None for delay in found)
            median = quantile(found, 0.5)
            wanted = known.get((rate, change))
            beside = "" if wanted is None else f"{wanted:11.0f}{median / wanted:7.2f}"
            yield (
                f"{label:20}{one.runs:6}{minutes(median):>8}{minutes(quantile(found, 0.95)):>7}"
                f"{never:7}{beside}"
            )
            if wanted is not None:
                what = f"{title}: {label} takes {minutes(median)} min, reference {wanted:g}"
                self._ask(what, holds=median <= _MOST_SLOWER * wanted)
            if pages and change >= 0.055:
                high = share_bounds(never, one.runs)[1]
                what = f"{title}: {label} missed in {never} of {one.runs} (up to {high:.1%})"
                self._ask(what, holds=never == 0)

    def _history(self) -> Iterator[str]:
        cells = ("history-3", "history")
        yield from self._delays(
            cells, "Page on the own past (section 9)", reference.HISTORY_PAGE, lambda one: one.page
        )
        yield from self._delays(
            cells,
            "Look on the own past (section 9)",
            reference.HISTORY_LOOK,
            lambda one: one.look,
            pages=False,
        )

    def _start(self) -> Iterator[str]:
        yield from self._delays(
            ("start-3", "start"),
            "Page of a version seen from its first span (sections 4 and 9)",
            reference.START_PAGE,
            lambda one: one.page,
        )

    def _canary(self) -> Iterator[str]:
        yield from self._delays(
            ("canary-3", "canary", "canary-200s"),
            "Page of a canary beside its control (section 8)",
            reference.CANARY_PAGE,
            lambda one: one.page,
        )
        yield from self._delays(
            ("canary-refusal-3", "canary-refusal", "canary-refusal-200s"),
            "First alarm on refusals of a canary (section 8)",
            reference.CANARY_REFUSAL,
            lambda one: one.look,
            pages=False,
        )

    def _three_points(self) -> Iterator[str]:
        lines = []
        for cell in (
            "history-3",
            "history",
            "start-3",
            "start",
            "canary-3",
            "canary",
            "canary-200s",
        ):
            for label, one in self._rows(cell):
                if not label.endswith(" 0.03"):
                    continue
                paged = sum(delay is not None and delay <= _DAY for delay in one.page)
                high = share_bounds(paged, one.runs)[1]
                lines.append(f"{cell:14}{label:18}{paged:5} of {one.runs} (up to {high:.1%})")
                what = f"three points paged within a day in {paged} of {one.runs}: {cell} {label}"
                self._ask(what, holds=paged <= 0.1 * one.runs)
        if lines:
            yield "\nA true drop of 3 points that paged within 24 h, 10 % at most"
            yield from lines

    def _others(self) -> Iterator[str]:
        titled = False
        for name, changes in delays.OTHER_CHANGES.items():
            rows = self.results.get(f"other-{name}", {})
            for words, change in changes.items():
                one = rows.get(delays.label(30.0, change))
                if one is None:
                    continue
                if not titled:
                    titled = True
                    yield "\nOther signals at 30 a minute on the own past, median (p95) (section 9)"
                    yield f"{'change':22}{'look':>14}{'page':>14}{'never':>7}{'reference':>14}"
                shown = [
                    f"{minutes(quantile(found, 0.5))} ({minutes(quantile(found, 0.95))})"
                    for found in (one.look, one.page)
                ]
                wanted = reference.OTHERS[name].get(words)
                beside = "" if wanted is None else f"{wanted[0]:g} ({wanted[1] or '?'})"
                never = sum(delay is None for delay in one.page)
                yield f"{name + ' ' + words:22}{shown[0]:>14}{shown[1]:>14}{never:7}{beside:>14}"
                if wanted is not None:
                    found = one.look if (name, words) in reference.LOOKS else one.page
                    median = quantile(found, 0.5)
                    what = f"{name} {words} takes {minutes(median)} min, reference {wanted[0]:g}"
                    self._ask(what, holds=median <= _MOST_SLOWER * wanted[0])

    def _rolled_up(self) -> Iterator[str]:
        months = self._rows("rolled-up-months")
        if months:
            yield "\nFalse pages in a month of a model over ten routes at 0.5 scores a minute each"
        for name, one in months:
            looked = sum(delay is not None for delay in one.look)
            yield f"{name:24}{one.pages:4} pages, {looked} looks, {one.runs} models"
            self._ask(f"{one.pages} false pages of roll-ups: {name}", holds=one.pages == 0)
        rows = self._rows("rolled-up")
        if rows:
            yield "\nA model that changes behind ten routes at 1 a minute each, minutes to a page"
        for name, one in rows:
            never = sum(delay is None for delay in one.page)
            median, p95 = (minutes(quantile(one.page, share)) for share in (0.5, 0.95))
            yield f"{name:24}{median:>8} (p95 {p95}), {never} of {one.runs} never"

    def _bad_minutes(self) -> Iterator[str]:
        cells = [cell.name for cell in bad_minutes.CELLS if cell.name in self.results]
        if cells:
            yield "\nBad minutes that a page must span: pages of spikes of 1 to 3 min, and delay"
            yield f"{'comparison, signal, a minute':36}" + "".join(
                f"{number:>22}" for number in bad_minutes.NUMBERS
            )
        for cell in cells:
            rows = self.results[cell]
            for rate in bad_minutes.RATES:
                columns = []
                for number in bad_minutes.NUMBERS:
                    spike = rows[f"{number} spike {rate:g}/min"]
                    lasting = rows[f"{number} lasting {rate:g}/min"]
                    paged = sum(delay is not None for delay in spike.page)
                    delay = minutes(quantile(lasting.page, 0.5))
                    look = minutes(quantile(lasting.look, 0.5))
                    columns.append(f"{paged}/{spike.runs}, {delay} ({look})")
                name = f"{cell.removeprefix('bad-minutes-')} {rate:g}"
                yield f"{name:36}" + "".join(f"{column:>22}" for column in columns)
