"""Signing in: what opens a session, what a session admits, and what guesses cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web.asking import ask
from tests.web.desk import BEARER, FORM, TOKEN, Clock, Desk, Document, taken_up
from tripswitch.web.sessions import COOKIE, LASTS_S, Brake, Sessions, fits


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return taken_up(tmp_path)


def acknowledge(desk: Desk, fields: dict[str, str], cookie: str = "") -> int:
    return desk.send(f"/incidents/{desk.incident_id()}/acknowledge", fields, cookie).status_code


def test_the_cookie_is_for_this_site_alone_and_no_script(desk: Desk) -> None:
    answer = desk.send("/signin", {"name": "ada", "token": TOKEN, "next": "/changes"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/changes")
    cookie = answer.headers["set-cookie"].lower()
    for wanted in (f"{COOKIE}=", "httponly", "samesite=strict", "path=/", f"max-age={LASTS_S:.0f}"):
        assert wanted in cookie
    assert TOKEN not in answer.headers["set-cookie"]


def test_a_form_of_a_session_acts_in_the_name_that_was_given(desk: Desk) -> None:
    cookie, token = desk.sign_in("grace")
    assert acknowledge(desk, {"form_token": token}, cookie) == 303
    said = desk.ledger.incidents(1)[0]["acknowledged"]
    assert said["by"] == "grace"
    page = desk.get(f"/incidents/{desk.incident_id()}", cookie=f"{COOKIE}={cookie}")
    assert "You have taken it." in Document(page.text).text


def test_without_session_secret_or_origin_nothing_changes(desk: Desk) -> None:
    cookie, token = desk.sign_in()
    assert acknowledge(desk, {"form_token": token}) == 401
    assert acknowledge(desk, {}, cookie) == 403
    assert acknowledge(desk, {"form_token": "another"}, cookie) == 403
    path = f"/incidents/{desk.incident_id()}/acknowledge"
    body = f"form_token={token}".encode()
    own = FORM | {"cookie": f"{COOKIE}={cookie}"}
    for foreign in (
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8317", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "null", "sec-fetch-site": "same-site"},
    ):
        answer = ask(desk.app, path, method="POST", body=body, headers=own | foreign)
        assert answer.status_code == 403, foreign
    bare = {"cookie": f"{COOKIE}={cookie}", "content-type": "text/plain"}
    assert ask(desk.app, path, method="POST", body=body, headers=bare).status_code == 415
    assert desk.ledger.incidents(1)[0]["acknowledged"] is None


def test_a_form_of_ours_comes_without_a_name_where_no_referrer_is_sent(desk: Desk) -> None:
    headers = FORM | {"origin": "null", "sec-fetch-site": "same-origin"}
    body = f"name=ada&token={TOKEN}".encode()
    answer = ask(desk.app, "/signin", method="POST", body=body, headers=headers)
    assert answer.status_code == 303


def test_a_session_of_a_browser_is_no_token_of_the_api(desk: Desk) -> None:
    cookie, _ = desk.sign_in()
    headers = {"cookie": f"{COOKIE}={cookie}", "content-type": "application/json"}
    path = f"/v1/incidents/{desk.incident_id()}/acknowledge"
    answer = ask(desk.app, path, method="POST", body=b'{"by": "ada"}', headers=headers)
    assert answer.status_code == 401


def test_a_session_ends_with_its_time_and_when_it_is_left(desk: Desk) -> None:
    cookie, token = desk.sign_in()
    assert desk.send("/signout", {"form_token": token}, cookie).status_code == 303
    assert acknowledge(desk, {"form_token": token}, cookie) == 401
    cookie, token = desk.sign_in()
    desk.clock.now_s += LASTS_S
    assert acknowledge(desk, {"form_token": token}, cookie) == 401


def test_ten_wrong_tries_a_minute_are_enough(desk: Desk) -> None:
    for _ in range(10):
        assert desk.send("/signin", {"name": "eve", "token": "guess"}).status_code == 401
    answer = desk.send("/signin", {"name": "ada", "token": TOKEN})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0
    code = ask(desk.app, "/v1/signin-codes", method="POST", headers=BEARER)
    assert code.status_code == 429
    desk.clock.now_s += 61
    assert desk.send("/signin", {"name": "ada", "token": TOKEN}).status_code == 303


def test_a_code_lets_in_once_within_ten_minutes(desk: Desk) -> None:
    assert ask(desk.app, "/v1/signin-codes", method="POST").status_code == 401
    made = [
        ask(desk.app, "/v1/signin-codes", method="POST", headers=BEARER).json()["code"]
        for _ in range(2)
    ]
    page = desk.get(f"/signin?code={made[0]}")
    assert f'name="code" value="{made[0]}"' in page.text
    assert desk.send("/signin", {"name": "ada", "code": made[0]}).status_code == 303
    assert desk.send("/signin", {"name": "ada", "code": made[0]}).status_code == 401
    desk.clock.now_s += 601
    assert desk.send("/signin", {"name": "ada", "code": made[1]}).status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_signing_in_leads_to_no_other_place(desk: Desk, target: str) -> None:
    answer = desk.send("/signin", {"name": "ada", "token": TOKEN, "next": target})
    assert answer.headers["location"] == "/"


def test_a_form_is_bounded_and_of_text(desk: Desk) -> None:
    assert desk.send("/signin", {"name": "a" * 70_000}).status_code == 413
    answer = ask(desk.app, "/signin", method="POST", body=b"name=\xff", headers=FORM)
    assert answer.status_code == 400
    many = "&".join(f"f{number}=1" for number in range(100)).encode()
    assert ask(desk.app, "/signin", method="POST", body=many, headers=FORM).status_code == 400
    assert desk.send("/signin", {"token": TOKEN}).status_code == 400


def test_sessions_codes_and_peers_are_bounded() -> None:
    clock = Clock()
    sessions, brake = Sessions(clock), Brake(clock)
    first, _ = sessions.open("ada")
    codes = [sessions.make_code() for _ in range(20)]
    cookies = [sessions.open("ada")[0] for _ in range(64)]
    assert sessions.find(first) is None
    assert all(sessions.find(cookie) for cookie in cookies)
    assert not sessions.spend_code(codes[0])
    assert sessions.spend_code(codes[-1])
    for number in range(2000):
        brake.note(f"10.0.{number // 250}.{number % 250}")
    assert len(brake._failed) <= 1024
    assert not sessions.find(None)
    session = sessions.find(cookies[0])
    assert session is not None
    assert not fits(session, "Größe")
