"""Signing with a shared secret, as Standard Webhooks says.

Source: https://github.com/standard-webhooks/standard-webhooks, "Signature scheme". The library
that receivers verify with also makes the signature here.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime

from standardwebhooks import Webhook

from tripswitch.actions.cloudevent import message_id
from tripswitch.errors import ConfigError
from tripswitch.model.clocktext import NS_PER_S

_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)


class Signer:
    """Signs the messages of one endpoint. ``place`` is the dotted path of the secret in the file.

    The secret is base64 of 24 to 64 random bytes, with or without ``whsec_`` in front; anything
    else is a `ConfigError` (the library itself would drop stray characters and sign with the rest).
    """

    def __init__(self, secret: str, place: str) -> None:
        text = secret.removeprefix(_PREFIX)
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) not in _SECRET_BYTES:
            found = "nothing" if not secret else f"a text of {len(secret)} characters"
            raise ConfigError(
                f"{place}: expected whsec_ and the base64 of 24 to 64 random bytes, got {found}",
                hint='make one: echo "whsec_$(openssl rand -base64 32)"; write ${env:NAME} here',
            )
        self._webhook = Webhook(key)

    def headers(self, key: str, body: bytes, now_ns: int) -> dict[str, str]:
        """Return the headers that make ``body`` the message of the effect ``key``, sent now.

        ``webhook-id`` and ``idempotency-key`` stay the same on a retry, timestamp and signature
        do not: receivers refuse a timestamp more than five minutes off.
        """
        seconds = now_ns // NS_PER_S
        message = message_id(key)
        # sign() overwrites the time zone instead of converting, so it must be UTC already.
        moment = datetime.fromtimestamp(seconds, tz=UTC)
        return {
            "webhook-id": message,
            "webhook-timestamp": str(seconds),
            "webhook-signature": self._webhook.sign(message, moment, body.decode()),
            "idempotency-key": message,
        }
