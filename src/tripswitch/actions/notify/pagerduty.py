"""PagerDuty: Events API v2 for the page, change events for what was rolled back or put back.

A trigger under the dedup key of an open alert changes what the alert shows and pages nobody again;
after somebody has closed it by hand it would open another. So only news that is worth a call
(`News.is_loud`) is sent as a trigger, and the rest stands in the incident that the page links to.

Sources: PagerDuty developer documentation, "Send an Alert Event" and "Send a Change Event": 202 is
taken, 400 is refused for good, 429 and 5xx are to be sent again; ``summary`` has at most 1024
characters, a body 512 KB, a change event no links but ``links``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.attempt import AttemptState
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent, judge_message, nothing_to_send
from tripswitch.actions.notify.news import Verb
from tripswitch.actions.notify.wording import label_of, message_of, rollback_sentence
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.plain_text import cut, plain_line

if TYPE_CHECKING:
    import httpx

    from tripswitch.actions.attempt import Attempt
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.pager_sections import PagerDutyNotifier

_MOST_SUMMARY: Final = 1024
_MOST_FIELD: Final = 255
_MOST_DETAILS: Final = 100
_CHANGES: Final = {
    "rollback.acknowledged": "done",
    "rollback.confirmed": "done",
    "rollback.undone": "undone",
}


_CHANGE_WORDS: Final = {
    "rollback.acknowledged": "answered",
    "rollback.confirmed": "done",
    "rollback.undone": "undone",
}


class PagerDutyNotify:
    """`Notifier` over PagerDuty. Raises `ConfigError` for an unusable URL."""

    def __init__(self, notifier: PagerDutyNotifier, means: Means) -> None:
        base, place = notifier.url.rstrip("/"), f"notify[{notifier.name}].url"
        self._events_url = checked_url(f"{base}/v2/enqueue", place)
        self._changes_url = checked_url(f"{base}/v2/change/enqueue", place)
        self._routing_key = notifier.routing_key.get_secret_value()
        self._with_changes = notifier.change_events
        self._timeout_s = notifier.timeout
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Send the event of a thread, and before it the change event where there is one."""
        news, remote = letter.news, dict(letter.remote)
        change = _change_of(news)
        if change and self._with_changes and change not in remote.get("changes", ""):
            attempt = await self._post(self._changes_url, self._change(news))
            if attempt.state is not AttemptState.DONE:
                return Sent(attempt)
            remote["changes"] = f"{remote.get('changes', '')} {change}".strip()
        if news.verb is Verb.UPDATE and not news.is_loud:
            sent = nothing_to_send("a trigger could open again what a person has closed")
            return Sent(sent.attempt, remote)
        attempt = await self._post(self._events_url, self._event(news))
        return Sent(attempt, remote)

    def _event(self, news: News) -> dict[str, Any]:
        action = "trigger" if news.verb is Verb.UPDATE else news.verb.value
        event: dict[str, Any] = {
            "routing_key": self._routing_key,
            "event_action": action,
            "dedup_key": news.thread,
        }
        if action == "trigger":
            event |= {
                "payload": self._payload(news),
                "links": _links(news),
                "client": "tripswitch",
            }
            if "incident" in news.links:
                event["client_url"] = news.links["incident"]
        return event

    def _payload(self, news: News) -> dict[str, Any]:
        message = message_of(news)
        why = news.line("why")
        details: dict[str, Any] = {}
        for label, text in message.facts[:_MOST_DETAILS]:
            details[label] = f"{details[label]}\n{text}" if label in details else text
        if message.listed:
            details["Incidents"] = list(message.listed)
        payload = {
            "summary": cut(f"{message.title}: {why}" if why else message.title, _MOST_SUMMARY),
            "source": label_of(news.incident) if news.incident else "tripswitch",
            "severity": "critical" if news.is_page else "warning",
            "timestamp": rfc3339(news.occurred_ns),
            "component": news.line("scope", "prompt_name", most_chars=_MOST_FIELD),
            "group": news.line("scope", "route", most_chars=_MOST_FIELD),
            "class": news.line("shape", most_chars=_MOST_FIELD),
            "custom_details": details,
        }
        return {name: value for name, value in payload.items() if value}

    def _change(self, news: News) -> dict[str, Any]:
        words = _CHANGE_WORDS.get(news.event, "done")
        sentence = rollback_sentence(news.rollback)
        return {
            "routing_key": self._routing_key,
            "payload": {
                "summary": cut(
                    f"Rollback {words} on {label_of(news.incident)}: {sentence}", _MOST_SUMMARY
                ),
                "source": "tripswitch",
                "timestamp": rfc3339(news.occurred_ns),
                "custom_details": {
                    "incident": news.line("id"),
                    "news": news.detail,
                    "why": news.line("why"),
                    **{
                        name: plain_line(value, _MOST_FIELD)
                        for name, value in news.rollback.items()
                    },
                },
            },
            "links": _links(news),
        }

    async def _post(self, url: httpx.URL, event: dict[str, Any]) -> Attempt:
        answer = await exchange(
            self._means.client,
            "POST",
            url,
            headers={"content-type": "application/json"},
            body=json.dumps(event).encode(),
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        return judge_message(answer)


def _change_of(news: News) -> str:
    """Return what identifies the change that an event tells of, empty when it tells of none."""
    what = _CHANGES.get(news.event)
    return f"{plain_line(news.rollback.get('key') or '-', 80)}:{what}" if what else ""


def _links(news: News) -> list[dict[str, str]]:
    return [{"href": url, "text": label} for label, url in message_of(news).links]
