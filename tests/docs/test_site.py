"""What looks over the built site finds what is wrong with one; the site itself is for `.ci/run`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import ROOT, page
from tests.docs.site import main, problems

CONFIG = page("docs/site/mkdocs.yml")


def site(folder: Path, body: str) -> list[str]:
    (folder / "there.html").write_text('<h1 id="here">there</h1>', "utf-8")
    (folder / "a.js").write_text("", "utf-8")
    (folder / "index.html").write_text(f"<html><body>{body}</body></html>", "utf-8")
    return problems(folder)


@pytest.mark.parametrize(
    "body",
    [
        '<a href="there.html#here">x</a><a href="#">x</a><script src="a.js"></script>',
        '<a href="https://example.com/">x</a><a href="mailto:x@example.com">x</a>',
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
    ],
)
def test_nothing_is_wrong_with_a_whole_site(tmp_path: Path, body: str) -> None:
    assert site(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "from outside"),
        ('<img src="//cdn.example/x.png">', "from outside"),
        ('<link rel="stylesheet" href="https://fonts.example/css">', "from outside"),
        ('<link rel="preconnect" href="https://fonts.example">', "from outside"),
        ('<pre class="mermaid">graph</pre>', "from outside"),
        ('<script src="gone.js"></script>', "not there"),
        ('<a href="gone.html">x</a>', "not there"),
        ('<a href="there.html#gone">x</a>', "no such place"),
        ('<a href="#gone">x</a>', "no such place"),
    ],
)
def test_what_is_wrong_is_found(tmp_path: Path, body: str, words: str) -> None:
    (problem,) = site(tmp_path, body)
    assert problem.startswith("index.html ")
    assert problem.endswith(words) or words in problem


def test_fonts_of_another_server_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example/a.woff2) }")
    assert any("a.css" in each for each in site(tmp_path, ""))


def test_a_site_without_pages_is_none(tmp_path: Path) -> None:
    assert main(tmp_path) == 1


def test_every_page_is_in_the_navigation_once() -> None:
    # Read as text: what makes the anchors is a tag that only MkDocs follows.
    listed = re.findall(r"^\s*- (?:[^:\n]+: )?(\S+\.md)$", CONFIG, re.MULTILINE)
    docs = ROOT / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    assert sorted(name for name in listed if not name.startswith("repository/")) == sorted(there)


def test_the_site_asks_nobody_else_for_anything() -> None:
    plain = re.sub(r"!!python/\S+", "", CONFIG)
    config = yaml.safe_load(plain)
    assert config["theme"]["font"] is False
    assert "analytics" not in str(config)
    assert not re.search(r"https?://", CONFIG)
