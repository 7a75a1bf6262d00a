"""How a version as spans say it names a version that a registry knows.

The rule, for every target: the registry's own id or name of a version wins, letter by letter. Else,
where the registry numbers its versions, one leading ``v`` is left off and the rest must be the
number: ``v17``, ``V17`` and ``17`` are version 17. Nothing is guessed beyond that.
"""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"[vV]?([0-9]{1,15})")


def number_of(version: str) -> int | None:
    """Return the number that a version names, None when it names none."""
    found = _NUMBERED.fullmatch(version.strip())
    return None if found is None else int(found[1])


def is_same(said: str, known: str) -> bool:
    """Return whether spans and the registry mean one version: equal, or of one number."""
    if said == known:
        return True
    number = number_of(said)
    return number is not None and number == number_of(known)
