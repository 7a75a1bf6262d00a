"""``tripswitch comms``: the status update of an incident, drafted and held for a person."""

from __future__ import annotations

import json
import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tripswitch.cli.completion import incidents_or_latest

if TYPE_CHECKING:
    from tripswitch.incidents.comms import CommsDraft


class AudienceChoice(StrEnum):
    """Who reads it."""

    ENGINEERING = "engineering"
    CONSUMER = "consumer"


class StateChoice(StrEnum):
    """What the update says about where things stand."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


def comms(
    incident: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Id of the incident, its beginning, or latest.",
            autocompletion=incidents_or_latest,
        ),
    ],
    audience: Annotated[
        list[AudienceChoice] | None,
        typer.Option("--audience", help="Who reads it; both by default."),
    ] = None,
    state: Annotated[
        StateChoice | None, typer.Option("--state", help="Instead of the state that it is in.")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option("--check", metavar="FILE", help="Check this text instead; exit 1 if held."),
    ] = None,
    config: Annotated[
        list[Path] | None,
        typer.Option("--config", metavar="FILE", help="Configuration; may be given repeatedly."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Draft the status update of an incident. Nothing is sent: a person reads it and decides.

    Examples:

      tripswitch comms latest --audience consumer

      tripswitch comms inc_4ac42dbc --check update.txt --json
    """
    from tripswitch.config.loading import load_config
    from tripswitch.drive.papers import comms_settings, find_case, ledger_of, templates_of, text_of
    from tripswitch.incidents.comms import checked, drafted

    loaded = load_config(config or [], os.environ)
    with ledger_of(loaded) as ledger:
        case = find_case(ledger, incident)
    settings = comms_settings(loaded)
    if check is not None:
        holds = [hold.sentence() for hold in checked(case, text_of(check), settings)]
        if as_json:
            sys.stdout.write(json.dumps({"incident": case.id, "holds": holds}, indent=2) + "\n")
        else:
            sys.stdout.write("".join(f"held: {one}\n" for one in holds) or "nothing holds it\n")
        raise typer.Exit(1 if holds else 0)
    templates = templates_of("comms", loaded.comms.templates)
    chosen = audience or list(AudienceChoice)
    drafts = [
        drafted(
            case,
            one.value,
            templates,
            settings,
            time.time_ns(),
            state=None if state is None else state.value,
        )
        for one in dict.fromkeys(chosen)
    ]
    if as_json:
        document = {"drafts": [draft.as_json() for draft in drafts]}
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")
        return
    for draft in drafts:
        sys.stdout.write(_shown(draft))


def _shown(draft: CommsDraft) -> str:
    """Return a draft with what stands around it, each line of that marked with ``#``."""
    lines = [f"# {draft.state}, for {draft.audience}: a draft, held for a person"]
    lines += [f"# look at: {hold.sentence()}" for hold in draft.holds]
    if draft.tell is not None:
        lines.append(f"# only to: {', '.join(draft.tell)}")
        others = ", ".join(draft.do_not_tell or ()) or "every other tenant"
        lines.append(f"# not to: {others}")
    return "\n".join(lines) + "\n\n" + draft.text + "\n"
