"""What is compared: nothing in the path, tripswitch, the Collector; all before the same sink."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
from bench.forward.load import Exporter
from tests.interop.collector import Settings, pipelines, receiving, running_collector
from tests.interop.sidecar import Sidecar, forwarding, running_sidecar

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

DIRECT = "direct"
TRIPSWITCH = "tripswitch"
TRIPSWITCH_DISK = "tripswitch, disk"
COLLECTOR = "collector"
COLLECTOR_DISK = "collector, file_storage"
TRIPSWITCH_NO_CONTENT = "tripswitch, content_facts off"
COLLECTOR_METRICS = "collector, spanmetrics"

# What a scope is made of, as the requests of this bench name it.
_SCOPE_KEYS = (
    "http.route",
    "gen_ai.prompt.name",
    "gen_ai.prompt.version",
    "tripswitch.cohort",
    "gen_ai.request.model",
    "gen_ai.provider.name",
)

WIRE = "wire"
JUDGE = "judge"

_SETTLE_WINDOW_S = 0.25
_SETTLED_CPU_S = 0.03
_SETTLE_LONGEST_S = 15.0


class System:
    """Something that requests are sent to; ``pid`` is the root of its processes, 0 for none."""

    def __init__(self, name: str, endpoint: str, pid: int, sidecar: Sidecar | None = None) -> None:
        self.name = name
        self.exporter = Exporter(endpoint)
        self._root = psutil.Process(pid) if pid else None
        self._sidecar = sidecar

    def processes(self) -> dict[str, psutil.Process]:
        """Return the processes by role: tripswitch's are the wire and its child, the judge."""
        if self._root is None:
            return {}
        if self._sidecar is None:
            return {self.name: self._root}
        return {WIRE: self._root, JUDGE: psutil.Process(self._sidecar.live.judge_pid)}

    def usage(self) -> dict[str, float]:
        """Return the processor seconds used so far in user and system mode, by process."""
        used = {name: process.cpu_times() for name, process in self.processes().items()}
        return {name: times.user + times.system for name, times in used.items()}

    def settle(self) -> None:
        """Wait until what was left to do after the last answer is done, for a bounded time."""
        give_up_s = time.monotonic() + _SETTLE_LONGEST_S
        before_s = sum(self.usage().values())
        while time.monotonic() < give_up_s:
            time.sleep(_SETTLE_WINDOW_S)
            now_s = sum(self.usage().values())
            if now_s - before_s <= _SETTLED_CPU_S:
                return
            before_s = now_s

    def forget_peak(self) -> None:
        """Have the kernel start anew with the peak of each process's resident memory."""
        for process in self.processes().values():
            with open(f"/proc/{process.pid}/clear_refs", "w") as file:  # noqa: PTH123
                file.write("5")

    def peak_rss_bytes(self) -> dict[str, int]:
        """Return each process's peak of resident memory since `forget_peak`."""
        return {name: _peak_bytes(process.pid) for name, process in self.processes().items()}

    def tap_dropped(self) -> int:
        """Return how many requests tripswitch passed on and did not read."""
        if self._sidecar is None:
            return 0
        return round(self._sidecar.live.metric("tap_dropped_requests_total"))


def _peak_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:  # noqa: PTH123
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def start_all(stack: ExitStack, folder: Path, *, disk: bool) -> list[System]:
    """Start the sink and every system in front of it; they stop with ``stack``.

    ``disk`` adds those that keep requests on disk.
    """
    sink = _running_sink(stack, folder)
    systems = [System(DIRECT, sink, 0)]
    for name in [TRIPSWITCH, *([TRIPSWITCH_DISK] if disk else [])]:
        settings = {"forward": {"acknowledge": "upstream" if name == TRIPSWITCH else "disk"}}
        systems.append(_running_tripswitch(stack, _room(folder, name), name, sink, settings))
    for name in [COLLECTOR, *([COLLECTOR_DISK] if disk else [])]:
        place = _room(folder, name)
        settings = _relay(sink, place if name == COLLECTOR_DISK else None)
        systems.append(_running_collector(stack, place, name, settings))
    return systems


def start_understanding(stack: ExitStack, folder: Path) -> list[System]:
    """Start the sink, tripswitch with and without facts from content, and a Collector with metrics.

    The Collector does the nearest work it can: it forwards, and its spanmetrics connector counts
    calls and durations by what tripswitch calls a scope.
    """
    sink = _running_sink(stack, folder)
    systems = [System(DIRECT, sink, 0)]
    for name, facts in ((TRIPSWITCH, True), (TRIPSWITCH_NO_CONTENT, False)):
        settings: Settings = {
            "forward": {"acknowledge": "upstream"},
            "read": {"content_facts": facts},
        }
        systems.append(_running_tripswitch(stack, _room(folder, name), name, sink, settings))
    settings = _relay(sink, None)
    settings["connectors"] = {"spanmetrics": {"dimensions": [{"name": key} for key in _SCOPE_KEYS]}}
    settings["exporters"]["nop"] = {}
    settings["service"]["pipelines"]["traces"]["exporters"].append("spanmetrics")
    settings["service"]["pipelines"]["metrics"] = {
        "receivers": ["spanmetrics"],
        "exporters": ["nop"],
    }
    place = _room(folder, COLLECTOR_METRICS)
    return [*systems, _running_collector(stack, place, COLLECTOR_METRICS, settings)]


def _room(folder: Path, name: str) -> Path:
    made = folder / name.replace(", ", "-").replace(" ", "-")
    made.mkdir()
    return made


def _running_sink(stack: ExitStack, folder: Path) -> str:
    return stack.enter_context(running_collector(_room(folder, "sink"), _sink())).grpc


def _running_tripswitch(
    stack: ExitStack, place: Path, name: str, sink: str, settings: Settings
) -> System:
    sidecar = stack.enter_context(running_sidecar(place, forwarding("grpc", sink) | settings))
    live = sidecar.live
    return System(name, sidecar.endpoint("grpc"), live.process.pid, sidecar)


def _running_collector(stack: ExitStack, place: Path, name: str, settings: Settings) -> System:
    collector = stack.enter_context(running_collector(place, settings))
    return System(name, collector.grpc, collector.process.pid)


def _sink() -> Settings:
    settings = receiving()
    settings["exporters"] = {"nop": {}}
    settings["service"]["pipelines"] = pipelines("nop", "traces")
    return settings


def _relay(sink: str, storage: Path | None) -> Settings:
    """Return a Collector's settings: OTLP in, OTLP out, in the same terms as tripswitch.

    Not compressed, as tripswitch passes on what it got. Without storage it has no queue and
    acknowledges what the sink has; with storage it has its default queue, kept on disk.
    """
    settings = receiving()
    queue: Settings = {"enabled": False}
    if storage is not None:
        settings["extensions"] = {"file_storage": {"directory": str(storage)}}
        settings["service"]["extensions"] = ["file_storage"]
        queue = {"enabled": True, "storage": "file_storage"}
    settings["exporters"] = {
        "otlp_grpc": {
            "endpoint": sink,
            "compression": "none",
            "tls": {"insecure": True},
            "sending_queue": queue,
        }
    }
    settings["service"]["pipelines"] = pipelines("otlp_grpc", "traces")
    return settings
