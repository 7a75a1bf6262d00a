"""*Route*: its versions and cohorts over time, the rollout's share, and what a page waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tripswitch.web.figures import Course
from tripswitch.web.guard import RefusedError
from tripswitch.web.words import signal_name

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from tripswitch.web.view import View

SPANS: Final = {"15m": "15 minutes", "6h": "6 hours", "24h": "24 hours"}
_MOST_NAME: Final = 2000


def route_route(view: View) -> Route:
    """Return the route of the page; the name of a telemetry route is in the query."""

    def page(request: Request) -> Response:
        name = request.query_params.get("name", "")[:_MOST_NAME]
        span = request.query_params.get("span", "15m")
        if span not in SPANS:
            raise RefusedError(400, f"span: expected one of {', '.join(SPANS)}")
        found = view.board.route(name, span)
        if found is None:
            raise RefusedError(404, "no calls of this route were judged lately")
        return view.answer(
            request,
            f"Route {found['title']}",
            lambda: view.kept("route.html", f"{span} {name}", lambda: _content(view, found, name)),
        )

    return view.get("/route", page)


def _content(view: View, found: dict[str, Any], name: str) -> dict[str, Any]:
    incidents = [
        one
        for one in view.board.open_incidents()
        if one["scope"]["route"] in (found["route"], None)
    ]
    return {
        "route": found,
        "name": name,
        "spans": SPANS,
        "span": found["span"],
        "incidents": incidents,
        "charts": _charts(found),
        "explained": found["explained"],
    }


def _charts(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one chart a signal, with a course for each arm, the traffic of the arms first."""
    arms = found["arms"]
    # The slot that is being filled would look like traffic that stays away.
    traffic = [
        Course(_arm_name(arm["scope"]), [*arm["course"]["calls"][:-1], None]) for arm in arms
    ]
    charts = [
        {
            "name": "calls",
            "signal": "calls",
            "unit": "calls",
            "courses": traffic,
            "line": None,
            "label": f"Calls by slot of {found['slot_minutes']} min, by arm.",
        }
    ]
    keys = dict.fromkeys(
        (one["signal"], one["rubric"]) for arm in arms for one in arm["course"]["signals"]
    )
    for signal, rubric in keys:
        courses, unit = [], "share"
        for arm in arms:
            for one in arm["course"]["signals"]:
                if (one["signal"], one["rubric"]) == (signal, rubric):
                    unit = one["unit"]
                    courses.append(Course(_arm_name(arm["scope"]), one["points"]))
        lines = [
            cell["line"]
            for arm in arms
            for cell in arm["signals"]
            if (cell["signal"], cell["rubric"]) == (signal, rubric) and cell["line"] is not None
        ]
        name = signal_name(signal, rubric)
        charts.append(
            {
                "name": name,
                "signal": signal,
                "unit": unit,
                "courses": courses,
                "line": lines[0] if lines else None,
                "label": f"{name} by slot of {found['slot_minutes']} min, by arm.",
            }
        )
    return charts


def _arm_name(scope: dict[str, str | None]) -> str:
    parts = [scope["prompt_version"], scope["cohort"]]
    return (
        " ".join(part for part in parts if part)
        or scope["prompt_name"]
        or scope["request_model"]
        or "all"
    )
