"""A Slack bot: one thread an incident, its first message edited in place, the chart in the thread.

The Web API is called directly: five methods over the client of all other calls out, which tells
whether a request has left and bounds time and size. Every text that may hold what a span said goes
into a ``plain_text`` object, which Slack does not parse; the fallback text, which it does, is
escaped. Slack has no idempotency key, so what was posted is written down before anything else
happens.

Sources: Slack's "chat.postMessage", "chat.update", "files.getUploadURLExternal",
"files.completeUploadExternal", "Block Kit reference" (header 150 characters, section 3000, 50
blocks), "Formatting text" (escape ``&``, ``<``, ``>``), "Rate limits"; an answer of HTTP 200 with
``ok: false`` is a failure; all texts of a message together fail near 13,200 characters
(slackapi/bolt-js#2509).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent, judge_message
from tripswitch.actions.notify.news import Verb
from tripswitch.actions.notify.wording import message_of
from tripswitch.errors import ConfigError
from tripswitch.model.plain_text import cut, plain_line

if TYPE_CHECKING:
    from tripswitch.actions.exchange import Exchange
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.actions.notify.wording import Message
    from tripswitch.config.message_sections import SlackNotifier

_MOST_HEADER: Final = 150
_MOST_SECTION: Final = 2900
_MOST_TEXT: Final = 11_000
_MOST_FALLBACK: Final = 500
_MOST_URL: Final = 3000

# The same bytes will never be taken; whatever else Slack says may pass, or a person can mend it.
_REFUSED_FOR_GOOD: Final = frozenset(
    {"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format", "no_text"}
)
# The first message is gone or too old to edit; the thread goes on.
_NOT_EDITABLE: Final = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"}
)
_LOST_THREAD: Final = frozenset(
    {"thread_not_found", "message_not_found", "cannot_reply_to_message"}
)


class SlackNotify:
    """`Notifier` over a Slack bot. Raises `ConfigError` for an unusable URL."""

    pace_s = 1.0
    """Slack takes about one message a second and channel."""

    def __init__(self, notifier: SlackNotifier, means: Means) -> None:
        self._base = notifier.url.rstrip("/")
        checked_url(self._base, f"notify[{notifier.name}].url")
        self._token = notifier.token.get_secret_value()
        self._channel = notifier.channel
        self._timeout_s = notifier.timeout
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Post the first message of a thread, or edit it and reply."""
        news, remote = letter.news, dict(letter.remote)
        message = message_of(news)
        if "ts" not in remote:
            attempt, answer = await self._call("chat.postMessage", self._root(news, message))
            if attempt.state is not AttemptState.DONE:
                return Sent(attempt)
            remote = {"channel": str(answer.get("channel")), "ts": str(answer.get("ts"))}
        else:
            attempt = await self._follow_up(news, message, remote)
            if attempt.state is not AttemptState.DONE:
                return Sent(attempt, remote)
        return Sent(await self._with_chart(news, remote, attempt), remote)

    async def _follow_up(self, news: News, message: Message, remote: dict[str, str]) -> Attempt:
        """Edit the first message, which may be done twice, and then reply, which may not."""
        root = self._root(news, message) | {"channel": remote["channel"], "ts": remote["ts"]}
        root.pop("metadata", None)
        attempt, answer = await self._call("chat.update", root)
        if attempt.state is not AttemptState.DONE and answer.get("error") not in _NOT_EDITABLE:
            return attempt
        lines = [news.detail or message.title, *news.earlier]
        reply = {
            "channel": remote["channel"],
            "thread_ts": remote["ts"],
            "reply_broadcast": news.event == "incident.escalated",
            **_text(f"{message.title} — {lines[0]}"),
            "blocks": [*_sections(lines), *_buttons(message, only_approval=True)],
        }
        attempt, answer = await self._call("chat.postMessage", reply)
        if answer.get("error") in _LOST_THREAD:
            # Somebody deleted it: the episode goes on in a new one.
            remote.clear()
            return replace(attempt, state=AttemptState.RETRY)
        return attempt

    def _root(self, news: News, message: Message) -> dict[str, Any]:
        lines = [f"{label}: {text}" for label, text in message.facts] + list(message.listed)
        header = {"type": "header", "text": _plain(cut(message.title, _MOST_HEADER))}
        return {
            "channel": self._channel,
            **_text(message.title),
            "blocks": [header, *_sections(lines), *_buttons(message)],
            "metadata": {
                "event_type": "tripswitch_incident",
                "event_payload": {"dedup_key": news.thread, "key": news.key},
            },
        }

    async def _with_chart(self, news: News, remote: dict[str, str], attempt: Attempt) -> Attempt:
        """Put the chart into the thread, once; the message counts as sent whatever comes of it."""
        incident = news.line("id", most_chars=200)
        name = "end" if news.verb is Verb.RESOLVE else "start"
        if not incident or f"chart_{name}" in remote:
            return attempt
        chart = self._means.chart_of(incident)
        if chart is None:
            return attempt
        failed = await self._upload(chart, f"{incident}.png", f"Drift of {incident}", remote)
        if failed:
            return replace(attempt, detail=f"{attempt.detail}; its chart was not: {failed}")
        remote[f"chart_{name}"] = "sent"
        return attempt

    async def _upload(self, chart: bytes, filename: str, title: str, remote: dict[str, str]) -> str:
        """Upload a picture into the thread; return what went wrong, empty when nothing did."""
        form = {"filename": filename, "length": str(len(chart)), "alt_txt": title}
        attempt, answer = await self._call("files.getUploadURLExternal", form, is_form=True)
        if attempt.state is not AttemptState.DONE:
            return attempt.detail
        try:
            url = checked_url(str(answer.get("upload_url")), "upload_url")
        except ConfigError:
            return "no usable upload_url"
        if url.scheme != "https" and self._base.startswith("https"):
            return "the upload_url is not https"
        put = await exchange(
            self._means.client,
            "POST",
            url,
            headers={"content-type": "application/octet-stream"},
            body=chart,
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        if judge_message(put).state is not AttemptState.DONE:
            return judge_message(put).detail
        done = {
            "files": [{"id": str(answer.get("file_id")), "title": title}],
            "channel_id": remote["channel"],
            "thread_ts": remote["ts"],
        }
        attempt, _ = await self._call("files.completeUploadExternal", done)
        return "" if attempt.state is AttemptState.DONE else attempt.detail

    async def _call(
        self, method: str, arguments: dict[str, Any], *, is_form: bool = False
    ) -> tuple[Attempt, dict[str, Any]]:
        kind, body = "application/json; charset=utf-8", json.dumps(arguments).encode()
        if is_form:
            kind, body = "application/x-www-form-urlencoded", urlencode(arguments).encode()
        found = await exchange(
            self._means.client,
            "POST",
            checked_url(f"{self._base}/{method}", "url"),
            headers={"content-type": kind, "authorization": f"Bearer {self._token}"},
            body=body,
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        return _judged(found)


def escaped(text: str) -> str:
    """Return ``text`` for where Slack parses: neither links, mentions nor commands come of it.

    >>> escaped("<!channel> & <http://x|y>")
    '&lt;!channel&gt; &amp; &lt;http://x|y&gt;'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _judged(found: Exchange) -> tuple[Attempt, dict[str, Any]]:
    attempt = judge_message(found)
    if attempt.state is not AttemptState.DONE:
        return attempt, {}
    try:
        answer = json.loads(found.body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        return replace(attempt, state=AttemptState.UNKNOWN, detail="no JSON was answered"), {}
    if answer.get("ok") is True:
        return attempt, answer
    error = plain_line(answer.get("error") or "no reason", 100)
    state = AttemptState.FAILED if error in _REFUSED_FOR_GOOD else AttemptState.RETRY
    return replace(attempt, state=state, detail=f"answered ok: false, {error}"), answer


def _text(title: str) -> dict[str, Any]:
    """Return the fallback text, and that nothing in it is to be made a link or unfolded."""
    return {
        "text": escaped(cut(title, _MOST_FALLBACK)),
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _sections(lines: list[str]) -> list[dict[str, Any]]:
    """Return ``lines`` as sections, and how many were left out where they do not fit."""
    sections: list[list[str]] = [[]]
    room, section_room = _MOST_TEXT, _MOST_SECTION
    for at, line in enumerate(lines):
        text = cut(line, _MOST_SECTION - 1) or " "
        if room < len(text) + 1:
            sections.append([f"… and {len(lines) - at} more"])
            break
        if section_room < len(text) + 1:
            sections.append([])
            section_room = _MOST_SECTION
        sections[-1].append(text)
        room -= len(text) + 1
        section_room -= len(text) + 1
    return [
        {"type": "section", "text": _plain("\n".join(section))} for section in sections if section
    ]


def _buttons(message: Message, *, only_approval: bool = False) -> list[dict[str, Any]]:
    """Return the links as buttons; they open a page and decide nothing."""
    elements = [
        {
            "type": "button",
            "text": _plain(label),
            "url": url,
            "action_id": f"open_{number}",
            **({"style": "primary"} if label.startswith("Approve") else {}),
        }
        for number, (label, url) in enumerate(message.links)
        if len(url) <= _MOST_URL and (not only_approval or label.startswith("Approve"))
    ]
    return [{"type": "actions", "elements": elements}] if elements else []
