"""The configuration as it is shown: every field, where it comes from, and no secret."""

from __future__ import annotations

from pathlib import Path

from tripswitch.config.fields import leaves
from tripswitch.config.loading import load_config, marks_of
from tripswitch.drive.config_view import config_rows

SECRET = "whsec_" + "c2VjcmV0" * 6
FILE = """\
detect: {eval_score: {page_points: 7}}
exporters:
  otlp_grpc:
    headers: {authorization: "Bearer ${env:UPSTREAM}"}
notify:
  - {type: webhook, name: desk, secret: "SECRET",
     url: "https://user:pw@hooks.example.com/T0/B1/xyz?k=v"}
telemetry: {api: {endpoint: "127.0.0.1:8317", auth: {bearer_token: a-token-nobody-may-see}}}
""".replace("SECRET", SECRET)


def rows(tmp_path: Path, text: str = FILE) -> dict[str, dict[str, object]]:
    file = tmp_path / "tripswitch.yaml"
    file.write_text(text)
    environ = {"UPSTREAM": "a-key-of-the-upstream", "TRIPSWITCH_DETECT__TICK": "5s"}
    config = load_config([file], environ)
    return {str(row["path"]): row for row in config_rows(config, marks_of([file], environ))}


def test_no_secret_is_shown(tmp_path: Path) -> None:
    shown = repr(rows(tmp_path))
    for secret in (SECRET, "a-token-nobody", "a-key-of-the-upstream", "user:pw", "T0/B1", "k=v"):
        assert secret not in shown
    found = rows(tmp_path)
    assert found["notify.0.secret"]["value"] == "set, hidden"
    assert found["telemetry.api.auth.bearer_token"]["value"] == "set, hidden"
    assert found["receivers.otlp.protocols.grpc.auth.bearer_token"]["value"] == "not set"
    assert str(found["notify.0.url"]["value"]).startswith("https://hooks.example.com/")
    assert found["exporters.otlp_grpc.headers.authorization"]["value"] == "set, hidden"


def test_every_value_says_where_it_comes_from(tmp_path: Path) -> None:
    found = rows(tmp_path)
    file = tmp_path / "tripswitch.yaml"
    assert found["detect.eval_score.page_points"]["source"] == f"{file}, line 1"
    assert found["detect.tick"]["source"] == "environment variable TRIPSWITCH_DETECT__TICK"
    assert found["notify.0.name"]["source"] == f"{file}, line 6"
    assert found["detect.eval_score.investigate_points"]["source"] == "default"
    assert found["detect.eval_score.page_points"]["value"] == "7"
    assert found["detect.tick"]["value"] == "5s"


def test_every_field_of_the_model_is_there(tmp_path: Path) -> None:
    found = rows(tmp_path, "")
    for path, _ in leaves():
        name = ".".join(path)
        assert any(shown == name or shown.startswith(f"{name}.") for shown in found), name
    assert len(found["prices.models"]["value"]) < 40  # type: ignore[arg-type]


def test_long_lists_are_counted(tmp_path: Path) -> None:
    entries = "\n".join(f"  - {{name: rule-{number}, kind: rubric}}" for number in range(50))
    assert rows(tmp_path, f"evaluations:\n{entries}\n")["evaluations"]["value"] == "50 entries"
