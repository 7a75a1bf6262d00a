"""TLS and mTLS on both sides of the wire, and renewal without dropping a connection."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest

from tests.otlp.certificates import Authority
from tests.otlp.http_upstream import HttpUpstream
from tests.otlp.raw_http import PROTOBUF, connect, head, post, read_response
from tests.otlp.relay import relay, send
from tests.otlp.upstream import Upstream
from tripswitch.errors import ConfigError
from tripswitch.otlp import tls as tls_module
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.tls import ClientFiles, ClientTls, ServerFiles, ServerTls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

FIELD = "receivers.otlp.protocols.grpc.tls"


@pytest.fixture(autouse=True)
def _look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "_LOOK_EVERY_S", 0.0)


@contextlib.asynccontextmanager
async def secure_channel(
    endpoint: str, ca_file: str, cert_file: str = "", key_file: str = ""
) -> AsyncIterator[grpc.aio.Channel]:
    """Open a channel of its own over TLS."""

    def read(path: str) -> bytes | None:
        return Path(path).read_bytes() if path else None

    credentials = grpc.ssl_channel_credentials(read(ca_file), read(key_file), read(cert_file))
    options = (("grpc.use_local_subchannel_pool", 1),)
    channel = grpc.aio.secure_channel(endpoint, credentials, options=options)
    try:
        yield channel
    finally:
        await channel.close(None)


def copy(source: str, target: str | Path) -> None:
    """Put the content of one file into another, as whoever renews certificates does."""
    Path(target).write_bytes(Path(source).read_bytes())


async def serial_of(url: str, trusted: Authority) -> str:
    """Return the serial number of the certificate that an HTTPS listener shows."""
    _, writer = await connect(url, trusted.client_context())
    shown: Any = writer.get_extra_info("peercert")
    writer.close()
    return str(shown["serialNumber"])


def test_both_receivers_speak_tls_and_nothing_else(tmp_path: Path) -> None:
    async def check() -> None:
        authority = Authority(tmp_path)
        server = ServerTls(ServerFiles(*authority.issue("server")), FIELD)
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=server) as between,
        ):
            async with secure_channel(between.endpoint, authority.ca_file) as channel:
                await send(channel, TRACES_METHOD, b"grpc")
            context = authority.client_context()
            assert (await post(between.url, "/v1/traces", b"http", tls=context)).status == 200
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await post(between.url, "/v1/traces", b"plain")
            plain = grpc.aio.insecure_channel(between.endpoint)
            with pytest.raises(grpc.aio.AioRpcError):
                await send(plain, TRACES_METHOD, b"plain", timeout_s=5)
            await plain.close(None)
            stranger = Authority(tmp_path, "stranger")
            with pytest.raises(ssl.SSLCertVerificationError):
                await post(between.url, "/v1/traces", b"x", tls=stranger.client_context())
            assert [got.body for got in upstream.got] == [b"grpc", b"http"]

    asyncio.run(check())


def test_with_a_client_ca_clients_must_show_a_certificate_of_it(tmp_path: Path) -> None:
    async def check() -> None:
        authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
        files = ServerFiles(*authority.issue("server"), authority.ca_file, "1.3")
        own, foreign = authority.issue("client"), stranger.issue("foreign")
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=ServerTls(files, FIELD)) as between,
        ):
            context = authority.client_context(*own)
            assert (await post(between.url, "/v1/traces", b"http", tls=context)).status == 200
            async with secure_channel(between.endpoint, authority.ca_file, *own) as channel:
                await send(channel, TRACES_METHOD, b"grpc")
            for pair in ((), foreign):
                context = authority.client_context(*pair)
                with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
                    await post(between.url, "/v1/traces", b"x", tls=context)
                async with secure_channel(between.endpoint, authority.ca_file, *pair) as channel:
                    with pytest.raises(grpc.aio.AioRpcError) as refusal:
                        await send(channel, TRACES_METHOD, b"x", timeout_s=5)
                    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
            assert [got.body for got in upstream.got] == [b"http", b"grpc"]

    asyncio.run(check())


def test_renewed_certificates_are_shown_to_new_connections_and_old_ones_stay(
    tmp_path: Path,
) -> None:
    async def check() -> None:
        authority = Authority(tmp_path)
        server = ServerTls(ServerFiles(*authority.issue("server")), FIELD)
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=server) as between,
            secure_channel(between.endpoint, authority.ca_file) as old_channel,
        ):
            await send(old_channel, TRACES_METHOD, b"before")
            reader, writer = await connect(between.url, authority.client_context())
            before = await serial_of(between.url, authority)
            successor = Authority(tmp_path, "successor")
            successor.issue("server")
            assert await serial_of(between.url, successor) != before
            with pytest.raises(ssl.SSLCertVerificationError):
                await serial_of(between.url, authority)
            async with secure_channel(between.endpoint, successor.ca_file) as new_channel:
                await send(new_channel, TRACES_METHOD, b"after")
            headers = (("content-type", PROTOBUF), ("content-length", "1"))
            writer.write(head("/v1/traces", headers) + b"x")
            assert (await read_response(reader)).status == 200
            writer.close()
            await send(old_channel, TRACES_METHOD, b"still")
            assert len(upstream.got) == 4

    asyncio.run(check())


def test_another_client_ca_is_taken_into_force_and_the_old_one_is_not_kept(tmp_path: Path) -> None:
    async def check() -> None:
        authority, successor = Authority(tmp_path), Authority(tmp_path, "successor")
        trusted = tmp_path / "trusted.pem"
        copy(authority.ca_file, trusted)
        files = ServerFiles(*authority.issue("server"), str(trusted))
        old, new = authority.issue("old"), successor.issue("new")
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=ServerTls(files, FIELD)) as between,
        ):

            async def is_let_in(pair: tuple[str, str]) -> bool:
                try:
                    context = authority.client_context(*pair)
                    return (await post(between.url, "/v1/traces", b"x", tls=context)).status == 200
                except (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError):
                    return False

            assert (await is_let_in(old), await is_let_in(new)) == (True, False)
            copy(successor.ca_file, trusted)
            assert (await is_let_in(old), await is_let_in(new)) == (False, True)

    asyncio.run(check())


def test_files_that_do_not_fit_each_other_change_nothing(tmp_path: Path) -> None:
    async def check() -> None:
        authority = Authority(tmp_path)
        cert_file, key_file = authority.issue("server")
        server = ServerTls(ServerFiles(cert_file, key_file), FIELD)
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=server) as between,
        ):
            before = await serial_of(between.url, authority)
            other_cert, other_key = authority.issue("other")
            copy(other_cert, cert_file)
            assert await serial_of(between.url, authority) == before
            async with secure_channel(between.endpoint, authority.ca_file) as channel:
                await send(channel, TRACES_METHOD, b"x")
            copy(other_key, key_file)
            assert await serial_of(between.url, authority) != before

    asyncio.run(check())


@pytest.mark.parametrize("asks_clients", [False, True])
def test_an_https_upstream_is_verified_and_shown_our_certificate(
    tmp_path: Path, asks_clients: bool
) -> None:
    async def check() -> None:
        authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
        own = authority.issue("client")
        context = authority.server_context(asks_clients=asks_clients)
        async with HttpUpstream(tls=context) as upstream:
            trusting = ClientTls(ClientFiles(authority.ca_file, *own), "exporters.otlp_http.tls")
            async with relay(upstream.url, client_tls=trusting) as between:
                assert (await post(between.url, "/v1/traces", b"x")).status == 200
            wary = ClientTls(ClientFiles(stranger.ca_file, *own), "exporters.otlp_http.tls")
            async with relay(upstream.url, client_tls=wary) as between:
                assert (await post(between.url, "/v1/traces", b"x")).status == 503
            nameless = ClientTls(ClientFiles(authority.ca_file), "exporters.otlp_http.tls")
            async with relay(upstream.url, client_tls=nameless) as between:
                status = (await post(between.url, "/v1/traces", b"x")).status
                assert status == (503 if asks_clients else 200)
            named = ClientFiles(authority.ca_file, *own, server_name_override="localhost")
            async with relay(upstream.url, client_tls=ClientTls(named, "x")) as between:
                assert (await post(between.url, "/v1/traces", b"x")).status == 200
            misnamed = ClientFiles(authority.ca_file, *own, server_name_override="elsewhere")
            async with relay(upstream.url, client_tls=ClientTls(misnamed, "x")) as between:
                assert (await post(between.url, "/v1/traces", b"x")).status == 503

    asyncio.run(check())


def test_a_grpc_upstream_is_verified_and_a_renewed_ca_is_used(tmp_path: Path) -> None:
    async def check() -> None:
        authority, successor = Authority(tmp_path), Authority(tmp_path, "successor")
        trusted = tmp_path / "trusted.pem"
        copy(successor.ca_file, trusted)
        server = ServerTls(
            ServerFiles(*authority.issue("upstream", "collector.test"), authority.ca_file), FIELD
        )
        files = ClientFiles(
            str(trusted), *authority.issue("client"), server_name_override="collector.test"
        )
        async with (
            Upstream() as upstream,
            relay(upstream.endpoint, server_tls=server) as collector,
            relay(collector.endpoint, client_tls=ClientTls(files, "x")) as between,
        ):
            assert (await post(between.url, "/v1/traces", b"too early")).status == 503
            copy(authority.ca_file, trusted)
            assert (await post(between.url, "/v1/traces", b"x")).status == 200
            assert [got.body for got in upstream.got] == [b"x"]

    asyncio.run(check())


def test_files_that_cannot_be_used_are_an_error_at_the_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert_file, _ = authority.issue("server")
    _, key_file = authority.issue("other")
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no PEM, and a secret")
    for pair in ((cert_file, key_file), (cert_file, "gone"), (str(nonsense), key_file)):
        with pytest.raises(ConfigError, match=FIELD) as refusal:
            ServerTls(ServerFiles(*pair), FIELD)
        assert "secret" not in str(refusal.value)
    with pytest.raises(ConfigError, match="exporters"):
        ClientTls(ClientFiles(ca_file=str(nonsense)), "exporters.otlp_http.tls")
