"""The tokens that admit posts to the API, as the configuration in force has them."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Final

import structlog

from tripswitch.errors import ConfigError, LedgerError
from tripswitch.otlp.tokens import BearerTokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tripswitch.config.wire_sections import Auth

_log = structlog.get_logger(__name__)


class ApiTokens:
    """Asks ``auth`` on each post; an edit whose token cannot be read leaves what was there.

    Raises ConfigError when there is no token to begin with where one is wanted.
    """

    def __init__(self, auth: Callable[[], Auth]) -> None:
        self._auth = auth
        self._taken = auth()
        self._tokens = _opened(self._taken)

    def __call__(self) -> BearerTokens | None:
        """Return the tokens; None where none is wanted."""
        wanted = self._auth()
        if wanted != self._taken:
            self._taken = wanted
            try:
                self._tokens = _opened(wanted)
            except ConfigError as error:
                _log.error("api_tokens_refused", problem=str(error), kept="the tokens before it")
        return self._tokens


def _opened(auth: Auth) -> BearerTokens | None:
    token = auth.bearer_token.get_secret_value()
    if not (token or auth.bearer_token_file):
        return None
    return BearerTokens(token, auth.bearer_token_file, "telemetry.api.auth")


class StateToken:
    """A token that the sidecar makes for itself and keeps in its state folder, mode 0600.

    Who may read the folder may tell the sidecar what to do; nobody has to set a token up for that.
    """

    FILE: Final = "api-token"

    def __init__(self, folder: Path) -> None:
        self.path = folder / self.FILE

    def made(self) -> str:
        """Return the token, making it when it is not there. Raises LedgerError for no disk."""
        try:
            file_fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return self.read()
        except OSError as error:
            raise LedgerError(
                f"cannot write {self.path}: {error.strerror}",
                hint="storage.directory must be writable",
            ) from error
        token = secrets.token_urlsafe(32)
        with os.fdopen(file_fd, "w", encoding="ascii") as file:
            file.write(token + "\n")
        return token

    def read(self) -> str:
        """Return the token, empty where there is none."""
        try:
            return self.path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def admits(header: str, configured: Callable[[], BearerTokens | None], state_token: str) -> bool:
    """Return whether a header carries a configured token, or the sidecar's own."""
    known = configured()
    if known is not None and known.admits(header):
        return True
    scheme, _, token = header.partition(" ")
    is_bearer = scheme.lower() == "bearer" and bool(state_token)
    return is_bearer and secrets.compare_digest(token.strip().encode(), state_token.encode())
