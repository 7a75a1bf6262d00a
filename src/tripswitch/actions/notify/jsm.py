"""Alerts at Jira Service Management, and at Opsgenie, whose API it inherited.

A create under the alias of an open alert only raises its count, so what is new goes into notes;
what is worth a call is created as well, in case somebody has closed the alert by hand. The alias
stands in the paths of the calls that follow, so it is a hash of the dedup key, without slashes; the
key itself is among the details.

Sources: Atlassian, "JSM Operations, Integration events" (create, acknowledge, close, add note;
``identifierType=alias``; answers 202 and works later) and Opsgenie's Alert API for the limits:
message 130 characters, alias 512, description 15,000, note 25,000, entity 512, source 100.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.attempt import AttemptState
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent, judge_message
from tripswitch.actions.notify.news import Verb
from tripswitch.actions.notify.wording import label_of, message_of
from tripswitch.model.plain_text import cut

if TYPE_CHECKING:
    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.pager_sections import JsmNotifier

_MOST_MESSAGE: Final = 130
_MOST_DESCRIPTION: Final = 15_000
_MOST_NOTE: Final = 10_000
_MOST_FIELD: Final = 500


class JsmNotify:
    """`Notifier` over Jira Service Management or Opsgenie. Raises `ConfigError` for a bad URL."""

    def __init__(self, notifier: JsmNotifier, means: Means) -> None:
        base = notifier.url.rstrip("/")
        self._url = f"{base}/v2/alerts"
        checked_url(self._url, f"notify[{notifier.name}].url")
        self._headers = {
            "content-type": "application/json",
            "authorization": f"GenieKey {notifier.api_key.get_secret_value()}",
        }
        self._priorities = (notifier.investigate_priority, notifier.page_priority)
        self._timeout_s = notifier.timeout
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Create the alert, add to it, acknowledge or close it."""
        news = letter.news
        if news.verb is Verb.TRIGGER:
            return Sent(await self._post("", self._alert(news)))
        note = {"note": message_of(news).text(_MOST_NOTE), "source": "tripswitch"}
        if news.verb is Verb.UPDATE:
            if news.is_loud:
                attempt = await self._post("", self._alert(news))
                if attempt.state is not AttemptState.DONE:
                    return Sent(attempt)
            return Sent(await self._post(_path(news, "notes"), note))
        action = "acknowledge" if news.verb is Verb.ACKNOWLEDGE else "close"
        return Sent(await self._post(_path(news, action), note))

    def _alert(self, news: News) -> dict[str, Any]:
        message = message_of(news)
        alert = {
            "message": cut(message.title, _MOST_MESSAGE),
            "alias": alias_of(news.thread),
            "description": message.text(_MOST_DESCRIPTION),
            "priority": self._priorities[news.is_page],
            "entity": cut(label_of(news.incident), _MOST_FIELD) if news.incident else "",
            "source": "tripswitch",
            "tags": ["tripswitch", news.line("shape", most_chars=40)] if news.incident else [],
            "details": {
                "dedup_key": news.thread,
                "id": news.line("id", most_chars=_MOST_FIELD),
                **dict(message.links),
            },
        }
        return {name: value for name, value in alert.items() if value}

    async def _post(self, path: str, body: dict[str, Any]) -> Attempt:
        answer = await exchange(
            self._means.client,
            "POST",
            checked_url(self._url + path, "url"),
            headers=self._headers,
            body=json.dumps(body).encode(),
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        return judge_message(answer)


def alias_of(thread: str) -> str:
    """Return the alias of an episode: safe in a path, the same for ever."""
    return "tripswitch-" + hashlib.sha256(thread.encode()).hexdigest()[:32]


def _path(news: News, action: str) -> str:
    return f"/{alias_of(news.thread)}/{action}?identifierType=alias"
