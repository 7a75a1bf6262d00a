"""A process of tripswitch's: ``python -m tripswitch.drive.process wire|judge ...``.

``tripswitch run`` becomes the wire by way of this module, and the wire starts the judge by it. It
is a program of its own so that what only the command line needs (Typer, Rich: 12 MiB) is never in
memory, and so that the allocator of the C library is set before it is first used.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WIRE: Final = "wire"
JUDGE: Final = "judge"

# glibc gives every thread a heap of its own and returns what is freed at once. Requests are large,
# short-lived and cross threads, so heaps stay half empty and each request is paged in anew: with
# one heap and 32 MiB kept, a request of 4.5 MB costs half the processor time and 20 MiB less.
# Other C libraries do not know these names.
_KEPT_BYTES: Final = 32 << 20
ALLOCATOR: Final = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_TRIM_THRESHOLD_": str(_KEPT_BYTES),
    "MALLOC_MMAP_THRESHOLD_": str(_KEPT_BYTES),
}
# What mallopt(3) calls them.
_OPTIONS: Final = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}

# gRPC's core writes a line for every stranger that fails a handshake or sends a bad header, and
# decides on that when it is loaded.
_QUIET: Final = {"GRPC_VERBOSITY": "NONE"}

# structlog and httpx take it in where it is installed, for what no process here uses: 5 MiB.
_UNWANTED: Final = ("rich",)


def command_of(process: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that starts ``process``."""
    return (sys.executable, "-P", "-m", __name__, process, *arguments)


def environment_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` with what is set for the processes, unless it is set there already."""
    return {**ALLOCATOR, **_QUIET, **environ}


def settle_memory() -> None:
    """Give back what the start needed, and keep what is left out of the garbage collector's way.

    It would walk all of it, again and again, and find nothing.
    """
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory(environ: Mapping[str, str]) -> None:
    """Have the allocator keep what is freed, in a process that was not started with `ALLOCATOR`.

    Recorded requests and what is read from them are as large as others, and reading them into
    memory that was at hand just now costs a twentieth less. What ``environ`` sets stays.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        for name, option in _OPTIONS.items():
            if name not in environ:
                library.mallopt(option, _KEPT_BYTES)


def seek_cycles_seldom() -> None:
    """Have the garbage collector look for cycles less often.

    What a judge makes is let go soon, nearly none of it in cycles; looking for those after every
    700 objects, as is usual, takes a tenth of the time.
    """
    gc.set_threshold(100_000, 50, 100)


@contextlib.contextmanager
def absent(*names: str) -> Iterator[None]:
    """Have imports of ``names`` fail meanwhile, as if they were not installed."""
    blocked = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]  # None is how it is said
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


def main(arguments: Sequence[str]) -> int:
    """Run the process that ``arguments`` name; return its exit code."""
    process, *rest = arguments
    if process == JUDGE:
        with absent(*_UNWANTED):
            import httpx  # noqa: F401 - here only to be imported lean
            import structlog  # noqa: F401

            from tripswitch.drive.judge_process import main as judge
        return judge(rest)
    with absent(*_UNWANTED):
        from tripswitch.drive.live import main as wire
    return wire(rest)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
