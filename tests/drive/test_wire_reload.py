"""An edited configuration on a running wire: every field takes effect, or says what it needs."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.drive.test_wire import NO_JUDGE, running, settings, waiting
from tests.otlp.certificates import Authority
from tests.otlp.http_upstream import HttpAnswer, HttpUpstream
from tests.otlp.raw_http import post
from tests.otlp.relay import client, send, until
from tests.otlp.upstream import Upstream
from tripswitch.config.fields import leaves
from tripswitch.config.model import Config
from tripswitch.drive.wire import Wire
from tripswitch.errors import ConfigError
from tripswitch.otlp.grpc_receiver import TRACES_METHOD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Observe = Callable[[Wire], Any]

SECTIONS = ("receivers", "exporters", "forward", "spool", "tap", "storage", "telemetry")
GRPC, HTTP = "receivers.otlp.protocols.grpc", "receivers.otlp.protocols.http"

# Over gRPC there is one value alone, what the level does is seen in the whole program, and the API
# and what is forgotten when are the judge's (tests/drive/test_api_tokens.py).
NOT_WALKED = {
    "exporters.otlp_grpc.tls.min_version",
    "storage.retain",
    "telemetry.log_level",
    "telemetry.api.auth.bearer_token",
    "telemetry.api.auth.bearer_token_file",
    "telemetry.api.public_url",
    "telemetry.api.trace_link",
}


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return ``content`` with one field changed."""
    name, _, rest = path.partition(".")
    inner = changed(content.get(name, {}), rest, value) if rest else value
    return {**content, name: inner}


def upstream_of(wire: Wire) -> Any:
    """Return the upstream that requests go to."""
    return wire.upstream._current


def tls_field(name: str) -> Observe:
    """Return what sees a field of the upstream's TLS."""
    return lambda wire: getattr(upstream_of(wire)._tls._files, name)


def own(name: str) -> Observe:
    """Return what sees a field of the wire's own telemetry; the judge follows the same section."""
    return lambda wire: getattr(wire._own_metrics_settings, name)


def effects(base: Authority, other: Authority) -> dict[str, tuple[Any, Observe]]:
    """Return for each field that reloads another value, and where the running wire shows it."""
    cert, key = other.issue("server")
    client_cert, client_key = other.issue("client")
    token_file = Path(other.ca_file).parent / "tokens"
    token_file.write_text("from-a-file\n")

    def listener(protocol: str) -> dict[str, tuple[Any, Observe]]:
        def tls(wire: Wire) -> Any:
            return getattr(wire, f"{protocol}_tls")._files

        def tokens(wire: Wire) -> Any:
            return getattr(wire, protocol)._tokens

        at = f"receivers.otlp.protocols.{protocol}"
        return {
            f"{at}.tls.cert_file": (cert, lambda wire: tls(wire).cert_file),
            f"{at}.tls.key_file": (key, lambda wire: tls(wire).key_file),
            f"{at}.tls.client_ca_file": (other.ca_file, lambda wire: tls(wire).client_ca_file),
            f"{at}.auth.bearer_token": (
                "new",
                lambda wire: "new" if tokens(wire).admits("Bearer new") else "old",
            ),
            f"{at}.auth.bearer_token_file": (
                str(token_file),
                lambda wire: tokens(wire).admits("Bearer from-a-file") and tokens(wire)._file,
            ),
            f"{at}.read_timeout": (7.0, lambda wire: getattr(wire, protocol)._read_timeout_s),
        }

    def exporter(name: str) -> dict[str, tuple[Any, Observe]]:
        at = f"exporters.{name}"
        return {
            f"{at}.timeout": (3.0, lambda wire: upstream_of(wire).timeout_s),
            f"{at}.headers": ({"x-a": "b"}, lambda wire: upstream_of(wire)._headers),
            f"{at}.tls.ca_file": (other.ca_file, tls_field("ca_file")),
            f"{at}.tls.cert_file": (client_cert, tls_field("cert_file")),
            f"{at}.tls.key_file": (client_key, tls_field("key_file")),
            f"{at}.tls.server_name_override": ("a.b", tls_field("server_name_override")),
        }

    def limit(name: str) -> Observe:
        return lambda wire: getattr(wire.http_limits, name)

    def spool(*names: str) -> Observe:
        def look(wire: Wire) -> Any:
            part: Any = wire.spool
            for name in names:
                part = getattr(part, name)
            return part

        return look

    return {
        **listener("grpc"),
        **listener("http"),
        **exporter("otlp_grpc"),
        **exporter("otlp_http"),
        f"{GRPC}.max_concurrent_rpcs": (9, lambda wire: wire.grpc.max_concurrent_rpcs),
        f"{HTTP}.path_prefixes": (["/x/"], lambda wire: [f"{p}/" for p in wire.http._prefixes]),
        f"{HTTP}.max_request_body_size": (80 << 20, lambda wire: wire.http._max_body_bytes),
        f"{HTTP}.max_concurrent_requests": (9, lambda wire: wire.http.max_concurrent_requests),
        f"{HTTP}.max_connections": (9, limit("max_connections")),
        f"{HTTP}.max_header_size": (9000, limit("max_header_bytes")),
        f"{HTTP}.read_header_timeout": (9.0, limit("header_timeout_s")),
        f"{HTTP}.idle_timeout": (9.0, limit("idle_timeout_s")),
        "receivers.otlp.max_in_flight_bytes": (100 << 20, lambda wire: wire.room.max_bytes),
        "exporters.otlp_grpc.endpoint": ("127.0.0.1:9", lambda wire: wire.upstream.endpoint),
        "exporters.otlp_grpc.compression": (
            "gzip",
            lambda wire: "gzip" if upstream_of(wire)._compression else "none",
        ),
        "exporters.otlp_grpc.tls.insecure": (True, lambda wire: upstream_of(wire)._tls is None),
        "exporters.otlp_http.endpoint": ("https://a:1", lambda wire: wire.upstream.endpoint),
        "exporters.otlp_http.compression": ("zstd", lambda wire: upstream_of(wire)._compression),
        "exporters.otlp_http.tls.min_version": ("1.3", tls_field("min_version")),
        "forward.acknowledge": ("disk", lambda wire: wire.pipeline.acceptance.mode),
        "forward.grace": (1.0, lambda wire: wire.config.forward.grace),
        "spool.max_bytes": (100 << 20, spool("max_bytes")),
        "spool.max_age": (9.0, spool("_drain", "_pace", "max_age_s")),
        "spool.segment_bytes": (1 << 20, spool("_writer", "segment_bytes")),
        "spool.drain_bytes_per_s": (9000, spool("_drain", "_pace", "bytes_per_s")),
        "spool.drain_in_flight": (9, spool("_drain", "_pace", "in_flight")),
        "spool.dead_letter_bytes": (1 << 20, spool("_dead_letters", "_max_bytes")),
        "tap.max_bytes": (2 << 20, lambda wire: wire.tap.max_bytes),
        "telemetry.otlp.endpoint": ("http://127.0.0.1:9", own("endpoint")),
        "telemetry.otlp.protocol": ("http/protobuf", own("protocol")),
        "telemetry.otlp.metrics": (False, own("metrics")),
        "telemetry.otlp.traces": (False, own("traces")),
        "telemetry.otlp.interval": (9.0, own("interval")),
        "telemetry.otlp.timeout": (9.0, own("timeout")),
        "telemetry.otlp.headers": (
            {"x-a": "b"},
            lambda wire: {
                name: value.get_secret_value()
                for name, value in wire._own_metrics_settings.headers.items()
            },
        ),
        "telemetry.otlp.ca_file": (base.ca_file, own("ca_file")),
        "telemetry.otlp.cert_file": (cert, own("cert_file")),
        "telemetry.otlp.key_file": (key, own("key_file")),
        "telemetry.otlp.resource": ({"a": "b"}, own("resource")),
    }


RESTART: dict[str, Any] = {
    f"{GRPC}.endpoint": "127.0.0.1:9",
    f"{GRPC}.max_recv_msg_size": 32 << 20,
    f"{GRPC}.max_connections": 99,
    f"{GRPC}.tls.min_version": "1.3",
    f"{HTTP}.endpoint": "127.0.0.1:9",
    f"{HTTP}.tls.min_version": "1.3",
    "spool.directory": "elsewhere",
    "storage.directory": "elsewhere",
    "telemetry.metrics.endpoint": "127.0.0.1:9",
    "telemetry.health.endpoint": "127.0.0.1:9",
    "telemetry.api.endpoint": "127.0.0.1:9",
}


def base_settings(folder: Path, authority: Authority) -> dict[str, Any]:
    """Return a configuration in which every field of the wire is in use."""
    cert, key = authority.issue("server")
    tls = {"cert_file": cert, "key_file": key, "client_ca_file": authority.ca_file}
    content = settings(folder)
    for protocol in content["receivers"]["otlp"]["protocols"].values():
        protocol |= {"tls": tls, "auth": {"bearer_token": "old"}}
    content["exporters"] = {
        "otlp_grpc": {"tls": {"insecure": False, "ca_file": authority.ca_file}},
        "otlp_http": {"tls": {"ca_file": authority.ca_file}},
    }
    return content


def test_every_field_takes_effect_or_is_named_as_needing_a_restart(tmp_path: Path) -> None:
    async def check() -> None:
        folders = [tmp_path / "one", tmp_path / "other"]
        for folder in folders:
            folder.mkdir()
        authority, other = (Authority(folder) for folder in folders)
        base = base_settings(tmp_path, authority)
        over_http = changed(base, "exporters.otlp_http.endpoint", "https://127.0.0.1:9")
        taking = effects(authority, other)
        async with running(base) as wire:
            for path, spot in leaves():
                field = ".".join(path)
                if path[0] not in SECTIONS or field in NOT_WALKED:
                    continue
                start = over_http if field.startswith("exporters.otlp_http") else base
                assert await wire.reload(Config.model_validate(start)) == []
                if not spot.reloadable:
                    edited = Config.model_validate(changed(start, field, RESTART[field]))
                    assert await wire.reload(edited) == [field]
                    assert wire.config == Config.model_validate(start)
                    continue
                value, observe = taking[field]
                content = changed(start, field, value)
                # A certificate and the key to it go together.
                for one, half in (("cert_file", "key_file"), ("key_file", "cert_file")):
                    pair = field.removesuffix(one) + half
                    if field.endswith(one) and "otlp.key" not in field and "otlp.cert" not in field:
                        content = changed(content, pair, taking[pair][0])
                assert _observed(observe, wire) != value, field
                assert await wire.reload(Config.model_validate(content)) == [], field
                assert observe(wire) == value, field

    asyncio.run(check())


def _observed(observe: Observe, wire: Wire) -> Any:
    try:
        return observe(wire)
    except AttributeError:
        return None


def test_what_is_under_way_finishes_at_the_upstream_it_began_with(tmp_path: Path) -> None:
    async def check() -> None:
        hold = asyncio.Event()
        async with (
            HttpUpstream(lambda _got: HttpAnswer(body=b"old", hold=hold)) as old,
            HttpUpstream(lambda _got: HttpAnswer(body=b"new")) as new,
            Upstream() as over_grpc,
        ):
            content = settings(tmp_path, forward={"acknowledge": "upstream"})
            to_old = changed(content, "exporters.otlp_http.endpoint", old.url)
            async with running(to_old) as wire:
                url = f"http://{wire.endpoints['otlp_http']}"
                async with client(wire.endpoints["otlp_grpc"]) as channel:
                    over_http = asyncio.create_task(post(url, "/v1/traces", b"x"))
                    over_wire = asyncio.create_task(send(channel, TRACES_METHOD, b"x"))
                    await until(lambda: len(old.got) == 2)
                    to_new = changed(content, "exporters.otlp_http.endpoint", new.url)
                    assert await wire.reload(Config.model_validate(to_new)) == []
                    assert wire.upstream.in_flight == 2
                    assert (await post(url, "/v1/traces", b"y")).body == b"new"
                    to_grpc = changed(content, "exporters.otlp_grpc.endpoint", over_grpc.endpoint)
                    assert await wire.reload(Config.model_validate(to_grpc)) == []
                    await send(channel, TRACES_METHOD, b"z")
                    assert [got.body for got in over_grpc.got] == [b"z"]
                    hold.set()
                    await asyncio.gather(over_http, over_wire)
                    assert over_http.result().body == b"old"
                await until(lambda: not wire.upstream._leaving and not wire.upstream._closing)
                assert wire.upstream.in_flight == 0

    asyncio.run(check())


def test_a_disk_is_taken_into_use_and_what_waits_goes_to_another_upstream(tmp_path: Path) -> None:
    async def check() -> None:
        async with Upstream() as upstream:
            away = settings(
                tmp_path,
                exporters={"otlp_grpc": {"endpoint": "127.0.0.1:9"}},
                forward={"acknowledge": "upstream"},
            )
            async with running(away) as wire:
                url = f"http://{wire.endpoints['otlp_http']}"
                assert wire.spool is None
                assert (await post(url, "/v1/traces", b"x")).status == 503
                to_disk = changed(away, "forward.acknowledge", "disk")
                assert await wire.reload(Config.model_validate(to_disk)) == []
                for _ in range(3):
                    assert (await post(url, "/v1/traces", b"y")).status == 200
                assert waiting(wire) == 3
                back = changed(to_disk, "exporters.otlp_grpc.endpoint", upstream.endpoint)
                assert await wire.reload(Config.model_validate(back)) == []
                await until(lambda: waiting(wire) == 0)
                assert [got.body for got in upstream.got] == [b"y"] * 3

    asyncio.run(check())


def test_prefixes_tokens_and_certificates_hold_from_the_next_request_on(tmp_path: Path) -> None:
    async def check() -> None:
        folders = [tmp_path / "one", tmp_path / "other"]
        for folder in folders:
            folder.mkdir()
        first, second = (Authority(folder) for folder in folders)

        def tls_of(authority: Authority) -> dict[str, str]:
            cert, key = authority.issue("server")
            return {"cert_file": cert, "key_file": key}

        async with HttpUpstream() as upstream:
            content = settings(tmp_path, exporters={"otlp_http": {"endpoint": upstream.url}})
            content = changed(content, f"{HTTP}.tls", tls_of(first))
            async with running(content) as wire:
                url = f"https://{wire.endpoints['otlp_http']}"

                async def status(authority: Authority, path: str, token: str = "") -> int:
                    headers = (("authorization", f"Bearer {token}"),) if token else ()
                    context = authority.client_context()
                    return (await post(url, path, b"x", headers=headers, tls=context)).status

                assert await status(first, "/v1/traces") == 200
                content = changed(content, f"{HTTP}.path_prefixes", ["/otel"])
                content = changed(content, f"{HTTP}.auth", {"bearer_token": "secret-word"})
                content = changed(content, f"{HTTP}.tls", tls_of(second))
                assert await wire.reload(Config.model_validate(content)) == []
                assert await status(second, "/v1/traces", "secret-word") == 404
                assert await status(second, "/otel/v1/traces") == 401
                assert await status(second, "/otel/v1/traces", "secret-word") == 200
                with pytest.raises(ssl.SSLError):
                    await status(first, "/otel/v1/traces", "secret-word")

    asyncio.run(check())


@pytest.mark.parametrize(
    ("edits", "named"),
    [
        ({f"{HTTP}.tls": {}}, [f"{HTTP}.tls"]),
        ({f"{GRPC}.tls.client_ca_file": ""}, [f"{GRPC}.tls"]),
        ({f"{GRPC}.max_concurrent_rpcs": 5000}, [f"{GRPC}.max_concurrent_rpcs"]),
    ],
)
def test_what_reloads_but_for_this_edit_is_named_and_keeps_its_value(
    tmp_path: Path, edits: dict[str, Any], named: Sequence[str]
) -> None:
    async def check() -> None:
        base = base_settings(tmp_path, Authority(tmp_path))
        # gRPC holds room for as many requests as connections; it has to be less for one to be over.
        base = edited = changed(base, f"{GRPC}.max_connections", 100)
        for path, value in edits.items():
            edited = changed(edited, path, value)
        async with running(base) as wire:
            limit = wire.grpc.max_concurrent_rpcs
            also = changed(edited, "tap.max_bytes", 2 << 20)
            assert await wire.reload(Config.model_validate(also)) == named
            assert wire.config == Config.model_validate(changed(base, "tap.max_bytes", 2 << 20))
            assert wire.grpc.max_concurrent_rpcs == limit
            assert wire.tap.max_bytes == 2 << 20

    asyncio.run(check())


def test_an_edit_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        content = settings(tmp_path, forward={"acknowledge": "upstream"})
        (tmp_path / "file").write_text("")
        unusable = [
            changed(content, f"{HTTP}.auth.bearer_token_file", str(tmp_path / "none")),
            changed(content, "exporters.otlp_grpc.tls", {"insecure": False, "ca_file": "none"}),
        ]
        async with running(content) as wire:
            before = wire.config, upstream_of(wire)
            for edited in unusable:
                edited = changed(edited, "tap.max_bytes", 2 << 20)
                with pytest.raises(ConfigError):
                    await wire.reload(Config.model_validate(edited))
                assert (wire.config, upstream_of(wire)) == before
                assert wire.tap.max_bytes == 64 << 20
        content = changed(content, "spool.directory", str(tmp_path / "file" / "spool"))
        wire = Wire(Config.model_validate(content), NO_JUDGE)
        await wire.start()
        try:
            with pytest.raises(ConfigError, match="spool"):
                await wire.reload(
                    Config.model_validate(changed(content, "forward.acknowledge", "disk"))
                )
            assert wire.spool is None
            assert wire.pipeline.acceptance.mode == "upstream"
        finally:
            await wire.stop()

    asyncio.run(check())
