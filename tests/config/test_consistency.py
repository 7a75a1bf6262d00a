"""Settings that do not go together, and settings worth a warning."""

from __future__ import annotations

from typing import Any

import pytest

from tripswitch.config.consistency import conflicts_of, warnings_of
from tripswitch.config.model import Config

SECRET = "whsec_" + "YWJj" * 8
TARGET = {"url": "https://gateway.example.com/rollback", "secret": SECRET}


def config(**sections: Any) -> Config:
    return Config.model_validate(sections)


def conflicts(made: Config) -> list[tuple[str, str]]:
    return [(problem.code, problem.dotted_path) for problem in conflicts_of(made)]


def warnings(made: Config) -> set[tuple[str, str]]:
    return {(problem.code, problem.dotted_path) for problem in warnings_of(made)}


def test_the_defaults_have_no_conflict() -> None:
    assert conflicts(Config()) == []


def test_a_whole_target_has_no_conflict() -> None:
    assert conflicts(config(rollback={"targets": [TARGET]}, notify=[TARGET])) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"url": ""}, ("config.missing", "url")),
        ({"secret": ""}, ("config.missing", "secret")),
        ({"url": "ftp://x"}, ("config.format", "url")),
        ({"url": "gateway.example.com"}, ("config.format", "url")),
        ({"url": "https://"}, ("config.format", "url")),
        ({"url": "http://[::1"}, ("config.format", "url")),
        ({"url": "http://x:99999"}, ("config.format", "url")),
        ({"secret": SECRET[6:]}, ("config.secret", "secret")),
        ({"secret": "whsec_not base64!"}, ("config.secret", "secret")),
        ({"secret": "whsec_" + "YWJj" * 7}, ("config.secret", "secret")),
    ],
)
def test_webhooks_must_be_usable(change: dict[str, str], expected: tuple[str, str]) -> None:
    made = config(rollback={"targets": [TARGET | change]}, notify=[TARGET | change])
    code, field = expected
    assert conflicts(made) == [(code, f"notify.0.{field}"), (code, f"rollback.targets.0.{field}")]


def test_a_status_url_is_checked_where_there_is_one() -> None:
    made = config(rollback={"targets": [TARGET | {"status_url": "x"}]})
    assert conflicts(made) == [("config.format", "rollback.targets.0.status_url")]


def test_secret_problems_say_how_to_make_one() -> None:
    (problem,) = conflicts_of(config(notify=[TARGET | {"secret": "short"}]))
    assert "secrets.token_bytes(32)" in problem.hint
    assert "short" not in str(problem)


def test_names_are_unique() -> None:
    made = config(notify=[TARGET, TARGET], rollback={"targets": [TARGET]})
    assert conflicts(made) == [("config.duplicate", "notify.1.name")]


@pytest.mark.parametrize(
    ("signal", "lines", "field"),
    [
        ("eval_score", {"investigate_points": 6}, "investigate_points"),
        ("refusal_rate", {"investigate_points": 11}, "investigate_points"),
        ("error_rate", {"investigate_points": 2.5}, "investigate_points"),
        ("tokens_per_success", {"page_ratio": 1.2}, "investigate_ratio"),
    ],
)
def test_investigate_lies_below_page(signal: str, lines: dict[str, float], field: str) -> None:
    assert conflicts(config(detect={signal: lines})) == [
        ("config.order", f"detect.{signal}.{field}")
    ]
    by_route = config(detect={"routes": {"/r": {signal: lines}}})
    assert conflicts(by_route) == [("config.order", f"detect.routes./r.{signal}.{field}")]


def test_the_upstream_is_not_the_receiver() -> None:
    made = config(exporters={"otlp_grpc": {"endpoint": "127.0.0.1:4317"}})
    assert conflicts(made) == [("config.loop", "exporters.otlp_grpc.endpoint")]


def test_listeners_have_addresses_of_their_own() -> None:
    made = config(telemetry={"health": {"endpoint": "0.0.0.0:8888"}})
    assert conflicts(made) == [("config.conflict", "telemetry.health.endpoint")]


def test_what_the_defaults_lack_is_a_warning() -> None:
    assert warnings(Config()) == {
        ("config.no_notifier", "notify"),
        ("config.no_rollback_target", "rollback.targets"),
    }


def test_a_wide_bind_is_a_warning() -> None:
    made = config(receivers={"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}}}})
    assert ("config.wide_bind", "receivers.otlp.protocols.grpc.endpoint") in warnings(made)


@pytest.mark.parametrize(
    ("mode", "single", "warned"),
    [
        (None, False, True),
        ("auto", False, True),
        ("propose", False, False),
        ("observe", False, False),
        ("auto", True, False),
    ],
)
def test_auto_needs_a_single_sidecar(mode: str | None, single: bool, warned: bool) -> None:
    made = config(
        rollback={"targets": [TARGET | {"mode": mode}]}, fleet={"single": single}, notify=[TARGET]
    )
    expected = {("config.proposed_only", "rollback.targets.0")} if warned else set()
    assert warnings(made) == expected


def test_auto_of_a_kind_that_was_tried_on_no_real_server_is_a_warning() -> None:
    entry = {
        "type": "langsmith",
        "url": "https://registry.example.com",
        "api_key": "k",
        "mode": "auto",
    }
    made = config(rollback={"targets": [entry]}, fleet={"single": True}, notify=[TARGET])
    assert warnings(made) == {("config.unverified_target", "rollback.targets.0.mode")}
    entry["mode"] = "propose"
    made = config(rollback={"targets": [entry]}, fleet={"single": True}, notify=[TARGET])
    assert warnings(made) == set()


def test_a_role_that_nobody_has_is_a_warning() -> None:
    on_call = TARGET | {"name": "pager", "roles": ["on_call"]}
    page = {"type": "statuspage", "name": "public", "api_key": "k", "page": "p"}
    made = config(rollback={"targets": [TARGET]}, fleet={"single": True}, notify=[on_call, page])
    assert warnings(made) == {
        ("config.unfilled_role", "notifications.roles.security"),
        ("config.unfilled_role", "notifications.roles.comms"),
    }
    # Who has no role hears everything.
    everything = TARGET | {"name": "hook"}
    made = config(
        rollback={"targets": [TARGET]}, fleet={"single": True}, notify=[on_call, everything]
    )
    assert warnings(made) == set()
