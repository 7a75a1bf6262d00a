"""`tripswitch schema` prints the three generated texts."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tripswitch.cli.app import app
from tripswitch.config.reference import json_schema, reference_text
from tripswitch.config.sample import sample_text


def test_schema_is_json() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json_schema()


@pytest.mark.parametrize(
    ("option", "expected"), [("--sample", sample_text()), ("--reference", reference_text())]
)
def test_texts_are_printed_as_they_are(option: str, expected: str) -> None:
    result = CliRunner().invoke(app, ["schema", option])
    assert result.exit_code == 0
    assert result.stdout == expected


def test_two_texts_at_once_are_a_usage_error() -> None:
    assert CliRunner().invoke(app, ["schema", "--sample", "--reference"]).exit_code == 2
