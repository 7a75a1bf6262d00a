"""The check of a status update: nothing that is guessed, no number or name the ledger lacks.

It reads the finished text, so that it holds for edited templates and for what a person wrote as
well. What it finds holds the draft; a person decides. It is a net, no proof: a wrong sentence made
of known words passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

SPECULATION: Final = (
    "probably",
    "possibly",
    "perhaps",
    "maybe",
    "might",
    "may have",
    "may be",
    "could have",
    "could be",
    "should be fixed",
    "likely",
    "apparently",
    "presumably",
    "seemingly",
    "seems",
    "appears to",
    "suspect",
    "assume",
    "guess",
    "hopefully",
    "we believe",
    "we think",
    "we expect",
    "root cause",
    "caused by",
    "due to",
    "human error",
    "fully fixed",
    "never again",
    "guarantee",
    "no data was",
    "no customer was",
)
"""Words that say more than is known, of a cause, of the future, or of what did not happen."""

_NUMBER: Final = re.compile(r"(?<![\w./:@-])\d[\d,.:]*(?:\d|(?<=\d))(?!\w)|(?<![\w./:@-])\d(?!\w)")
# A digit, an underscore, a slash or an @ in it, a full stop or a capital inside.
_IDENTIFIER: Final = re.compile(r"[\d_/@]|\w[.:]\w|[a-z][A-Z]")
_WORD: Final = re.compile(r"[\w@/][\w@/.:+-]*[\w@/]|\w", re.UNICODE)
_SENTENCE_START: Final = re.compile(r"(?:^|[.!?:;]\s+|\n\s*(?:[-*]\s+)?|\"|“)\Z")

_ALWAYS_KNOWN: Final = frozenset(
    {"utc", "i", "we", "our", "us", "ai", "monday", "tuesday", "wednesday", "thursday", "friday"}
    | {"saturday", "sunday", "january", "february", "march", "april", "may", "june", "july"}
    | {"august", "september", "october", "november", "december"}
)


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason to hold a draft: what kind, which words."""

    kind: Literal["speculation", "number", "name", "policy"]
    text: str

    def sentence(self) -> str:
        """Return the reason in words."""
        match self.kind:
            case "speculation":
                return f'says more than is known: "{self.text}"'
            case "number":
                return f"the number {self.text} is not in the ledger"
            case "name":
                return f'the name "{self.text}" is not in the ledger'
            case _:
                return self.text


def holds_of(text: str, known: Iterable[str], more_words: Iterable[str] = ()) -> tuple[Hold, ...]:
    """Return why ``text`` is held, in order of appearance, each reason once.

    ``known`` are the texts that its numbers and names may come from; ``more_words`` are phrases of
    the operator's that hold a draft, too.
    """
    known_numbers, known_words = set[str](), set(_ALWAYS_KNOWN)
    for one in known:
        known_numbers.update(_numbers(one))
        known_words.update(word.casefold() for word in _words(one))
    found: dict[tuple[int, Hold], None] = {}
    for phrase in (*SPECULATION, *more_words):
        spaced = r"\s+".join(re.escape(part) for part in phrase.split())
        for match in re.finditer(rf"(?<!\w){spaced}(?!\w)", text, re.IGNORECASE):
            found[match.start(), Hold("speculation", phrase)] = None
    for match in _NUMBER.finditer(text):
        number = _bare(match.group())
        if number not in known_numbers:
            found[match.start(), Hold("number", number)] = None
    for match in _WORD.finditer(text):
        word = match.group()
        if _is_name(word, text[: match.start()]) and not _is_known(word, known_words):
            found[match.start(), Hold("name", word)] = None
    ordered = sorted(found, key=lambda item: (item[0], item[1].kind))
    return tuple(dict.fromkeys(hold for _, hold in ordered))


def _numbers(text: str) -> set[str]:
    return {_bare(match.group()) for match in _NUMBER.finditer(text)}


def _bare(number: str) -> str:
    return number.rstrip(".,:").replace(",", "")


def _words(text: str) -> list[str]:
    return [match.group() for match in _WORD.finditer(text)]


def _is_name(word: str, before: str) -> bool:
    """Return whether a word is a name: an identifier, or a capital where none has to be."""
    if re.fullmatch(r"[\d.,:]+", word):
        return False
    if (
        re.search(r"[\d_/@]", word)
        or re.search(r"\w[.:]\w", word)
        or re.search(r"[a-z][A-Z]", word)
    ):
        return True
    return word[0].isupper() and not _SENTENCE_START.search(before)


def _is_known(word: str, known: set[str]) -> bool:
    folded = word.casefold()
    # A name's plural is the name.
    return folded in known or folded.removesuffix("s") in known
