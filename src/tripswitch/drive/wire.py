"""The wire: the process that receives and forwards, with the judge's supervisor beside it.

It holds no engine and opens no database. Worst-case memory is ``max_concurrent_rpcs`` times
``max_recv_msg_size`` for requests under way over gRPC, ``max_in_flight_bytes`` for those over
HTTP, ``tap.max_bytes`` for those waiting to be read, and the interpreter.

Stopping goes in the order that loses least: say not ready, take no new request and finish those
under way, let go of the spool, let the judge take in what waits, let the judge finish its calls,
go.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from tripswitch.config.telemetry_section import OwnOtlp
from tripswitch.drive.own_metrics import OwnMetrics, add_results
from tripswitch.drive.process import JUDGE, command_of
from tripswitch.drive.supervisor import Supervisor
from tripswitch.drive.wire_metrics import wire_metrics
from tripswitch.drive.wire_parts import (
    listen_http,
    make_grpc_receiver,
    make_http_receiver,
    make_pipeline,
    make_server_tls,
    make_spool,
    make_upstream,
)
from tripswitch.drive.wire_reload import reload_wire
from tripswitch.errors import ConfigError
from tripswitch.otlp.admission import Admission
from tripswitch.otlp.current_upstream import CurrentUpstream
from tripswitch.otlp.tap import Tap
from tripswitch.web.health import Health, health_app
from tripswitch.web.listener import Listener, bound_endpoint
from tripswitch.web.metrics import metrics_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette

    from tripswitch.config.model import Config
    from tripswitch.otlp.spool.spool import Spool
    from tripswitch.web.connections import ConnectionLimits
    from tripswitch.web.metrics import Metric

RUN_FILE = "run.json"

_DRAIN_S = 2.0
_DRAIN_AGAIN_S = 1.0
_JUDGE_STOP_S = 5.0
_OWN_METRICS_S = 1.0
_WRITE_AGAIN_S = 5.0

_log = structlog.get_logger(__name__)


def judge_command(config_paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the command that starts a judge on ``config_paths``."""
    files = [word for path in config_paths for word in ("--config", str(path))]
    return command_of(JUDGE, *files)


@dataclass(slots=True)
class Reloads:
    """What became of edits of the configuration; ``for_restart`` are fields that wait for one."""

    taken: int = 0
    refused: int = 0
    is_last_ok: bool = True
    for_restart: tuple[str, ...] = ()


class Wire:
    """Everything that runs in the wire's process. Make and use it inside one event loop.

    ``endpoints`` has the addresses really bound, by name: ``otlp_grpc``, ``otlp_http``,
    ``health``, ``metrics`` and, while a judge is up, ``api``. Raises ConfigError when a
    certificate or token file cannot be used.
    """

    def __init__(self, config: Config, judge: Sequence[str]) -> None:
        self.endpoints: dict[str, str] = {}
        self.tap = Tap(config.tap.max_bytes)
        self.room = Admission(config.receivers.otlp.max_in_flight_bytes)
        self.upstream = CurrentUpstream(make_upstream(config, self.room))
        self.spool = make_spool(config)
        self.pipeline = make_pipeline(config, self.upstream, self.tap, self.spool, self.room)
        self.grpc_tls = make_server_tls(config, "grpc")
        self.http_tls = make_server_tls(config, "http")
        self.grpc = make_grpc_receiver(config, self.pipeline, self.grpc_tls)
        self.http = make_http_receiver(config, self.pipeline)
        self.supervisor = Supervisor(judge, self.tap, self._judge_changed)
        self.config = config
        self.reloads = Reloads()
        self.started_s = time.time()
        self._state: Literal["starting", "ready", "stopping"] = "starting"
        self._draining: asyncio.Task[None] | None = None
        self._http_listener: Listener | None = None
        self._listeners: list[Listener] = []
        self._directory = Path(config.storage.directory)
        self._own_metrics: OwnMetrics | None = None
        self._own_metrics_settings = OwnOtlp()
        self._own_metrics_past: dict[str, int] = dict.fromkeys(("sent", "failed", "dropped"), 0)
        self._writing_again: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        """Start everything. Raises ConfigError when an address or the folder cannot be had."""
        try:
            _make_folder(self._directory)
            if self.spool is not None:
                await self._open(self.spool)
            telemetry = self.config.telemetry
            await self._listen("health", health_app(self.health), telemetry.health.endpoint)
            await self._listen("metrics", metrics_app(self.metrics), telemetry.metrics.endpoint)
            protocols = self.config.receivers.otlp.protocols
            port = await self.grpc.start(protocols.grpc.endpoint)
            self.endpoints["otlp_grpc"] = bound_endpoint(protocols.grpc.endpoint, port)
            if protocols.http.endpoint:
                self._http_listener = await listen_http(self.config, self.http, self.http_tls)
                self.endpoints["otlp_http"] = self._http_listener.endpoint
        except BaseException:
            await self.stop()
            raise
        self._state = "ready"
        _log.info("listening", **self.endpoints, upstream=self.upstream.endpoint)
        self.supervisor.start()
        self._write_run_file()
        await self.send_own_metrics()

    async def stop(self) -> None:
        """Stop everything, in the order of the module text."""
        self._state = "stopping"
        stopping = [self.grpc.stop(self.config.forward.grace)]
        if self._http_listener is not None:
            stopping.append(self._http_listener.stop(self.config.forward.grace))
        await asyncio.gather(*stopping)
        await self._stop_draining()
        await self.pipeline.reading.settled()
        if self.supervisor.is_up and not await self.supervisor.drain(_DRAIN_S):
            _log.warning("tap_not_drained", requests=len(self.tap))
        await self.supervisor.stop(_JUDGE_STOP_S)
        await self.upstream.close()
        if self._own_metrics is not None:
            await self._own_metrics.stop(_OWN_METRICS_S)
        for listener in self._listeners:
            await listener.stop()
        self._remove_run_file()

    async def reload(self, edited: Config) -> list[str]:
        """Use ``edited`` from now on; return the paths of the fields that need a restart.

        Raises ConfigError, and leaves everything as it was, where it cannot be used.
        """
        return await reload_wire(self, edited)

    @property
    def http_limits(self) -> ConnectionLimits | None:
        """Return the limits of the HTTP receiver's connections, None where there is none."""
        return None if self._http_listener is None else self._http_listener.limits

    async def add_spool(self, spool: Spool | None) -> None:
        """Open a spool where none was needed before. Raises ConfigError where it cannot be."""
        if spool is not None:
            await self._open(spool)
            self.spool = spool

    async def send_own_metrics(self) -> None:
        """Send metrics by OTLP as the configuration now says, at another place or not at all."""
        wanted = self.config.telemetry.otlp
        if wanted == self._own_metrics_settings:
            return
        left, self._own_metrics = self._own_metrics, None
        self._own_metrics_settings = wanted
        if left is not None:
            await left.stop(_OWN_METRICS_S)
            self._own_metrics_past = add_results(self._own_metrics_past, left.results)
        if wanted.endpoint and wanted.metrics:
            self._own_metrics = OwnMetrics(wanted, self.metrics)

    def own_metrics_results(self) -> dict[str, int]:
        """Return what became of the exports of metrics by OTLP."""
        own = self._own_metrics
        return add_results(self._own_metrics_past, {} if own is None else own.results)

    def health(self) -> Health:
        """Return how the process stands."""
        return Health(self._state, self.supervisor.is_up)

    def metrics(self) -> list[Metric]:
        """Return the wire's numbers and the last ones that a judge gave."""
        return wire_metrics(self)

    async def _open(self, spool: Spool) -> None:
        await spool.open()
        drain = self._keep_draining(spool)
        self._draining = asyncio.get_running_loop().create_task(drain)

    async def _keep_draining(self, spool: Spool) -> None:
        while True:
            try:
                await spool.drain(self.pipeline.acceptance.resend)
            except Exception as error:  # noqa: BLE001 - what waits on disk must go out all the same
                _log.error("drain_broke_off", error=type(error).__name__)
            await asyncio.sleep(_DRAIN_AGAIN_S)

    async def _stop_draining(self) -> None:
        """End the drain and let go of the spool; what waits there waits for the next start."""
        if self.spool is None or self._draining is None:
            return
        self._draining.cancel()
        await asyncio.gather(self._draining, return_exceptions=True)
        await self.spool.close()

    async def _listen(self, name: str, app: Starlette, endpoint: str) -> None:
        if endpoint:
            listener = await Listener.start(app, endpoint, f"telemetry.{name}.endpoint")
            self._listeners.append(listener)
            self.endpoints[name] = listener.endpoint

    def _judge_changed(self) -> None:
        ready = self.supervisor.ready
        self.endpoints.pop("api", None)
        if ready is not None:
            if ready.get("api"):
                self.endpoints["api"] = str(ready["api"])
            _log.info("judge_ready", pid=self.supervisor.pid, api=self.endpoints.get("api"))
        self._write_run_file()

    def _write_run_file(self) -> None:
        """Leave word of who runs and where, for whoever looks into the folder."""
        if self._state != "ready":
            return
        content = {
            "pid": os.getpid(),
            "judge_pid": self.supervisor.pid,
            "judge_up": self.supervisor.is_up,
            "endpoints": self.endpoints,
        }
        path = self._directory / RUN_FILE
        try:
            unfinished = path.with_suffix(".json.new")
            unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            unfinished.replace(path)
        except OSError as error:
            _log.warning("run_file_not_written", path=str(path), error=error.strerror)
            self._write_run_file_later()

    def _write_run_file_later(self) -> None:
        """Try again before long: a full disk has room again some time, and nobody says when."""
        if self._writing_again is not None:
            self._writing_again.cancel()
        loop = asyncio.get_running_loop()
        self._writing_again = loop.call_later(_WRITE_AGAIN_S, self._write_run_file)

    def _remove_run_file(self) -> None:
        """Take back what was left there, unless it is another process's by now."""
        path = self._directory / RUN_FILE
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8")).get("pid") == os.getpid():
                path.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f'storage.directory: cannot make "{folder}": {error.strerror}',
            hint="name a folder that this user can write to",
        ) from error
