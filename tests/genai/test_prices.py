"""Prices: the reported cost first, then tokens times price, and unknown stays unknown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tests.genai.spans import CHAT, SpanOf, request_of
from tripswitch.config.loading import load_config
from tripswitch.config.model import Config
from tripswitch.config.prices_section import ModelPrice, Prices
from tripswitch.errors import ConfigError
from tripswitch.genai.prices import PriceTable
from tripswitch.genai.traces import TraceBook
from tripswitch.genai.understand import Understanding

if TYPE_CHECKING:
    from pathlib import Path

DAY_NS = 86_400 * 10**9
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
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "gpt-4o-mini"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet"),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku"),
        ("models/gemini-1.5-pro", "gemini-1.5-pro"),
        ("mistral-large-latest", "mistral-large"),
        ("amazon.nova-pro-v1:0", "nova-pro"),
    ],
)
def test_models_are_found_however_they_are_written(written: str, listed: str) -> None:
    price = SHIPPED.price(None, written, DAY_NS)
    assert price is not None
    assert price.model == listed


def test_unknown_models_and_unknown_tokens_have_no_cost() -> None:
    for models, tokens in ((["no-such-model"], 5.0), ([None], 5.0), (["gpt-4o"], math.nan)):
        cost = SHIPPED.cost_usd(None, models, 0, input_tokens=tokens, output_tokens=1)
        assert math.isnan(cost)


def test_own_prices_come_first_and_the_latest_that_has_begun_holds() -> None:
    rows = [
        ModelPrice(model="gpt-*", input=7),
        ModelPrice(model="gpt-4o", input=1),
        ModelPrice(model="gpt-4o", input=2, since="1970-01-03"),
        ModelPrice(model="gpt-4o", input=3, since="2999-01-01"),
        ModelPrice(model="gpt-4o", provider="azure.ai.openai", input=9, since="1970-01-03"),
    ]
    table = PriceTable(Prices(own=rows))

    def price(model: str, at_ns: int, provider: str | None = "openai") -> float | None:
        found = table.price(provider, model, at_ns)
        return None if found is None else found.input

    assert [price("gpt-4o", day * DAY_NS) for day in (0, 2)] == [1, 2]
    assert price("gpt-5-2025-08-07", 0) == 7
    assert price("gpt-4o", 2 * DAY_NS, "azure.ai.openai") == 2
    assert price("claude", 0) is None


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
    file.write_text("prices:\n  own:\n    - {model: mine, input: -4, outptu: 8}\n")
    with pytest.raises(ConfigError) as refused:
        load_config([file], {})
    assert "prices.yaml" in str(refused.value)
    assert "outptu" in str(refused.value)
    assert "prices.own" in str(refused.value)


def test_prices_change_without_a_restart() -> None:
    config = Config(prices=Prices(own=[ModelPrice(model="*", input=1)]))
    book = TraceBook(config)
    understanding = Understanding(config.read)
    costs = []
    for number, price in enumerate((1, 2), start=1):
        prices = Prices(own=[ModelPrice(model="*", input=price)])
        book.reload(config.model_copy(update={"prices": prices}))
        book.add(understanding.traces([request_of(SpanOf(CHAT, trace=number))]).items, 0)
        costs += book.flush().calls.cost_usd.tolist()
    assert costs == [pytest.approx(1e-4), pytest.approx(2e-4)]
