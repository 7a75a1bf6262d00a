"""The tokens that admit posts to the API, as the configuration in force has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from tripswitch.errors import ConfigError
from tripswitch.otlp.tokens import BearerTokens

if TYPE_CHECKING:
    from collections.abc import Callable

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
