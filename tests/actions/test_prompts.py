"""The texts of two prompt versions are read from the registry, and nothing is ever moved by it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.actions.rollback.kinds import REGISTRIES, Kind
from tripswitch.actions.attempt import Attempt
from tripswitch.actions.prompts import prompt_texts
from tripswitch.actions.rollback.prompt_text import MOST_CHARS, text_of, text_of_json

TEXTLESS = ("helicone", "futureagi")


@pytest.mark.parametrize("kind", REGISTRIES, ids=str)
def test_each_registry_gives_both_texts_or_says_that_it_does_not(kind: Kind) -> None:
    with kind.fake() as fake:
        wanted = (kind.versions(17), kind.versions(18))
        found = asyncio.run(prompt_texts([kind.section(fake.url)], "", kind.prompt, wanted))
        assert fake.writes == []
    if kind.name in TEXTLESS:
        assert isinstance(found, Attempt)
        assert kind.name in found.detail
        return
    assert not isinstance(found, Attempt), found
    assert "text 17" in found[0]
    assert "text 18" in found[1]


@pytest.mark.parametrize("kind", REGISTRIES, ids=str)
def test_a_version_that_is_not_there_is_said(kind: Kind) -> None:
    with kind.fake() as fake:
        wanted = (kind.versions(17), kind.versions(99))
        found = asyncio.run(prompt_texts([kind.section(fake.url)], "", kind.prompt, wanted))
    assert isinstance(found, Attempt)


def test_a_prompt_without_a_name_is_said() -> None:
    kind = REGISTRIES[0]
    found = asyncio.run(prompt_texts([kind.section("http://127.0.0.1:1")], "", None, ("17", "18")))
    assert isinstance(found, Attempt)
    assert "no prompt name" in found.detail


def test_messages_are_told_apart_by_their_roles() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image"}]},
        {"type": "placeholder", "name": "history"},
    ]
    assert text_of(messages) == "[system]\nBe brief.\n\n[user]\na\n\n[placeholder history]"
    assert text_of_json('[{"role": "user", "content": "x"}]') == "[user]\nx"
    assert text_of_json("{{ name }}, hello") == "{{ name }}, hello"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_any_template_is_read_or_refused(template: object) -> None:
    found = text_of(template)
    assert found is None or len(found) <= MOST_CHARS
