"""What no single field can say about understanding: ranges, labels, days, prices."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tripswitch.config.problems import NOWHERE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tripswitch.config.evaluations_section import EvaluationRule
    from tripswitch.config.model import Config
    from tripswitch.config.prices_section import ModelPrice

Path = tuple[str | int, ...]


def understanding_conflicts(config: Config) -> Iterator[Problem]:
    """Yield the errors in how the settings about evaluations and prices go together."""
    for place, rule in enumerate(config.evaluations):
        yield from _range(("evaluations", place), rule)
        yield from _labels(("evaluations", place), rule)
    for name, prices in (("own", config.prices.own), ("models", config.prices.models)):
        yield from _prices(("prices", name), prices)


def _range(path: Path, rule: EvaluationRule) -> Iterator[Problem]:
    low, high = rule.low, rule.high
    if low is None and high is None:
        return
    if low is None or high is None:
        missing, given = ("low", "high") if low is None else ("high", "low")
        yield Problem(
            "config.missing",
            NOWHERE,
            (*path, missing),
            "nothing",
            f"the other end of the range, as {given} is given",
            "a range has two ends: low: 1 and high: 5",
            also=((*path, given),),
        )
    elif low >= high:
        yield Problem(
            "config.order",
            NOWHERE,
            (*path, "low"),
            f'"{low:g}", not below high: {high:g}',
            "the lower end of the range",
            "where low scores are the good ones, say better: lower",
            also=((*path, "high"),),
        )


def _labels(path: Path, rule: EvaluationRule) -> Iterator[Problem]:
    good = {label.strip().lower() for label in rule.good_labels}
    for place, label in enumerate(rule.bad_labels):
        if label.strip().lower() in good:
            yield Problem(
                "config.conflict",
                NOWHERE,
                (*path, "bad_labels", place),
                f'"{label}", which is among good_labels too',
                "a label that is good or bad, not both",
                "",
                also=((*path, "good_labels"),),
            )


def _prices(path: Path, prices: list[ModelPrice]) -> Iterator[Problem]:
    first: dict[tuple[str, str, str], int] = {}
    for place, price in enumerate(prices):
        for name in ("model", "input"):
            if name not in price.model_fields_set:
                wanted = "a price; 0 where it is free" if name == "input" else "a model"
                where = (*path, place, name)
                yield Problem("config.missing", NOWHERE, where, "nothing", wanted, "")
        if price.since and not _is_day(price.since):
            yield Problem(
                "config.format",
                NOWHERE,
                (*path, place, "since"),
                f'"{price.since}"',
                "a day that is in the calendar, such as 2026-01-31",
                "",
            )
        key = (price.provider.lower(), price.model.lower(), price.since)
        earlier = first.setdefault(key, place)
        if earlier != place:
            yield Problem(
                "config.duplicate",
                NOWHERE,
                (*path, place, "model"),
                f'"{price.model}" again',
                "one price for a model, provider and day",
                "give the later one the day it holds from: since: 2026-01-31",
                also=((*path, earlier, "model"),),
            )


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
