"""E-mail against a real SMTP server (aiosmtpd): one conversation an incident, escaped, over TLS."""

from __future__ import annotations

import re
import socket
import ssl
from contextlib import contextmanager
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from tests.actions.notify.desk import desk
from tests.store.samples import incident
from tripswitch.actions.notify.email import html_of
from tripswitch.actions.notify.wording import Message
from tripswitch.errors import ConfigError
from tripswitch.model.incident import IncidentState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage
    from pathlib import Path


class Mailbox:
    """What a mail server was given; ``answer`` is what it says to the next ones."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answers: list[str] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answers and not self.answers[0].startswith("2"):
            return self.answers.pop(0)
        mail: Any = message_from_bytes(envelope.content, policy=default)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


@contextmanager
def serving(**options: Any) -> Iterator[tuple[Mailbox, int]]:
    """Run an SMTP server on a free port of the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def section(port: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "email",
        "host": "localhost",
        "port": port,
        "security": "none",
        "sender": "tripswitch@example.com",
        "to": ["a@example.com", "b@example.com"],
        **fields,
    }


def test_an_episode_is_one_conversation(tmp_path: Path) -> None:
    with serving() as (box, port):
        sections: dict[str, Any] = {"notify": [section(port)]}
        sections["telemetry"] = {
            "api": {"endpoint": "127.0.0.1:8317", "public_url": "https://tripswitch.example.com"}
        }
        with desk(tmp_path, **sections) as opened:
            opened.charts["inc-1"] = b"\x89PNG"
            opened.tell("incident.opened", "rollback.acknowledged")
            opened.tell("incident.resolved", state=IncidentState.RESOLVED)
            opened.deliver()
            assert set(opened.states().values()) == {"done"}
    first, second, third = box.mails
    assert first["Subject"].startswith("PAGE: eval drift on /chat/refund refund-bot v18")
    assert third["Subject"].startswith("RESOLVED: ")
    root = first["Message-ID"]
    assert (first["In-Reply-To"], first["Auto-Submitted"]) == (None, "auto-generated")
    for reply in (second, third):
        assert (reply["In-Reply-To"], reply["References"]) == (root, root)
    assert len({mail["Message-ID"] for mail in box.mails}) == 3
    assert box.recipients[0] == ["a@example.com", "b@example.com"]
    text = first.get_body(("plain",))
    assert text is not None
    assert "Why: faithfulness fell 9 points against the control" in text.get_content()
    assert "https://tripswitch.example.com/incidents/inc-1" in text.get_content()
    pictures = [part.get_filename() for part in first.iter_attachments()]
    assert pictures == ["drift.png"]
    assert not list(second.iter_attachments())


def test_a_mail_that_is_sent_twice_is_one_mail(tmp_path: Path) -> None:
    with serving() as (box, port), desk(tmp_path, notify=[section(port)]) as opened:
        box.answers = ["451 try later"]
        opened.tell("incident.opened")
        opened.deliver()
        assert list(opened.states().values()) == ["pending"]
        opened.pass_s(6)
        opened.deliver()
        with opened.ledger._database.write() as connection:
            connection.execute("UPDATE outbox SET state = 'pending', due_ns = 0")
            connection.execute("DELETE FROM threads")
        opened.deliver()
        assert len(box.mails) == 2
        assert len({mail["Message-ID"] for mail in box.mails}) == 1


@pytest.mark.parametrize(("answer", "wanted"), [("451 later", "pending"), ("554 no", "failed")])
def test_what_may_pass_is_sent_again_and_what_not_is_given_up(
    tmp_path: Path, answer: str, wanted: str
) -> None:
    with serving() as (box, port), desk(tmp_path, notify=[section(port)]) as opened:
        box.answers = [answer]
        opened.tell("incident.opened")
        opened.deliver()
        assert list(opened.states().values()) == [wanted]


def test_a_server_that_is_not_there_is_tried_again(tmp_path: Path) -> None:
    with serving() as (_, port):
        pass
    with desk(tmp_path, notify=[section(port)]) as opened:
        opened.tell("incident.opened")
        opened.deliver()
        assert list(opened.states().values()) == ["pending"]


def test_starttls_and_login_with_a_certificate_that_is_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    logins = []

    def authenticator(_s: Any, _ss: Any, _e: Any, _m: Any, login: Any) -> AuthResult:
        logins.append((login.login, login.password))
        return AuthResult(success=login.password == b"right", handled=False)

    options: dict[str, Any] = {
        "tls_context": context,
        "require_starttls": True,
        "auth_required": True,
        "authenticator": authenticator,
    }
    with serving(**options) as (box, port):
        fields = section(port, security="starttls", ca_file=str(trusted), username="me")
        with desk(tmp_path, notify=[fields | {"password": "wrong"}]) as opened:
            opened.tell("incident.opened")
            opened.deliver()
            assert list(opened.states().values()) == ["pending"]
            assert "to the login" in opened.results()[0]
            opened.reconfigure(notify=[fields | {"password": "right"}])
            opened.pass_s(20)
            opened.deliver()
            assert len(box.mails) == 1
            assert logins[-1] == (b"me", b"right")
            opened.reconfigure(notify=[fields | {"ca_file": ""}])
            opened.tell("incident.opened", episode=2)
            opened.deliver()
            assert "CERTIFICATE_VERIFY_FAILED" in opened.results()[-1]
            assert len(box.mails) == 1


def test_hostile_text_is_neither_html_nor_a_header(tmp_path: Path) -> None:
    hostile = "x\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script><img src=//e>\x00\u202e"
    scope = incident().scope._replace(route=hostile)
    with serving() as (box, port), desk(tmp_path, notify=[section(port)]) as opened:
        opened.tell("incident.opened", scope=scope, why=hostile, tenants=((hostile, 1),))
        opened.deliver()
    (mail,) = box.mails
    assert mail["Bcc"] is None
    assert box.recipients == [["a@example.com", "b@example.com"]]
    html = mail.get_body(("html",))
    assert html is not None
    tags = set(re.findall(r"<(\w+)", html.get_content()))
    assert tags <= {"html", "body", "h2", "table", "tr", "th", "td", "p", "a", "ul", "li"}
    assert not {"\x00", "\u202e"} & set(html.get_content())


def test_links_cannot_leave_their_attribute() -> None:
    links = (("go", 'https://x/"onclick="y'),)
    made = html_of(Message('"><b>', (('a"<', "b'>"),), links, ("<i>",)))
    assert "<b>" not in made
    assert "<i>" not in made
    assert '"onclick' not in made


@pytest.mark.parametrize(
    "fields", [{"sender": "me"}, {"to": ["a b@c"]}, {"to": []}, {"ca_file": "/nowhere.pem"}]
)
def test_an_unusable_address_is_told_at_the_start(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"notify\[email\]"):
        desk(tmp_path, notify=[section(25, security="starttls", **fields)]).__enter__()
