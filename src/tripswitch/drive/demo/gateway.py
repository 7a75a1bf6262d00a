"""The simulated LLM gateway: serves two cohorts in story time and honours a signed rollback.

Run as ``python -m tripswitch.drive.demo.gateway`` with the webhook secret in the environment
variable `SECRET_VARIABLE`. It prints one JSON line with the address of its HTTP endpoint:

    POST /rollback, GET /rollback?action_id=..., POST /alert    signed webhooks
    POST /connect {"otlp_grpc"}   where to send spans
    POST /play {"until_s"}        play the story on, up to this story time
    GET /state, GET /bad-traces   what it did so far

It plays no further than it is told to, and no step before the spans of the one before were
accepted, so it cannot run ahead of whoever reads them.
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import heapq
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tripswitch.drive.demo import story
from tripswitch.drive.demo.children import announce, stdin_closed
from tripswitch.drive.demo.release import ReleaseDesk, Reply
from tripswitch.drive.demo.traffic import Traffic
from tripswitch.web.listener import Listener

if TYPE_CHECKING:
    from starlette.requests import Request

SECRET_VARIABLE = "DEMO_WEBHOOK_SECRET"  # noqa: S105 - a name, not a secret

STEP_S = 5.0
"""Story seconds between exports: the schedule delay of the SDK's batch processor."""


class Gateway:
    """The gateway of one story. `connect` starts it; `allow` lets it play on."""

    def __init__(self, told: story.Story, seed: int, secret: str) -> None:
        self.desk = ReleaseDesk(secret, lambda: self.story_s)
        self.story_s = 0.0
        self.sent_until_s = 0.0
        self.fault = ""
        self._told = told
        self._seed = seed
        self._traffic: Traffic | None = None
        self._bad_traces: list[str] = []
        self._served: dict[str, dict[str, dict[str, float]]] = {story.CONTROL: {}, story.CANARY: {}}
        self._rolled_out_wall_s: float | None = None
        self._until_s = 0.0
        self._stopping = False
        self._changed = threading.Condition()
        self._player = threading.Thread(target=self._play, name="story", daemon=True)

    def connect(self, otlp_grpc: str) -> None:
        """Start playing, with spans sent to ``otlp_grpc`` (host and port)."""
        self._traffic = Traffic(otlp_grpc, self._seed)
        self._player.start()

    def allow(self, until_s: float) -> None:
        """Let the story go on to ``until_s``; it never goes back."""
        with self._changed:
            self._until_s = max(self._until_s, until_s)
            self._changed.notify()

    def stop(self) -> None:
        """End the story and close the connection."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._traffic is not None:
            self._player.join()
            self._traffic.close()

    def state(self) -> dict[str, Any]:
        """Return everything but the bad traces, as JSON.

        ``is_idle`` says that nothing more will be sent before the next `allow`, ``sent_until_s``
        when the last span that was sent ended.
        """
        exporter = None if self._traffic is None else self._traffic.exporter
        with self._changed:
            served = copy.deepcopy(self._served)
        return {
            "story_s": self.story_s,
            "sent_until_s": self.sent_until_s,
            "is_idle": self.story_s >= self._until_s,
            "fault": self.fault,
            "versions": self.desk.versions(),
            "rolled_out_wall_s": self._rolled_out_wall_s,
            "served": served,
            "calls": self.desk.calls,
            "sent": None if exporter is None else exporter.tally.totals(),
            "failed_spans": 0 if exporter is None else exporter.failed_spans,
        }

    def bad_traces(self) -> list[str]:
        """Return the trace ids of the new version's refusals and poor answers, in order sent."""
        return list(self._bad_traces)

    def _play(self) -> None:
        try:
            self._serve_visits()
        except Exception as error:
            # The director reads the fault and ends the demo; nobody else could tell.
            self.fault = f"{type(error).__name__}: {error}"
            raise

    def _serve_visits(self) -> None:
        assert self._traffic is not None
        coming = story.visits(self._seed)
        visit = next(coming)
        under_way: list[tuple[float, int, story.Answer]] = []
        served = 0
        sent_until_s = 0.0
        while self._wait_for_leave():
            now_s = min(self.story_s + STEP_S, self._until_s)
            while visit.start_s < now_s:
                self._release_on_time(visit.start_s)
                answer = self._serve(visit)
                heapq.heappush(under_way, (answer.end_s, served, answer))
                served += 1
                visit = next(coming)
            while under_way and under_way[0][0] < now_s:
                answer = heapq.heappop(under_way)[2]
                trace_id = self._traffic.record(answer)
                sent_until_s = answer.end_s
                if answer.is_bad and answer.version == story.NEW_VERSION:
                    self._bad_traces.append(trace_id)
            self._traffic.flush()
            self.sent_until_s = sent_until_s
            self.story_s = now_s

    def _wait_for_leave(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self.story_s < self._until_s)
            return not self._stopping

    def _release_on_time(self, now_s: float) -> None:
        if self._rolled_out_wall_s is None and now_s >= story.ROLLOUT_S:
            self.desk.roll_out(story.CANARY, story.NEW_VERSION)
            self._rolled_out_wall_s = time.time()

    def _serve(self, visit: story.Visit) -> story.Answer:
        version = self.desk.version(visit.route.path, visit.cohort)
        if visit.route.path == story.REFUND_ROUTE:
            cohort = self._served[visit.cohort]
            with self._changed:
                seen = cohort.setdefault(version, {"calls": 0, "first_s": visit.start_s})
                seen["calls"] += 1
                seen["last_s"] = visit.start_s
        return story.answer(visit, version, self._told.behaviours[version])


def application(gateway: Gateway) -> Starlette:
    """Return the gateway's HTTP endpoint."""

    async def rollback(request: Request) -> Response:
        return _reply(gateway.desk.rollback(request.headers, await request.body()))

    async def rollback_state(request: Request) -> Response:
        action_id = request.query_params.get("action_id", "")
        return _reply(gateway.desk.action(request.headers, action_id))

    async def alert(request: Request) -> Response:
        return _reply(gateway.desk.alert(request.headers, await request.body()))

    async def connect(request: Request) -> Response:
        gateway.connect(str((await request.json())["otlp_grpc"]))
        return Response(status_code=204)

    async def play(request: Request) -> Response:
        gateway.allow(float((await request.json())["until_s"]))
        return Response(status_code=204)

    async def state(_request: Request) -> Response:
        return JSONResponse(gateway.state())

    async def bad_traces(_request: Request) -> Response:
        return JSONResponse(gateway.bad_traces())

    return Starlette(
        routes=[
            Route("/rollback", rollback, methods=["POST"]),
            Route("/rollback", rollback_state, methods=["GET"]),
            Route("/alert", alert, methods=["POST"]),
            Route("/connect", connect, methods=["POST"]),
            Route("/play", play, methods=["POST"]),
            Route("/state", state),
            Route("/bad-traces", bad_traces),
        ]
    )


def _reply(reply: Reply) -> Response:
    if reply.status == 204:
        return Response(status_code=204)
    return JSONResponse(reply.body, status_code=reply.status)


async def serve(told: story.Story, seed: int, secret: str) -> None:
    """Run until standard input ends."""
    gateway = Gateway(told, seed, secret)
    door = await Listener.start(application(gateway), "127.0.0.1:0", "gateway")
    announce({"http": door.endpoint})
    await stdin_closed()
    await asyncio.to_thread(gateway.stop)
    await door.stop()


def main() -> None:
    """Run the gateway as a process."""
    parser = argparse.ArgumentParser(description="The demo's simulated LLM gateway.")
    parser.add_argument("--story", choices=sorted(story.STORIES), required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    told = story.STORIES[options.story]
    asyncio.run(serve(told, options.seed, os.environ[SECRET_VARIABLE]))


if __name__ == "__main__":
    main()
