"""Drafts for a Statuspage, where nothing can be unpublished: an incident made there is public.

Its API has no unpublished incidents, and ``deliver_notifications: false`` only keeps the mails from
going. What it has are incident templates: seen by the team alone, applied to a new incident by a
person, with the boxes for mails and tweets unticked here. So a drafted update becomes a template,
and everything else goes nowhere.

Source: Statuspage API, "Create a template" (name, title, body, update_status, should_tweet,
should_send_notifications, component_ids); one request a second, 420 or 429 beyond.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent, judge_message, nothing_to_send
from tripswitch.model.clocktext import rfc3339
from tripswitch.model.plain_text import cut, plain_line

if TYPE_CHECKING:
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.message_sections import StatuspageNotifier

DRAFTED: Final = "comms.drafted"
_MOST_NAME: Final = 200
_MOST_TITLE: Final = 200
_MOST_LINE: Final = 1000
_MOST_BODY: Final = 8000
_STATUSES: Final = ("investigating", "identified", "monitoring", "resolved")


class StatuspageNotify:
    """`Notifier` that drafts for a Statuspage. Raises `ConfigError` for an unusable URL."""

    pace_s = 1.0

    def __init__(self, notifier: StatuspageNotifier, means: Means) -> None:
        page = quote(notifier.page, safe="")
        url = f"{notifier.url.rstrip('/')}/v1/pages/{page}/incident_templates"
        self._url = checked_url(url, f"notify[{notifier.name}].url")
        self._api_key = notifier.api_key.get_secret_value()
        self._components = list(notifier.components)
        self._timeout_s = notifier.timeout
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Make a template of a drafted update; other news is not for the public."""
        if letter.news.event != DRAFTED:
            return nothing_to_send("only drafted updates go to a status page")
        if not letter.news.draft.get("body"):
            return nothing_to_send("customers notice nothing that a plain sentence is known for")
        if letter.news.draft.get("do_not_tell"):
            return nothing_to_send("a public page would tell tenants that are not affected")
        answer = await exchange(
            self._means.client,
            "POST",
            self._url,
            headers={
                "content-type": "application/json",
                "authorization": f"OAuth {self._api_key}",
            },
            body=json.dumps({"template": self._template(letter.news)}).encode(),
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        return Sent(judge_message(answer))

    def _template(self, news: News) -> dict[str, Any]:
        draft = news.draft
        title = plain_line(draft.get("title") or "We are looking into a problem", _MOST_TITLE)
        status = str(draft.get("status") or "")
        # Line breaks are the drafter's own; what is between them is made plain.
        lines = str(draft.get("body") or news.detail).splitlines()
        body = cut("\n".join(plain_line(line, _MOST_LINE) for line in lines), _MOST_BODY)
        incident = news.line("id", most_chars=40)
        return {
            "name": cut(f"DRAFT tripswitch {incident} {rfc3339(news.occurred_ns)}", _MOST_NAME),
            "title": title,
            "body": body,
            "update_status": status if status in _STATUSES else "investigating",
            "should_tweet": False,
            "should_send_notifications": False,
            "component_ids": self._components,
        }
