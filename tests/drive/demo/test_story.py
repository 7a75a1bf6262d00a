"""The story's numbers: seeded, the same luck for every version, and the size of the regression."""

from __future__ import annotations

from itertools import islice
from statistics import fmean

import pytest

from tripswitch.drive.demo import story
from tripswitch.drive.demo.story import STORIES, Answer, Visit, answer, visits


def first_visits(seed: int, count: int) -> list[Visit]:
    return list(islice(visits(seed), count))


def answers(told: story.Story, version: str) -> list[Answer]:
    return [
        answer(visit, version, told.behaviours[version])
        for visit in first_visits(7, 40_000)
        if visit.route.path == story.REFUND_ROUTE
    ]


def mean_score(given: list[Answer]) -> float:
    return fmean(each.score for each in given if each.score is not None)


def refusal_share(given: list[Answer]) -> float:
    return fmean(each.refused for each in given)


def test_one_seed_gives_one_story_and_another_seed_another() -> None:
    assert first_visits(1, 500) == first_visits(1, 500)
    assert first_visits(1, 500) != first_visits(2, 500)


def test_visits_come_in_order_at_the_stated_rates() -> None:
    coming = first_visits(3, 22_000)
    starts = [visit.start_s for visit in coming]
    assert starts == sorted(starts)
    for route in story.ROUTES:
        found = sum(visit.route is route for visit in coming) / starts[-1]
        assert found == pytest.approx(route.visits_per_s, rel=0.1)
    refunds = [visit for visit in coming if visit.route.path == story.REFUND_ROUTE]
    canary = fmean(visit.cohort == story.CANARY for visit in refunds)
    assert canary == pytest.approx(0.4, abs=0.02)


def test_the_new_version_is_worse_by_what_the_story_says() -> None:
    told = STORIES["regression"]
    old, new = answers(told, story.OLD_VERSION), answers(told, story.NEW_VERSION)
    assert mean_score(old) == pytest.approx(0.90, abs=0.01)
    assert mean_score(old) - mean_score(new) == pytest.approx(story.FAITHFULNESS_DROP, abs=0.01)
    assert refusal_share(new) - refusal_share(old) == pytest.approx(story.REFUSAL_RISE, abs=0.01)


def test_in_the_healthy_story_a_version_changes_nothing_but_its_name() -> None:
    told = STORIES["healthy"]
    assert not told.has_regression
    for old, new in zip(
        answers(told, story.OLD_VERSION), answers(told, story.NEW_VERSION), strict=True
    ):
        assert (old.refused, old.failed, old.score) == (new.refused, new.failed, new.score)


def test_whoever_is_refused_by_the_old_version_is_refused_by_the_worse_one() -> None:
    told = STORIES["regression"]
    pairs = zip(answers(told, story.OLD_VERSION), answers(told, story.NEW_VERSION), strict=True)
    assert all(new.refused for old, new in pairs if old.refused)


def test_a_failed_call_has_no_answer_to_judge() -> None:
    given = answers(STORIES["regression"], story.NEW_VERSION)
    failed = [each for each in given if each.failed]
    assert failed
    assert all(each.score is None and not each.refused and not each.is_bad for each in failed)
