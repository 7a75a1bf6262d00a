"""What the spool asks of a disk, and the disk of this machine.

Everything goes through `Disk`, so that a test can put one in its place that forgets, at a crash,
whatever was not synced.
"""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Final, Protocol

from tripswitch.errors import ConfigError
from tripswitch.otlp.spool.record import MARK_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600
LOCK_NAME: Final = "lock"

# The most buffers that one call may take on Linux (IOV_MAX).
_MOST_BUFFERS: Final = 1024

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class File(Protocol):
    """An open file, read and written at offsets. Everything may raise OSError."""

    def read_at(self, offset: int, most_bytes: int) -> bytes:
        """Return up to ``most_bytes``, fewer only at the end of the file."""
        ...

    def write_at(self, offset: int, parts: Sequence[bytes]) -> None:
        """Write all of ``parts``, one after the other, from ``offset`` on."""
        ...

    def sync(self) -> None:
        """Return once what was written is on the disk for good."""
        ...

    def truncate(self, size_bytes: int) -> None:
        """Cut the file off at ``size_bytes``."""
        ...

    def size_bytes(self) -> int:
        """Return the length of the file."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Lock(Protocol):
    """An exclusive hold on a directory."""

    def release(self) -> None:
        """Let go of it."""
        ...


class Disk(Protocol):
    """A disk with directories and files. Everything may raise OSError."""

    def make_directory(self, directory: Path) -> None:
        """Make the directory with its parents, for good; only its owner may enter it."""
        ...

    def lock(self, directory: Path) -> Lock:
        """Hold the directory for this process alone. Raises ConfigError where another does."""
        ...

    def names(self, directory: Path) -> list[str]:
        """Return the names in the directory, none where there is no directory."""
        ...

    def create(self, path: Path) -> File:
        """Make a file that is not there yet; only its owner may read it."""
        ...

    def open(self, path: Path) -> File:
        """Open a file that is there for reading and writing."""
        ...

    def open_to_read(self, path: Path) -> File:
        """Open a file that is there for reading alone."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file."""
        ...

    def sync_directory(self, directory: Path) -> None:
        """Return once the names made and removed in it are so on the disk for good."""
        ...

    def new_mark(self) -> bytes:
        """Return `MARK_BYTES` that nobody can guess."""
        ...


def is_full(error: OSError) -> bool:
    """Return whether ``error`` says that there is no space, as against a failing disk."""
    return error.errno in _FULL


class LocalFile:
    """A file of this machine, by its descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset: int, most_bytes: int) -> bytes:
        """See `File`."""
        found = os.pread(self._descriptor, most_bytes, offset)
        if len(found) in (0, most_bytes):
            return found
        parts = [found]
        missing_bytes = most_bytes - len(found)
        while missing_bytes:
            found = os.pread(self._descriptor, missing_bytes, offset + most_bytes - missing_bytes)
            if not found:
                break
            parts.append(found)
            missing_bytes -= len(found)
        return b"".join(parts)

    def write_at(self, offset: int, parts: Sequence[bytes]) -> None:
        """See `File`."""
        waiting = [memoryview(part) for part in parts if part]
        first = 0
        while first < len(waiting):
            written = os.pwritev(self._descriptor, waiting[first : first + _MOST_BUFFERS], offset)
            offset += written
            while first < len(waiting) and written >= len(waiting[first]):
                written -= len(waiting[first])
                first += 1
            if written:
                waiting[first] = waiting[first][written:]

    def sync(self) -> None:
        """See `File`."""
        os.fdatasync(self._descriptor)

    def truncate(self, size_bytes: int) -> None:
        """See `File`."""
        os.ftruncate(self._descriptor, size_bytes)

    def size_bytes(self) -> int:
        """See `File`."""
        return os.fstat(self._descriptor).st_size

    def close(self) -> None:
        """See `File`."""
        os.close(self._descriptor)


class LocalLock:
    """A lock file of this machine; the kernel lets go of it when the process dies."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """See `Lock`."""
        os.close(self._descriptor)


class LocalDisk:
    """The disk of this machine."""

    def make_directory(self, directory: Path) -> None:
        """See `Disk`."""
        missing = [each for each in (directory, *directory.parents) if not each.exists()]
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        directory.chmod(DIRECTORY_MODE)
        for made in missing:
            self.sync_directory(made.parent)

    def lock(self, directory: Path) -> Lock:
        """See `Disk`."""
        descriptor = os.open(
            directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConfigError(
                f'the spool in "{directory}" is in use by another tripswitch',
                hint="give each one its own spool.directory, or stop the other one",
            ) from None
        except BaseException:
            os.close(descriptor)
            raise
        return LocalLock(descriptor)

    def names(self, directory: Path) -> list[str]:
        """See `Disk`."""
        try:
            return [path.name for path in directory.iterdir()]
        except FileNotFoundError:
            return []

    def create(self, path: Path) -> File:
        """See `Disk`."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return LocalFile(os.open(path, flags, FILE_MODE))

    def open(self, path: Path) -> File:
        """See `Disk`."""
        return LocalFile(os.open(path, os.O_RDWR | os.O_CLOEXEC))

    def open_to_read(self, path: Path) -> File:
        """See `Disk`."""
        return LocalFile(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def remove(self, path: Path) -> None:
        """See `Disk`."""
        path.unlink()

    def sync_directory(self, directory: Path) -> None:
        """See `Disk`."""
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def new_mark(self) -> bytes:
        """See `Disk`."""
        return os.urandom(MARK_BYTES)
