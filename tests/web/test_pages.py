"""The pages as they are after the reference story: what they say, and that anybody can use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.desk import Document, taken_up, watched
from tripswitch.web.headers import POLICY

PATHS = ["/", "/incidents", "/route?name=/chat/refund", "/changes", "/telemetry", "/config"]
EVERY = [*PATHS, "/incidents/{id}", "/signin", "/route?name=/chat/refund&span=6h"]


def page(path: str) -> tuple[Document, str]:
    desk = watched()
    answer = desk.get(path.replace("{id}", desk.incident_id()))
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Document(answer.text), answer.text


def test_now_says_in_one_sentence_that_somebody_is_needed_and_why() -> None:
    document, text = page("/")
    assert "1 incident needs somebody now." in document.text
    assert "refusal_rate on /chat/refund refund-bot v18 cohort canary" in document.text
    assert "Rollback v18 to v17: proposed" in document.text
    assert "Nobody has taken it" in document.text
    assert re.search(r"<title>\(1\) Now", text)


def test_now_lays_versions_and_cohorts_side_by_side_with_line_course_and_verdict() -> None:
    document, text = page("/")
    header, _, rest = text.partition("<tbody>")
    arms = re.findall(r'<span class="arm">(.*?)<span class="small">', header, re.DOTALL)
    assert sorted(arm.split()[0] for arm in arms) == ["v17", "v17", "v18"]
    # The control stands first, where what is compared with it can be read from it.
    assert "control" in arms[0]
    assert rest.count('class="spark"') >= 10
    assert re.search(r"line 0\.8\d\d", document.text)
    assert "worse: page" in document.text
    assert "fine" in document.text


def test_the_incident_shows_why_what_to_do_and_what_proves_it() -> None:
    document, text = page("/incidents/{id}")
    for wanted in (
        "refusal_rate on /chat/refund refund-bot v18 cohort canary",
        "Whose doing: a change of ours",
        "Cohort revert.",
        "Signal back",
        "Fix in review",
        "Comms closed",
        "You are only reading.",
        "contrast",
        "globex",
        "Rollback planned",
    ):
        assert wanted in document.text
    desk = watched()
    exemplar = desk.ledger.incidents(1)[0]["exemplars"][0]
    assert f'href="https://traces.example.com/trace/{exemplar}"' in text
    updates = [attrs for attrs in document.all("textarea") if "readonly" in attrs]
    assert len(updates) == 2


def test_the_drift_chart_is_a_picture_that_may_use_its_own_style_and_nothing_else() -> None:
    desk = watched()
    answer = desk.get(f"/incidents/{desk.incident_id()}/drift.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    policy = answer.headers["content-security-policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; frame-ancestors 'none'", policy
    )
    assert "onset" in answer.text
    assert desk.get("/incidents/inc_0/drift.svg").status_code == 404


def test_the_route_shows_share_course_evidence_and_minutes_to_a_decision() -> None:
    document, text = page("/route?name=/chat/refund")
    assert text.count('class="chart"') >= 6
    assert "Compared with" in document.text
    assert re.search(r"\d+ min", document.text)
    assert "evidence: " in document.text
    spans = [attrs["href"] for attrs in document.all("a") if "span=" in (attrs.get("href") or "")]
    assert len(spans) == 3
    assert watched().get("/route?name=/nowhere").status_code == 404
    assert watched().get("/route?name=/chat/refund&span=1y").status_code == 400


def test_changes_and_telemetry_and_config_say_what_there_is() -> None:
    changes, _ = page("/changes")
    assert "prompt version" in changes.text
    assert "v18" in changes.text
    telemetry, _ = page("/telemetry")
    assert "semconv" in telemetry.text
    assert "Missing." in telemetry.text
    config, text = page("/config")
    assert "rollback.targets.0.secret" in config.text
    assert "set, hidden" in config.text
    assert "A" * 40 not in text


@pytest.mark.parametrize("path", EVERY)
def test_nothing_on_a_page_needs_more_than_the_policy_allows(path: str) -> None:
    answer = watched().get(path.replace("{id}", watched().incident_id()))
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    document = Document(answer.text)
    for tag, attrs in document.elements:
        assert "style" not in attrs, (tag, attrs)
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert tag not in ("iframe", "object", "embed", "base", "style")
        for name in ("src", "href", "action"):
            target = attrs.get(name) or ""
            if name == "href" and tag == "a" and target.startswith("https://traces.example.com/"):
                continue
            assert not re.match(r"[a-z]+:|//", target), (tag, name, target)
    assert all("src" in attrs for attrs in document.all("script"))


@pytest.mark.parametrize("path", EVERY)
def test_a_page_can_be_found_ones_way_around_in_by_ear_and_keyboard(path: str) -> None:
    document, text = page(path)
    (html,) = document.all("html")
    assert html["lang"] == "en"
    tags = [tag for tag, _ in document.elements]
    assert tags.count("h1") == tags.count("main") == tags.count("header") - tags.count("article")
    ids = [attrs["id"] for _, attrs in document.elements if attrs.get("id")]
    assert len(ids) == len(set(ids))
    assert 'href="#main"' in text
    labels = {attrs.get("for") for attrs in document.all("label")}
    for attrs in document.all("input") + document.all("textarea"):
        inside = re.search(rf"<label>[^<]*<input[^>]*name=\"{attrs.get('name')}\"", text)
        assert attrs.get("type") == "hidden" or attrs.get("id") in labels or inside, attrs
    for attrs in document.all("th"):
        assert attrs.get("scope") in ("col", "row")
    for name in ("aria-labelledby", "aria-describedby"):
        for _, attrs in document.elements:
            for target in (attrs.get(name) or "").split():
                assert target in ids, target
    parts = [attrs["data-part"] for _, attrs in document.elements if "data-part" in attrs]
    assert len(parts) == len(set(parts))


@pytest.mark.parametrize("path", PATHS)
def test_a_fragment_is_sent_once_and_then_said_to_be_the_same(path: str) -> None:
    desk = watched()
    join = "&" if "?" in path else "?"
    answer = desk.get(f"{path}{join}fragment=1")
    assert answer.status_code == 200
    assert "<html" not in answer.text
    tag = answer.headers["etag"]
    same = desk.get(f"{path}{join}fragment=1", if_none_match=tag)
    assert (same.status_code, same.content) == (304, b"")
    (whole,) = [attrs for attrs in Document(desk.get(path).text).all("div") if "data-tag" in attrs]
    assert whole["data-tag"] == tag


def test_a_tick_and_an_answer_make_another_fragment(tmp_path: Path) -> None:
    desk = taken_up(tmp_path)
    cookie, token = desk.sign_in()
    path = f"/incidents/{desk.incident_id()}"
    before = desk.get(f"{path}?fragment=1").headers["etag"]
    assert desk.send(f"{path}/acknowledge", {"form_token": token}, cookie).status_code == 303
    assert desk.get(f"{path}?fragment=1", if_none_match=before).status_code == 200


def test_what_is_not_there_is_said_in_words() -> None:
    answer = watched().get("/incidents/inc_0")
    assert answer.status_code == 404
    assert "No incident has this id." in Document(answer.text).text


def test_routes_are_found_by_words_and_paged() -> None:
    assert "/chat/refund" in Document(watched().get("/?q=refund+v18").text).text
    assert "No route fits." in Document(watched().get("/?q=nothing-like-it").text).text
    assert watched().get("/?page=99999999999999999999").status_code == 200
