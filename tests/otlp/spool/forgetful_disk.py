"""A disk in memory that forgets at a crash what was not synced, and fails when told to.

Every file keeps what is on the platter and the operations since; every directory keeps the names
that are on the platter. `ForgetfulDisk.after_crash` returns what a machine would find that lost its
power: of the operations and names that were not synced any part may have made it, or none.
"""

from __future__ import annotations

import errno
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tripswitch.errors import ConfigError


@dataclass
class Inode:
    """One file: ``synced`` is safe, ``pending`` are the writes and cuts since the last sync."""

    synced: bytes = b""
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)

    def after_crash(self, keeps: Callable[[], bool], choice: random.Random) -> Inode:
        """Return the file with those of the pending operations that ``keeps`` lets through."""
        content = bytearray(self.synced)
        for operation in self.pending:
            if not keeps():
                continue
            if isinstance(operation, int):
                del content[operation:]
                continue
            offset, data = operation
            put(content, offset, data[: choice.randint(0, len(data))])
        return Inode(bytes(content), [], content)


def put(content: bytearray, offset: int, data: bytes) -> None:
    """Write ``data`` at ``offset``, with zeros where nothing was before it."""
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class ForgetfulFile:
    """An open file of a `ForgetfulDisk`."""

    def __init__(self, disk: ForgetfulDisk, path: Path, inode: Inode) -> None:
        self._disk = disk
        self._path = path
        self._inode = inode

    def read_at(self, offset: int, most_bytes: int) -> bytes:
        self._disk.step("read", self._path)
        return bytes(self._inode.content[offset : offset + most_bytes])

    def write_at(self, offset: int, parts: Sequence[bytes]) -> None:
        self._disk.step("write", self._path)
        data = b"".join(parts)
        room_bytes = self._disk.room_for(self._inode, offset, len(data))
        written = data[:room_bytes]
        put(self._inode.content, offset, written)
        self._inode.pending.append((offset, written))
        if room_bytes < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")

    def sync(self) -> None:
        self._disk.step("sync", self._path)
        self._inode.synced = bytes(self._inode.content)
        self._inode.pending.clear()

    def truncate(self, size_bytes: int) -> None:
        self._disk.step("truncate", self._path)
        del self._inode.content[size_bytes:]
        self._inode.pending.append(size_bytes)

    def size_bytes(self) -> int:
        self._disk.step("size", self._path)
        return len(self._inode.content)

    def close(self) -> None:
        self._disk.open_files -= 1


class HeldLock:
    """The lock of a `ForgetfulDisk`."""

    def __init__(self, disk: ForgetfulDisk, directory: Path) -> None:
        self._disk = disk
        self._directory = directory

    def release(self) -> None:
        self._disk.locked.discard(self._directory)


class ForgetfulDisk:
    """See the module. ``fail`` is asked before every operation and may raise OSError.

    ``crash_in`` operations from now the machine is gone: nothing is changed any more and every
    operation fails. None means never. ``capacity_bytes`` bounds what all files hold together.
    """

    def __init__(self) -> None:
        self.names_now: dict[Path, Inode] = {}
        self.names_synced: dict[Path, Inode] = {}
        self.locked: set[Path] = set()
        self.crash_in: int | None = None
        self.capacity_bytes: int | None = None
        self.fail: Callable[[str, Path], None] = lambda _operation, _path: None
        self.operations = 0
        self.syncs = 0
        self.open_files = 0
        self._marks = 0
        self._one_at_a_time = threading.Lock()

    def step(self, operation: str, path: Path) -> None:
        """Count an operation; raise where the machine is gone or ``fail`` says so."""
        with self._one_at_a_time:
            self.operations += 1
            self.syncs += operation == "sync"
            if self.crash_in is not None:
                if self.crash_in <= 0:
                    raise OSError(errno.EIO, "the machine is gone")
                self.crash_in -= 1
        self.fail(operation, path)

    def room_for(self, inode: Inode, offset: int, size_bytes: int) -> int:
        """Return how many of ``size_bytes`` at ``offset`` the disk has room for."""
        if self.capacity_bytes is None:
            return size_bytes
        used_bytes = sum(len(each.content) for each in self.names_now.values())
        grown_bytes = max(0, offset + size_bytes - len(inode.content))
        return size_bytes - max(0, used_bytes + grown_bytes - self.capacity_bytes)

    def after_crash(self, choice: random.Random, *, keeps: float = 0.0) -> ForgetfulDisk:
        """Return what is found after the crash; ``keeps`` is the share of unsynced that made it."""
        disk = ForgetfulDisk()
        disk._marks = self._marks
        inodes: dict[int, Inode] = {}
        for path in sorted({*self.names_now, *self.names_synced}):
            is_newer = choice.random() < keeps
            inode = (self.names_now if is_newer else self.names_synced).get(path)
            if inode is None:
                continue
            if id(inode) not in inodes:
                inodes[id(inode)] = inode.after_crash(lambda: choice.random() < keeps, choice)
            disk.names_now[path] = disk.names_synced[path] = inodes[id(inode)]
        return disk

    def make_directory(self, directory: Path) -> None:
        self.step("make_directory", directory)

    def lock(self, directory: Path) -> HeldLock:
        if directory in self.locked:
            raise ConfigError("in use")
        self.locked.add(directory)
        return HeldLock(self, directory)

    def names(self, directory: Path) -> list[str]:
        self.step("names", directory)
        return [path.name for path in self.names_now if path.parent == directory]

    def create(self, path: Path) -> ForgetfulFile:
        self.step("create", path)
        if path in self.names_now:
            raise FileExistsError(errno.EEXIST, "exists", str(path))
        self.names_now[path] = Inode()
        return self.open_now(path)

    def open(self, path: Path) -> ForgetfulFile:
        self.step("open", path)
        if path not in self.names_now:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        return self.open_now(path)

    def open_to_read(self, path: Path) -> ForgetfulFile:
        return self.open(path)

    def open_now(self, path: Path) -> ForgetfulFile:
        """Open a file without counting an operation."""
        self.open_files += 1
        return ForgetfulFile(self, path, self.names_now[path])

    def remove(self, path: Path) -> None:
        self.step("remove", path)
        if path not in self.names_now:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        del self.names_now[path]

    def sync_directory(self, directory: Path) -> None:
        self.step("sync_directory", directory)
        for path in {*self.names_now, *self.names_synced}:
            if path.parent != directory:
                continue
            if path in self.names_now:
                self.names_synced[path] = self.names_now[path]
            else:
                del self.names_synced[path]

    def new_mark(self) -> bytes:
        self._marks += 1
        return random.Random(self._marks).randbytes(8)
