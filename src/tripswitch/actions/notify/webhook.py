"""A notifier that posts a signed webhook (Standard Webhooks, CloudEvents body)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.attempt import judge
from tripswitch.actions.cloudevent import CONTENT_TYPE, envelope
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent
from tripswitch.actions.signing import Signer

if TYPE_CHECKING:
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.message_sections import WebhookNotifier


class WebhookNotify:
    """`Notifier` over a signed webhook. Raises `ConfigError` for an unusable URL or secret."""

    def __init__(self, notifier: WebhookNotifier, means: Means) -> None:
        self._url = checked_url(notifier.url, f"notify[{notifier.name}].url")
        self._signer = Signer(notifier.secret.get_secret_value(), f"notify[{notifier.name}].secret")
        self._timeout_s = notifier.timeout
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Sign and POST the event, to the letter: what a receiver escapes is its own affair."""
        now_ns = self._means.now_ns()
        body = envelope(letter.effect, self._means.instance)
        answer = await exchange(
            self._means.client,
            "POST",
            self._url,
            headers={
                "content-type": CONTENT_TYPE,
                **self._signer.headers(letter.effect.key, body, now_ns),
            },
            body=body,
            timeout_s=self._timeout_s,
            now_ns=now_ns,
        )
        return Sent(judge(answer))
