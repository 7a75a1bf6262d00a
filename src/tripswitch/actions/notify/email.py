"""E-mail by SMTP: one conversation an incident, as text and as HTML.

Message-IDs are made from keys, so that a mail sent twice is one mail, and every mail of an episode
refers to its first. What spans said stands in the body, escaped, and in the subject, where the
policy of Python's library lets no line break pass.

Sources: RFC 5322 section 3.6.4 (Message-ID, In-Reply-To, References), RFC 3834 (Auto-Submitted),
RFC 5321 section 4.2.1 (4yz may be sent again, 5yz not).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import smtplib
import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING, Final

from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.notify.contract import Sent
from tripswitch.actions.notify.news import Verb
from tripswitch.actions.notify.wording import message_of
from tripswitch.errors import ConfigError
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.plain_text import cut, plain_line

if TYPE_CHECKING:
    from tripswitch.actions.notify.contract import Letter
    from tripswitch.actions.notify.news import News
    from tripswitch.actions.notify.opening import Means
    from tripswitch.actions.notify.wording import Message
    from tripswitch.config.message_sections import EmailNotifier

_MOST_SUBJECT: Final = 150
_MOST_BODY: Final = 20_000
_ADDRESS: Final = re.compile(r"[^@\s<>,;:\"()\[\]\\]+@([A-Za-z0-9.-]+)")


class EmailNotify:
    """`Notifier` over SMTP. Raises `ConfigError` for an unusable address or CA file."""

    def __init__(self, notifier: EmailNotifier, means: Means) -> None:
        place = f"notify[{notifier.name}]"
        for field, addresses in (("sender", [notifier.sender]), ("to", notifier.to)):
            for address in addresses:
                if not _ADDRESS.fullmatch(address):
                    raise ConfigError(
                        f"{place}.{field}: expected an address such as oncall@example.com",
                        hint="write the address alone, without a name",
                    )
        if not notifier.to:
            raise ConfigError(f"{place}.to: expected at least one address, got none")
        self._notifier = notifier
        self._domain = notifier.sender.rpartition("@")[2]
        self._tls = None if notifier.security == "none" else _context(notifier, place)
        self._means = means

    async def send(self, letter: Letter) -> Sent:
        """Send one mail; a thread does it, since the library blocks."""
        root = letter.remote.get("root", "")
        mail = self._mail(letter.news, root)
        conversation = _Conversation(self._notifier, self._tls)
        try:
            attempt = await asyncio.to_thread(conversation.deliver, mail)
        except asyncio.CancelledError:
            conversation.cut_off()
            raise
        if attempt.state is not AttemptState.DONE:
            return Sent(attempt)
        return Sent(attempt, {"root": root or str(mail["Message-ID"])})

    def _mail(self, news: News, root: str) -> EmailMessage:
        message = message_of(news)
        mail = EmailMessage(policy=SMTP)
        mail["From"] = self._notifier.sender
        mail["To"] = ", ".join(self._notifier.to)
        mail["Subject"] = cut(message.title, _MOST_SUBJECT)
        mail["Date"] = format_datetime(_moment(self._means.now_ns()))
        mail["Auto-Submitted"] = "auto-generated"
        if root:
            mail["Message-ID"] = self._id(news.key)
            mail["In-Reply-To"] = root
            mail["References"] = root
        else:
            mail["Message-ID"] = self._id(news.thread or news.key)
        mail.set_content(message.text(_MOST_BODY))
        mail.add_alternative(html_of(message), subtype="html")
        chart = self._chart(news)
        if chart is not None:
            mail.add_attachment(chart, maintype="image", subtype="png", filename="drift.png")
        return mail

    def _chart(self, news: News) -> bytes | None:
        incident = news.line("id", most_chars=200)
        if not incident or news.verb not in (Verb.TRIGGER, Verb.RESOLVE):
            return None
        return self._means.chart_of(incident)

    def _id(self, key: str) -> str:
        digest = hashlib.sha256(f"{self._means.instance}\n{key}".encode("utf-8", "replace"))
        return f"<{digest.hexdigest()[:32]}@{self._domain}>"


class _Conversation:
    """One delivery. `deliver` runs in a thread, `cut_off` may be called from another."""

    def __init__(self, notifier: EmailNotifier, tls: ssl.SSLContext | None) -> None:
        self._notifier = notifier
        self._tls = tls
        self._server: smtplib.SMTP | None = None

    def deliver(self, mail: EmailMessage) -> Attempt:
        """Deliver ``mail``; return what came of it."""
        is_sent = False
        try:
            server = self._connected()
            is_sent = True
            refused = server.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            detail = f"answered {error.smtp_code} to the login: is it still right?"
            return Attempt(AttemptState.RETRY, detail)
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            return _by_code(max(codes), "for every recipient")
        except smtplib.SMTPResponseException as error:
            return _by_code(error.smtp_code, plain_line(repr(error.smtp_error), 200))
        except (smtplib.SMTPException, OSError) as error:
            state = AttemptState.UNKNOWN if is_sent else AttemptState.RETRY
            return Attempt(state, plain_line(f"{type(error).__name__}: {error}", 300))
        finally:
            self.cut_off()
        if refused:
            return Attempt(AttemptState.DONE, f"taken, but refused for {len(refused)} recipients")
        return Attempt(AttemptState.DONE, "taken by the mail server")

    def cut_off(self) -> None:
        """Hang up, whatever is going on."""
        if self._server is not None:
            self._server.close()

    def _connected(self) -> smtplib.SMTP:
        notifier = self._notifier
        if notifier.security == "tls":
            self._server = smtplib.SMTP_SSL(
                notifier.host, notifier.port, timeout=notifier.timeout, context=self._tls
            )
        else:
            self._server = smtplib.SMTP(notifier.host, notifier.port, timeout=notifier.timeout)
        if notifier.security == "starttls":
            self._server.starttls(context=self._tls)
        if notifier.username:
            self._server.login(notifier.username, notifier.password.get_secret_value())
        return self._server


def html_of(message: Message) -> str:
    """Return the HTML of a mail: a title, a table of facts, links, a list. Nothing is loaded."""
    rows = "".join(
        f'<tr><th align="left" valign="top">{escape(label)}</th><td>{escape(text)}</td></tr>'
        for label, text in message.facts
    )
    links = "".join(
        f'<p><a href="{escape(url)}">{escape(label)}</a></p>' for label, url in message.links
    )
    listed = "".join(f"<li>{escape(line)}</li>" for line in message.listed)
    return (
        f"<html><body><h2>{escape(message.title)}</h2><table cellpadding=4>{rows}</table>{links}"
        f"{f'<ul>{listed}</ul>' if listed else ''}</body></html>"
    )


def _by_code(code: int, detail: str) -> Attempt:
    state = AttemptState.RETRY if 400 <= code < 500 else AttemptState.FAILED
    return Attempt(state, f"answered {code} {detail}")


def _context(notifier: EmailNotifier, place: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=notifier.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{place}.ca_file: cannot be read: {error}") from error


def _moment(now_ns: int) -> datetime:
    return datetime.fromtimestamp(now_ns // NS_PER_S, tz=UTC)
