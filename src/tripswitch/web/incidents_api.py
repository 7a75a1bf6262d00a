"""The part of the API that is about single incidents: what is known of one, what people want done.

    GET  /v1/incidents/ID          one incident, with its timeline and what was called for it
    POST /v1/incidents/ID/ACT      acknowledge, approve, reject, undo, release, fix_in_review,
                                   comms_closed, waive, update_posted, postmortem_drafted or
                                   postmortem_published, with {"by", "note", "link"}
    POST /v1/incidents             open one by hand: {"by", "sentence", "scope", "trigger", ...}
    GET  /v1/incidents/ID/updates  status updates, drafted from what is known now
    GET  /v1/incidents/ID/dry-run  the literal requests of its rollback; wants a token, for it asks
                                   the target where it stands
    GET  /v1/audit                 whether the chain of the timeline is whole
    GET  /v1/decisions             what became of the rollbacks that were decided on, by target

What changes something needs a bearer token, always: one of ``telemetry.api.auth``, or the one that
the sidecar keeps in its state folder for the people who may read it. What cannot be done is 409,
with the reason in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from tripswitch.errors import LedgerError
from tripswitch.model.instruction import Act, InstructionError
from tripswitch.web.answering import BodyError, body_of, json_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from tripswitch.web.board import Board
    from tripswitch.web.guard import Guard


@dataclass(frozen=True, slots=True)
class IncidentPages:
    """What is asked and told of incidents; ``instruct`` and ``open`` may raise InstructionError.

    ``admits`` says whether an ``Authorization`` header may change something; ``dry_run`` may raise
    InstructionError where there is nothing to rehearse.
    """

    incident: Callable[[str], dict[str, Any] | None]
    audit: Callable[[], dict[str, Any]]
    decisions: Callable[[], dict[str, Any]]
    instruct: Callable[[str, Act, Any], dict[str, Any]]
    open: Callable[[Any], dict[str, Any]]
    admits: Callable[[str], bool]
    dry_run: Callable[[str], Awaitable[dict[str, Any]]]


def incident_routes(pages: IncidentPages, board: Board, guard: Guard) -> list[Route]:
    """Return the routes over ``pages``."""

    def reading(read: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            if not guard.may_read(request):
                return json_answer({"error": "a bearer token is needed"}, 401)
            try:
                found = read(request)
            except LedgerError as error:
                return json_answer({"error": str(error)}, 503)
            if found is None:
                return json_answer({"error": "no incident has this id"}, 404)
            return json_answer(found)

        return answer

    def one(request: Request) -> dict[str, Any] | None:
        return pages.incident(request.path_params["incident_id"])

    def updates(request: Request) -> list[dict[str, Any]] | None:
        return None if one(request) is None else board.updates(request.path_params["incident_id"])

    async def act(request: Request) -> Response:
        try:
            act = Act(request.path_params["act"])
        except ValueError:
            known = ", ".join(Act)
            return json_answer({"error": f"expected one of {known}"}, 404)
        incident_id = request.path_params["incident_id"]
        return await changed(
            request, pages.admits, lambda document: pages.instruct(incident_id, act, document)
        )

    async def opened(request: Request) -> Response:
        return await changed(request, pages.admits, pages.open)

    return [
        Route("/v1/incidents", opened, methods=["POST"]),
        Route("/v1/incidents/{incident_id}", reading(one), methods=["GET"]),
        Route("/v1/incidents/{incident_id}/updates", reading(updates), methods=["GET"]),
        Route("/v1/incidents/{incident_id}/dry-run", rehearsing(pages), methods=["GET"]),
        Route("/v1/incidents/{incident_id}/{act}", act, methods=["POST"]),
        Route("/v1/audit", reading(lambda _request: pages.audit()), methods=["GET"]),
        Route("/v1/decisions", reading(lambda _request: pages.decisions()), methods=["GET"]),
    ]


def rehearsing(pages: IncidentPages) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers with the literal requests of a rollback."""

    async def rehearsed(request: Request) -> Response:
        if not pages.admits(request.headers.get("authorization", "")):
            return json_answer({"error": "a bearer token is needed"}, 401)
        try:
            return json_answer(await pages.dry_run(request.path_params["incident_id"]))
        except InstructionError as error:
            return json_answer({"error": str(error)}, 409)
        except LedgerError as error:
            return json_answer({"error": str(error)}, 503)

    return rehearsed


async def changed(
    request: Request, admits: Callable[[str], bool], change: Callable[[Any], dict[str, Any]]
) -> Response:
    """Return what ``change`` answers to what was posted; a refusal where it is not admitted."""
    if not admits(request.headers.get("authorization", "")):
        return json_answer({"error": "a bearer token is needed"}, 401)
    try:
        return json_answer(change(await body_of(request)), 202)
    except BodyError as refused:
        return json_answer({"error": refused.sentence}, refused.status)
    except InstructionError as error:
        return json_answer({"error": str(error)}, 409)
    except ValueError as error:
        return json_answer({"error": str(error)}, 400)
    except LedgerError as error:
        return json_answer({"error": str(error)}, 503)
