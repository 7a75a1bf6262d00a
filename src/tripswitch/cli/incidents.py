"""``tripswitch incidents``: what is open, what happened, and what people want done about it."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tripswitch.cli.asking import DEFAULT_API, ask, tell, token_for
from tripswitch.cli.decisions import decisions
from tripswitch.cli.incident_text import show_dry_run, show_incident, show_incidents
from tripswitch.errors import TripswitchError

incidents = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, show and answer incidents of a running tripswitch.",
)

Api = Annotated[str, typer.Option("--api", help="Address of the API.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="The incident's id, or its beginning.")]
By = Annotated[
    str, typer.Option("--by", envvar="TRIPSWITCH_BY", help="Who decides; your login by default.")
]
Note = Annotated[str, typer.Option("--note", help="Why, for the record.")]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="TRIPSWITCH_API_TOKEN",
        help="Bearer token; by default the one in the state folder.",
    ),
]
State = Annotated[
    Path, typer.Option("--state", help="The state folder (storage.directory), for its token.")
]
_STATE = Path("state")


@incidents.command("list")
def list_incidents(
    api: Api = DEFAULT_API,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many.")] = 20,
    only_open: Annotated[bool, typer.Option("--open", help="Only what is not resolved.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the latest incidents, newest first.

    Example: tripswitch incidents list --open
    """
    found: Any = ask(api, f"/v1/incidents?limit={limit}")
    if only_open:
        found = [each for each in found if each["state"] != "resolved"]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_incidents(found)


@incidents.command()
def show(incident_id: Id, api: Api = DEFAULT_API, as_json: AsJson = False) -> None:
    """Show one incident: why, triage, rollback, timeline, what is missing before it closes.

    Example: tripswitch incidents show inc_4ac42dbc62fcfe81
    """
    found = ask(api, f"/v1/incidents/{_whole_id(api, incident_id)}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    show_incident(found)


@incidents.command()
def ack(
    incident_id: Id,
    by: By = "",
    note: Note = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Take an incident: say that a person is on it.

    Example: tripswitch incidents ack inc_4ac42dbc --note "looking at the traces"
    """
    _act(api, incident_id, "acknowledge", _word(by, note), token_for(token, state), as_json=as_json)


@incidents.command("dry-run")
def dry_run(
    incident_id: Id,
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Show the literal requests that an incident's rollback would send now; nothing is moved.

    Example: tripswitch incidents dry-run inc_4ac42dbc
    """
    path = f"/v1/incidents/{_whole_id(api, incident_id)}/dry-run"
    found = ask(api, path, token=token_for(token, state))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        show_dry_run(found)


@incidents.command()
def approve(
    incident_id: Id,
    by: By = "",
    note: Note = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Approve the rollback that an incident proposes; it is called at once.

    Example: tripswitch incidents approve inc_4ac42dbc --by ada
    """
    _act(api, incident_id, "approve", _word(by, note), token_for(token, state), as_json=as_json)


@incidents.command()
def reject(
    incident_id: Id,
    by: By = "",
    note: Note = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Decide against the rollback that an incident proposes; it is not proposed again.

    Example: tripswitch incidents reject inc_4ac42dbc --note "the eval set is wrong"
    """
    _act(api, incident_id, "reject", _word(by, note), token_for(token, state), as_json=as_json)


@incidents.command()
def undo(
    incident_id: Id,
    by: By = "",
    note: Note = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Take a rollback back, where its pointer still is where it was put.

    Example: tripswitch incidents undo inc_4ac42dbc --note "v18 was not the cause"
    """
    _act(api, incident_id, "undo", _word(by, note), token_for(token, state), as_json=as_json)


@incidents.command()
def release(
    incident_id: Id,
    by: By = "",
    note: Note = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Let the version that was rolled back serve again, so that it may be rolled back anew.

    Example: tripswitch incidents release inc_4ac42dbc --note "v18 is mended"
    """
    _act(api, incident_id, "release", _word(by, note), token_for(token, state), as_json=as_json)


@incidents.command()
def resolve(
    incident_id: Id,
    fix: Annotated[str, typer.Option("--fix", help="Link of the fix that is in review.")] = "",
    comms_closed: Annotated[
        bool, typer.Option("--comms-closed", help="Communication is closed.")
    ] = False,
    waive: Annotated[
        str, typer.Option("--waive", help="Close it without what is missing; say why.")
    ] = "",
    by: By = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Confirm what an incident needs before it closes; the signal is proven by the spans alone.

    Example: tripswitch incidents resolve inc_4ac42dbc --fix https://git.test/7 --comms-closed
    """
    words = []
    if fix:
        words.append(("fix_in_review", _word(by, "") | {"link": fix}))
    if comms_closed:
        words.append(("comms_closed", _word(by, "")))
    if waive:
        words.append(("waive", _word(by, waive)))
    if not words:
        raise typer.BadParameter("give --fix LINK, --comms-closed or --waive WHY")
    secret = token_for(token, state)
    for act, word in words:
        _act(api, incident_id, act, word, secret, as_json=as_json)


class Writing(StrEnum):
    """What may have been written about an incident."""

    UPDATE = "update_posted"
    DRAFT = "postmortem_drafted"
    PUBLISHED = "postmortem_published"


@incidents.command()
def written(
    incident_id: Id,
    what: Annotated[Writing, typer.Argument(help="What was written.")],
    link: Annotated[str, typer.Option("--link", help="Where it can be read.")] = "",
    by: By = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Say that an update was posted, or a postmortem drafted or published, so that none is due.

    Example: tripswitch incidents written inc_4ac42dbc update_posted
    """
    word = _word(by, "") | {"link": link}
    _act(api, incident_id, what.value, word, token_for(token, state), as_json=as_json)


@incidents.command("open")
def open_incident(
    sentence: Annotated[str, typer.Argument(metavar="SENTENCE", help="What happened.")],
    security: Annotated[
        str,
        typer.Option(
            "--security",
            metavar="TRIGGER",
            help=(
                "Of the security class: injection, pii_leak, stolen_keys, tool_exfiltration or "
                "supply_chain."
            ),
        ),
    ] = "",
    shape: Annotated[
        str, typer.Option("--shape", help="Which of the five shapes.")
    ] = "guardrail_regression",
    route: Annotated[str, typer.Option("--route", help="The route it is about.")] = "",
    version: Annotated[str, typer.Option("--version", help="The prompt version.")] = "",
    cohort: Annotated[str, typer.Option("--cohort", help="The cohort.")] = "",
    provider: Annotated[str, typer.Option("--provider", help="The provider.")] = "",
    trace: Annotated[
        list[str] | None, typer.Option("--trace", help="A trace that shows it; repeatable.")
    ] = None,
    by: By = "",
    api: Api = DEFAULT_API,
    token: Token = "",
    state: State = _STATE,
    as_json: AsJson = False,
) -> None:
    """Open an incident that no span shows, a stolen key for instance.

    Example: tripswitch incidents open "key of the gateway is public" --security stolen_keys
    """
    named = {
        "route": route,
        "prompt_version": version,
        "cohort": cohort,
        "provider": provider,
    }
    document: dict[str, Any] = {
        **_word(by, ""),
        "sentence": sentence,
        "shape": shape,
        "scope": {name: value for name, value in named.items() if value},
        "traces": trace or [],
    }
    del document["note"]
    if security:
        document["trigger"] = security
    answer = tell(api, "/v1/incidents", document, token_for(token, state))
    _say(answer, as_json=as_json)


@incidents.command()
def verify(
    api: Api = DEFAULT_API,
    state: Annotated[
        Path | None,
        typer.Option("--state", help="Read the ledger in this state folder, nothing need run."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the hash chain of the timeline: whether a row was edited or removed. Exit 1 if so.

    Example: tripswitch incidents verify --state /var/lib/tripswitch
    """
    found = ask(api, "/v1/audit") if state is None else _audit_of(state)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif found["whole"]:
        typer.echo(f"whole: {found['events']} events, tip {found['tip']}")
    else:
        typer.echo(f"broken at event {found['broken_at']} of {found['events']}")
    if not found["whole"]:
        raise typer.Exit(1)


@incidents.command()
def export(
    incident_id: Id,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output without.")
    ] = None,
    api: Api = DEFAULT_API,
) -> None:
    """Write all that is known of one incident as JSON: it, its timeline, what was called for it.

    Example: tripswitch incidents export inc_4ac42dbc --out incident.json
    """
    found = ask(api, f"/v1/incidents/{_whole_id(api, incident_id)}")
    text = json.dumps(found, indent=2) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TripswitchError(f"cannot write {out}: {error.strerror}") from error
    typer.echo(f"wrote {out}")


incidents.command()(decisions)


def _audit_of(state: Path) -> dict[str, Any]:
    from tripswitch.drive.judge_process import LEDGER_FILE
    from tripswitch.store.ledger import Ledger

    path = state / LEDGER_FILE
    if not path.is_file():
        raise TripswitchError(f"no ledger at {path}", hint="is this the storage.directory?")
    with Ledger(path) as ledger:
        return ledger.audit()


def _whole_id(api: str, beginning: str) -> str:
    """Return the id that begins so, among the latest incidents. Raises TripswitchError."""
    latest: Any = ask(api, "/v1/incidents?limit=1000")
    found = [each["id"] for each in latest if each["id"].startswith(beginning)]
    if len(found) == 1 or beginning in found:
        return beginning if beginning in found else str(found[0])
    what = "no incident" if not found else f"{len(found)} incidents"
    raise TripswitchError(
        f'{what} with an id that begins with "{beginning}"', hint="tripswitch incidents list"
    )


def _word(by: str, note: str) -> dict[str, Any]:
    if not by:
        import getpass

        try:
            by = getpass.getuser()
        except (KeyError, OSError):
            by = "somebody"
    return {"by": by, "note": note}


def _act(
    api: str, incident_id: str, act: str, word: dict[str, Any], token: str, *, as_json: bool
) -> None:
    path = f"/v1/incidents/{_whole_id(api, incident_id)}/{act}"
    _say(tell(api, path, word, token), as_json=as_json)


def _say(answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(answer, indent=2))
        return
    incident = answer["incident"]
    events = ", ".join(answer["events"]) or "nothing new"
    missing = f"; missing: {', '.join(incident['missing'])}" if incident["missing"] else ""
    typer.echo(f"{incident['id']} {incident['state']}: {events}{missing}")
