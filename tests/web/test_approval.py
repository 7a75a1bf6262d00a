"""Approval by link: shows what will be done, does it once, and only where it was made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.samples import plan
from tests.web.asking import ask
from tests.web.desk import FORM, Desk, Document, taken_up
from tripswitch.drive.web_board import approval_links
from tripswitch.web.approval import LASTS_S, Approval, ApprovalLinks

BASE = "http://127.0.0.1:8317"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return taken_up(tmp_path)


def path_of(desk: Desk) -> str:
    incident = desk.ledger.incidents(1)[0]
    plan = incident["rollback"]
    return f"/approve/{desk.links.token(incident['id'], plan['key'], plan['expires'] or '')}"


def test_a_link_shows_what_will_be_done_with_one_button(desk: Desk) -> None:
    path = path_of(desk)
    document = Document(desk.get(path).text)
    for wanted in ("v18", "v17", "cohort revert", "gateway", "Blast radius cohort", "a person"):
        assert wanted in document.text
    forms = [attrs for attrs in document.all("form") if attrs["method"] == "post"]
    assert [form["action"] for form in forms] == [path]
    assert desk.ledger.incidents(1)[0]["rollback"]["state"] == "proposed"


def test_a_link_approves_once_in_the_name_that_was_given(desk: Desk) -> None:
    path = path_of(desk)
    assert desk.send(path, {}).status_code == 400
    assert desk.send(path, {"name": "grace"}).status_code == 303
    rollback = desk.ledger.incidents(1)[0]["rollback"]
    assert (rollback["state"], rollback["decided_by"]) == ("planned", "grace")
    assert desk.send(path, {"name": "mallory"}).status_code == 409
    assert "decided by grace" in Document(desk.get(path).text).text


def test_a_form_from_elsewhere_approves_nothing(desk: Desk) -> None:
    headers = FORM | {"origin": "https://evil.example"}
    answer = ask(desk.app, path_of(desk), method="POST", body=b"name=eve", headers=headers)
    assert answer.status_code == 403
    assert desk.ledger.incidents(1)[0]["rollback"]["state"] == "proposed"


def test_a_link_of_another_plan_or_incident_does_nothing(desk: Desk) -> None:
    incident = desk.ledger.incidents(1)[0]
    other = f"/approve/{desk.links.token(incident['id'], 'rb_other', '')}"
    assert "another plan now" in Document(desk.get(other).text).text
    assert desk.send(other, {"name": "ada"}).status_code == 409
    gone = f"/approve/{desk.links.token('inc_0', 'rb_other', '')}"
    assert desk.get(gone).status_code == desk.send(gone, {"name": "ada"}).status_code == 410


def test_a_link_ends_with_the_proposal_that_it_was_made_for(desk: Desk) -> None:
    """Nobody answered, and it was proposed again: the old message's link approves nothing."""
    incident = desk.ledger.incidents(1)[0]
    before = desk.links.token(incident["id"], incident["rollback"]["key"], "2026-01-01T00:00:00Z")
    assert "was proposed anew" in Document(desk.get(f"/approve/{before}").text).text
    assert desk.send(f"/approve/{before}", {"name": "ada"}).status_code == 409
    assert desk.ledger.incidents(1)[0]["rollback"]["state"] == "proposed"


def test_guessed_links_are_slowed_down(desk: Desk) -> None:
    for _ in range(10):
        assert desk.get("/approve/e30.e30").status_code == 404
    assert desk.get(path_of(desk)).status_code == 429


def test_links_end_after_a_day() -> None:
    now = [1_000_000.0]
    links = ApprovalLinks(b"k" * 32, lambda: now[0])
    token = links.link(BASE, plan(), "inc_1").rpartition("/")[2]
    found = links.read(token)
    assert found == Approval("inc_1", plan().key, 1_000_000 + LASTS_S, "")
    assert not links.is_over(found)
    now[0] += LASTS_S
    assert links.is_over(found)


def test_a_link_begins_with_the_address_that_was_given() -> None:
    links = ApprovalLinks(b"k" * 32)
    assert links.link("https://t.example/", plan(), "inc_1").startswith(
        "https://t.example/approve/"
    )


def test_links_of_one_state_folder_are_read_by_every_process(tmp_path: Path) -> None:
    token = approval_links(tmp_path).token("inc_1", "rb_1", "")
    assert approval_links(tmp_path).read(token) is not None
    (tmp_path / "other").mkdir()
    assert approval_links(tmp_path / "other").read(token) is None
    assert (tmp_path / "approval-key").stat().st_mode & 0o777 == 0o600


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ApprovalLinks(b"short")


@given(st.text(max_size=300))
def test_what_was_not_made_here_stands_for_nothing(text: str) -> None:
    assert ApprovalLinks(b"k" * 32).read(text) is None


@given(st.data())
def test_one_changed_letter_is_enough(data: st.DataObject) -> None:
    links = ApprovalLinks(b"k" * 32, lambda: 5.0)
    token = links.token("inc_1", "rb_1", "")
    place = data.draw(st.integers(0, token.index(".") - 1))
    letter = data.draw(st.sampled_from("ABCXYZabcxyz019-_"))
    changed = token[:place] + letter + token[place + 1 :]
    assert (links.read(changed) is not None) == (changed == token)
