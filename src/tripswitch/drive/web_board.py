"""What the judge hands to the pages: its session, its ledger, its configuration, its wire's words.

The wire counts in its own process and shows its numbers on the metrics page; the telemetry page
asks for them there, at most every few seconds, as anybody would.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tripswitch.config.loading import marks_of, warnings_of
from tripswitch.drive.api_tokens import StateToken
from tripswitch.drive.config_view import config_rows
from tripswitch.drive.papers import comms_settings, templates_of
from tripswitch.errors import ConfigError
from tripswitch.incidents.case import Case, case_of
from tripswitch.incidents.chart import chart_of
from tripswitch.incidents.chart_png import ChartUnavailableError, png_of
from tripswitch.incidents.chart_svg import draw
from tripswitch.incidents.comms import AUDIENCES, drafted
from tripswitch.web.approval import ApprovalLinks
from tripswitch.web.board import Board

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tripswitch.drive.judge import Judge
    from tripswitch.store.ledger import Ledger

_ASK_AGAIN_S: Final = 5.0
_TIMEOUT_S: Final = 2.0
_MOST_BYTES: Final = 4 << 20
_MOST_COUNTERS: Final = 1000
_READERS: Final = {"engineering": "engineers", "consumer": "consumers"}


class LinkKey(StateToken):
    """The key that signs links which approve a rollback; kept beside the token, mode 0600."""

    FILE: Final = "approval-key"  # type: ignore[misc]


def approval_links(folder: Path) -> ApprovalLinks:
    """Return what makes and reads approval links for the sidecar whose state is in ``folder``.

    Notifiers put ``links.link(base, plan, incident_id)`` into messages; links made by any process
    of one state folder are read by every other. Raises LedgerError where there is no disk.
    """
    return ApprovalLinks(LinkKey(folder).made().encode())


def chart_png(ledger: Ledger, incident_id: str) -> bytes | None:
    """Return the drift chart of an incident as PNG; None without one, or without a renderer."""
    found = ledger.case(incident_id)
    chart = None if found is None else chart_of(case_of(found))
    if chart is None:
        return None
    try:
        return png_of(draw(chart))
    except ChartUnavailableError:
        return None


def board_of(judge: Judge, ledger: Ledger, paths: Sequence[Path], folder: Path) -> Board:
    """Return the board of a judge. ``paths`` are its files, ``folder`` its state."""
    overview = judge.session.overview
    wire = WireNumbers(judge, folder / "run.json")

    def case(incident_id: str) -> Case | None:
        found = ledger.case(incident_id)
        return None if found is None else case_of(found)

    def drift_svg(incident_id: str) -> str | None:
        known = case(incident_id)
        chart = None if known is None else chart_of(known)
        return None if chart is None else draw(chart)

    def updates(incident_id: str) -> list[dict[str, Any]]:
        known = case(incident_id)
        return [] if known is None else _updates(known, judge)

    async def telemetry() -> dict[str, Any]:
        return await _telemetry(judge, wire)

    def config() -> dict[str, Any]:
        return _config(judge, paths)

    return Board(
        now=overview.now,
        open_incidents=overview.open_incidents,
        latest_incidents=ledger.incidents,
        routes=overview.routes,
        route=lambda name, span: overview.route(name, span),  # type: ignore[arg-type]
        changes=overview.changes,
        telemetry=telemetry,
        config=config,
        drift_svg=drift_svg,
        updates=updates,
        revision=lambda: f"{overview.revision}.{judge.recorded}.{judge.reload_number}",
        trace_link=lambda: judge.config.telemetry.api.trace_link,
        public_url=lambda: judge.config.telemetry.api.public_url,
        links=approval_links(folder),
    )


def _updates(case: Case, judge: Judge) -> list[dict[str, Any]]:
    """Return the draft for each audience, with what a person should look at before posting it."""
    settings = comms_settings(judge.config)
    # The story's time where there is one: the next update is promised on the clock of the reader.
    now_ns = judge.session.overview.now_ns or time.time_ns()
    try:
        templates = templates_of("comms", judge.config.comms.templates)
        drafts = [drafted(case, audience, templates, settings, now_ns) for audience in AUDIENCES]
    except ConfigError as error:
        return [{"audience": "nobody", "title": "No draft", "text": str(error), "holds": []}]
    return [
        {
            "audience": draft.audience,
            "title": f"For {_READERS[draft.audience]}, {draft.state}",
            "text": draft.text,
            "holds": [hold.sentence() for hold in draft.holds],
        }
        for draft in drafts
    ]


class WireNumbers:
    """The wire's counters, read from its metrics page. ``run_file`` says where that listens."""

    def __init__(
        self, judge: Judge, run_file: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._judge = judge
        self._run_file = run_file
        self._clock = clock
        self._asked_s = float("-inf")
        self._numbers: dict[str, float] = {}
        self._problem = ""

    async def read(self) -> tuple[dict[str, float], str]:
        """Return the numbers by name and labels, and why there are none."""
        if self._clock() - self._asked_s >= _ASK_AGAIN_S:
            self._asked_s = self._clock()
            self._numbers, self._problem = await self._ask()
        return self._numbers, self._problem

    async def _ask(self) -> tuple[dict[str, float], str]:
        if not self._judge.config.telemetry.metrics.endpoint:
            return {}, "telemetry.metrics is off"
        try:
            endpoint = _endpoint(self._run_file.read_bytes())
            if not endpoint:
                return {}, "its address is not known yet"
            # Plain HTTP on this machine; reading the authorities to trust would cost 20 ms.
            async with httpx.AsyncClient(
                timeout=_TIMEOUT_S,
                trust_env=False,
                verify=False,  # noqa: S501
            ) as client:
                answer = await client.get(f"http://{endpoint}/metrics")
            answer.raise_for_status()
            if len(answer.content) > _MOST_BYTES:
                return {}, "its page is too long"
            return _numbers(answer.text), ""
        except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError) as error:
            return {}, type(error).__name__


def _endpoint(run_file: bytes) -> str:
    endpoint = str(json.loads(run_file)["endpoints"].get("metrics", ""))
    # What listens on every address is asked on this machine's own.
    host, _, port = endpoint.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("", "0.0.0.0", "[::]") else endpoint  # noqa: S104


def _numbers(page: str) -> dict[str, float]:
    return {
        ";".join(
            (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items())))
        ).removeprefix("tripswitch_"): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("tripswitch_")
    }


async def _telemetry(judge: Judge, wire: WireNumbers) -> dict[str, Any]:
    numbers, problem = await wire.read()
    found = dict(judge.session.telemetry())
    counters = numbers or judge.counters()
    return {
        **found,
        "wire": bool(numbers),
        "wire_problem": problem,
        "tiles": _tiles(numbers) if numbers else [],
        "counters": sorted(counters.items())[:_MOST_COUNTERS],
    }


def _tiles(numbers: dict[str, float]) -> list[dict[str, str]]:
    """Return what is worth a look first, each with what it means and whether it is bad."""

    def total(name: str, *labels: str) -> float:
        return sum(
            value
            for key, value in numbers.items()
            if key.partition(";")[0] == name and all(label in key for label in labels)
        )

    received = total("receiver_requests_total")
    accepted = total("receiver_requests_total", "outcome=accepted")
    dropped = total("tap_dropped_requests_total") + total("tap_lost_requests_total")
    unreadable = total("tap_unreadable_requests_total") + total("reader_unreadable_requests_total")
    lag_s = total("tap_lag_seconds")
    spooled, oldest_s = total("exporter_queue_size"), total("exporter_queue_oldest_age_seconds")
    capacity = total("exporter_queue_capacity_bytes")
    queued = total("exporter_queue_bytes")
    dead = total("spool_dead_letters")
    is_full = total("spool_full") > 0
    return [
        _tile("Received", f"{received:,.0f}", f"requests, {accepted:,.0f} taken upstream at once"),
        _tile("Judging lag", f"{lag_s:.1f} s", "age of what waits to be read", look=lag_s > 10),
        _tile("Not judged", f"{dropped:,.0f}", "forwarded, but dropped unread", look=dropped > 0),
        _tile(
            "Unreadable", f"{unreadable:,.0f}", "requests of no known shape", look=unreadable > 0
        ),
        _tile(
            "Spool",
            f"{spooled:,.0f}",
            f"requests wait on disk, the oldest {oldest_s:,.0f} s",
            bad=is_full,
            look=spooled > 0,
        ),
        _tile(
            "Spool used",
            f"{100 * queued / capacity:.0f} %" if capacity else "off",
            "it is full: new work is refused" if is_full else "of its room on disk",
            bad=is_full,
        ),
        _tile("Dead letters", f"{dead:,.0f}", "expired or refused for good", look=dead > 0),
        _tile("Scopes", f"{total('windows_scopes'):,.0f}", "slices of traffic in memory"),
    ]


def _tile(
    name: str, value: str, meaning: str, *, look: bool = False, bad: bool = False
) -> dict[str, str]:
    kind = "bad" if bad else "look" if look else ""
    return {"name": name, "value": value, "meaning": meaning, "kind": kind}


def _config(judge: Judge, paths: Sequence[Path]) -> dict[str, Any]:
    rows = config_rows(judge.config, marks_of(paths, os.environ))
    sections: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        sections.setdefault(row["section"], []).append(row)
    set_count = {
        name: sum(row["source"] != "default" for row in found) for name, found in sections.items()
    }
    return {
        "files": [str(path) for path in paths],
        "reload": judge.last_reload(),
        "warnings": [str(warning) for warning in warnings_of(judge.config)][:20],
        "sections": list(sections.items()),
        "set_count": set_count,
        "open_sections": [name for name, count in set_count.items() if count][:3],
    }
