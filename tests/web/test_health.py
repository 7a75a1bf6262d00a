"""Health: what a probe sees in each state."""

from __future__ import annotations

from typing import Literal

import pytest

from tests.web.asking import ask
from tripswitch.web.health import Health, health_app


@pytest.mark.parametrize(("state", "code"), [("starting", 503), ("ready", 200), ("stopping", 503)])
@pytest.mark.parametrize("judge_up", [True, False])
def test_readiness_is_about_taking_requests_and_names_the_judge(
    state: Literal["starting", "ready", "stopping"], code: int, judge_up: bool
) -> None:
    app = health_app(lambda: Health(state, judge_up))
    for path in ("/", "/ready"):
        answer = ask(app, path)
        assert answer.status_code == code
        assert answer.json() == {"status": state, "judge": "up" if judge_up else "down"}
    assert ask(app, "/live").status_code == 200
    assert ask(app, "/nothing").status_code == 404
