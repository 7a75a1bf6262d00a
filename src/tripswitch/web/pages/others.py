"""*Changes*, *Telemetry* and *Config*: what changed, what is read, what is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from tripswitch.web.view import View

_MOST_CHANGES: Final = 200


def other_routes(view: View) -> list[Route]:
    """Return the routes of the three pages."""

    def changes(request: Request) -> Response:
        def content() -> dict[str, Any]:
            found = view.board.changes(_MOST_CHANGES)
            return {"changes": found, "now": view.board.now()["now"]}

        return view.answer(request, "Changes", lambda: view.kept("changes.html", "", content))

    async def telemetry(request: Request) -> Response:
        found = await view.board.telemetry()
        return view.answer(
            request, "Telemetry", lambda: view.kept("telemetry.html", "", lambda: _read(found))
        )

    def config(request: Request) -> Response:
        return view.answer(
            request, "Config", lambda: view.kept("config.html", "", view.board.config)
        )

    return [
        view.get("/changes", changes),
        view.get("/telemetry", telemetry),
        view.get("/config", config),
    ]


def _read(found: dict[str, Any]) -> dict[str, Any]:
    census = found["census"]
    calls = census["calls"]
    return {
        **found,
        "facts": [
            {
                "name": name,
                "count": count,
                "share": count / calls if calls else None,
            }
            for name, count in census["having"].items()
        ],
        "dialects": sorted(census["dialects"].items(), key=lambda one: (-one[1], one[0]))[:20],
    }
