"""Values that a shell completes: routes, versions and incidents that a running tripswitch knows.

Completion runs at every press of Tab: it asks the default API for a moment, never waits for more,
and where nothing answers there is nothing to complete. It never prints, whatever happens.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from tripswitch.cli.asking import DEFAULT_API, TOKEN_VARIABLE
from tripswitch.cli.choices import API_VARIABLE

_WAIT_S: Final = 1.5
_MOST_BYTES: Final = 4 << 20
_MOST: Final = 100


def routes_known(incomplete: str) -> list[str]:
    """Return the routes that begin so."""
    return _fitting((one.get("route") for one in _routes()), incomplete)


def versions_known(incomplete: str) -> list[str]:
    """Return the prompt versions that begin so."""
    return _of_arms("prompt_version", incomplete)


def cohorts_known(incomplete: str) -> list[str]:
    """Return the cohorts that begin so."""
    return _of_arms("cohort", incomplete)


def incidents_known(incomplete: str) -> list[str]:
    """Return the ids of the latest incidents that begin so."""
    found = _objects(_asked("/v1/incidents?limit=50", list))
    return _fitting((one.get("id") for one in found), incomplete)


def incidents_or_latest(incomplete: str) -> list[str]:
    """Return what `incidents_known` does, and ``latest``."""
    latest = ["latest"] if "latest".startswith(incomplete) else []
    return [*latest, *incidents_known(incomplete)]


def signals_known(incomplete: str) -> list[str]:
    """Return the signals that begin so; they are the program's own."""
    from tripswitch.detect.signals import SIGNALS

    return _fitting((signal.name for signal in SIGNALS.values()), incomplete)


def scopes_known(incomplete: str) -> list[str]:
    """Return ``route=...``, ``version=...`` and ``cohort=...`` of what is seen, and signals."""
    fields = {"route": "route", "version": "prompt_version", "cohort": "cohort"}
    words = [f"{name}={value}" for name, field in fields.items() for value in _of_arms(field, "")]
    return _fitting(words, incomplete)


def _of_arms(field: str, incomplete: str) -> list[str]:
    arms = (arm for one in _routes() for arm in _objects(one.get("arms")))
    scopes = _objects([arm.get("scope") for arm in arms])
    return _fitting((scope.get(field) for scope in scopes), incomplete)


def _routes() -> list[dict[str, Any]]:
    return _objects(_asked("/v1/routes?limit=50").get("routes"))


def _objects(found: Any) -> list[dict[str, Any]]:
    """Return the objects of a list, whatever else another program may have answered."""
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _fitting(found: Any, incomplete: str) -> list[str]:
    """Return the plain ones that begin so; a shell would act on what spans put into a name."""
    plain = {
        text
        for text in found
        if isinstance(text, str) and text.startswith(incomplete) and _is_plain(text)
    }
    return sorted(plain)[:_MOST]


def _is_plain(text: str) -> bool:
    return 0 < len(text) <= 200 and all(
        letter.isascii() and (letter.isalnum() or letter in "/-_.@+=,") for letter in text
    )


def _asked(path: str, kind: type = dict) -> Any:
    """Return the JSON of a page, or an empty one of ``kind`` where none comes within `_WAIT_S`."""
    # Before the time counts; every command would be slower with it at the top.
    import http.client  # noqa: F401

    found: list[Any] = []
    # A thread that is not waited for: an answer that never ends ends with this process.
    asking = threading.Thread(target=_ask, args=(path, found), daemon=True)
    asking.start()
    asking.join(_WAIT_S)
    return found[0] if found and isinstance(found[0], kind) else kind()


def _ask(path: str, found: list[Any]) -> None:
    # Of the standard library: to import more would take longer than to ask.
    from http.client import HTTPConnection, HTTPSConnection

    try:
        address = urlsplit(os.environ.get(API_VARIABLE, DEFAULT_API))
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        token = os.environ.get(TOKEN_VARIABLE, "")
        connection = kind(address.hostname or "", address.port, timeout=_WAIT_S)
        with contextlib.closing(connection):
            headers = {"authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", address.path.rstrip("/") + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read(_MOST_BYTES + 1)
        if answer.status == HTTPStatus.OK and len(body) <= _MOST_BYTES:
            found.append(json.loads(body))
    except Exception:  # noqa: BLE001 - a shell that completes must never see an error
        return
