"""Replaces a file in one step: readers see the old bytes or the new ones, never a part.

The new file is written beside the old one, forced to disk and renamed over it, with the old one's
mode and owner. A link is followed, so that the file behind it is replaced and the link stays. The
precondition is the hash of the bytes that the plan was made from; it is checked again right before
the renaming, since no file system compares and renames in one step.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tripswitch.actions.attempt import Attempt, AttemptState

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class FileBytes:
    """A file as it was read. ``path`` is what lies behind all links."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """The hash that tells these bytes from others."""
        return hashlib.sha256(self.content).hexdigest()


def read_file(path: str) -> FileBytes | Attempt:
    """Return the file, or why it cannot be used."""
    try:
        real = Path(os.path.realpath(path))
        if not stat.S_ISREG(real.stat().st_mode):
            return Attempt(AttemptState.FAILED, f"{path} is no file")
        with real.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        return _trouble(path, error)
    if len(content) > MAX_FILE_BYTES:
        return Attempt(AttemptState.FAILED, f"{path} is larger than {MAX_FILE_BYTES >> 20} MiB")
    return FileBytes(real, content)


def may_replace(path: Path) -> str:
    """Return why the file could not be replaced, empty when it could."""
    folder = path.parent
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"the folder {folder} is not writable"


def replace_file(old: FileBytes, content: bytes, before_leaving: Callable[[], object]) -> Attempt:
    """Put ``content`` in the place of ``old``; retry when the file has changed meanwhile.

    ``before_leaving`` is called right before the renaming, when all else has been done.
    """
    # One name a file, so that what a crash left behind is overwritten by the next attempt.
    draft = old.path.with_name(f".{old.path.name}.tripswitch")
    try:
        about = old.path.stat()
        _write(draft, content, about)
        if old.path.read_bytes() != old.content:
            detail = f"{old.path} changed while the rollback was prepared"
            return Attempt(AttemptState.RETRY, detail)
        before_leaving()
        draft.replace(old.path)
    except OSError as error:
        return _trouble(str(old.path), error)
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    try:
        _force(old.path.parent)
    except OSError as error:
        detail = f"{old.path} was replaced, but may not be on disk: {error.strerror}"
        return Attempt(AttemptState.UNKNOWN, detail)
    return Attempt(AttemptState.DONE, f"{old.path} was replaced")


def difference(old: FileBytes, content: bytes) -> str:
    """Return what would change, as a unified diff."""
    name = str(old.path)
    before, after = (
        each.decode("utf-8", "replace").splitlines() for each in (old.content, content)
    )
    return "\n".join(difflib.unified_diff(before, after, name, name, lineterm="", n=2))


def _write(draft: Path, content: bytes, about: os.stat_result) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    descriptor = os.open(draft, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if (about.st_uid, about.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(descriptor, about.st_uid, about.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(about.st_mode))
        file.flush()
        os.fsync(descriptor)


def _force(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _trouble(path: str, error: OSError) -> Attempt:
    """A full disk passes; what is not there or not allowed does not."""
    passing = error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EAGAIN, errno.ESTALE)
    state = AttemptState.RETRY if passing else AttemptState.FAILED
    return Attempt(state, f"{path} cannot be replaced: {error.strerror or error}")
