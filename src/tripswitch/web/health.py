"""Health over HTTP: ``/`` and ``/ready`` say whether requests are taken, ``/live`` that it lives.

Liveness never depends on the upstream, nor on the judge: restarting a sidecar mends neither, and
loses what its clients were sending. Readiness is 503 while starting and while stopping; a judge
that is down is named in the body and stays 200, because a sidecar's readiness counts for its pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Health:
    """How the process stands: ``state`` is about taking requests, ``judge_up`` about judging."""

    state: Literal["starting", "ready", "stopping"]
    judge_up: bool


def health_app(health: Callable[[], Health]) -> Starlette:
    """Return the application that answers probes from ``health``."""

    async def ready(_request: Request) -> JSONResponse:
        now = health()
        return JSONResponse(
            {"status": now.state, "judge": "up" if now.judge_up else "down"},
            status_code=200 if now.state == "ready" else 503,
        )

    async def live(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "live"})

    return Starlette(routes=[Route("/", ready), Route("/ready", ready), Route("/live", live)])
