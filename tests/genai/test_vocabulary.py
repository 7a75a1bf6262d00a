"""Whose key wins."""

from __future__ import annotations

from collections import Counter

import pytest

from tripswitch.config.read_section import FACTS
from tripswitch.genai.dialects import DIALECTS
from tripswitch.genai.plan import COMMON_FACTS
from tripswitch.genai.technical_keys import TECHNICAL_KEYS
from tripswitch.genai.vocabulary import Vocabulary, usual_key

ROWS = [row for dialect in DIALECTS for row in dialect.rows]

ALWAYS_WIN = {
    "route": "tripswitch.route",
    "prompt_name": "tripswitch.prompt.name",
    "prompt_version": "tripswitch.prompt.version",
    "cohort": "tripswitch.cohort",
    "tenant": "tripswitch.tenant",
}


def test_every_configurable_fact_has_a_row() -> None:
    assert set(FACTS) <= {row.fact for row in ROWS}
    assert set(COMMON_FACTS) <= {row.fact for row in ROWS}


def test_no_key_stands_twice_for_one_fact_of_a_dialect() -> None:
    for dialect in DIALECTS:
        pairs = Counter((row.fact, row.key, row.member) for row in dialect.rows)
        assert [pair for pair, count in pairs.items() if count > 1] == []


@pytest.mark.parametrize(("fact", "key"), ALWAYS_WIN.items())
def test_own_keys_come_after_tripswitch_and_before_all_others(fact: str, key: str) -> None:
    vocabulary = Vocabulary({fact: ["mine.first", "mine.second"]}, content_facts=True)
    order = [row.key for row in vocabulary.rows[fact]]
    assert order[:3] == [key, "mine.first", "mine.second"]
    assert len(order) > 3


def test_content_is_only_asked_for_when_its_facts_are_wanted() -> None:
    for content in ("gen_ai.output.messages", "output.value", "langfuse.observation.output"):
        assert Vocabulary({}, content_facts=True).wants(content)
        assert not Vocabulary({}, content_facts=False).wants(content)
    assert not Vocabulary({}, content_facts=True).wants("gen_ai.input.messages")


def test_plans_are_bounded() -> None:
    vocabulary = Vocabulary({}, content_facts=True)
    for number in range(10_000):
        vocabulary.plan((f"key.{number}",), (), "scope")
    assert len(vocabulary._plans) <= 4096


@pytest.mark.parametrize(
    ("fact", "key"),
    [
        ("route", "tripswitch.route"),
        ("request_model", "gen_ai.request.model"),
        ("ttft", "gen_ai.response.time_to_first_chunk"),
        ("finish_reasons", "gen_ai.response.finish_reasons"),
    ],
)
def test_key_that_is_recommended_is_ours_or_the_convention_of_now(fact: str, key: str) -> None:
    assert usual_key(fact) == key


def test_no_key_that_may_hold_content_or_a_user_is_held_to_be_technical() -> None:
    vocabulary = Vocabulary({}, content_facts=True)
    assert TECHNICAL_KEYS.isdisjoint(vocabulary.private)
    for key in TECHNICAL_KEYS:
        assert not {"url", "query", "body", "header", "statement", "message", "user"} & set(
            key.replace("url.scheme", "").split(".")
        )
