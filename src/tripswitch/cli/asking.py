"""Asking a running tripswitch for a page of its API."""

from __future__ import annotations

from typing import Any, Final

from tripswitch.errors import TripswitchError

DEFAULT_API: Final = "http://127.0.0.1:8317"

_TIMEOUT_S: Final = 5.0


def ask(api: str, path: str) -> dict[str, Any]:
    """Return the JSON at ``path`` of the API at ``api``. Raises TripswitchError with a hint."""
    import httpx

    url = f"{api.rstrip('/')}{path}"
    try:
        # Loopback is meant; a proxy set for the outside would be asked for it in vain.
        response = httpx.get(url, timeout=_TIMEOUT_S, trust_env=False)
        response.raise_for_status()
        content: dict[str, Any] = response.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise TripswitchError(
            f'no answer from "{url}": {error}',
            hint="is `tripswitch run` up, and is --api its telemetry.api.endpoint?",
        ) from error
    return content
