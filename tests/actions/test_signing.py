"""Signatures verify with the receivers' own library, and only over what was signed."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.actions.receiver import SECRET
from tripswitch.actions.signing import Signer
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

BODY = '{"why":"größer"}'.encode()


def signed(now_ns: int) -> dict[str, str]:
    return Signer(SECRET, "notify[pager].secret").headers("rb-1", BODY, now_ns)


def test_the_library_accepts_what_was_signed() -> None:
    assert Webhook(SECRET).verify(BODY, signed(time.time_ns())) == {"why": "größer"}


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
def test_the_signature_does_not_depend_on_the_local_time_zone(
    zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        Webhook(SECRET).verify(BODY, signed(time.time_ns()))
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "tamper",
    [
        lambda body, headers: (body.replace(b"why", b"who"), headers),
        lambda body, headers: (body, headers | {"webhook-id": "rb-2"}),
        lambda body, headers: (
            body,
            headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) + 1)},
        ),
        lambda body, headers: (body, headers | {"webhook-signature": "v1," + "A" * 43 + "="}),
    ],
)
def test_a_tampered_message_is_refused(
    tamper: Callable[[bytes, dict[str, str]], tuple[bytes, dict[str, str]]],
) -> None:
    body, headers = tamper(BODY, signed(time.time_ns()))
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, headers)


def test_only_timestamp_and_signature_change_on_a_retry() -> None:
    first, second = signed(10**18), signed(10**18 + 5 * 10**9)
    assert {name for name in first if first[name] != second[name]} == {
        "webhook-timestamp",
        "webhook-signature",
    }
    assert first["idempotency-key"] == first["webhook-id"] == "rb-1"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        "not base64 at all, whatever it may be, and long enough",
        "whsec_" + "ü" * 40,
    ],
)
def test_an_unusable_secret_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Signer(secret, "notify[pager].secret")
    assert caught.value.message.startswith("notify[pager].secret: expected whsec_")
    assert not secret.removeprefix("whsec_") or secret not in str(caught.value)


def test_a_secret_without_prefix_or_padding_signs_the_same() -> None:
    key = base64.b64encode(b"k" * 25).decode()
    one = Signer("whsec_" + key, "p").headers("a", BODY, 10**18)
    assert one == Signer(key.rstrip("="), "p").headers("a", BODY, 10**18)
