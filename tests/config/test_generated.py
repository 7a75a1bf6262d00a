"""The sample, the schema and the reference say what the model says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from tripswitch.config.fields import leaves
from tripswitch.config.loading import load_config
from tripswitch.config.message_sections import WebhookNotifier
from tripswitch.config.problems import ERROR_CODES, WARNING_CODES
from tripswitch.config.reference import json_schema, reference_text
from tripswitch.config.sample import sample_text, yaml_text

ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + "YWJj" * 10


def test_the_committed_sample_is_the_generated_one() -> None:
    assert (ROOT / "config/tripswitch.yaml").read_text("utf-8") == sample_text()


def test_the_committed_reference_is_the_generated_one() -> None:
    assert (ROOT / "docs/reference/config.md").read_text("utf-8") == reference_text()


def test_the_sample_loads_to_what_no_file_loads_to() -> None:
    assert load_config([ROOT / "config/tripswitch.yaml"], {}) == load_config([], {})


def test_the_sample_is_valid_by_the_schema() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(sample_text()))


@pytest.mark.parametrize(
    "document",
    [
        {"detect": {"tick": 10}},
        {"detect": {"tick": "ten seconds"}},
        {"tap": {"max_bytes": "64 potatoes"}},
        {"read": {"keys": {"no_such_fact": ["a"]}}},
        {"nonsense": {}},
    ],
)
def test_the_schema_refuses_what_loading_refuses(document: dict[str, object]) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    assert not validator.is_valid(document)


@pytest.mark.parametrize(
    "document",
    [
        {"receivers": {"otlp": {"protocols": {"grpc": {"max_concurrent_rpcs": "${env:MOST}"}}}}},
        {"exporters": {"otlp_grpc": {"endpoint": "${env:UPSTREAM:-collector:4317}"}}},
        {"detect": {"tick": "${env:TICK}"}},
        {"forward": {"acknowledge": "${env:HOW}"}},
        {"rollback": {"enabled": "${env:SWITCH:-true}"}},
        {"notify": [{"url": "${env:URL}", "secret": "${env:SECRET}"}]},
    ],
)
def test_the_schema_takes_a_reference_where_a_plain_value_is_wanted(
    document: dict[str, object],
) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(document)


def test_the_schema_asks_for_no_format_that_its_own_defaults_do_not_have() -> None:
    # Editors check the formats that JSON Schema names, and an empty text is no URI.
    formats = set(re.findall(r'"format": "([^"]+)"', json.dumps(json_schema())))
    assert formats == {"host:port", "password"}  # neither is one of them


def test_the_schema_gives_defaults_as_they_are_written() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["Detect"]["properties"]["tick"]["default"] == "10s"
    assert definitions["GrpcReceiver"]["properties"]["max_recv_msg_size"]["default"] == "64MiB"
    assert definitions["Detect"]["properties"]["tick"]["description"]


def test_every_example_in_the_sample_is_valid_once_uncommented(tmp_path: Path) -> None:
    lines = sample_text().splitlines()
    for at, line in enumerate(lines):
        empty = re.fullmatch(r"( *)(\w+): (\[\]|\{\})", line)
        if not empty:
            continue
        start = f"{empty[1]}# "
        assert lines[at + 1].startswith(f"{start}{empty[2]}:"), line
        lines[at] = ""
        for below in range(at + 1, len(lines)):
            if not lines[below].startswith(start):
                break
            text = lines[below].removeprefix(start)
            if below > at + 1 and not text.startswith("  "):
                break
            lines[below] = empty[1] + text
    file = tmp_path / "uncommented.yaml"
    file.write_text("\n".join(lines), "utf-8")
    config = load_config([file], {"TRIPSWITCH_WEBHOOK_SECRET": SECRET})
    assert isinstance(config.notify[0], WebhookNotifier)
    assert config.notify[0].secret.get_secret_value() == SECRET
    assert config.rollback.targets[0].routes == ["/chat/refund"]
    assert config.detect.routes["/chat/refund"].eval_score.page_points == 4
    assert config.read.keys["prompt_version"] == ["app.prompt.version"]


def test_every_field_has_a_description_and_stands_in_the_reference() -> None:
    text = reference_text()
    for path, spot in leaves():
        assert spot.field is not None
        assert spot.field.description
        assert f"`{'.'.join(path)}`" in text or f"`{path[-1]}[]." in text, path


@pytest.mark.parametrize("value", ["yes", "", "5", "null", "a: b", "#x", "${x}", [1, "on"], None])
def test_yaml_text_reads_back(value: object) -> None:
    assert yaml.safe_load(yaml_text(value)) == value


def test_every_code_has_its_heading() -> None:
    text = (ROOT / "docs/reference/config-errors.md").read_text("utf-8")
    headings = re.findall(r"^### (config\.\w+)$", text, re.MULTILINE)
    assert headings == [*ERROR_CODES, *WARNING_CODES]
