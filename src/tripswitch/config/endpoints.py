"""Network addresses in the file: ``host:port`` to listen on or to connect to."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]*):(\d{1,5})", re.ASCII)
_GRPC_TARGET_SCHEMES = ("dns:", "unix:", "ipv4:", "ipv6:")
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")


def split_endpoint(endpoint: str) -> tuple[str, int]:
    """Return host (without brackets, empty for every address) and port (0..65535).

    Raises ValueError.
    """
    match = _HOST_PORT.fullmatch(endpoint)
    if not match or int(match[2]) > 65535:
        raise ValueError(f'expected host:port such as "localhost:4317", got "{endpoint}"')
    return match[1].strip("[]"), int(match[2])


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach a listener on ``host``."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_every_address(host: str) -> bool:
    """Say whether a listener on ``host`` listens on all addresses of the machine."""
    if not host:
        return True
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def same_listener(one: str, other: str) -> bool:
    """Say whether ``one`` and ``other`` would meet on one port of this machine.

    Port 0 stands for any free port and meets nothing; names other than localhost are compared as
    they are written, since nothing is looked up.
    """
    try:
        (one_host, one_port), (other_host, other_port) = split_endpoint(one), split_endpoint(other)
    except ValueError:
        return False
    if one_port != other_port or one_port == 0:
        return False
    local = [is_loopback(host) or is_every_address(host) for host in (one_host, other_host)]
    if all(local):
        return True
    return one_host.lower() == other_host.lower()


def _listen(value: str) -> str:
    if value:
        _host_port(value)
    return value


def _host_port(value: str) -> str:
    try:
        split_endpoint(value)
    except ValueError:
        raise PydanticCustomError("format", "expected host:port") from None
    return value


def _upstream(value: str) -> str:
    return value if value.startswith(_GRPC_TARGET_SCHEMES) else _host_port(value)


def _url(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        usable = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not (parts.query or parts.fragment or parts.username or parts.password)
            and value.isascii()
        )
    except ValueError:
        usable = False
    if not usable:
        raise PydanticCustomError("format", "expected http://host:port or https://host:port")
    return value


ListenEndpoint = Annotated[
    str,
    AfterValidator(_host_port),
    WithJsonSchema({"type": "string", "pattern": r"^.*:\d{1,5}$", "format": "host:port"}),
]
OptionalListenEndpoint = Annotated[
    str,
    AfterValidator(_listen),
    WithJsonSchema({"type": "string", "pattern": r"^(.*:\d{1,5})?$", "format": "host:port"}),
]
OptionalUrl = Annotated[
    str,
    AfterValidator(_url),
    WithJsonSchema({"type": "string", "pattern": r"^(https?://.+)?$"}),
]
UpstreamEndpoint = Annotated[
    str,
    AfterValidator(_upstream),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(.*:\d{1,5}|(dns|unix|ipv4|ipv6):.+)$"},
    ),
]
