"""The deployment files that ship: their configuration loads, and they keep what they promise."""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import Any

import yaml

from tripswitch.config.loading import load_config

CONFIG = Path(__file__).parents[2] / "config"
ENVIRONMENT = {"TRIPSWITCH_WEBHOOK_SECRET": "whsec_" + "A" * 44}


def _kubernetes() -> list[dict[str, Any]]:
    manifest = CONFIG / "examples/kubernetes/native-sidecar.yaml"
    return list(yaml.safe_load_all(manifest.read_text()))


def test_the_sidecars_configuration_loads(tmp_path: Path) -> None:
    settings, _ = _kubernetes()
    file = tmp_path / "tripswitch.yaml"
    file.write_text(settings["data"]["tripswitch.yaml"])
    config = load_config([file], ENVIRONMENT)
    assert config.exporters.otlp_grpc is not None
    assert config.storage.directory == "/var/lib/tripswitch"


def test_the_sidecar_is_native_and_starts_before_the_application() -> None:
    _, pod = _kubernetes()
    [sidecar] = pod["spec"]["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["httpGet"]["path"] == "/ready"
    assert sidecar["livenessProbe"]["httpGet"]["path"] == "/live"


def test_the_sidecar_has_few_rights_and_writes_only_to_its_volume() -> None:
    _, pod = _kubernetes()
    [sidecar] = pod["spec"]["initContainers"]
    context = sidecar["securityContext"]
    assert context["runAsNonRoot"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    written = [mount["name"] for mount in sidecar["volumeMounts"] if not mount.get("readOnly")]
    assert written == ["tripswitch-state"]


def test_the_unit_stops_the_wire_first_and_is_back_before_exporters_give_up() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[method-assign,assignment]  # systemd's keys have capitals
    unit.read(CONFIG / "systemd/tripswitch.service")
    service = unit["Service"]
    assert service["KillMode"] == "mixed"
    assert service["RestartSec"] == "500ms"
    assert service["ExecStart"].endswith("tripswitch run --config /etc/tripswitch/tripswitch.yaml")
    assert service["User"] == "tripswitch"
