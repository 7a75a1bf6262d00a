"""Asking a running tripswitch for a page of its API, and telling it what people want."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from tripswitch.errors import TripswitchError
from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

TOKEN_VARIABLE: Final = "TRIPSWITCH_API_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_API: Final = "http://127.0.0.1:8317"

_TIMEOUT_S: Final = 5.0
_MOST_CHARS: Final = 1000
_TO_GET_IN: Final = "give --state with the sidecar's storage.directory, or --token"


def ask(api: str, path: str, *, or_else: str = "", token: str = "") -> dict[str, Any]:
    """Return the JSON at ``path`` of the API at ``api``. Raises TripswitchError with a hint.

    ``or_else`` says what may be done where nothing runs.
    """
    import httpx

    url = f"{api.rstrip('/')}{path}"
    # Only where it listens for other machines too does reading need one.
    token = token or os.environ.get(TOKEN_VARIABLE, "")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        # Loopback is meant; a proxy set for the outside would be asked for it in vain.
        response = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False, headers=headers)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise TripswitchError(
                "a token is needed",
                hint=f"set {TOKEN_VARIABLE}, or give --token or --state where the command has them",
            )
        if response.is_error:
            raise _refusal(url, response)
        content: dict[str, Any] = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise TripswitchError(
            f'no answer from "{url}": {error}',
            hint="is `tripswitch run` up, and is --api its telemetry.api.endpoint?"
            + (f" {or_else}" if or_else else ""),
        ) from error
    return content


def tell(api: str, path: str, document: dict[str, Any], token: str) -> dict[str, Any]:
    """Post ``document`` to the API with a bearer token; return its JSON answer.

    Raises TripswitchError, in the API's words where it refused.
    """
    import httpx

    url = f"{api.rstrip('/')}{path}"
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        response = httpx.post(
            url, json=document, headers=headers, timeout=_TIMEOUT_S, trust_env=False
        )
        content: dict[str, Any] = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise TripswitchError(
            f'no answer from "{url}": {error}',
            hint="is `tripswitch run` up, and is --api its telemetry.api.endpoint?",
        ) from error
    if response.status_code == httpx.codes.UNAUTHORIZED:
        raise TripswitchError(
            "a token is needed to change something",
            hint=_TO_GET_IN,
        )
    if response.is_error:
        raise TripswitchError(str(content.get("error", f"status {response.status_code}")))
    return content


def _refusal(url: str, response: httpx.Response) -> TripswitchError:
    """Return what was answered, in the API's own words where it has some."""
    try:
        said = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return TripswitchError(
            f'"{url}" answered {response.status_code}',
            hint="is --api the telemetry.api.endpoint of a tripswitch of this version?",
        )
    return TripswitchError(plain_line(said, _MOST_CHARS))


def token_for(token: str, state: Path) -> str:
    """Return ``token``, or the one that the sidecar keeps in its state folder; empty for none."""
    if token:
        return token
    from tripswitch.drive.api_tokens import StateToken

    return StateToken(state).read()
