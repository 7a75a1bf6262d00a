"""TLS on both sides of the wire, reloaded when its files change.

Files are looked at no more than once a second, when a connection is made or a request is sent, so
that a certificate renewed on disk is used from the next handshake on and no connection is dropped
for it. Files that do not fit each other, as while they are being replaced, change nothing: what
was loaded last stays in force, and the log says so.

gRPC offers TLS 1.2 and later and has no setting for more; ``min_version`` is for HTTP.
"""

from __future__ import annotations

import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import grpc
import structlog

from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

MinVersion = Literal["1.2", "1.3"]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_LOOK_EVERY_S = 1.0

_log = structlog.get_logger(__name__)


class WatchedFiles:
    """Files that may be replaced under a running process. Empty paths are left out."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(path for path in paths if path)
        self._seen = self._stamp()
        self._look_again_s = 0.0
        self._pending: tuple[object, ...] | None = None

    def changed(self) -> bool:
        """Return whether the files are others than at the last `accept`, or at the start."""
        now_s = time.monotonic()
        if now_s < self._look_again_s:
            return False
        self._look_again_s = now_s + _LOOK_EVERY_S
        self._pending = self._stamp()
        return self._pending != self._seen

    def accept(self) -> None:
        """Take what `changed` last saw as known."""
        if self._pending is not None:
            self._seen = self._pending

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_stamp(path) for path in self._paths)


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files of a listener; with ``client_ca_file`` clients must show a certificate of it."""

    cert_file: str
    key_file: str
    client_ca_file: str = ""
    min_version: MinVersion = "1.2"


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """The files of a connection to an upstream; without ``ca_file`` the system's are trusted."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    min_version: MinVersion = "1.2"
    server_name_override: str = ""


class ServerTls:
    """TLS of a listener. ``field`` is its dotted path in the config file, for errors.

    Raises ConfigError when the files cannot be used at the start.
    """

    def __init__(self, files: ServerFiles, field: str) -> None:
        self._files = files
        self._field = field
        self._watched = WatchedFiles((files.cert_file, files.key_file, files.client_ca_file))
        self._reloads = 0
        try:
            self._context = _server_context(files)
        except (OSError, ValueError) as error:
            raise _unusable(field, error) from error

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context that hands every handshake to the newest certificates."""
        front = _server_context(self._files)

        def choose(
            connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _front: ssl.SSLContext
        ) -> None:
            self._reload()
            connection.context = self._context

        front.sni_callback = choose
        return front

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """Return credentials that read the files anew when they changed."""

        known = self._reloads

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal known
            self._reload()
            if known == self._reloads:
                return None
            known = self._reloads
            return _grpc_configuration(self._files)

        return grpc.dynamic_ssl_server_credentials(
            _grpc_configuration(self._files),
            fetch,  # type: ignore[arg-type]  # None means unchanged; the stubs do not know
            require_client_authentication=bool(self._files.client_ca_file),
        )

    def use(self, files: ServerFiles) -> None:
        """Show the certificates of ``files`` from the next handshake on.

        Raises ConfigError, and changes nothing, where they cannot be used.
        """
        if files == self._files:
            return
        watched = WatchedFiles((files.cert_file, files.key_file, files.client_ca_file))
        try:
            self._context = _server_context(files)
        except (OSError, ValueError) as error:
            raise _unusable(self._field, error) from error
        self._files, self._watched = files, watched
        self._reloads += 1

    def _reload(self) -> None:
        if not self._watched.changed():
            return
        try:
            self._context = _server_context(self._files)
        except (OSError, ValueError) as error:
            _log.error("tls_not_reloaded", field=self._field, reason=_reason(error))
            return
        self._watched.accept()
        self._reloads += 1
        _log.info("tls_reloaded", field=self._field)


class ClientTls:
    """TLS towards an upstream. ``field`` is its dotted path in the config file, for errors.

    Raises ConfigError when the files cannot be used at the start.
    """

    def __init__(self, files: ClientFiles, field: str) -> None:
        self.server_name = files.server_name_override
        self._files = files
        self._field = field
        self._watched = WatchedFiles((files.ca_file, files.cert_file, files.key_file))
        try:
            _client_context(files)
        except (OSError, ValueError) as error:
            raise _unusable(field, error) from error

    def changed(self) -> bool:
        """Return whether there are new files and they can be used; connect anew when so."""
        if not self._watched.changed():
            return False
        try:
            _client_context(self._files)
        except (OSError, ValueError) as error:
            _log.error("tls_not_reloaded", field=self._field, reason=_reason(error))
            return False
        self._watched.accept()
        _log.info("tls_reloaded", field=self._field)
        return True

    def ssl_context(self) -> ssl.SSLContext:
        """Return a context made of the files as they are now."""
        return _client_context(self._files)

    def grpc_credentials(self) -> grpc.ChannelCredentials:
        """Return credentials made of the files as they are now."""
        files = self._files
        return grpc.ssl_channel_credentials(
            _read(files.ca_file), _read(files.key_file), _read(files.cert_file)
        )


def _server_context(files: ServerFiles) -> ssl.SSLContext:
    _check_readable(files.cert_file, files.key_file, files.client_ca_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[files.min_version]
    context.load_cert_chain(files.cert_file, files.key_file)
    if files.client_ca_file:
        context.load_verify_locations(files.client_ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _client_context(files: ClientFiles) -> ssl.SSLContext:
    _check_readable(files.ca_file, files.cert_file, files.key_file)
    context = ssl.create_default_context(cafile=files.ca_file or None)
    context.minimum_version = _VERSIONS[files.min_version]
    if files.cert_file:
        context.load_cert_chain(files.cert_file, files.key_file)
    return context


def _grpc_configuration(files: ServerFiles) -> grpc.ServerCertificateConfiguration:
    pair = (_read(files.key_file) or b"", _read(files.cert_file) or b"")
    return grpc.ssl_server_certificate_configuration([pair], _read(files.client_ca_file))


def _check_readable(*paths: str) -> None:
    """Raise OSError with the name of the first file that cannot be read; OpenSSL gives none."""
    for path in paths:
        _read(path)


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _stamp(path: str) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116 - follows the links that Kubernetes swaps
    except OSError as error:
        return error.errno
    return found.st_mtime_ns, found.st_size, found.st_ino


def _unusable(field: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"{field}: these files cannot be used: {_reason(error)}",
        hint="name PEM files that this user can read: a certificate chain and the key to it",
    )


def _reason(error: Exception) -> str:
    """Return what went wrong, without anything that stands in a file."""
    if isinstance(error, ssl.SSLError):
        return error.reason or "no such PEM content"
    if isinstance(error, OSError):
        return f'{error.strerror}: "{error.filename}"' if error.filename else str(error.strerror)
    return type(error).__name__
