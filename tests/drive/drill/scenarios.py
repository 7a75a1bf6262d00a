"""Small drills that take a second, and the configuration that they are played under."""

from __future__ import annotations

from functools import cache
from typing import Any

from tripswitch.config.model import Config
from tripswitch.drive.drill.play import Played, play
from tripswitch.drive.drill.scenario import SIZES, USUAL_CAUSE, Cause, Scenario
from tripswitch.model.clocktext import ns_of
from tripswitch.model.incident import Shape

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"
START_NS = ns_of("2026-11-24T16:00:00Z")
ROUTE = "/chat/refund"


def settings(**changes: Any) -> dict[str, Any]:
    """Return a configuration with one target and two notifiers, as the file would have it."""
    return {
        "fleet": {"single": True},
        "detect": {"tick": "1m"},
        "rollback": {
            "targets": [
                {
                    "type": "webhook",
                    "name": "gateway",
                    "url": "https://gateway.example/rollback?key=hidden",
                    "secret": SECRET,
                    "routes": [ROUTE],
                }
            ]
        },
        "notify": [
            notifier("pager", roles=["on_call"]),
            notifier("evals", roles=["eval_owner"]),
            notifier("search", routes=["/search"]),
        ],
    } | changes


def notifier(name: str, url: str = "https://hooks.example/", **more: Any) -> dict[str, Any]:
    """Return one webhook that is told."""
    return {"type": "webhook", "name": name, "url": url, "secret": SECRET} | more


def configured(**changes: Any) -> Config:
    """Return `settings` as a configuration."""
    return Config.model_validate(settings(**changes))


def scenario(shape: Shape = Shape.EVAL_DRIFT, **changes: Any) -> Scenario:
    """Return a small drill of ``shape``."""
    cause = changes.pop("cause", USUAL_CAUSE[shape])
    small: dict[str, Any] = {
        "size": SIZES[shape].usual,
        "routes": (ROUTE,),
        "start_ns": START_NS,
        "rate": 100.0,
        "share": 0.4,
        "calm": 12.0 if cause is Cause.RELEASE else 35.0,
        "bad": 40.0,
    }
    return Scenario(shape=shape, cause=cause, **(small | changes))


@cache
def rolled_back() -> tuple[Config, Played]:
    """Return a drill in which a drift is rolled back and recovers, played once."""
    config = configured()
    return config, play(config, scenario(size=20.0))
