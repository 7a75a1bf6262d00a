"""The demo's configuration: valid, on free loopback ports, and judged by what ships."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tripswitch.config.loading import load
from tripswitch.config.model import Config
from tripswitch.drive.demo.cast import demo_config

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"
SHIPPED = Path(__file__).parents[3] / "config" / "tripswitch.yaml"


@pytest.fixture
def played(tmp_path: Path) -> Config:
    content = demo_config("127.0.0.1:4000", "http://127.0.0.1:4001", str(tmp_path / "state"))
    path = tmp_path / "demo.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    loaded = load([path], {"DEMO_WEBHOOK_SECRET": SECRET})
    assert loaded.warnings == []
    return loaded.config


def test_detection_is_the_shipped_one(played: Config) -> None:
    shipped = load([SHIPPED], {}).config
    assert played.detect == shipped.detect == Config().detect
    assert played.incidents == shipped.incidents
    assert played.read == shipped.read
    assert played.windows == shipped.windows


def test_everything_listens_on_a_free_port_of_loopback(played: Config) -> None:
    endpoints = [
        played.receivers.otlp.protocols.grpc.endpoint,
        played.telemetry.api.endpoint,
        played.telemetry.health.endpoint,
        played.telemetry.metrics.endpoint,
    ]
    assert endpoints == ["127.0.0.1:0"] * 4


def test_the_secret_is_in_no_file() -> None:
    content = demo_config("127.0.0.1:4000", "http://127.0.0.1:4001", "state")
    assert content["notify"][0]["secret"] == "${env:DEMO_WEBHOOK_SECRET}"
    assert content["rollback"]["targets"][0]["secret"] == "${env:DEMO_WEBHOOK_SECRET}"
