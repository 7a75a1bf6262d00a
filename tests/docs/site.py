"""Looks over the built site: ``python -m tests.docs.site FOLDER``.

Every file that a page loads comes with the site, nothing from another server; every link to a page
or an anchor of the site finds it. Prints what is wrong and ends with 1 where something is.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_LOADS = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "use": "href",
    "image": "href",
}
_OUTSIDE = re.compile(r"url\(\s*[\"']?((?:https?:)?//[^)\"']*)")
_LOADING_RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "manifest"}


class Page(HTMLParser):
    """What a page loads and links to, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of one element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if "mermaid" in given.get("class", "").split():
            # The theme would fetch what draws it.
            self.loads.append("https://mermaid")
        if tag == "link":
            if _LOADING_RELATIONS & set(given.get("rel", "").split()):
                self.loads.append(given.get("href", ""))
        elif tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif (name := _LOADS.get(tag)) and given.get(name):
            self.loads.append(given[name])

    handle_startendtag = handle_starttag


@cache
def _page(path: Path) -> Page:
    return Page(path.read_text("utf-8"))


def problems(site: Path) -> list[str]:
    """Return what is wrong with the site in a folder, one sentence each."""
    found: list[str] = []
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site)
        found += (f"{name} loads {what}" for what in _bad_loads(site, path))
        found += (f"{name} links to {what}" for what in _bad_links(site, path))
    for path in sorted(site.rglob("*.css")):
        addresses = _OUTSIDE.findall(path.read_text("utf-8"))
        found += (f"{path.relative_to(site)} loads {each} from outside" for each in addresses)
    return found


def _bad_loads(site: Path, path: Path) -> Iterator[str]:
    for address in _page(path).loads:
        parts = urlsplit(address)
        if parts.scheme == "data":
            continue
        if parts.scheme or parts.netloc:
            yield f"{address} from outside"
        elif not _file(site, path, parts.path).is_file():
            yield f"{address}, which is not there"


def _bad_links(site: Path, path: Path) -> Iterator[str]:
    for address in _page(path).links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = _file(site, path, parts.path)
        # "__" begins what the theme's own script makes.
        anchor = "" if parts.fragment.startswith("__") else unquote(parts.fragment)
        if not target.is_file():
            yield f"{address}, which is not there"
        elif target.suffix == ".html" and anchor not in {"", *_page(target).anchors}:
            yield f"{address}, which has no such place"


def _file(site: Path, path: Path, address: str) -> Path:
    """Return the file that an address on the page ``path`` means."""
    if not address:
        return path
    name = unquote(address)
    return (site / name.lstrip("/") if name.startswith("/") else path.parent / name).resolve()


def main(site: Path) -> int:
    """Print what is wrong; return the exit code."""
    wrong = problems(site)
    pages = sum(1 for _ in site.rglob("*.html"))
    sys.stdout.write("".join(f"{each}\n" for each in wrong))
    sys.stdout.write(f"{pages} pages, {len(wrong)} things wrong\n")
    return 1 if wrong or pages < 10 else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]).resolve()))
