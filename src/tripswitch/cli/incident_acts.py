"""What the commands about incidents share: whose id is meant, what is told, what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from tripswitch.cli.asking import ask, tell
from tripswitch.errors import TripswitchError


def audit_of(state: Path) -> dict[str, Any]:
    """Return whether the chain in a state folder is whole. Raises TripswitchError without one."""
    from tripswitch.drive.judge_process import LEDGER_FILE
    from tripswitch.store.ledger import Ledger

    path = state / LEDGER_FILE
    if not path.is_file():
        raise TripswitchError(f"no ledger at {path}", hint="is this the storage.directory?")
    with Ledger(path) as ledger:
        return ledger.audit()


def whole_id(api: str, beginning: str) -> str:
    """Return the id that begins so, or ``latest``, among the latest incidents.

    Raises TripswitchError where there is none, or more than one.
    """
    latest: Any = ask(api, "/v1/incidents?limit=1000")
    if beginning == "latest" and latest:
        return str(latest[0]["id"])
    found = [each["id"] for each in latest if each["id"].startswith(beginning)]
    if len(found) == 1 or beginning in found:
        return beginning if beginning in found else str(found[0])
    what = "no incident" if not found else f"{len(found)} incidents"
    raise TripswitchError(
        f'{what} with an id that begins with "{beginning}"', hint="tripswitch incidents list"
    )


def word_of(by: str, note: str) -> dict[str, Any]:
    """Return what is posted with an act: who says it, by default who is logged in, and why."""
    if not by:
        import getpass

        try:
            by = getpass.getuser()
        except (KeyError, OSError):
            by = "somebody"
    return {"by": by, "note": note}


def act(
    api: str, incident_id: str, name: str, word: dict[str, Any], token: str, *, as_json: bool
) -> None:
    """Do one act on an incident and print what came of it."""
    act_all(api, incident_id, [(name, word)], token, as_json=as_json)


def act_all(
    api: str,
    incident_id: str,
    acts: list[tuple[str, dict[str, Any]]],
    token: str,
    *,
    as_json: bool,
) -> None:
    """Do acts in their order; with ``as_json`` print one object, with the events of them all."""
    path = f"/v1/incidents/{whole_id(api, incident_id)}"
    events: list[str] = []
    for name, word in acts:
        answer = tell(api, f"{path}/{name}", word, token)
        events += answer["events"]
        if not as_json:
            say(answer, as_json=False)
    if as_json:
        say({**answer, "events": events}, as_json=True)


def say(answer: dict[str, Any], *, as_json: bool) -> None:
    """Print what the API answered to an act: the incident's state, what happened, what it lacks."""
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    incident = answer["incident"]
    events = ", ".join(answer["events"]) or "nothing new"
    missing = f"; missing: {', '.join(incident['missing'])}" if incident["missing"] else ""
    typer.echo(f"{incident['id']} {incident['state']}: {events}{missing}")
