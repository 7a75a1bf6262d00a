"""Taking an edited configuration into force on a running wire.

What can be wrong (certificates, tokens, the folder of the spool) comes first and changes nothing;
the rest cannot fail. No connection is dropped and no request disturbed: what is under way goes on
with the upstream and the limits it began with. Fields that need a restart keep their old value,
and are returned by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tripswitch.config.loading import reloadable_difference, with_reloadable
from tripswitch.drive.wire_parts import (
    grpc_settings,
    http_limits,
    http_settings,
    largest_bytes,
    make_server_tls,
    make_spool,
    make_upstream,
    server_files,
    spool_settings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tripswitch.config.model import Config
    from tripswitch.drive.wire import Wire

_GRPC = ("receivers", "otlp", "protocols", "grpc")
_HTTP = ("receivers", "otlp", "protocols", "http")


async def reload_wire(wire: Wire, edited: Config) -> list[str]:
    """Use ``edited`` from now on; return the paths of the fields that need a restart.

    Raises ConfigError, and leaves everything as it was, where it cannot be used.
    """
    old = wire.config
    for_restart = reloadable_difference(old, edited)
    new = with_reloadable(old, edited)
    for path in (_GRPC, _HTTP):
        if _is_tls_fixed(old, new, path):
            for_restart.append(".".join((*path, "tls")))
            new = _with(new, (*path, "tls"), _at(old, (*path, "tls")))
    # Raises what using them would raise.
    for protocol in ("grpc", "http"):
        make_server_tls(new, protocol)
    over_grpc, over_http = grpc_settings(new), http_settings(new)
    upstream = make_upstream(new, wire.room) if _upstream_of(old) != _upstream_of(new) else None
    try:
        if wire.spool is None and new.forward.acknowledge != "upstream":
            await wire.add_spool(make_spool(new))
    except BaseException:
        if upstream is not None:
            await upstream.close()
        raise
    if not wire.grpc.use(**over_grpc):
        field = (*_GRPC, "max_concurrent_rpcs")
        for_restart.append(".".join(field))
        new = _with(new, field, _at(old, field))
    wire.http.use(**over_http)
    _use_tls(wire, new)
    _use_limits(wire, new)
    wire.pipeline.acceptance.use(new.forward.acknowledge, wire.spool)
    if upstream is not None:
        wire.upstream.switch(upstream)
        wire.pipeline.acceptance.forget_failures()
    wire.config = new
    await wire.send_own_metrics()
    return for_restart


def _use_tls(wire: Wire, new: Config) -> None:
    for path, tls in ((_GRPC, wire.grpc_tls), (_HTTP, wire.http_tls)):
        files = server_files(_at(new, (*path, "tls")))
        if tls is not None and files is not None:
            tls.use(files)


def _use_limits(wire: Wire, new: Config) -> None:
    if wire.http_limits is not None:
        for name, value in http_limits(new).items():
            setattr(wire.http_limits, name, value)
    wire.room.max_bytes = new.receivers.otlp.max_in_flight_bytes
    wire.tap.max_bytes = new.tap.max_bytes
    wire.pipeline.reading.max_bytes = largest_bytes(new)
    if wire.spool is not None:
        wire.spool.use(**spool_settings(new))


def _is_tls_fixed(old: Config, new: Config, path: Sequence[str]) -> bool:
    """Return whether a listener would have to be another one for what is wanted of it."""
    before, after = _at(old, (*path, "tls")), _at(new, (*path, "tls"))
    is_over_grpc = path[-1] == "grpc"
    return bool(before.cert_file) != bool(after.cert_file) or (
        is_over_grpc and bool(before.client_ca_file) != bool(after.client_ca_file)
    )


def _upstream_of(config: Config) -> tuple[object, int]:
    return config.exporters, largest_bytes(config)


def _at(config: Any, path: Sequence[str]) -> Any:
    for name in path:
        config = getattr(config, name)
    return config


def _with(section: Any, path: Sequence[str], value: Any) -> Any:
    name, *rest = path
    inner = _with(getattr(section, name), rest, value) if rest else value
    return section.model_copy(update={name: inner})
