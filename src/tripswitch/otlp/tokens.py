"""Bearer tokens: who may send, compared in constant time.

Source: RFC 6750 section 2.1 (the Authorization header).
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final

import structlog

from tripswitch.errors import ConfigError
from tripswitch.otlp.tls import WatchedFiles

_SCHEME: Final = "bearer "

_log = structlog.get_logger(__name__)


class BearerTokens:
    """The tokens a listener admits: ``token``, and every line of ``file``.

    Several lines let a token be replaced without a gap. The file is read anew when it changes; one
    that cannot be read then, or is empty, leaves the tokens as they were. ``field`` is the dotted
    path in the config file, for errors. Raises ConfigError when there is no token to begin with.
    """

    def __init__(self, token: str, file: str, field: str) -> None:
        self._own = [token] if token else []
        self._file = file
        self._field = field
        self._watched = WatchedFiles((file,))
        try:
            self._digests = self._load()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f'{field}: no token can be read from "{file}": {_reason(error)}',
                hint="write one token a line into a file that this user can read",
            ) from error

    def admits(self, authorization: str) -> bool:
        """Return whether an Authorization header carries one of the tokens.

        Takes as long whether or not, and wherever, the texts differ.
        """
        self._reload()
        if authorization[: len(_SCHEME)].lower() != _SCHEME:
            return False
        shown = _digest(authorization[len(_SCHEME) :].strip())
        admitted = False
        for digest in self._digests:
            admitted |= hmac.compare_digest(shown, digest)
        return admitted

    def _reload(self) -> None:
        if not self._watched.changed():
            return
        try:
            self._digests = self._load()
        except (OSError, ValueError) as error:
            _log.error("tokens_not_reloaded", field=self._field, reason=_reason(error))
            return
        self._watched.accept()
        _log.info("tokens_reloaded", field=self._field)

    def _load(self) -> tuple[bytes, ...]:
        lines = Path(self._file).read_text("utf-8").splitlines() if self._file else []
        tokens = [*self._own, *(line.strip() for line in lines if line.strip())]
        if not tokens:
            raise ValueError("it is empty")
        return tuple(_digest(token) for token in tokens)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _reason(error: Exception) -> str:
    """Return what went wrong, without anything that stands in the file."""
    if isinstance(error, OSError):
        return str(error.strerror)
    return "it is empty" if str(error) == "it is empty" else "it is no UTF-8 text"
