"""Opening single attributes: raw ``KeyValue`` bytes to a wanted key and a plain value.

Every encoder in use writes the key, then the value, and nothing else. That shape is read by
index, without a message object; every other legal encoding (value first, a field twice, unknown
fields) goes through a full parse. Entries that repeat from span to span are remembered by their
raw bytes, within a bound. Unwanted text is not, since it may be anybody's prompt, unless its key is
one that names machines and protocols.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError

from tripswitch.otlp.lean_schema import LeanKeyValue
from tripswitch.otlp.values import (
    NUMBER_TAGS,
    UnreadableError,
    Value,
    plain,
    value_at,
    value_start,
)

# An entry longer than this hardly repeats, and hashing it would cost more than opening it.
_MAX_REMEMBERED_BYTES = 160
# A key of more values than this holds ids, measurements or times: what is remembered of them hardly
# comes again and would only be in the way. Counts of tokens are fewer.
_MAX_VALUES = 1024
# 16,384 entries of at most 160 bytes with their values are about 6 MB.
_MAX_REMEMBERED = 16_384

# Keys of one application are a few hundred; a hostile sender makes up as many as it likes.
_MAX_NAMES = 16_384
_MAX_KEY_BYTES = 256

Mark = int | None
Marks = tuple[Mark, ...]

Entry = tuple[str, Value, Mark]
UNWANTED: Entry = ("", None, None)


@dataclass(frozen=True, slots=True)
class Key:
    """A wanted key. Its values tell spans apart where ``mark`` is None; see `AttributeReader`."""

    name: str
    mark: Mark
    is_private: bool


class _Head:
    """What stands before the length of a value, as it was met: its ``key``, None for an unwanted.

    ``values`` counts the values of a key that does not tell spans apart that are remembered. With
    ``is_loose`` none is remembered any more: there were too many, or they are private. Text of an
    unwanted key is remembered only if that ``is_technical``.
    """

    __slots__ = ("is_loose", "is_technical", "key", "values")

    def __init__(self, key: Key | None, *, is_technical: bool) -> None:
        self.key = key
        self.is_technical = is_technical
        self.start_anew()

    def start_anew(self) -> None:
        """Forget how many values there were."""
        self.values = 0
        self.is_loose = self.key is not None and self.key.is_private


class Wanted:
    """Which attributes are worth opening.

    ``wants`` is asked once for each distinct key, within a bound; values of the keys in ``private``
    are opened and handed over, but never remembered. ``tells`` says of a wanted key whether spans
    that differ in its value are told apart by their marks; without it, no key does. Values of the
    keys in ``technical`` may be remembered though they are unwanted: they name no more than
    machines and protocols.
    """

    def __init__(
        self,
        wants: Callable[[str], bool],
        private: frozenset[str] = frozenset(),
        tells: Callable[[str], bool] | None = None,
        technical: frozenset[str] = frozenset(),
    ) -> None:
        self._private = private
        self._technical = frozenset(key.encode() for key in technical)
        self._wants = wants
        self._tells = tells
        self._keys: dict[bytes, Key | None] = {}
        self._serial = itertools.count(1)

    def key(self, raw: bytes) -> Key | None:
        """Return the wanted key that ``raw`` spells, None for any other."""
        try:
            return self._keys[raw]
        except KeyError:
            pass
        if len(raw) > _MAX_KEY_BYTES:
            return None
        key = None
        name = raw.decode("utf-8", "replace")
        if self._wants(name):
            is_private = name in self._private
            is_telling = not is_private and self._tells is not None and self._tells(name)
            key = Key(name, None if is_telling else self.new_mark(), is_private)
        if len(self._keys) >= _MAX_NAMES:
            self._keys.clear()
        self._keys[raw] = key
        return key

    def is_technical(self, raw: bytes) -> bool:
        """Return whether the key that ``raw`` spells names machines or protocols."""
        return raw in self._technical

    def new_mark(self) -> int:
        """Return a mark that was never given before."""
        return next(self._serial)


class AttributeReader:
    """Opens attributes whose key is wanted; all others stay closed.

    What is remembered never changes an answer, only its cost. Lists and dicts it returns may be
    shared between spans and must not be changed.

    It also marks what it opens. Spans with equal marks have the same wanted keys in the same order,
    and the same values under those that tell; where a mark is None, nothing is known of the value.
    A mark is never given to anything else, but one thing may have several, one after the other.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._heads: dict[bytes, _Head] = {}
        self._remembered: dict[bytes, Entry] = {}
        # Of these the entries that tell spans apart, which are few and repeat.
        self._telling: dict[bytes, Entry] = {}

    def read(self, raw_entries: Any) -> tuple[dict[str, Value], int]:
        """Return the wanted attributes by key, and how many entries were unreadable.

        A key that stands there twice keeps its last value; a key without a value is left out.
        """
        attributes, _, unreadable = self.read_marked(raw_entries)
        return attributes, unreadable

    def read_marked(
        self, raw_entries: Any, *, are_short: bool = False
    ) -> tuple[dict[str, Value], Marks, int]:
        """Return the wanted attributes as `read` does, the marks of their entries, and the same.

        ``are_short`` says that the entries hardly are too long to be remembered: then it costs less
        not to look how long each is.
        """
        attributes: dict[str, Value] = {}
        marks: list[Mark] = []
        unreadable = 0
        known = self._remembered.get if are_short else self._known_if_short
        # The message class hands out a whole slice for less than its items one by one.
        for raw in raw_entries[:]:
            entry = known(raw)
            if entry is None:
                try:
                    entry = self._open(raw)
                except UnreadableError:
                    unreadable += 1
                    continue
            name, value, mark = entry
            if value is not None:
                attributes[name] = value
                marks.append(mark)
            elif entry is not UNWANTED:
                attributes.pop(name, None)
                marks.append(mark)
        return attributes, tuple(marks), unreadable

    def _known_if_short(self, raw: bytes) -> Entry | None:
        # A long one is in no dict, and to look for it is to go over all of it.
        return self._remembered.get(raw) if len(raw) <= _MAX_REMEMBERED_BYTES else None

    def _open(self, raw: bytes) -> Entry:
        size = len(raw)
        # Where the value starts if one byte says how long the key is and one how long the value.
        start = raw[1] + 4 if size > 1 else 0
        head = self._heads.get(raw[: start - 1])
        if head is None or not (0 < size - start < 0x80 and raw[start - 1] == size - start):
            start = value_start(raw)
            if not start:
                return self._open_fully(raw)
            head = self._head(raw)
        key = head.key
        if key is None:
            if start < size and raw[start] not in NUMBER_TAGS and not head.is_technical:
                return UNWANTED
            entry = UNWANTED
        else:
            value = value_at(raw, start)
            if head.is_loose and value is not None:
                return key.name, value, key.mark
            entry = (key.name, value, None if value is None else key.mark)
            if key.is_private:
                return entry
        if size > _MAX_REMEMBERED_BYTES:
            return entry
        if key is not None and entry[2] is None:
            entry = (key.name, entry[1], self._wanted.new_mark())
            self._telling[raw] = entry
        elif head.is_loose:
            return entry
        else:
            head.values += 1
            head.is_loose = head.values >= _MAX_VALUES
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._make_room()
        self._remembered[raw] = entry
        return entry

    def _head(self, raw: bytes) -> _Head:
        """Return the head of an entry that is a key, then a value."""
        key_end = 2 + raw[1]
        head = self._heads.get(raw[: key_end + 1])
        if head is None:
            if len(self._heads) >= _MAX_NAMES:
                self._heads.clear()
            key = raw[2:key_end]
            head = _Head(self._wanted.key(key), is_technical=self._wanted.is_technical(key))
            self._heads[raw[: key_end + 1]] = head
        return head

    def _make_room(self) -> None:
        """Forget the values that hardly repeat, and the others when there are too many of them."""
        self._remembered.clear()
        for head in self._heads.values():
            head.start_anew()
        if len(self._telling) > _MAX_REMEMBERED // 2:
            self._telling.clear()
        self._remembered.update(self._telling)

    def _open_fully(self, raw: bytes) -> Entry:
        try:
            message = LeanKeyValue.FromString(raw)
        except DecodeError:
            raise UnreadableError from None
        key = self._wanted.key(message.key)
        if key is None:
            return UNWANTED
        return _marked(key, plain(message.value))


def _marked(key: Key, value: Value) -> Entry:
    """Return the entry of a key, with the key's mark unless it takes back what was said."""
    return key.name, value, None if value is None else key.mark
