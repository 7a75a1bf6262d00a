"""Whatever spans say, in whatever field, comes out harmless by every way out."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import SMTP, default
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.samples import NOW_NS, incident, plan
from tripswitch.actions.dispatch import effects_of
from tripswitch.actions.notify.contract import Letter
from tripswitch.actions.notify.email import html_of
from tripswitch.actions.notify.groups import group_message, summary_of
from tripswitch.actions.notify.news import News, news_of
from tripswitch.actions.notify.opening import Means, Notifiers
from tripswitch.actions.notify.wording import message_of
from tripswitch.config.model import Config
from tripswitch.model.incident import Change, Confirmation
from tripswitch.model.messages import Event, EventName, Notify
from tripswitch.model.outbox import Effect
from tripswitch.model.scope import Scope
from tripswitch.model.threads import Thread
from tripswitch.model.triage import Cause, RankedChange, TraceFacts, Triage

NASTY = (
    "<script>alert(1)</script>",
    "<!channel> <@U1> <http://evil.example|click>",
    "\x1b[31m\x1b]0;title\x07",
    "\u202egnp.exe\u2066",
    "line\r\nBcc: evil@example.com\r\n\r\nbody",
    "**bold** [a](javascript:x) `code` | table |",
    "{{ .Labels }} ${env:SECRET} %s {0}",
    "\ud800\x00\ufeff\U000e0041",
    "x" * 20_000,
)

texts = st.one_of(st.text(max_size=80), st.sampled_from(NASTY))

CONFIG = Config.model_validate(
    {
        "telemetry": {
            "api": {"endpoint": "127.0.0.1:8317", "public_url": "https://tripswitch.example.com"}
        },
        "notify": [
            {"type": "alertmanager", "url": "http://h"},
            {"type": "pagerduty", "routing_key": "R"},
            {"type": "jsm", "api_key": "K"},
            {"type": "slack", "token": "T", "channel": "C"},
            {"type": "email", "host": "h", "sender": "a@b.c", "to": ["d@e.f"]},
            {"type": "statuspage", "api_key": "K", "page": "p"},
        ],
    }
)
NOTIFIERS: Any = Notifiers(CONFIG, Means(httpx.AsyncClient(), "here", lambda: NOW_NS))


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Return an event whose every text is hostile."""
    one = texts
    scope = Scope(*[draw(one) for _ in range(6)])
    change = Change(draw(one), NOW_NS, scope, draw(one), draw(one))
    word = Confirmation(draw(one), draw(one), NOW_NS, draw(one), draw(one))
    triage = Triage(
        is_real=draw(one),
        cause=Cause.UNKNOWN,
        cause_why=draw(one),
        changes=(RankedChange(change, 0.5, draw(one)),),
        traces=(TraceFacts(draw(one), "bad", ((draw(one), draw(one)),)),),
        path=draw(one),
        advice=draw(one),
        duties=(draw(one),),
    )
    hostile = incident(
        id=draw(one),
        signal=draw(one),
        rubric=draw(one),
        scope=scope,
        why=draw(one),
        signals=(draw(one),),
        exemplars=(draw(one),) * 3,
        changes=(change,) * 3,
        tenants=((draw(one), 1),) * 3,
        rollback=plan(
            target=draw(one), from_version=draw(one), to_version=draw(one), reason=draw(one)
        ),
        acknowledged=word,
        confirmations=(word,),
        triage=triage,
        opened_by=draw(one),
    )
    name = draw(st.sampled_from(list(EventName)))
    return Event(name, NOW_NS, hostile, detail=draw(one))


def effect_of(told: Event) -> Effect:
    return effects_of([Notify("n", told)], CONFIG, NOW_NS)[0]


def news(told: Event, *, is_first: bool = True) -> News:
    return news_of(effect_of(told), is_first=is_first)


def leaves(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, names of members too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from leaves(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from leaves(member)


def assert_plain(sent: Any, most_bytes: int) -> None:
    """Assert that nothing in ``sent`` acts on who shows it, and that it is small."""
    assert len(json.dumps(sent).encode()) <= most_bytes
    for text in leaves(sent):
        for char in text:
            assert char == "\n" or unicodedata.category(char)[0] != "C", ascii(text[:80])


@settings(max_examples=30, deadline=None)
@given(events())
def test_every_medium_gets_plain_and_bounded_text(told: Event) -> None:
    for is_first in (True, False):
        one = news(told, is_first=is_first)
        alert = NOTIFIERS.configured("alertmanager")._alert(one, None)
        assert_plain(alert, 30_000)
        assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in alert["labels"])
        pager = NOTIFIERS.configured("pagerduty")
        assert_plain(pager._event(one), 60_000)
        assert_plain(pager._change(one), 60_000)
        assert len(pager._payload(one)["summary"]) <= 1024
        assert_plain(NOTIFIERS.configured("jsm")._alert(one), 60_000)
        assert_plain(NOTIFIERS.configured("statuspage")._template(one), 60_000)
        assert_plain(message_of(one).text(8000), 60_000)


@settings(max_examples=20, deadline=None)
@given(events())
def test_slack_parses_nothing_of_it(told: Event) -> None:
    one = news(told)
    slack = NOTIFIERS.configured("slack")
    root = slack._root(one, message_of(one))
    assert_plain(root, 120_000)
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", root["text"])
    shown = [block["text"] for block in root["blocks"] if "text" in block]
    assert {text["type"] for text in shown} == {"plain_text"}
    assert all(len(text["text"]) <= 3000 for text in shown)
    assert sum(len(text["text"]) for text in shown) <= 12_500
    assert len(root["blocks"]) <= 50


@settings(max_examples=20, deadline=None)
@given(events())
def test_mail_has_no_header_and_no_tag_that_a_span_wrote(told: Event) -> None:
    one = news(told)
    mail = NOTIFIERS.configured("email")._mail(one, "")
    read = message_from_bytes(mail.as_bytes(policy=SMTP), policy=default)
    wanted = {"from", "to", "subject", "date", "auto-submitted", "message-id", "mime-version"}
    assert {name.lower() for name in read} == wanted | {"content-type"}
    html = html_of(message_of(one))
    tags = set(re.findall(r"<\s*/?\s*([a-zA-Z!][a-zA-Z0-9]*)", html))
    assert tags <= {"html", "body", "h2", "table", "tr", "th", "td", "p", "a", "ul", "li"}
    assert_plain(html, 200_000)


@settings(max_examples=20, deadline=None)
@given(st.lists(events(), min_size=1, max_size=3))
def test_a_group_is_as_harmless(told: list[Event]) -> None:
    effects = [effect_of(one) for one in told]
    members = [
        Thread("chat", f"k{at}", 1, 1, group="g", summary=summary_of(each))
        for at, each in enumerate(effects)
    ]
    effect = group_message(Thread("chat", "g", 1, 0), members, NOW_NS, NOW_NS, NOW_NS)
    assert_plain(json.loads(effect.body), 20_000)
    one = news_of(effect, is_first=True)
    assert_plain(NOTIFIERS.configured("alertmanager")._alert(one, None), 30_000)
    assert_plain(NOTIFIERS.configured("pagerduty")._event(one), 200_000)
    slack = NOTIFIERS.configured("slack")
    assert_plain(slack._root(one, message_of(one)), 120_000)


def test_a_megabyte_in_every_field_is_cut_everywhere() -> None:
    big = "<" * 1_000_000
    hostile = incident(id=big, why=big, scope=Scope(*[big] * 6), tenants=((big, 1),) * 5)
    one = news(Event(EventName.INCIDENT_OPENED, NOW_NS, hostile, detail=big))
    assert_plain(NOTIFIERS.configured("pagerduty")._event(one), 60_000)
    assert_plain(NOTIFIERS.configured("alertmanager")._alert(one, None), 30_000)
    slack = NOTIFIERS.configured("slack")
    assert_plain(slack._root(one, message_of(one)), 120_000)
    assert len(html_of(message_of(one))) < 200_000


@settings(max_examples=20, deadline=None)
@given(events())
def test_a_webhook_is_ascii_json_of_its_size(told: Event) -> None:
    effect = effect_of(told)
    assert effect.body.isascii()
    assert effect.body.isprintable()
    assert json.loads(effect.body)["event"] == told.name.value
    assert Letter(effect, news(told)).news.thread == effect.thread
