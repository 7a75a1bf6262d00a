"""Asking a running tripswitch for a page of its API."""

from __future__ import annotations

from typing import Any, Final

from tripswitch.errors import TripswitchError

DEFAULT_API: Final = "http://127.0.0.1:8317"

_TIMEOUT_S: Final = 5.0


def ask(api: str, path: str, *, or_else: str = "") -> dict[str, Any]:
    """Return the JSON at ``path`` of the API at ``api``. Raises TripswitchError with a hint.

    ``or_else`` says what may be done where nothing runs.
    """
    import httpx

    url = f"{api.rstrip('/')}{path}"
    try:
        # Loopback is meant; a proxy set for the outside would be asked for it in vain.
        response = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False)
        if response.status_code == httpx.codes.BAD_REQUEST:
            raise TripswitchError(str(response.json()["error"]))
        response.raise_for_status()
        content: dict[str, Any] = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise TripswitchError(
            f'no answer from "{url}": {error}',
            hint="is `tripswitch run` up, and is --api its telemetry.api.endpoint?"
            + (f" {or_else}" if or_else else ""),
        ) from error
    return content
