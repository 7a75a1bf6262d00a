"""*Incident*: why, what it needs, what proves it, what happened, and the buttons to answer it.

Also the list of all incidents, the drift chart as a picture, and the forms behind the buttons.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from tripswitch.model.incident import CONFIRMATIONS
from tripswitch.model.instruction import Act, InstructionError
from tripswitch.web.guard import RefusedError
from tripswitch.web.templating import trace_url

if TYPE_CHECKING:
    from starlette.requests import Request

    from tripswitch.web.view import View

_MOST_LISTED: Final = 200
_DONE: Final = {
    Act.ACKNOWLEDGE: "You have taken it.",
    Act.APPROVE: "Approved: the rollback is on its way.",
    Act.REJECT: "Rejected: this rollback is not proposed again.",
    Act.UNDO: "The rollback is being taken back.",
    Act.RELEASE: "The version may serve again.",
    Act.FIX_IN_REVIEW: "Noted: a fix is in review.",
    Act.COMMS_CLOSED: "Noted: communication is closed.",
    Act.WAIVE: "Closed on your word.",
    Act.UPDATE_POSTED: "Noted: an update was posted.",
    Act.POSTMORTEM_DRAFTED: "Noted: the postmortem is drafted.",
    Act.POSTMORTEM_PUBLISHED: "Noted: the postmortem is published.",
}
_UNDOABLE: Final = ("acknowledged", "confirmed", "unknown")
_HELD_BACK: Final = ("acknowledged", "confirmed", "unknown", "reverted")
_STYLE: Final = re.compile(r"<style>(.*?)</style>", re.DOTALL)


def incident_routes(view: View) -> list[Route]:
    """Return the routes of the page, of its picture and of its forms."""

    def page(request: Request) -> Response:
        incident_id = request.path_params["incident_id"]
        file = view.incidents.incident(incident_id)
        if file is None:
            raise RefusedError(404, "no incident has this id")
        session = view.guard.session(request)
        return view.answer(
            request,
            f"Incident {incident_id}",
            lambda: view.live(
                "incident.html",
                _content(view, file, "" if session is None else session.form_token),
            ),
        )

    def every(request: Request) -> Response:
        return view.answer(
            request,
            "Incidents",
            lambda: view.kept("incidents.html", "", lambda: _list(view)),
        )

    def drift(request: Request) -> Response:
        svg = view.board.drift_svg(request.path_params["incident_id"])
        if svg is None:
            return Response(status_code=404)
        return Response(
            svg,
            media_type="image/svg+xml",
            headers={"content-security-policy": _policy_of(svg)},
        )

    async def act(request: Request) -> Response:
        try:
            wanted = Act(request.path_params["act"])
        except ValueError:
            raise RefusedError(404, "there is no such act") from None
        incident_id = request.path_params["incident_id"]
        fields, session = await view.guard.signed_form(request)
        document = {name: fields[name] for name in ("note", "link") if fields.get(name)}
        try:
            view.incidents.instruct(incident_id, wanted, {"by": session.name, **document})
        except InstructionError as error:
            raise RefusedError(409, str(error)) from None
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        session.message = _DONE[wanted]
        return RedirectResponse(f"/incidents/{incident_id}", 303)

    return [
        view.get("/incidents", every),
        view.get("/incidents/{incident_id}", page),
        view.get("/incidents/{incident_id}/drift.svg", drift),
        view.post("/incidents/{incident_id}/{act}", act),
    ]


def _list(view: View) -> dict[str, Any]:
    return {"incidents": view.board.latest_incidents(_MOST_LISTED), "now": view.board.now()}


def _content(view: View, file: dict[str, Any], form_token: str) -> dict[str, Any]:
    incident = file["incident"]
    triage, plan = incident["triage"], incident["rollback"]
    template = view.board.trace_link()
    traces = [] if triage is None else triage["traces"]
    known = {trace["trace_id"] for trace in traces}
    traces = [
        *traces,
        *(
            {"trace_id": trace_id, "role": "bad", "facts": {}}
            for trace_id in incident["exemplars"]
            if trace_id not in known
        ),
    ]
    common = _common(traces)
    state = None if plan is None else plan["state"]
    is_over = incident["state"] == "resolved"
    return {
        "incident": incident,
        "triage": triage,
        "traces": [{**trace, "url": trace_url(template, trace["trace_id"])} for trace in traces],
        "has_trace_link": bool(template),
        "common_facts": common,
        "fact_names": sorted(
            {name for trace in traces for name in trace["facts"]} - {name for name, _ in common}
        ),
        "changes": incident["changes"] if triage is None else triage["changes"],
        "plans": [*incident["rollbacks"], *([plan] if plan is not None else [])],
        "timeline": file["timeline"],
        "actions": file["actions"],
        "has_drift": view.board.drift_svg(incident["id"]) is not None,
        "updates": view.board.updates(incident["id"]),
        "confirmations": _confirmations(incident),
        "can": {
            "acknowledge": not is_over and incident["acknowledged"] is None,
            "approve": not is_over and state == "proposed",
            "undo": not is_over and state in _UNDOABLE,
            "release": state in _HELD_BACK,
            "confirm": not is_over and incident["severity"] == "page",
            "waive": not is_over,
            "postmortem": is_over and incident["severity"] == "page",
        },
        "form_token": form_token,
        "now": view.board.now()["now"],
        "is_over": is_over,
    }


def _common(traces: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the facts that all of several traces share; what differs is what is looked for."""
    facts = [set(trace["facts"].items()) for trace in traces if trace["facts"]]
    return sorted(set.intersection(*facts)) if len(facts) > 1 else []


def _confirmations(incident: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the three things that an incident needs to close, each with how it stands."""
    said = {one["what"]: one for one in incident["confirmations"]}
    missing = incident["missing"]
    is_paged = incident["severity"] == "page"
    return [
        {
            "what": what,
            "meaning": meaning,
            "is_done": what not in missing
            and (what in said or (what == "signal_back" and incident["state"] != "open")),
            "said": said.get(what),
        }
        for what, meaning in CONFIRMATIONS.items()
        if is_paged or what == "signal_back"
    ]


def _policy_of(svg: str) -> str:
    """Return the policy under which a picture may use the one style that it brings, and no more."""
    digests = [
        base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        for style in _STYLE.findall(svg)
    ]
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return f"default-src 'none'; style-src {styles}; frame-ancestors 'none'"
