"""Incidents as text for a terminal; everything from telemetry is made harmless first."""

from __future__ import annotations

from typing import Any

from tripswitch.cli.status import printable


def show_incidents(found: list[dict[str, Any]]) -> None:
    """Print a few lines an incident; the first has its id, whole however narrow the terminal is."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    if not found:
        console.print("no incident", markup=False)
        return
    for each in found:
        plan = each["rollback"]
        moved = "" if plan is None else f", {plan['from']} to {plan['to']}: {plan['state']}"
        severity = each["severity"] + (" security" if each["security"] else "")
        detected = each["detected_at"][:19] + "Z"
        head = f"{each['id']}  {detected}  {each['state']}  {severity}  {each['shape']}"
        console.print(printable(head), markup=False, highlight=False, soft_wrap=True)
        for line in (_scope(each["scope"]) + moved, each["why"]):
            console.print(Padding(Text(printable(line)), (0, 0, 0, 4)))


def show_incident(file: dict[str, Any]) -> None:
    """Print one incident with its timeline."""
    from rich.console import Console

    console = Console()

    def say(text: str = "") -> None:
        console.print(printable(text), markup=False, highlight=False)

    incident = file["incident"]
    security = ", security" if incident["security"] else ""
    say(f"{incident['id']}  {incident['shape']}, {incident['severity']}{security}")
    say(f"state     {_state(incident)}")
    say(f"scope     {_scope(incident['scope'])}")
    say(f"why       {incident['why']}")
    triage = incident["triage"]
    if triage is not None:
        say(f"real      {triage['is_real']}")
        say(f"cause     {triage['cause']}: {triage['sentence']}")
        say(f"do        {triage['recommended']['path']}: {triage['recommended']['why']}")
        for change in triage["changes"]:
            say(f"changed   {change['kind']} {change['to']} ({change['why']})")
        for trace in triage["traces"]:
            facts = ", ".join(f"{name} {value}" for name, value in trace["facts"].items())
            say(f"{trace['role']:<9} {trace['trace_id']} {facts}")
        for duty in triage["duties"]:
            say(f"duty      {duty}")
    for plan in [*incident["rollbacks"], *([incident["rollback"]] if incident["rollback"] else [])]:
        reason = f": {plan['reason']}" if plan["reason"] else ""
        say(
            f"rollback  {plan['path']} {plan['from']} to {plan['to']} by {plan['target']}, "
            f"{plan['state']}{reason}"
        )
        if plan["state"] == "proposed":
            say(
                f"          answer by {plan['expires']}: tripswitch incidents approve (or reject) "
                f"{incident['id']}; dry-run shows what it would send"
            )
    tenants = ", ".join(f"{each['tenant']} {each['calls']}" for each in incident["tenants"])
    if tenants:
        say(f"tenants   {tenants}")
    if incident["missing"]:
        from tripswitch.model.incident import CONFIRMATIONS

        words = [CONFIRMATIONS.get(one, one) for one in incident["missing"]]
        say(f"missing   {'; '.join(words)}")
    say()
    for event in file["timeline"]:
        say(f"{event['time']}  {event['event']:<22} {event['detail']}")
    for action in file["actions"]:
        say(
            f"{action['finished'] or action['occurred']}  called {action['target']:<15} "
            f"{action['state']} after {action['attempts']} "
            f"attempt{'' if action['attempts'] == 1 else 's'}: {action['last_result']}"
        )


def _state(incident: dict[str, Any]) -> str:
    """Return how it stands and since when, when it began, and who is on it."""
    since = incident.get(f"{incident['state']}_at")
    words = [incident["state"] + (f" since {since}" if since else "")]
    words.append(f"began {incident['onset']}, noticed {incident['detected_at']}")
    acknowledged = incident.get("acknowledged")
    if acknowledged:
        words.append(f"acknowledged by {acknowledged['by']}")
    return ", ".join(words)


def show_dry_run(found: dict[str, Any]) -> None:
    """Print what a target would be asked."""
    from rich.console import Console

    console = Console()
    console.print(f"{found['target']}: {found['state']}", markup=False, highlight=False)
    for line in found["text"].splitlines():
        console.print(printable(line), markup=False, highlight=False)


def _scope(scope: dict[str, str | None]) -> str:
    named = [f"{name}={value}" for name, value in scope.items() if value is not None]
    return " ".join(named) or "everything"
