"""The judge's process: ``python -m tripswitch.drive.process judge --link-fd N --config FILE ...``.

Started by the wire and never by hand. It ends when the wire closes the link, and with the wire
when that dies: the kernel sees to it where it can, and the end of the link everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from tripswitch.config.endpoints import is_loopback, split_endpoint
from tripswitch.config.loading import files_read, load_config
from tripswitch.drive.api_tokens import ApiTokens, StateToken, admits
from tripswitch.drive.config_edits import ConfigEdits
from tripswitch.drive.evidence import EvidenceKeeper
from tripswitch.drive.inbox import Inbox
from tripswitch.drive.judge import Judge
from tripswitch.drive.logs import configure_logs
from tripswitch.drive.process import seek_cycles_seldom, settle_memory
from tripswitch.drive.snapshots import Snapshots
from tripswitch.drive.web_board import approval_links, board_of, chart_png
from tripswitch.errors import ConfigError, TripswitchError
from tripswitch.incidents.decisions import MOST_SCORED, decisions_of
from tripswitch.store.evidence import Vault
from tripswitch.store.ledger import Ledger
from tripswitch.web.api import Pages, api_app
from tripswitch.web.guard import Guard
from tripswitch.web.headline import Headline
from tripswitch.web.incidents_api import IncidentPages
from tripswitch.web.listener import Listener
from tripswitch.web.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tripswitch.config.model import Config
    from tripswitch.drive.judged import Judged

LEDGER_FILE = "ledger.sqlite"

_PR_SET_PDEATHSIG = 1

_log = structlog.get_logger(__name__)


def run_judge(argv: Sequence[str], open_session: Callable[[Config], Judged]) -> int:
    """Judge what comes over the link named in ``argv`` until it ends; return the exit code.

    0 when the wire ended it, 2 when the configuration or the ledger cannot be used.
    """
    options = _options(argv)
    _die_with_parent()
    edits = ConfigEdits(files_read(options.config))
    try:
        config = load_config(options.config, os.environ)
        configure_logs(config.telemetry.log_level, "judge")
        with socket.socket(fileno=options.link_fd) as link:
            asyncio.run(_judge(config, options.config, edits, link, open_session))
    except TripswitchError as error:
        _log.error("judge_cannot_run", problems=str(error))
        return 2
    return 0


async def _judge(
    config: Config,
    paths: Sequence[Path],
    edits: ConfigEdits,
    link: socket.socket,
    open_session: Callable[[Config], Judged],
) -> None:
    path = Path(config.storage.directory) / LEDGER_FILE
    with Ledger(path) as ledger:
        inbox = await Inbox.open(link)
        snapshots = Snapshots(path.parent)
        evidence = EvidenceKeeper(Vault(path.parent), ledger)
        judge = Judge(
            config,
            open_session(config),
            ledger,
            inbox,
            snapshots,
            evidence,
            approval=approval_links(path.parent).link,
            chart_of=lambda incident_id: chart_png(ledger, incident_id),
        )
        judge.restore()
        served = await _serve_api(config, paths, judge, ledger)
        api = None if served is None else served.listener
        settle_memory()
        seek_cycles_seldom()
        following = asyncio.create_task(judge.follow(edits, paths, os.environ))
        try:
            await judge.run({"api": "" if api is None else api.endpoint})
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            if served is not None:
                # Streams have no end of their own.
                served.stream.close()
                await served.listener.stop()


class _Served(NamedTuple):
    """The listener of API and pages, and the streams on it."""

    listener: Listener
    stream: Stream


async def _serve_api(
    config: Config, paths: Sequence[Path], judge: Judge, ledger: Ledger
) -> _Served | None:
    """Serve the API if it is wanted; a taken port costs the API, not the judging."""
    endpoint = config.telemetry.api.endpoint
    if not endpoint:
        return None
    host, _ = split_endpoint(endpoint)
    try:
        tokens = ApiTokens(lambda: judge.config.telemetry.api.auth)
    except ConfigError as error:
        _log.error("api_not_listening", problems=str(error))
        return None
    folder = Path(config.storage.directory)
    own_token = StateToken(folder).made()
    board = board_of(judge, ledger, paths, folder)
    guard = Guard(
        lambda header: admits(header, tokens, own_token),
        time.monotonic,
        loopback_only=is_loopback(host),
        is_behind_tls=lambda: board.public_url().startswith("https://"),
    )
    pages = Pages(
        status=judge.session.status,
        explain=judge.session.explain,
        events=ledger.events,
        post_scores=judge.asked.post_scores,
        post_changes=judge.asked.post_changes,
        of_incidents=IncidentPages(
            incident=ledger.incident_file,
            audit=ledger.audit,
            decisions=lambda: decisions_of(ledger.known_incidents(MOST_SCORED)),
            instruct=judge.asked.instruct,
            open=judge.asked.open_incident,
            admits=guard.admits,
            dry_run=judge.asked.dry_run,
        ),
        board=board,
    )
    stream = Stream(board.revision, Headline(board))
    try:
        app = api_app(pages, guard, stream)
        listener = await Listener.start(app, endpoint, "telemetry.api.endpoint")
    except ConfigError as error:
        _log.error("api_not_listening", problems=str(error))
        return None
    return _Served(listener, stream)


def _options(argv: Sequence[str]) -> Any:
    parser = argparse.ArgumentParser(prog="tripswitch-judge", description="Started by the wire.")
    parser.add_argument("--link-fd", type=int, required=True)
    parser.add_argument("--config", type=Path, action="append", default=[])
    return parser.parse_args(argv)


def _die_with_parent() -> None:
    """Have the kernel end this process with the wire, also when it is busy or stopped.

    Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere the end of the link has to do.
    """
    parent = os.getppid()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise SystemExit(0)


def main(arguments: Sequence[str]) -> int:
    """Run the judge with the real session; return its exit code."""
    from tripswitch.drive.session import Session

    return run_judge(arguments, Session)
