"""The long tail of services, through apprise: a message each time, no thread, no remote id.

Pagers among them are told which message belongs to which: PagerDuty and Opsgenie URLs get the dedup
key of the episode as a parameter, because apprise would otherwise take a hash of the text, which
changes with every number in it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.notify.contract import Sent
from tripswitch.actions.notify.jsm import alias_of
from tripswitch.actions.notify.wording import message_of
from tripswitch.errors import ConfigError

if TYPE_CHECKING:
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.config.message_sections import AppriseNotifier

_MOST_BODY: Final = 8000
# The parameter that carries an episode's key, of the services that have one.
_KEY_PARAMETERS: Final = {"pagerduty": "dedup", "opsgenie": "alias"}


class AppriseNotify:
    """`Notifier` over apprise. Raises `ConfigError` without the package or for a bad URL."""

    def __init__(self, notifier: AppriseNotifier, means: Means) -> None:  # noqa: ARG002 - as others
        place = f"notify[{notifier.name}]"
        try:
            import apprise
        except ImportError as error:
            raise ConfigError(
                f"{place}: the package apprise is not installed",
                hint="pip install 'tripswitch[apprise]'",
            ) from error
        self._apprise: Any = apprise
        self._url = notifier.url.get_secret_value()
        self._timeout_s = notifier.timeout
        if not apprise.Apprise().add(self._url):
            raise ConfigError(
                f"{place}.url: expected a URL that apprise knows, got one that it does not",
                hint="try it with: apprise --dry-run URL",
            )

    async def send(self, letter: Letter) -> Sent:
        """Send the message; apprise says whether it worked and nothing else."""
        news = letter.news
        message = message_of(news)
        sender = self._apprise.Apprise()
        sender.add(self._url_for(news))
        sending = asyncio.to_thread(
            sender.notify,
            title=message.title,
            body=message.text(_MOST_BODY),
            notify_type=self._type(news),
            body_format="text",
            interpret_escapes=False,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                is_taken = await sending
        except TimeoutError:
            detail = f"no answer within {self._timeout_s:g} s"
            return Sent(Attempt(AttemptState.UNKNOWN, detail))
        if is_taken:
            return Sent(Attempt(AttemptState.DONE, "apprise says that it was taken"))
        return Sent(Attempt(AttemptState.RETRY, "apprise says that it was not taken"))

    def _url_for(self, news: News) -> str:
        parameter = _KEY_PARAMETERS.get(self._url.partition("://")[0].lower())
        if parameter is None or not news.thread:
            return self._url
        mark = "&" if "?" in self._url else "?"
        return f"{self._url}{mark}action=map&{parameter}={quote(alias_of(news.thread))}"

    def _type(self, news: News) -> Any:
        kinds = self._apprise.NotifyType
        if news.verb == "resolve" or news.incident.get("state") in ("recovered", "resolved"):
            return kinds.SUCCESS
        return kinds.FAILURE if news.is_page else kinds.WARNING
