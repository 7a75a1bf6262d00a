"""A stage as a container would run it: read-only, without rights, with one volume."""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.image.building import Built, mount

_NEW_NETWORK = 0x40000000
_SET_FLAGS = 0x8914
_UP_AND_RUNNING = 0x41


def leave_network() -> None:
    """Go into a network namespace that has a loopback and nothing else. Raises OSError."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", _UP_AND_RUNNING, b"")
        fcntl.ioctl(any_socket, _SET_FLAGS, request)


class Container:
    """A stage's root, read-only, with a volume; ``start`` runs its program in it."""

    def __init__(self, built: Built, volume_at: str, volume: Path) -> None:
        self.built = built
        self.volume = volume
        at = built.inside(volume_at)
        # A new volume begins as what the image has there, with its owner and rights.
        shutil.copytree(at, volume)
        shutil.copystat(at, volume)
        os.chown(volume, at.stat().st_uid, at.stat().st_gid)
        mount("--bind", built.root, built.root)
        mount("-o", "remount,ro,bind", built.root)
        mount("-t", "proc", "proc", built.root / "proc")
        mount("-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs", built.root / "dev")
        for name in ("null", "zero", "random", "urandom"):
            (built.root / "dev" / name).touch()
            mount("--bind", f"/dev/{name}", built.root / "dev" / name)
        mount("--bind", volume, at)

    def command(self, words: Sequence[str], user: str = "") -> list[str]:
        """Return how to run ``words`` in it, as its user, without a single right."""
        uid, _, gid = (user or self.built.user).partition(":")
        return [
            "chroot",
            str(self.built.root),
            "setpriv",
            f"--reuid={uid}",
            f"--regid={gid}",
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--",
            "sh",
            "-c",
            'cd "$0" && exec "$@"',
            # Root without its rights may not enter a folder that is another's.
            "/" if user else self.built.folder,
            *words,
        ]

    def start(self, words: Sequence[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
        """Start a program that goes on, as process 1 of its own; what it says goes to ``log``."""
        own_proc = f'mount -t proc proc "{self.built.root}/proc" && exec "$@"'
        apart = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            own_proc,
            "sh",
        ]
        with log.open("wb") as file:
            return subprocess.Popen(
                [*apart, *self.command(words)],
                env={**self.built.environment, **variables},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def run(self, words: Sequence[str], user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self.command(words, user),
            env=self.built.environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


def stop(process: subprocess.Popen[bytes], within_s: float) -> tuple[int, float]:
    """Send process 1 SIGTERM, as an engine does; return its exit code and the time taken in s."""
    (first,) = psutil.Process(process.pid).children()
    begun_s = time.monotonic()
    first.send_signal(signal.SIGTERM)
    code = process.wait(within_s)
    return code, time.monotonic() - begun_s


def processor_s(process: subprocess.Popen[bytes]) -> float:
    """Return the processor time of a program and all below it that still runs, in s."""
    every = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in every)
