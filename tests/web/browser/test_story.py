"""The reference story as a person sees it: opened once, never reloaded, answered with buttons."""

from __future__ import annotations

import re

import pytest

from tests.web.browser.eye import Eye, browser, eye
from tests.web.browser.stage import Stage, stage

pytestmark = [pytest.mark.parts, pytest.mark.timeout(600)]

_WAIT_MS = 30_000


def sees(seen: Eye, text: str) -> None:
    """Wait until the page shows ``text``."""
    seen.page.get_by_text(text).first.wait_for(timeout=_WAIT_MS)


def answer(seen: Eye, button: str) -> None:
    """Press a button and wait for the page after it."""
    with seen.page.expect_navigation():
        seen.page.get_by_role("button", name=button, exact=True).click()


def state(on: Stage) -> str:
    """Return the state of the incident."""
    incident = on.incident()
    return "" if incident is None else str(incident["state"])


def rollback(on: Stage) -> str:
    """Return the state of its rollback."""
    incident = on.incident()
    return "" if incident is None or incident["rollback"] is None else incident["rollback"]["state"]


def test_a_person_answers_the_story_in_a_browser() -> None:
    with stage() as on, browser() as running, eye(running, on.base) as seen:
        on.play_to(540)
        seen.go("/")
        sees(seen, "Everything is fine: nothing is over its line.")
        seen.page.get_by_text("live", exact=True).wait_for(timeout=_WAIT_MS)
        # A reload would forget this.
        seen.page.evaluate("window.isTheSame = true")

        on.play(on.has_proposal)
        sees(seen, "needs somebody now")
        seen.page.locator(".incident").first.wait_for(timeout=_WAIT_MS)
        assert seen.page.evaluate("window.isTheSame") is True
        assert "New incident: " in seen.page.locator("#announce").inner_text()
        assert seen.page.title().startswith("(1) ")
        assert seen.faults() == []

        seen.page.locator(".incident a").first.click()
        sees(seen, "You are only reading.")
        assert seen.faults() == []
        seen.page.get_by_role("link", name="Sign in").last.click()
        seen.page.get_by_label("Your name").fill("ada")
        seen.page.get_by_label("Token").fill(on.token)
        answer(seen, "Sign in")
        sees(seen, "I am on it")
        answer(seen, "I am on it")
        sees(seen, "You have taken it.")
        assert seen.faults() == []

        answer(seen, "Approve the rollback")
        sees(seen, "Approved: the rollback is on its way.")
        seen.page.evaluate("window.isTheSame = true")
        on.play(lambda: rollback(on) == "confirmed")
        sees(seen, "traffic is back on v17")
        on.play(lambda: state(on) == "recovered", speed=120)
        seen.page.locator(".incident-head.recovered").wait_for(timeout=_WAIT_MS)
        assert seen.page.evaluate("window.isTheSame") is True
        picture = seen.page.locator("img.drift")
        assert picture.evaluate("image => image.complete && image.naturalWidth > 0")

        seen.page.get_by_role("button", name="Copy", exact=True).first.click()
        seen.page.locator("button.done").wait_for(timeout=_WAIT_MS)
        copied = seen.page.evaluate("navigator.clipboard.readText()")
        assert copied == seen.page.locator("#update-1").input_value()
        assert len(copied) > 50

        seen.page.get_by_label("Its link", exact=True).first.fill("https://git.example.com/pull/7")
        answer(seen, "A fix is in review")
        sees(seen, "Noted: a fix is in review.")
        answer(seen, "Communication is closed")
        seen.page.locator(".incident-head.resolved").wait_for(timeout=_WAIT_MS)
        resolved = on.incident()
        assert resolved is not None
        assert resolved["state"] == "resolved"
        assert resolved["rollback"]["decided_by"] == "ada"
        assert [one["by"] for one in resolved["confirmations"]] == ["ada", "ada"]
        assert seen.errors == []
        assert seen.strangers == []


def test_an_approval_link_is_opened_and_used_by_who_is_not_signed_in() -> None:
    from tripswitch.drive.web_board import approval_links

    with stage() as on, browser() as running, eye(running, on.base, width=390) as seen:
        on.play(on.has_proposal, speed=120)
        incident = on.incident()
        assert incident is not None
        links = approval_links(on.folder / "state")
        asked = incident["rollback"]
        seen.go(f"/approve/{links.token(incident['id'], asked['key'], asked['expires'] or '')}")
        assert seen.faults() == []
        seen.page.get_by_label("Your name").fill("grace")
        with seen.page.expect_navigation():
            seen.page.get_by_role("button", name=re.compile("^Approve: v18")).click()
        sees(seen, "decided by grace")
        on.play(lambda: rollback(on) == "confirmed")
        assert seen.errors == []
        assert seen.strangers == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_every_page_can_be_used_by_everybody(width: int, theme: str) -> None:
    with stage() as on, browser() as running:
        on.play(on.has_proposal, speed=120)
        incident = on.incident()
        assert incident is not None
        paths = [
            "/",
            "/incidents",
            f"/incidents/{incident['id']}",
            "/route?name=%2Fchat%2Frefund",
            "/changes",
            "/telemetry",
            "/config",
            "/signin",
        ]
        with eye(running, on.base, width=width, theme=theme) as seen:  # type: ignore[arg-type]
            for path in paths:
                seen.go(path)
                assert seen.faults() == [], path
                wide = seen.page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, path
            assert seen.errors == []
            assert seen.strangers == []
