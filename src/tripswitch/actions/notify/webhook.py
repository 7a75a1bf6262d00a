"""A notifier that posts a signed webhook (Standard Webhooks, CloudEvents body)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, judge
from tripswitch.actions.cloudevent import CONTENT_TYPE, envelope
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tripswitch.config.notifier_sections import WebhookNotifier
    from tripswitch.model.outbox import Effect


class WebhookNotify:
    """`Notifier` over a signed webhook. Raises `ConfigError` for an unusable URL or secret."""

    def __init__(
        self,
        notifier: WebhookNotifier,
        client: httpx.AsyncClient,
        instance: str,
        now_ns: Callable[[], int],
    ) -> None:
        self._url = checked_url(notifier.url, f"notify[{notifier.name}].url")
        self._signer = Signer(notifier.secret.get_secret_value(), f"notify[{notifier.name}].secret")
        self._timeout_s = notifier.timeout
        self._client = client
        self._instance = instance
        self._now_ns = now_ns

    async def send(self, effect: Effect) -> Attempt:
        """Sign and POST the event of ``effect``."""
        now_ns = self._now_ns()
        body = envelope(effect, self._instance)
        answer = await exchange(
            self._client,
            "POST",
            self._url,
            headers={
                "content-type": CONTENT_TYPE,
                **self._signer.headers(effect.key, body, now_ns),
            },
            body=body,
            timeout_s=self._timeout_s,
            now_ns=now_ns,
        )
        return judge(answer)
