"""A headless Chromium that notes what it should not see: errors, and requests that leave."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = shutil.which("chromium") or ""
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tripswitch"

Theme = Literal["light", "dark"]
_SERIOUS = ("serious", "critical")


def axe_source() -> str:
    """Return the script of axe-core, which ``.ci/browser`` has put where it lies."""
    found = sorted(_CACHE.glob("axe-core-*/axe.min.js"))
    assert found, "axe-core is not there; run .ci/browser"
    return found[-1].read_text("utf-8")


class Eye:
    """One window on the pages at ``base``."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._watch)

    def go(self, path: str) -> None:
        """Open a page and wait until it is there and live."""
        self.page.goto(self.base + path)
        self.page.locator("main h1").first.wait_for()

    def sign_in(self, token: str, name: str = "ada") -> None:
        """Sign the browser in."""
        self.go("/signin")
        self.page.get_by_label("Your name").fill(name)
        self.page.get_by_label("Token").fill(token)
        with self.page.expect_navigation():
            self.page.get_by_role("button", name="Sign in", exact=True).click()

    def faults(self) -> list[str]:
        """Return what axe-core calls serious or critical on the page as it is."""
        self.page.evaluate(axe_source())
        found: dict[str, Any] = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']})"
        )
        return [
            f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:5]}"
            for one in found["violations"]
            if one["impact"] in _SERIOUS
        ]

    def _note(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith(self.base + "/"):
            self.strangers.append(request.url)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "chromium is not there; run .ci/browser"
    with sync_playwright() as playwright:
        # Chromium's own sandbox cannot be had by root in a container; only our pages are opened.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def eye(running: Browser, base: str, *, width: int = 1280, theme: Theme = "light") -> Iterator[Eye]:
    """Open a window of a width, with the clipboard in reach."""
    context = running.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=theme,
        permissions=["clipboard-read", "clipboard-write"],
    )
    try:
        yield Eye(context, base)
    finally:
        context.close()
