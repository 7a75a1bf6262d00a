"""Signing in and out, and approving one rollback by a link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import RedirectResponse
from starlette.routing import Route

from tripswitch.model.instruction import Act, InstructionError
from tripswitch.web.answering import json_answer
from tripswitch.web.guard import RefusedError
from tripswitch.web.sessions import COOKIE

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from tripswitch.web.approval import Approval
    from tripswitch.web.view import View

_MOST_NAME: Final = 100


def signin_routes(view: View) -> list[Route]:
    """Return the routes of signing in and out, and of one-time codes."""
    guard = view.guard

    async def show(request: Request) -> Response:
        code = request.query_params.get("code", "")[:200]
        content = {"next": _inside(request.query_params.get("next", "/")), "code": code}
        return view.answer(
            request, "Sign in", lambda: view.live("signin.html", content), is_live=False
        )

    async def take(request: Request) -> Response:
        guard.check_brake(request)
        fields = await guard.form(request)
        name = fields.get("name", "").strip()[:_MOST_NAME]
        code, token = fields.get("code", ""), fields.get("token", "").strip()
        if not name:
            raise RefusedError(400, "say who you are: your name stands beside what you decide")
        is_good = guard.sessions.spend_code(code) if code else guard.admits(f"Bearer {token}")
        if not is_good:
            guard.note_failure(request)
            raise RefusedError(401, _SPENT if code else _UNKNOWN)
        guard.sessions.close(request.cookies.get(COOKIE))
        cookie, _ = guard.sessions.open(name)
        answer = RedirectResponse(_inside(fields.get("next", "/")), 303)
        guard.keep(answer, cookie)
        return answer

    async def leave(request: Request) -> Response:
        await guard.signed_form(request)
        guard.sessions.close(request.cookies.get(COOKIE))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def code(request: Request) -> Response:
        guard.check_brake(request)
        if not guard.admits(request.headers.get("authorization", "")):
            guard.note_failure(request)
            return json_answer({"error": "a bearer token is needed"}, 401)
        return json_answer({"code": guard.sessions.make_code()}, 201)

    async def guarded_show(request: Request) -> Response:
        return await view.guarded(request, show)

    async def guarded_code(request: Request) -> Response:
        try:
            return await code(request)
        except RefusedError as refused:
            answer = json_answer({"error": refused.sentence}, refused.status)
            answer.headers["retry-after"] = f"{refused.retry_after_s:.0f}"
            return answer

    return [
        Route("/signin", guarded_show, methods=["GET"]),
        view.post("/signin", take),
        view.post("/signout", leave),
        Route("/v1/signin-codes", guarded_code, methods=["POST"]),
    ]


def approval_routes(view: View) -> list[Route]:
    """Return the routes of a link that approves one rollback."""

    def found(request: Request) -> tuple[Approval, dict[str, Any]]:
        """Return what the link stands for, and its incident. Raises RefusedError."""
        view.guard.check_brake(request)
        approval = view.board.links.read(request.path_params["token"])
        if approval is None:
            view.guard.note_failure(request)
            raise RefusedError(404, "this link was not made here, or not whole when it was opened")
        if view.board.links.is_over(approval):
            raise RefusedError(410, "this link is over; open the incident in the dashboard")
        file = view.incidents.incident(approval.incident_id)
        if file is None:
            raise RefusedError(410, "the incident of this link is not kept any more")
        return approval, file["incident"]

    async def show(request: Request) -> Response:
        approval, incident = found(request)
        plan = _plan(incident, approval.plan_key)
        content = {
            "incident": incident,
            "plan": plan,
            "is_open": _is_open(plan, approval),
            "here": request.url.path,
        }
        return view.answer(
            request,
            "Approve a rollback",
            lambda: view.live("approve.html", content),
            is_live=False,
        )

    async def take(request: Request) -> Response:
        approval, incident = found(request)
        fields = await view.guard.form(request)
        name = fields.get("name", "").strip()[:_MOST_NAME]
        if not name:
            raise RefusedError(400, "say who you are: your name stands beside the approval")
        plan = incident["rollback"]
        if not _is_open(plan, approval):
            raise RefusedError(
                409,
                "this rollback is not proposed any more, or was proposed anew since, with a link "
                "of its own; open the incident in the dashboard",
            )
        document = {"by": name, "note": "approved by link"}
        try:
            view.incidents.instruct(approval.incident_id, Act.APPROVE, document)
        except InstructionError as error:
            raise RefusedError(409, str(error)) from None
        except ValueError as error:
            raise RefusedError(400, str(error)) from None
        return RedirectResponse(request.url.path, 303)

    async def guarded_show(request: Request) -> Response:
        return await view.guarded(request, show)

    return [
        Route("/approve/{token}", guarded_show, methods=["GET"]),
        view.post("/approve/{token}", take),
    ]


def _is_open(plan: dict[str, Any] | None, approval: Approval) -> bool:
    """Return whether a plan waits for an answer to the very proposal that a link was made for."""
    return (
        plan is not None
        and plan["key"] == approval.plan_key
        and plan["state"] == "proposed"
        and (plan["expires"] or "") == approval.proposal
    )


_UNKNOWN: Final = (
    "this is not a token of this tripswitch; it stands in the file api-token of the state folder"
)
_SPENT: Final = "this link was used already, or is older than ten minutes; make a new one"


def _plan(incident: dict[str, Any], key: str) -> dict[str, Any] | None:
    plans = [*incident["rollbacks"], *([incident["rollback"]] if incident["rollback"] else [])]
    return next((plan for plan in plans if plan["key"] == key), None)


def _inside(path: str) -> str:
    """Return ``path`` where it is one of ours, else the front page."""
    is_inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_inside and len(path) < 500 and "\\" not in path else "/"
