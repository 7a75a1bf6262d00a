"""Bearer tokens: who is let in over either protocol, renewal, and that none of them leaks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest

from tests.otlp.http_upstream import HttpUpstream
from tests.otlp.raw_http import post
from tests.otlp.relay import client, relay, send
from tests.otlp.upstream import Upstream
from tripswitch.errors import ConfigError
from tripswitch.otlp import tls as tls_module
from tripswitch.otlp.grpc_receiver import TRACES_METHOD
from tripswitch.otlp.tokens import BearerTokens

FIELD = "receivers.otlp.protocols.http.auth"


@pytest.mark.parametrize(
    ("authorization", "is_admitted"),
    [
        ("Bearer right", True),
        ("bearer right", True),
        ("BEARER  right ", True),
        ("Bearer also-right", True),
        ("", False),
        ("right", False),
        ("Basic right", False),
        ("Bearer", False),
        ("Bearer ", False),
        ("Bearer righ", False),
        ("Bearer rightt", False),
        ("Bearer r\xefght", False),
    ],
)
def test_only_known_tokens_are_admitted(
    tmp_path: Path, authorization: str, is_admitted: bool
) -> None:
    file = tmp_path / "tokens"
    file.write_text("\nalso-right\n")
    assert BearerTokens("right", str(file), FIELD).admits(authorization) is is_admitted


def test_a_request_without_a_token_is_refused_over_both_protocols_and_counted() -> None:
    async def check() -> None:
        tokens = BearerTokens("right", "", FIELD)
        right = (("authorization", "Bearer right"), ("x-kept", "1"))
        wrong = (("authorization", "Bearer wrong"),)
        async with (
            HttpUpstream() as upstream,
            relay(upstream.url, tokens=tokens) as between,
            client(between.endpoint) as channel,
        ):
            for sent in ((), wrong):
                response = await post(between.url, "/v1/traces", b"x", headers=sent)
                assert (response.status, response.header("www-authenticate")) == (401, "Bearer")
                assert b"wrong" not in response.body
                with pytest.raises(grpc.aio.AioRpcError) as refusal:
                    await send(channel, TRACES_METHOD, b"x", sent)
                assert refusal.value.code() is grpc.StatusCode.UNAUTHENTICATED
                assert "wrong" not in (refusal.value.details() or "")
            assert upstream.got == []
            assert between.pipeline.outcomes() == {"unauthenticated": 4}
            assert len(between.tap) == 0
            assert (await post(between.url, "/v1/traces", b"x", headers=right)).status == 200
            await send(channel, TRACES_METHOD, b"x", right)
            for got in upstream.got:
                assert got.header("authorization") is None
                assert got.header("x-kept") == "1"

    asyncio.run(check())


def test_without_tokens_the_header_goes_upstream() -> None:
    async def check() -> None:
        async with Upstream() as upstream, relay(upstream.endpoint) as between:
            await post(
                between.url, "/v1/traces", b"x", headers=(("authorization", "Bearer theirs"),)
            )
            assert ("authorization", "Bearer theirs") in upstream.got[0].metadata

    asyncio.run(check())


def test_a_renewed_file_is_read_and_an_unreadable_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "_LOOK_EVERY_S", 0.0)
    file = tmp_path / "tokens"
    file.write_text("old")
    tokens = BearerTokens("", str(file), FIELD)
    assert tokens.admits("Bearer old")
    file.write_text("old\nnewer\n")
    assert tokens.admits("Bearer old")
    assert tokens.admits("Bearer newer")
    file.write_text("newest\n")
    assert not tokens.admits("Bearer old")
    assert tokens.admits("Bearer newest")
    for content in (b"", b"\xff\xfe"):
        file.write_bytes(content)
        assert tokens.admits("Bearer newest")
        assert not tokens.admits("Bearer ")
    file.unlink()
    assert tokens.admits("Bearer newest")


def test_no_token_to_begin_with_is_an_error_that_shows_none(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n \n")
    for file in (str(empty), str(tmp_path / "gone")):
        with pytest.raises(ConfigError, match=FIELD):
            BearerTokens("", file, FIELD)
    binary = tmp_path / "binary"
    binary.write_bytes(b"secret\xff")
    with pytest.raises(ConfigError) as refusal:
        BearerTokens("", str(binary), FIELD)
    assert "secret" not in str(refusal.value)
