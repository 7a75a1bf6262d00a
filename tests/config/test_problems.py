"""What a person reads when the configuration is wrong: place, wanted, found, hint; no secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tripswitch.config.loading import load_config
from tripswitch.config.problems import ERROR_CODES, InvalidConfig, Problem, shown

SECRET = "whsec_" + "c2VjcmV0" * 5


def problems_of(tmp_path: Path, text: str) -> list[Problem]:
    file = tmp_path / "t.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(InvalidConfig) as caught:
        load_config([file], {})
    assert all(problem.file == str(file) for problem in caught.value.problems)
    assert {problem.code for problem in caught.value.problems} <= set(ERROR_CODES)
    return caught.value.problems


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        (
            "detect:\n  tick: 15\n",
            2,
            (
                "detect.tick: expected a duration from 1s to 1m, such as 10s, "
                'got "15" [config.type]\n'
                "    hint: a number needs its unit: write 15s or 15m, not 15"
            ),
        ),
        (
            "detect:\n  tick:\n    7s\n",
            3,
            (
                "detect.tick: expected a duration that divides a minute, such as 5s or 10s, "
                'got "7s" [config.range]'
            ),
        ),
        (
            "detect:\n  eval_scor: {}\n",
            2,
            (
                'detect.eval_scor: expected a known key, got "eval_scor" [config.unknown_key]\n'
                '    hint: did you mean "eval_score"?'
            ),
        ),
        (
            "fleet:\n  qqq: 1\n",
            2,
            'fleet.qqq: expected a known key, the word single, got "qqq" [config.unknown_key]',
        ),
        (
            "read:\n  alert_window: 1m\n",
            2,
            (
                "read.alert_window: expected a known key, one of: keys, content_facts, "
                "user_hash_key, dialects, cohort_flags, request_hold, request_linger, "
                'max_held_traces, late_scores, max_remembered_calls, got "alert_window" '
                "[config.unknown_key]\n"
                "    hint: did you mean detect.alert_window? Check the indentation"
            ),
        ),
        (
            "detect: {eval_score: {page_points: 5%}}",
            1,
            (
                "detect.eval_score.page_points: expected a number above 0 and up to 100 (points), "
                'such as 5, got "5%" [config.type]\n    hint: write 5, the unit is already points'
            ),
        ),
        (
            "incidents:\n  exemplars: 21",
            2,
            (
                "incidents.exemplars: expected a whole number from 1 to 20, such as 3, "
                'got "21" [config.range]'
            ),
        ),
        (
            "incidents:\n  exemplars:\n",
            2,
            (
                "incidents.exemplars: expected a whole number from 1 to 20, such as 3, "
                "got nothing [config.type]"
            ),
        ),
        (
            "incidents: {exemplars: yes}",
            1,
            (
                "incidents.exemplars: expected a whole number from 1 to 20, such as 3, "
                'got "yes" [config.type]'
            ),
        ),
        (
            "clock: {source: wal}",
            1,
            (
                'clock.source: expected one of: wall, telemetry, got "wal" [config.range]\n'
                '    hint: did you mean "wall"?'
            ),
        ),
        (
            "receivers: {otlp: {protocols: {grpc: {endpoint: 'http://localhost:4317'}}}}",
            1,
            (
                "receivers.otlp.protocols.grpc.endpoint: expected host:port, "
                "such as localhost:4317, "
                'got "http://localhost:4317" [config.format]\n'
                "    hint: leave the scheme (http://) and the path away"
            ),
        ),
        (
            "detect:\n  control_cohorts: control\n",
            2,
            (
                'detect.control_cohorts: expected a list of texts, got "control" [config.type]\n'
                "    hint: put it in brackets: [one, two], "
                "or on lines of their own that start with -"
            ),
        ),
        (
            "notify:\n  url: x\n",
            2,
            (
                "notify: expected a list of mappings, got a mapping [config.type]\n"
                '    hint: start each entry of the list with "- "'
            ),
        ),
        (
            "telemetry: {metrics: {}}",
            1,
            "telemetry.metrics.endpoint: expected host:port or empty, got nothing [config.missing]",
        ),
        (
            "detect:\n  alpha_page: .nan\n",
            2,
            (
                "detect.alpha_page: expected a number above 0 and below 1, such as 0.001, "
                'got ".nan" [config.type]'
            ),
        ),
    ],
)
def test_wording(tmp_path: Path, text: str, line: int, expected: str) -> None:
    (problem,) = problems_of(tmp_path, text)
    assert problem.line == line
    assert str(problem) == f"{problem.file} line {line}: {expected}"


def test_all_problems_at_once_in_reading_order(tmp_path: Path) -> None:
    text = f"""
exporters: {{otlp_grpc: {{endpoint: "127.0.0.1:4317", timeout: 15}}}}
detect:
  tik: 5s
  tick: 5s
  tick: 10s
  tokens_per_success: {{investigate_ratio: 3}}
fleet: {{single: maybe}}
rollback:
  targets:
    - name: Bad Name
      url: ftp://x
      secret: {SECRET}
    - mode: auot
      url: http://x
      secret: ${{env:NOPE}}
"""
    found = [(each.line, each.code) for each in problems_of(tmp_path, text)]
    assert found == [
        (2, "config.loop"),
        (2, "config.type"),
        (4, "config.unknown_key"),
        (6, "config.duplicate"),
        (7, "config.order"),
        (8, "config.type"),
        (11, "config.format"),
        (12, "config.format"),
        (14, "config.range"),
        (16, "config.env"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        f"read: {{user_hash_key: [{SECRET}]}}",
        f"rollback: {{targets: [{{secret: {SECRET}!, url: http://x}}]}}",
        f"rollback: {{targets: [{{secret: '{SECRET[6:]}', url: http://x}}]}}",
        f"rollback: {{targets: {SECRET}}}",
        f"rollback: {{targets: [{SECRET}]}}",
        f"rollback: {{target: {SECRET}}}",
        f"clock: {{source: {SECRET}}}",
        f"notify:\n  - secret: *{SECRET}\n",
        f"notify:\n  - secret: !{SECRET} x\n",
        f"notify:\n  - secret: '{SECRET}\n",
        f"notify:\n  - secret: %{SECRET}\n",
        f"notify:\n  - secret: ${{env:X:-{SECRET}\n",
        f"notify: [{{url: 'hooks.example.com/{SECRET[6:]}', secret: '{SECRET}'}}]",
    ],
)
def test_secrets_are_never_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.yaml").write_text(text, "utf-8")
    with pytest.raises(InvalidConfig) as caught:
        load_config([tmp_path / "t.yaml"], {})
    assert SECRET[6:] not in str(caught.value)
    assert SECRET[6:] not in repr(caught.value.problems)


def test_the_message_counts_and_lists(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("a: 1\nb: 2\n", "utf-8")
    with pytest.raises(InvalidConfig, match=r"^2 problems in the configuration\n") as caught:
        load_config([tmp_path / "t.yaml"], {})
    assert str(caught.value).count("[config.unknown_key]") == 2


def test_what_is_shown_cannot_drive_a_terminal() -> None:
    assert shown("a\x1b[31m\u202eb\n") == "a\\x1b[31m\\u202eb\\n"
    assert len(shown("x" * 1000)) < 100


def test_a_key_with_dots_stands_in_quotes(tmp_path: Path) -> None:
    text = "detect: {routes: {/v1.2/chat: {nope: 1}}}"
    (problem,) = problems_of(tmp_path, text)
    assert problem.dotted_path == 'detect.routes."/v1.2/chat".nope'
