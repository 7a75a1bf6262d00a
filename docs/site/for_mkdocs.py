"""MkDocs hook: makes of the pages, which are written for a code host, what MkDocs understands.

What they link to outside of docs/ comes along, under repository/.

A page says ``../config/prices.yaml`` because that is where the file is for a reader of the
repository. On the site it is ``repository/config/prices.yaml``: Markdown as a page, the rest as it
is. A folder has no page of its own, so a link to one becomes its name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Callable

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
ALWAYS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")

LINK = re.compile(r"(?P<before>\[(?P<words>[^\]]*)\]\()(?P<path>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
ROW = re.compile(r"^\|.*$", re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
IN_PLACE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files that some page links to."""
    waiting = [DOCS / file.src_uri for file in files.documentation_pages()]
    waiting += [ROOT / name for name in ALWAYS]
    seen: set[Path] = set()
    while waiting:
        source = waiting.pop()
        if source in seen:
            continue
        seen.add(source)
        if not source.is_relative_to(DOCS):
            files.append(File.generated(config, _place(source), content=source.read_text("utf-8")))
        if source.suffix == ".md":
            waiting += [target for target in _targets(source) if _is_outside(target)]
    for path in DOCS.rglob("*.html"):
        if not path.is_relative_to(DOCS / "site"):
            files.append(File.generated(config, _place(path), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point every link of a page at where its target is on the site."""
    del config, files
    uri = PurePosixPath(page.file.src_uri)
    inside = uri.parts[0] == "repository"
    source = ROOT.joinpath(*uri.parts[1:]) if inside else DOCS.joinpath(*uri.parts)

    def pointed(match: re.Match[str]) -> str:
        if "://" in match["path"] or match["path"].startswith("mailto:"):
            return match[0]
        target = Path(os.path.normpath(source.parent / match["path"]))
        if target.is_dir():
            return f"`{target.relative_to(ROOT)}`"
        if not (inside or _is_outside(target) or target.suffix == ".html"):
            return match[0]
        place = os.path.relpath(_place(target), uri.parent)
        return f"{match['before']}{place}{match['anchor'] or ''})"

    return _outside_fences(markdown, lambda text: _rows_of(LINK.sub(pointed, text)))


def _rows_of(text: str) -> str:
    """Return ``text`` with no ``|`` escaped in a table's code, where it parts no cells here."""
    return ROW.sub(lambda row: CODE.sub(lambda code: code[0].replace(r"\|", "|"), row[0]), text)


def _place(path: Path) -> str:
    """Return where a file is among the sources of the site.

    HTML is not to lie where the page of Markdown of the same name comes to lie.
    """
    if path.suffix == ".html":
        path = path.with_suffix(".alone.html")
    if path.is_relative_to(DOCS):
        return path.relative_to(DOCS).as_posix()
    return f"repository/{path.relative_to(ROOT).as_posix()}"


def _is_outside(path: Path) -> bool:
    return path.is_file() and path.is_relative_to(ROOT) and not path.is_relative_to(DOCS)


def _targets(page: Path) -> list[Path]:
    text = IN_PLACE.sub("", page.read_text("utf-8"))
    return [Path(os.path.normpath(page.parent / match["path"])) for match in LINK.finditer(text)]


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    parts, at = [], 0
    for fence in IN_PLACE.finditer(markdown):
        parts += [change(markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(markdown[at:])])
