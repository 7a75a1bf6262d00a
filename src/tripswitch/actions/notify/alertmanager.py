"""Alerts at a Prometheus Alertmanager, API v2.

An alert is its complete set of labels, so what a thread was opened with is kept and sent again to
the letter. Alertmanager keeps alerts in memory and lets them go at ``endsAt``: open ones are posted
again each minute, as Prometheus does, with an ``endsAt`` hours ahead, so that neither its restart
loses an alert nor ours ends one.

Source: Alertmanager 0.25 and its api/v2/openapi.yaml; label names with anything but letters, digits
and underscores, empty sets and empty values are refused or dropped there.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.endpoint import checked_url
from tripswitch.actions.exchange import exchange
from tripswitch.actions.notify.contract import Sent, judge_message
from tripswitch.actions.notify.news import Verb
from tripswitch.actions.notify.wording import message_of
from tripswitch.model.clocktext import NS_PER_S, rfc3339
from tripswitch.model.plain_text import plain_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.pager_sections import AlertmanagerNotifier
    from tripswitch.model.threads import Thread

_RENEW_EVERY_S: Final = 60.0
_MOST_LABEL_CHARS: Final = 200
_MOST_DESCRIPTION: Final = 4000
_NOT_IN_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_SCOPE_LABELS: Final = {
    "route": "route",
    "prompt_name": "prompt_name",
    "prompt_version": "prompt_version",
    "cohort": "cohort",
    "request_model": "gen_ai_request_model",
    "provider": "gen_ai_provider_name",
}


class AlertmanagerNotify:
    """`Notifier` and `Keeper` over Alertmanager. Raises `ConfigError` for an unusable URL."""

    def __init__(self, notifier: AlertmanagerNotifier, means: Means) -> None:
        base = notifier.url.rstrip("/")
        self._url = checked_url(f"{base}/api/v2/alerts", f"notify[{notifier.name}].url")
        self._authorization = notifier.authorization.get_secret_value()
        self._labels = {label_name(name): text for name, text in notifier.labels.items()}
        self._timeout_s = notifier.timeout
        self._hold_ns = int(notifier.hold * NS_PER_S)
        self._heartbeat_s = notifier.heartbeat
        self._means = means

    @property
    def keep_every_s(self) -> float:
        """Return how often open alerts are renewed and the heartbeat is given."""
        return min(_RENEW_EVERY_S, self._heartbeat_s or _RENEW_EVERY_S)

    async def send(self, letter: Letter) -> Sent:
        """Post the alert of a thread: firing, changed or ended."""
        now_ns = self._means.now_ns()
        news = letter.news
        before = json.loads(letter.remote["alert"]) if "alert" in letter.remote else None
        alert = self._alert(news, before)
        alerts = []
        if before is not None and before["labels"] != alert["labels"]:
            # A severity that rose makes it another alert: the one before it ends here.
            alerts.append({**before, "endsAt": rfc3339(now_ns)})
        ends_ns = now_ns if news.verb is Verb.RESOLVE else now_ns + self._hold_ns
        alerts.append({**alert, "endsAt": rfc3339(ends_ns)})
        attempt = await self._post(alerts)
        if attempt.state is not AttemptState.DONE:
            return Sent(attempt)
        return Sent(attempt, {"alert": json.dumps(alert)})

    async def keep(self, threads: Sequence[Thread]) -> Attempt:
        """Renew the alerts of ``threads``, and give the heartbeat where one is wanted."""
        now_ns = self._means.now_ns()
        ends = rfc3339(now_ns + self._hold_ns)
        alerts = [
            {**json.loads(thread.remote["alert"]), "endsAt": ends}
            for thread in threads
            if "alert" in thread.remote
        ]
        if self._heartbeat_s:
            gone_ns = now_ns + int(3 * self.keep_every_s * NS_PER_S)
            alerts.append({**self._heartbeat(), "endsAt": rfc3339(gone_ns)})
        if not alerts:
            return Attempt(AttemptState.DONE, "nothing is open")
        return await self._post(alerts)

    def _heartbeat(self) -> dict[str, Any]:
        return {
            "labels": {
                **self._labels,
                "alertname": "TripswitchHeartbeat",
                "instance": self._means.instance,
                "severity": "none",
            },
            "annotations": {
                "summary": "tripswitch is alive: page when this alert is gone, not while it fires"
            },
        }

    def _alert(self, news: News, before: Mapping[str, Any] | None) -> dict[str, Any]:
        message = message_of(news)
        if before is None:
            labels = self._labels_of(news)
            starts = plain_line(news.incident.get("onset") or rfc3339(news.occurred_ns), 40)
        else:
            # What a reload changes must not make another alert of it.
            labels = {**before["labels"], "severity": _severity(news)}
            starts = before["startsAt"]
        alert: dict[str, Any] = {
            "labels": labels,
            "annotations": {
                "summary": message.title,
                "description": message.text(_MOST_DESCRIPTION),
            },
            "startsAt": starts,
        }
        if "incident" in news.links:
            alert["generatorURL"] = news.links["incident"]
        return alert

    def _labels_of(self, news: News) -> dict[str, str]:
        shape = news.line("shape", most_chars=40) or news.event.partition(".")[0]
        labels = {
            **self._labels,
            "alertname": "Tripswitch" + shape.title().replace("_", "").replace(" ", ""),
            "severity": _severity(news),
            "tripswitch_episode": news.thread,
            "instance": self._means.instance,
        }
        if news.incident:
            labels["shape"] = shape
            labels["signal"] = news.line("signal", most_chars=_MOST_LABEL_CHARS)
            labels["security"] = "true" if news.incident.get("security") else "false"
            for field, label in _SCOPE_LABELS.items():
                labels[label] = news.line("scope", field, most_chars=_MOST_LABEL_CHARS)
        return {name: text for name, text in labels.items() if text}

    async def _post(self, alerts: Sequence[Mapping[str, Any]]) -> Attempt:
        headers = {"content-type": "application/json"}
        if self._authorization:
            headers["authorization"] = self._authorization
        answer = await exchange(
            self._means.client,
            "POST",
            self._url,
            headers=headers,
            body=json.dumps(alerts).encode(),
            timeout_s=self._timeout_s,
            now_ns=self._means.now_ns(),
        )
        return judge_message(answer)


def label_name(text: str) -> str:
    """Return ``text`` as a label name that every Alertmanager takes.

    >>> label_name("gen_ai.request.model")
    'gen_ai_request_model'
    """
    name = _NOT_IN_A_NAME.sub("_", text)
    return name if name and not name[0].isdigit() else f"_{name}"


def _severity(news: News) -> str:
    return "page" if news.is_page else "investigate"
