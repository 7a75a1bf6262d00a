"""HTTP listeners inside an event loop that belongs to somebody else.

Uvicorn serves, but does not own the process: it installs no signal handlers, configures no logs
and starts no workers. The socket is bound before anything is served, so that a taken port is an
error at start and port 0 has a number.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any

import structlog
import uvicorn

from tripswitch.config.endpoints import split_endpoint
from tripswitch.errors import ConfigError
from tripswitch.web.connections import ConnectionLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

_log = structlog.get_logger(__name__)

_GRACE_S = 2
_BACKLOG = 128


class Listener:
    """One ASGI application on one address."""

    def __init__(
        self,
        app: Any,
        bound: list[socket.socket],
        endpoint: str,
        *,
        limits: ConnectionLimits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits or ConnectionLimits()
        protocol: Any = self.limits.protocol()
        self._server = _Guest(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                ssl_context_factory=None if tls is None else lambda _config, _default: tls,
                http=protocol,
                ws="none",
                loop="asyncio",
            )
        )
        self._sockets = bound
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=bound))

    @classmethod
    async def start(cls, app: Any, endpoint: str, field: str, **settings: Any) -> Listener:
        """Serve ``app`` on ``endpoint`` (``host:port``); ``endpoint`` then has the bound port.

        ``field`` is the dotted path in the config file, for the error; ``settings`` are those of
        the class. Raises ConfigError when the address cannot be had.
        """
        try:
            host, port = split_endpoint(endpoint)
            bound = await _bind(host, port)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise ConfigError(
                f'{field}: cannot listen on "{endpoint}": {reason}',
                hint="another process may hold the port; stop it or choose another port",
            ) from error
        port = bound[0].getsockname()[1]
        listener = cls(app, bound, bound_endpoint(endpoint, port), **settings)
        await listener._server.up.wait()
        return listener

    async def stop(self, grace_s: float = _GRACE_S) -> None:
        """Answer what is under way, for at most ``grace_s``, then close."""
        # Uvicorn counts it in whole seconds where it checks, and takes any where it waits.
        self._server.config.timeout_graceful_shutdown = grace_s  # type: ignore[assignment]
        self._server.should_exit = True
        await self._task
        for bound in self._sockets:
            bound.close()


def bound_endpoint(endpoint: str, port: int) -> str:
    """Return ``endpoint`` with the port that was really bound."""
    return f"{endpoint.rpartition(':')[0]}:{port}"


class _OurWords(logging.Filter):
    """Says in our own log what uvicorn finds worth saying, and nothing that strangers can cause.

    Uvicorn writes a line for every malformed request, and whole tracebacks with their messages.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Refuse every record, having said what there is to say."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            _log.error("http_answer_failed", error=type(error).__name__)
        elif record.levelno >= logging.ERROR and "graceful" in record.msg and record.args != (0,):
            _log.warning("requests_cut_off", listener="http")
        return False


logging.getLogger("uvicorn.error").addFilter(_OurWords())


class _Guest(uvicorn.Server):
    """A server that leaves the signals to the process it is a guest in, and says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _bind(host: str, port: int) -> list[socket.socket]:
    """Bind every address of ``host`` to one port, the first choosing it where ``port`` is 0.

    ``localhost`` may be 127.0.0.1 and ::1; an address family the machine lacks is left out as long
    as one is bound.
    """
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    bound: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        listener = None
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = bound[0].getsockname()[1] if bound else port
            listener.bind((address[0], chosen, *address[2:]))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
        except OSError as error:
            failure = error
            if listener is not None:
                listener.close()
            continue
        bound.append(listener)
    if not bound:
        raise failure or OSError(f"{host} has no address")
    return bound
