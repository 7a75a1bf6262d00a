"""Pictures of every page at three widths in both themes, at four moments of the story.

python -m tests.web.browser.screenshots FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.web.browser.eye import Theme, browser, eye
from tests.web.browser.stage import Stage, stage

if TYPE_CHECKING:
    from playwright.sync_api import Browser

WIDTHS = (390, 1000, 1600)
THEMES: tuple[Theme, ...] = ("light", "dark")


def take(running: Browser, on: Stage, folder: Path, moment: str, paths: dict[str, str]) -> int:
    """Take a picture of each of ``paths``; return how many were taken."""
    taken = 0
    for theme in THEMES:
        for width in WIDTHS:
            with eye(running, on.base, width=width, theme=theme) as seen:
                seen.sign_in(on.token)
                for name, path in paths.items():
                    seen.go(path)
                    seen.page.wait_for_timeout(300)
                    file = folder / f"{moment}-{name}-{width}-{theme}.png"
                    seen.page.screenshot(path=file, full_page=True)
                    taken += 1
    return taken


def main(folder: Path) -> int:
    """Play the story and take the pictures; return the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    with stage() as on, browser() as running:
        on.play_to(560, speed=240)
        taken = take(running, on, folder, "1-fine", {"now": "/"})
        on.play(on.has_proposal)
        incident = on.incident()
        assert incident is not None
        page = f"/incidents/{incident['id']}"
        route = "/route?name=%2Fchat%2Frefund"
        taken += take(running, on, folder, "2-bad", {"now": "/", "incident": page, "route": route})
        on.tell(f"/v1/incidents/{incident['id']}/approve", {"by": "ada"})
        on.play(lambda: (on.incident() or {}).get("state") == "recovered", speed=240)
        others = {
            "now": "/",
            "incident": page,
            "incidents": "/incidents",
            "route": route,
            "changes": "/changes",
            "telemetry": "/telemetry",
            "config": "/config",
            "signin": "/signin",
        }
        taken += take(running, on, folder, "3-recovered", others)
    sys.stdout.write(f"{taken} pictures in {folder}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
