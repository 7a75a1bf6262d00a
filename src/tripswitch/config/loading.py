"""Loading: files and environment in, one valid Config out, or every problem at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tripswitch.config.consistency import warnings_of
from tripswitch.config.expansion import expanded, overrides
from tripswitch.config.fields import ROOT, Spot, leaves
from tripswitch.config.problems import NOWHERE, InvalidConfig, Mark, Problem
from tripswitch.config.quantities import size_text
from tripswitch.config.validation import config_of, merged_tables, placed
from tripswitch.config.yaml_marks import Items, Scalar, Table, Tree, parse_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tripswitch.config.model import Config

__all__ = [
    "MAX_FILE_BYTES",
    "Loaded",
    "files_read",
    "load",
    "load_config",
    "marks_of",
    "reloadable_difference",
    "warnings_of",
    "with_reloadable",
]

MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid configuration and the warnings about it, each with its place in the files."""

    config: Config
    warnings: list[Problem]


def load_config(paths: Sequence[Path], environ: Mapping[str, str]) -> Config:
    """Return the configuration of ``paths``, later files over earlier, ``environ`` over all.

    No path, or an empty file, gives the defaults. Mappings merge key by key, lists and values
    replace. Raises InvalidConfig (a ConfigError) with every problem found.
    """
    return load(paths, environ).config


def load(paths: Sequence[Path], environ: Mapping[str, str]) -> Loaded:
    """Return what `load_config` does, with the warnings; the same errors are raised."""
    problems: list[Problem] = []
    shipped = _tree_of(shipped_files(), environ, problems)
    # What is missing is missing from the user's files.
    shipped = Table(shipped.values, shipped.key_marks, NOWHERE)
    own = merged_tables(_tree_of(paths, environ, problems), overrides(environ, problems))
    tree = merged_tables(shipped, _without_empties(own, shipped))
    config = config_of(tree, problems)
    return Loaded(config, [placed(warning, tree) for warning in warnings_of(config)])


def marks_of(paths: Sequence[Path], environ: Mapping[str, str]) -> dict[str, Mark]:
    """Return where each value that is set comes from, by dotted path; what is default is missing.

    Entries of a list are ``name.0``, ``name.1``. What cannot be read is left out.
    """
    own = merged_tables(_tree_of(paths, environ, []), overrides(environ, []))
    return dict(_marks(own, ()))


def _marks(tree: Tree, path: tuple[str, ...]) -> Iterator[tuple[str, Mark]]:
    below: Iterable[tuple[str, Tree]] = ()
    if isinstance(tree, Table):
        below = tree.values.items()
    elif isinstance(tree, Items):
        below = ((str(place), entry) for place, entry in enumerate(tree.values))
    if path:
        yield ".".join(path), tree.mark
    for name, inner in below:
        yield from _marks(inner, (*path, name))


def files_read(paths: Sequence[Path]) -> list[Path]:
    """Return every file that `load` reads for ``paths``: the shipped ones come first."""
    return [*shipped_files(), *paths]


def shipped_files() -> list[Path]:
    """Return the files that come before a user's own: the table of prices.

    It lies in the package where that is installed, and in ``config/`` of a checkout.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = (package / "prices.yaml", package.parents[1] / "config" / "prices.yaml")
    return [path for path in candidates if path.is_file()][:1]


def _tree_of(paths: Sequence[Path], environ: Mapping[str, str], problems: list[Problem]) -> Table:
    tree = Table({}, {}, NOWHERE)
    for path in paths:
        try:
            file_tree = parse_tree(_read(path), str(path), problems)
        except InvalidConfig as error:
            problems.extend(error.problems)
        else:
            tree = merged_tables(tree, expanded(file_tree, environ, problems))
    return tree


def _without_empties(own: Table, shipped: Table) -> Table:
    """Return ``own`` without the empty lists and texts that would hide what is shipped.

    They stand in everybody's copy of the sample file, and mean what the sample says of them: the
    default.
    """
    values = {}
    for key, value in own.values.items():
        below = shipped.values.get(key)
        is_empty = (isinstance(value, Items) and not value.values) or (
            isinstance(value, Scalar) and (value.is_null or not value.text)
        )
        if below is None or not is_empty:
            both = isinstance(value, Table) and isinstance(below, Table)
            values[key] = _without_empties(value, below) if both else value  # type: ignore[arg-type]
    return Table(values, own.key_marks, own.mark)


def reloadable_difference(old: Config, new: Config) -> list[str]:
    """Return the dotted paths of the fields that differ and need a restart, in file order.

    A list counts as one field.
    """
    return [
        ".".join(path)
        for path, spot in leaves()
        if not spot.reloadable and _value_at(old, path) != _value_at(new, path)
    ]


def with_reloadable(old: Config, new: Config) -> Config:
    """Return ``old`` with those fields of ``new`` that take effect without a restart."""
    taken: Config = _take_reloadable(old, new, ROOT)
    return taken


def _take_reloadable(old: Any, new: Any, spot: Spot) -> Any:
    if spot.section is None:
        return new if spot.reloadable else old
    below = [(name, spot.inner(name)) for name in spot.field_names()]
    return old.model_copy(
        update={
            name: _take_reloadable(getattr(old, name), getattr(new, name), inner)
            for name, inner in below
            if inner is not None
        }
    )


def _value_at(config: Config, path: Sequence[str]) -> Any:
    value: Any = config
    for name in path:
        value = getattr(value, name)
    return value


def _read(path: Path) -> str:
    def refuse(code: str, found: str, wanted: str, hint: str, line: int | None) -> InvalidConfig:
        return InvalidConfig([Problem(code, Mark(str(path), line), (), found, wanted, hint)])

    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        hint = "`tripswitch schema --sample` prints a file with every default"
        raise refuse("config.file", reason, "a file that can be read", hint, None) from None
    if len(content) > MAX_FILE_BYTES:
        wanted = f"at most {size_text(MAX_FILE_BYTES)}"
        raise refuse("config.too_large", "a larger file", wanted, "", None)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02X}"
        hint = "save the file as UTF-8"
        raise refuse("config.syntax", found, "text in UTF-8", hint, line) from None
