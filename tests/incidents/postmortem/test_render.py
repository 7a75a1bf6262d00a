"""Markdown and HTML of a postmortem, parsed for real, with anything in every field."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.incidents.cases import case, document, signal
from tests.incidents.hostile import PAYLOADS, hostile
from tripswitch.drive.papers import templates_of
from tripswitch.incidents.case import Case, case_of
from tripswitch.incidents.comms import AUDIENCES, STATES, CommsSettings, drafted
from tripswitch.incidents.postmortem.document import PostmortemSettings, postmortem_of
from tripswitch.incidents.postmortem.filled_in import FilledIn
from tripswitch.incidents.postmortem.render import as_html, as_markdown

TEMPLATES = templates_of("postmortem")
COMMS = templates_of("comms")
VOID = {"meta", "br"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "strong"),
    *("section", "figure", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "a"),
    *("br", "span", "pre", "ins", "del"),
    *("svg", "desc", "rect", "text", "line", "polyline", "polygon", "circle"),
}
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Strict(HTMLParser):
    """Reads HTML that has to be well nested and made of what we use."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.counts: dict[str, int] = {}
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED, tag
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "srcset", "style", "xlink:href"), name
            if name == "href":
                assert (value or "").startswith(("https://", "http://"))
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def read_html(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def poisoned(value: Any, poison: Any) -> Any:
    """Return JSON with every text that is nobody's time or id replaced by one of ``poison``."""
    if isinstance(value, str):
        is_fixed = re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z|[0-9a-f]{32}", value)
        return value if is_fixed else poison(value)
    if isinstance(value, list):
        return [poisoned(member, poison) for member in value]
    if isinstance(value, dict):
        kept = ("state", "severity", "role", "unit", "worse", "event", "shape", "mode")
        return {
            key: member if key in kept and isinstance(member, str) else poisoned(member, poison)
            for key, member in value.items()
        }
    return value


def told() -> dict[str, Any]:
    full = document()
    full["incident"] |= {
        "triage": {
            "cause": "our_change",
            "sentence": "s",
            "traces": [
                {"trace_id": "a" * 32, "role": "bad", "facts": {"x": "y"}},
                {"trace_id": "b" * 32, "role": "contrast", "facts": {"x": "y"}},
            ],
            "recommended": {"path": "p", "why": "w"},
        },
        "acknowledged": {"by": "b", "at": "c", "note": "n"},
        "confirmations": [{"what": "w", "by": "b", "link": "javascript:alert(1)", "at": "c"}],
        "waiver": {"by": "b", "note": "w"},
    }
    return full


def both(of: Case, filled: FilledIn | None = None, prompts: Any = None) -> tuple[str, str]:
    doc = postmortem_of(of, filled or FilledIn(), PostmortemSettings(), prompts=prompts)
    return as_markdown(doc, TEMPLATES), as_html(doc, TEMPLATES)


def shape(markdown: str) -> list[str]:
    """Return the blocks and the inline markup of a document, without its texts."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in parser.parse(markdown):
        found.append(token.type)
        found += [
            child.type for child in token.children or [] if child.type not in ("text", "softbreak")
        ]
    return found


def test_html_has_the_six_sections_and_stands_alone() -> None:
    _, html = both(case())
    read = read_html(html)
    text = "".join(read.text)
    for heading in ("1. Summary", "2. Timeline", "3. Root cause", "4. Why the eval gate missed it"):
        assert heading in text
    assert "5. Action items" in text
    assert "6. Lessons" in text
    assert read.counts["svg"] == 2
    assert "script" not in read.counts
    assert "default-src 'none'" in html
    assert not re.search(r"(src|href)=", html)
    assert not re.search(r"url\(|@import", html)


def test_a_final_one_asks_for_nothing_more_to_be_filled_in() -> None:
    def made(filled: FilledIn) -> tuple[str, str]:
        doc = postmortem_of(case(), filled, PostmortemSettings(), is_final=True)
        return as_markdown(doc, TEMPLATES), as_html(doc, TEMPLATES)

    for text in made(FilledIn()):
        assert "Final. Written by tripswitch" in text
        for left in ("to be filled in", "To be confirmed", "--prompt-before"):
            assert left not in text
    answered = FilledIn.model_validate({"gate": {"judge": "compared in May, 93 % the same"}})
    for text in made(answered):
        assert "compared in May, 93 % the same" in text
        assert text.count("to be answered") == 3


def test_ids_are_unique_on_the_page() -> None:
    _, html = both(case())
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    for names in re.findall(r'aria-labelledby="([^"]+)"', html):
        assert set(names.split()) <= set(ids)


def test_markdown_has_its_tables_whole() -> None:
    markdown, _ = both(case())
    kinds = shape(markdown)
    assert kinds.count("table_open") == 4
    assert kinds.count("image") == 2
    assert "html_block" not in kinds
    assert "html_inline" not in kinds
    assert kinds.count("heading_open") == 1 + 6 + 4
    assert "\n\n\n\n" not in markdown


def test_the_same_case_gives_the_same_bytes() -> None:
    assert both(case()) == both(case())


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.booleans())
def test_nothing_in_any_field_changes_what_the_documents_are_made_of(
    data: st.DataObject, everywhere: bool
) -> None:
    choice = data.draw(hostile)
    poison = (lambda _text: choice) if everywhere else (lambda text: text + choice)
    of = case_of(poisoned(told(), poison))
    filled = FilledIn(
        summary=choice, customer_impact=choice, root_cause=choice + "x", lessons=[choice + "x"]
    )
    plain_of = case_of(poisoned(told(), lambda _text: "x"))
    plain_filled = FilledIn(summary="x", customer_impact="x", root_cause="x", lessons=["x"])
    markdown, html = both(of, filled, prompts=(choice, choice + "\nb"))
    expected_markdown, _ = both(plain_of, plain_filled, prompts=("x", "x\nb"))
    read_html(html)
    assert not UNSEEN.search(html)
    assert not UNSEEN.search(markdown)
    assert len(html) < 400_000
    tags = {"html_block", "html_inline", "link_open", "em_open", "strong_open", "s_open"}
    found = shape(markdown)
    assert {kind: found.count(kind) for kind in tags} == {
        kind: shape(expected_markdown).count(kind) for kind in tags
    }
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ET.fromstring(svg)


@settings(max_examples=10, deadline=None)
@given(hostile)
def test_updates_stay_plain_lines(choice: str) -> None:
    of = case_of(poisoned(told(), lambda text: text + choice))
    for state in STATES:
        for audience in AUDIENCES:
            draft = drafted(of, audience, COMMS, CommsSettings(), 0, state=state)
            assert not UNSEEN.search(draft.text)
            assert len(draft.text) < 20_000
            lines = draft.text.count("\n")
            assert lines < 30


def test_each_payload_in_each_name_of_the_scope() -> None:
    for payload in PAYLOADS[::3]:
        fields = dict.fromkeys(("route", "prompt_name", "prompt_version", "cohort"), payload)
        full = document(signal(f"eval_score:{payload}"))
        full["incident"] |= {"scope": fields, "rubric": payload}
        _, html = both(case_of(full))
        read_html(html)


def test_a_link_is_one_only_where_it_leads_to_the_web() -> None:
    full = told()
    _, html = both(case_of(full))
    assert "href" not in html
    full["incident"]["confirmations"][0]["link"] = "https://example.com/fix"
    _, html = both(case_of(full))
    assert 'href="https://example.com/fix"' in html
