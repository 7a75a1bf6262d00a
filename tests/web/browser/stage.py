"""The reference story on a real tripswitch, in propose mode, at the pace a test gives it.

The cast is the demo's: gateway, collector and ``tripswitch run`` as processes, spans that carry
story time. Only the target's mode differs: a person approves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from tripswitch.drive.demo import cast as demo_cast
from tripswitch.drive.demo import story
from tripswitch.drive.demo.cast import Cast, demo_config
from tripswitch.drive.demo.timeline import story_seconds

TRACES = "https://jaeger.example.com/trace/{trace_id}"

_LEAD_S = 30.0
_POLL_S = 0.05
_LONGEST_S = 150.0


def proposing_config(collector: str, gateway: str, directory: str) -> dict[str, Any]:
    """Return the demo's configuration with a target that waits for a person."""
    content = demo_config(collector, gateway, directory)
    content["rollback"]["targets"][0]["mode"] = "propose"
    content["telemetry"]["api"] = {"endpoint": "127.0.0.1:0", "trace_link": TRACES}
    return content


class Stage(Cast):
    """The cast, with the state folder known and time in the hand of the test."""

    folder: Path

    def _start(self, folder: Path) -> None:
        self.folder = folder
        super()._start(folder)

    @property
    def base(self) -> str:
        """Return the address of the pages."""
        return f"http://{self.endpoints['api']}"

    @property
    def token(self) -> str:
        """Return the token that changes something."""
        return (self.folder / "state/api-token").read_text("ascii").strip()

    def ask(self, path: str) -> Any:
        """Return JSON of the API."""
        answer = httpx.get(f"{self.base}{path}", trust_env=False, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def tell(self, path: str, document: Any) -> httpx.Response:
        """Post JSON to the API."""
        headers = {"authorization": f"Bearer {self.token}"}
        return httpx.post(
            f"{self.base}{path}", json=document, headers=headers, trust_env=False, timeout=10
        )

    def story_s(self) -> float:
        """Return how far the story was judged, in story seconds."""
        now = self.ask("/v1/overview")["now"]
        return 0.0 if now is None else story_seconds(now)

    def play(self, is_reached: Callable[[], Any], speed: float = 60.0) -> None:
        """Let the story go on, ``speed`` story seconds a second, until something is reached.

        It waits for what was judged, so a slow machine only makes it longer.
        """
        deadline_s = time.monotonic() + _LONGEST_S
        until_s = self.story_s()
        while not is_reached():
            assert time.monotonic() < deadline_s, f"not reached at {self.story_s():.0f} story s"
            self.check()
            until_s = min(until_s + speed * _POLL_S, self.story_s() + _LEAD_S)
            self.allow(until_s)
            time.sleep(_POLL_S)

    def play_to(self, until_s: float, speed: float = 120.0) -> None:
        """Let the story go on until a story second was judged, tick and all."""
        self.play(lambda: self.story_s() >= until_s, speed)

    def incident(self) -> dict[str, Any] | None:
        """Return the incident as it stands, None while there is none."""
        found = self.ask("/v1/incidents?limit=1")
        return found[0] if found else None

    def has_proposal(self) -> bool:
        """Return whether a rollback waits for a person."""
        incident = self.incident()
        return bool(
            incident and incident["rollback"] and incident["rollback"]["state"] == "proposed"
        )


@contextmanager
def stage(seed: int = 1) -> Iterator[Stage]:
    """Run the cast of the story in which v18 is worse."""
    with (
        mock.patch.object(demo_cast, "demo_config", proposing_config),
        Stage(story.STORIES["regression"], seed) as on_stage,
    ):
        yield on_stage
