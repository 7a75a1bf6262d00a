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
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from tripswitch.errors import ConfigError, TripswitchError
from tripswitch.store.evidence import Vault
from tripswitch.store.ledger import Ledger
from tripswitch.web.api import Pages, api_app
from tripswitch.web.incidents_api import IncidentPages
from tripswitch.web.listener import Listener

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
        judge = Judge(config, open_session(config), ledger, inbox, snapshots, evidence)
        judge.restore()
        api = await _serve_api(config, judge, ledger)
        settle_memory()
        seek_cycles_seldom()
        following = asyncio.create_task(judge.follow(edits, paths, os.environ))
        try:
            await judge.run({"api": "" if api is None else api.endpoint})
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            if api is not None:
                await api.stop()


async def _serve_api(config: Config, judge: Judge, ledger: Ledger) -> Listener | None:
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
    own_token = StateToken(Path(config.storage.directory)).made()
    pages = Pages(
        status=judge.session.status,
        explain=judge.session.explain,
        telemetry=judge.session.telemetry,
        incidents=ledger.incidents,
        events=ledger.events,
        post_scores=judge.post_scores,
        post_changes=judge.post_changes,
        of_incidents=IncidentPages(
            incident=ledger.incident_file,
            audit=ledger.audit,
            instruct=judge.instruct,
            open=judge.open_incident,
            admits=lambda header: admits(header, tokens, own_token),
        ),
    )
    try:
        app = api_app(pages, tokens=tokens, loopback_only=is_loopback(host))
        return await Listener.start(app, endpoint, "telemetry.api.endpoint")
    except ConfigError as error:
        _log.error("api_not_listening", problems=str(error))
        return None


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
