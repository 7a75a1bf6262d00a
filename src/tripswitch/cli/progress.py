"""Progress for people: on standard error, only on a terminal, gone when it is done."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_of(what: str, *, total: float | None = None) -> Iterator[Callable[[float], None]]:
    """Show a bar while the block runs; call what is given with how much of ``total`` is done.

    Without a total it shows that something goes on.
    """
    from rich.console import Console

    people = Console(stderr=True)
    if not people.is_terminal:
        yield lambda _done: None
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn() if total is None else TimeRemainingColumn(),
    )
    with Progress(*columns, console=people, transient=True) as progress:
        task = progress.add_task(Text(what).markup, total=total)
        yield lambda done: progress.update(task, completed=done)
