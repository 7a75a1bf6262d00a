"""Scope: which slice of the traffic a number belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Scope(NamedTuple):
    """A slice of the traffic; a field that is None does not narrow the slice.

    Three widths have names of their own:

    - an *arm* is one prompt version in one cohort of a route: what a rollout compares;
    - a *population* is a route's cohort whatever version serves it: where recovery is judged;
    - a *family* is everything one prompt does on a route: arms of one family are comparable.
    """

    route: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    cohort: str | None = None
    request_model: str | None = None
    provider: str | None = None

    def arm(self) -> Scope:
        """Return this scope without model and provider."""
        return Scope(self.route, self.prompt_name, self.prompt_version, self.cohort)

    def population(self) -> Scope:
        """Return the route, prompt and cohort, whatever the version."""
        return Scope(self.route, self.prompt_name, None, self.cohort)

    def family(self) -> Scope:
        """Return the route and prompt alone."""
        return Scope(self.route, self.prompt_name)

    def as_json(self) -> dict[str, str | None]:
        """Return the six fields under their fixed names; None where the scope is not narrowed."""
        return dict(self._asdict())

    def label(self) -> str:
        """Return the narrowing fields as one short text, for sentences and tables."""
        named = [self.route or "any route"]
        if self.prompt_name:
            named.append(self.prompt_name)
        if self.prompt_version:
            named.append(self.prompt_version)
        if self.cohort:
            named.append(f"cohort {self.cohort}")
        if self.request_model:
            named.append(self.request_model)
        if self.provider:
            named.append(f"via {self.provider}")
        return " ".join(named)


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """The scopes of a batch as a column: each scope once, and which of them a row has.

    ``codes`` holds one position in ``distinct`` a row. Some of ``distinct`` may have no row, as in
    a part of a batch; no two of them are equal.
    """

    distinct: list[Scope]
    codes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, scopes: Iterable[tuple[str | None, ...]]) -> ScopeColumn:
        """Return the column of ``scopes``, one a row: scopes, or their six fields."""
        # Held while they are told apart, so that no two have one identity.
        rows = list(scopes)
        known: dict[tuple[str | None, ...], int] = {}
        # Rows share a few objects, and six texts take long to hash.
        identities = list(map(id, rows))
        code_of = {
            identity: known.setdefault(scope, len(known))
            for identity, scope in dict(zip(identities, rows, strict=True)).items()
        }
        codes = np.fromiter(map(code_of.__getitem__, identities), np.int64, len(rows))
        return cls(
            [fields if isinstance(fields, Scope) else Scope(*fields) for fields in known], codes
        )

    @classmethod
    def joined(cls, columns: Iterable[ScopeColumn]) -> ScopeColumn:
        """Return the column of the rows of all ``columns``, one after the other."""
        known: dict[Scope, int] = {}
        codes = []
        for column in columns:
            numbers = [known.setdefault(scope, len(known)) for scope in column.distinct]
            codes.append(np.array(numbers, dtype=np.int64)[column.codes])
        return cls(list(known), np.concatenate(codes))

    def take(self, rows: npt.NDArray[np.int64] | slice) -> ScopeColumn:
        """Return the column of some of the rows."""
        return ScopeColumn(self.distinct, self.codes[rows])
