"""The section of the configuration that says what tokens cost."""

from __future__ import annotations

from pydantic import Field

from tripswitch.config.section import LIVE, Section


class ModelPrice(Section):
    """What the tokens of one model cost, in US dollars for a million.

    ``model`` and ``input`` have to be given (`tripswitch.config.understanding_consistency`): a
    price is zero only where somebody says so.
    """

    model: str = Field(
        "*",
        min_length=1,
        description=(
            "The model's name as its maker lists it; without a date at its end it holds for every "
            "date. * stands for anything."
        ),
        examples=["my-finetune-*"],
        json_schema_extra=LIVE,
    )
    provider: str = Field(
        "",
        description="The provider, as calls show it; empty for any.",
        examples=["openai"],
        json_schema_extra=LIVE,
    )
    input: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="A million input tokens.",
        examples=[2.5],
        json_schema_extra=LIVE,
    )
    output: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="A million output tokens, reasoning included; leave it out for embeddings.",
        examples=[10],
        json_schema_extra=LIVE,
    )
    cached_input: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="A million input tokens read from the provider's cache; else as input.",
        examples=[1.25],
        json_schema_extra=LIVE,
    )
    cache_write: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="A million input tokens written to the cache; else as input.",
        examples=[3.125],
        json_schema_extra=LIVE,
    )
    since: str = Field(
        "",
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        description="From which day on (UTC); empty for always. Of several the latest holds.",
        examples=["2026-01-31"],
        json_schema_extra=LIVE,
    )


class Prices(Section):
    """What calls cost whose spans do not say it; a reported cost always comes first."""

    enabled: bool = Field(
        True,
        description="Price calls that report tokens and no cost. Off, their cost is unknown.",
        json_schema_extra=LIVE,
    )
    own: list[ModelPrice] = Field(
        default_factory=list,
        description="Your own prices, before the shipped ones, whatever those say.",
        json_schema_extra=LIVE,
    )
    models: list[ModelPrice] = Field(
        default_factory=list,
        description=(
            "The prices of config/prices.yaml where this is empty. A list here replaces them all; "
            "to change some, use own."
        ),
        json_schema_extra=LIVE,
    )
    as_of: str = Field(
        "",
        pattern=r"^(\d{4}-\d{2}-\d{2})?$",
        description="The day on which somebody last looked at models; prices.yaml sets it.",
        examples=["2026-01-31"],
        json_schema_extra=LIVE,
    )
