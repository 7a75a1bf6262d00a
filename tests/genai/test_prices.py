"""Prices: the reported cost first, then tokens times price, and unknown stays unknown."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genai.spans import CHAT, SpanOf, request_of
from tripswitch.config.loading import load_config
from tripswitch.config.model import Config
from tripswitch.config.prices_section import ModelPrice, Prices
from tripswitch.config.problems import InvalidConfig
from tripswitch.config.sample import sample_text
from tripswitch.genai.prices import PriceTable
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import Understanding

if TYPE_CHECKING:
    from pathlib import Path

DAY_NS = 86_400 * 10**9
NOW_NS = 20_784 * DAY_NS  # 2026-11-27
SHIPPED = PriceTable(load_config((), {}).prices)


def test_shipped_table_prices_what_a_gateway_reported() -> None:
    # LiteLLM reported 4.41e-05 for this very call.
    cost = SHIPPED.cost_usd(
        "openai", ["gpt-4o-mini-2024-07-18"], DAY_NS, input_tokens=142, output_tokens=38
    )
    assert cost == pytest.approx(4.41e-05)


def test_cached_and_written_tokens_have_prices_of_their_own_and_reasoning_is_output() -> None:
    row = ModelPrice(model="m", input=10, cached_input=1, cache_write=20, output=100)
    cost = PriceTable(Prices(own=[row])).cost_usd(
        None,
        ["m"],
        0,
        input_tokens=1000,
        output_tokens=10,
        cached_tokens=300,
        cache_write_tokens=200,
    )
    assert cost == pytest.approx((500 * 10 + 300 * 1 + 200 * 20 + 10 * 100) / 1e6)


@pytest.mark.parametrize(
    ("written", "listed"),
    [
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("azure/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("gpt-4-1106-preview", "gpt-4-1106-preview"),
        ("gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106"),
        ("gpt-5-chat-latest", "gpt-5-chat"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "ft:gpt-4o-mini"),
        ("ft:gpt-4-0613:acme::abc", None),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-3.5-sonnet", "claude-3-5-sonnet"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("bedrock/global.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        (
            "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "??.anthropic.claude-sonnet-4-[56]*",
        ),
        (
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-6-v1",
            "??.anthropic.claude-opus-4-[5-8]*",
        ),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("models/gemini-1.5-pro", "gemini-1.5-pro"),
        ("publishers/google/models/gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini-2.5-flash-preview-05-20", None),
        ("mistral-large-latest", "mistral-large-latest"),
        ("mistral-large-2402", None),
        ("mistral.mistral-large-2402-v1:0", "mistral-large-2402"),
        ("command-r-08-2024", "command-r-08-2024"),
        ("cohere.command-r-v1:0", "command-r"),
        ("command-r", None),
        ("amazon.nova-pro-v1:0", "nova-pro"),
        ("grok-4-0709", "grok-4"),
        ("ollama/mistral-large-latest", None),
        ("together_ai/deepseek-chat", None),
        ("deepseek/deepseek-chat:free", None),
        ("o1-pro-max", None),
        ("", None),
    ],
)
def test_models_are_found_however_they_are_written_and_never_as_a_relative(
    written: str, listed: str | None
) -> None:
    price = SHIPPED.price(None, written, NOW_NS)
    assert (None if price is None else price.model) == listed


def test_model_on_somebodys_own_machine_has_no_list_price() -> None:
    for provider in ("ollama", "vLLM", "lm-studio"):
        assert SHIPPED.price(provider, "mistral-large-latest", NOW_NS) is None
        own = PriceTable(Prices(own=[ModelPrice(model="mistral-*", input=0, output=0)]))
        assert own.price(provider, "mistral-large-latest", NOW_NS) is not None


def test_price_of_the_day_holds() -> None:
    def price(day: str) -> float | None:
        at_ns = int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) * 10**9
        found = SHIPPED.price("deepseek", "deepseek-chat", at_ns)
        return None if found is None else found.output

    assert [price(day) for day in ("2025-08-01", "2025-09-10", "2026-01-01")] == [1.1, 1.68, 0.42]


def test_shipped_rows_are_priced_whole_and_dated() -> None:
    prices = load_config((), {}).prices
    assert prices.as_of >= "2026-11"
    assert len(prices.models) > 150
    for row in prices.models:
        assert row.input is not None
        assert row.input > 0
        is_embedding = "embed" in row.model
        assert (row.output is None) == is_embedding, row.model
        assert row.output is None or row.output >= row.input
        assert row.cached_input is None or row.cached_input < row.input
        assert row.cache_write is None or row.cache_write > row.input
        assert row.since <= prices.as_of
        written = row.model.replace("[5-8]", "5").replace("[56]", "5").replace("*", "-x")
        found = SHIPPED.price(row.provider or None, written.replace("??", "eu"), NOW_NS)
        assert found is not None, row.model
        assert found.model == row.model


def test_unknown_models_and_unknown_tokens_have_no_cost() -> None:
    for models, tokens in ((["no-such-model"], 5.0), ([None], 5.0), (["gpt-4o"], math.nan)):
        cost = SHIPPED.cost_usd(None, models, 0, input_tokens=tokens, output_tokens=1)
        assert math.isnan(cost)


def test_output_has_no_price_unless_one_is_stated() -> None:
    embedding = ModelPrice(model="e", input=2)
    free = ModelPrice(model="f", input=2, output=0)
    table = PriceTable(Prices(own=[embedding, free]))

    def cost(model: str, output_tokens: float) -> float:
        return table.cost_usd(None, [model], 0, input_tokens=1e6, output_tokens=output_tokens)

    assert [cost("e", tokens) for tokens in (math.nan, 0)] == [2, 2]
    assert math.isnan(cost("e", 1))
    assert [cost("f", tokens) for tokens in (math.nan, 1)] == [2, 2]
    assert math.isnan(SHIPPED.cost_usd(None, ["o1"], 0, input_tokens=1, output_tokens=math.nan))


def test_more_cached_than_read_costs_no_less_than_nothing() -> None:
    row = ModelPrice(model="m", input=10, cached_input=1, cache_write=20, output=0)
    cost = PriceTable(Prices(own=[row])).cost_usd(
        None,
        ["m"],
        0,
        input_tokens=100,
        output_tokens=0,
        cached_tokens=90,
        cache_write_tokens=90,
    )
    assert cost == pytest.approx((90 * 1 + 10 * 20) / 1e6)


@pytest.mark.parametrize(
    ("model", "provider", "day", "expected"),
    [
        ("gpt-4o", None, 0, 1),
        ("gpt-4o", None, 2, 2),
        ("gpt-4o-2024-08-06", "openai", 2, 2),
        ("gpt-4o", "azure.ai.openai", 0, 1),
        ("gpt-4o", "azure.ai.openai", 2, 9),
        ("gpt-5-2025-08-07", None, 0, 7),
        ("our-gpt", None, 0, 5),
        ("claude", None, 0, None),
    ],
)
def test_row_that_says_most_of_the_name_then_the_providers_then_the_latest_holds(
    model: str, provider: str | None, day: int, expected: float | None
) -> None:
    rows = [
        ModelPrice(model="gpt-*", input=7),
        ModelPrice(model="*gpt*", input=5),
        ModelPrice(model="gpt-4o", input=1),
        ModelPrice(model="gpt-4o", input=2, since="1970-01-03"),
        ModelPrice(model="gpt-4o", input=3, since="2999-01-01"),
        ModelPrice(model="gpt-4o", provider="azure", input=9, since="1970-01-03"),
    ]
    found = PriceTable(Prices(own=rows)).price(provider, model, day * DAY_NS)
    assert (None if found is None else found.input) == expected


def test_own_prices_come_before_all_shipped_ones() -> None:
    own = ModelPrice(model="deepseek-*", input=1, output=1)
    prices = load_config((), {}).prices.model_copy(update={"own": [own]})
    assert PriceTable(prices).price("deepseek", "deepseek-chat", NOW_NS) is own


@given(st.text(max_size=300), st.none() | st.text(max_size=20))
def test_no_name_raises_or_is_taken_for_a_model(name: str, provider: str | None) -> None:
    assert SHIPPED.price(provider, f"{name}~", NOW_NS) is None


def settle(config: Config, *spans: SpanOf) -> tuple[list[float], list[str]]:
    book = TraceBook(config)
    book.add(Understanding(config.read).traces([request_of(*spans)]).items, 0)
    calls = book.flush().calls
    return calls.cost_usd.tolist(), list(calls.cost_source)


def test_calls_are_priced_where_they_report_no_cost() -> None:
    config = load_config((), {})
    spans = [
        SpanOf({**CHAT, "gen_ai.usage.cost": 0.25}, span=1, trace=1),
        SpanOf(CHAT, span=1, trace=2),
        SpanOf({**CHAT, "gen_ai.request.model": "who"}, span=1, trace=3),
        SpanOf({**CHAT, "litellm.cache_hit": True}, span=1, trace=4),
    ]
    costs, sources = settle(config, *spans)
    assert sources == ["reported", "priced", "unknown", "reported"]
    assert costs[:2] == [0.25, pytest.approx(100 * 0.15e-6 + 20 * 0.6e-6)]
    assert math.isnan(costs[2])
    assert costs[3] == 0
    off = config.model_copy(update={"prices": config.prices.model_copy(update={"enabled": False})})
    assert settle(off, *spans)[1] == ["reported", "unknown", "unknown", "reported"]


def test_a_file_of_prices_is_a_configuration_file_with_its_errors(tmp_path: Path) -> None:
    file = tmp_path / "prices.yaml"
    file.write_text("prices:\n  own:\n    - {model: mine, input: 4, output: 8}\n")
    config = load_config([file], {})
    assert PriceTable(config.prices).price(None, "mine", 0) == config.prices.own[0]
    assert len(config.prices.models) > 50
    file.write_text(
        "prices:\n  own:\n"
        "    - {model: mine, input: -4, outptu: 8}\n"
        "    - {model: other, output: 8}\n"
        "    - {input: 1, since: 2026-02-31}\n"
        "    - {model: twice, input: 1}\n"
        "    - {model: twice, input: 2}\n"
    )
    with pytest.raises(InvalidConfig) as refused:
        load_config([file], {})
    assert [(p.line, p.code, p.dotted_path) for p in refused.value.problems] == [
        (3, "config.range", "prices.own.0.input"),
        (3, "config.unknown_key", "prices.own.0.outptu"),
        (4, "config.missing", "prices.own.1.input"),
        (5, "config.missing", "prices.own.2.model"),
        (5, "config.format", "prices.own.2.since"),
        (7, "config.duplicate", "prices.own.4.model"),
    ]


def test_copy_of_the_sample_file_keeps_the_shipped_prices(tmp_path: Path) -> None:
    file = tmp_path / "tripswitch.yaml"
    file.write_text(sample_text())
    assert load_config([file], {}).prices == load_config([], {}).prices
    file.write_text("prices:\n  models:\n  as_of:\n")
    assert load_config([file], {}).prices == load_config([], {}).prices
    file.write_text("prices:\n  models:\n    - {model: mine, input: 4}\n")
    assert [row.model for row in load_config([file], {}).prices.models] == ["mine"]


def test_prices_change_without_a_restart() -> None:
    config = Config(prices=Prices(own=[ModelPrice(model="*", input=1, output=0)]))
    book = TraceBook(config)
    understanding = Understanding(config.read)
    costs = []
    for number, price in enumerate((1, 2), start=1):
        prices = Prices(own=[ModelPrice(model="*", input=price, output=0)])
        book.reload(config.model_copy(update={"prices": prices}))
        book.add(understanding.traces([request_of(SpanOf(CHAT, trace=number))]).items, 0)
        costs += book.flush().calls.cost_usd.tolist()
    assert costs == [pytest.approx(1e-4), pytest.approx(2e-4)]
