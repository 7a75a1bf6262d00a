"""Names in telemetry are an attacker's to choose; on no page are they more than text."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest

from tests.play import BAD
from tests.traffic import Arm, Behaviour, Plan
from tests.web.desk import Desk, Document, played

SCRIPT = "<script>alert(1)</script>"
QUOTED = "\"><img src=x onerror=alert(1)>'--><svg/onload=alert(1)>"
TURNED = "v18\u202egpj.exe\u2066\u200b\x1b[31m\x00"
LONG = "A" * 1_000_000
SCHEME = "javascript:alert(1)//{{7*7}}${7*7}"

PATHS = ["/", "/incidents", "/incidents/{id}", "/changes", "/telemetry", "/config", "/signin"]


def hostile() -> Plan:
    """Return traffic whose route, versions, cohort and model are attacks, one of them bad."""

    def arms(second: float) -> list[Arm]:
        is_late = second >= 600
        return [
            Arm(6.5, SCRIPT, "control", route=QUOTED, model=SCHEME),
            # A megabyte in every span would only test the patience of who waits for it.
            Arm(0.02, SCRIPT, LONG, route=QUOTED, model=SCHEME),
            Arm(
                6.0,
                TURNED if is_late else SCRIPT,
                "canary",
                BAD if is_late else Behaviour(),
                route=QUOTED,
                model=SCHEME,
            ),
        ]

    return arms


@functools.cache
def attacked() -> Desk:
    return played(hostile(), Path(tempfile.mkdtemp(prefix="tripswitch-hostile-")), 14.5)


def route_path(path: str) -> str:
    from urllib.parse import quote

    return path.replace("{route}", quote(str(attacked().ledger.incidents(1)[0]["scope"]["route"])))


@pytest.mark.parametrize("path", [*PATHS, "/route?name={route}", "/?q=%3Cscript%3Ealert(1)"])
def test_an_attack_is_shown_as_the_text_that_it_is(path: str) -> None:
    desk = attacked()
    incident_id = str(desk.ledger.incidents(1)[0]["id"])
    answer = desk.get(route_path(path).replace("{id}", incident_id))
    assert answer.status_code == 200
    document = Document(answer.text)
    scripts = [attrs.get("src") for attrs in document.all("script")]
    assert scripts == ["/static/theme.js", "/static/app.js"]
    for tag, attrs in document.elements:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert attrs.get("src") != "x"
        assert not (attrs.get("href") or "").lower().startswith(("javascript:", "data:"))
    assert not set(answer.text) & {"\u202e", "\u2066", "\u200b", "\x1b", "\x00"}
    assert "A" * 3000 not in answer.text
    assert len(answer.content) < 400_000


def test_the_attacks_are_really_on_the_pages() -> None:
    desk = attacked()
    now = Document(desk.get("/").text).text
    assert "alert(1)" in now
    assert "onerror=alert(1)" in now
    assert "{{7*7}}" in desk.get("/telemetry").text or "semconv" in desk.get("/telemetry").text
    incident = Document(desk.get(f"/incidents/{desk.ledger.incidents(1)[0]['id']}").text).text
    assert "v18" in incident


def test_the_drift_chart_of_an_attack_is_a_picture() -> None:
    desk = attacked()
    svg = desk.get(f"/incidents/{desk.ledger.incidents(1)[0]['id']}/drift.svg").text
    assert svg.count("<svg") == 1
    assert "<script" not in svg
    assert "<img" not in svg
