"""Carries out a Dockerfile's steps in Debian roots: every stage is an overlay on the same base.

What a stage adds lies in its upper folder alone, which is what its layers would hold. Needs root
and a mount namespace of its own; what is mounted goes with the namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.dockerfile import Read, Stage, Step
from tests.stack.names import ROOT

# Says where packages come from: to a container engine these would be build arguments and mounts.
_NETWORK = ("PIP_INDEX_URL", "PIP_CERT", "PIP_PROXY", "PIP_DEFAULT_TIMEOUT")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Say something about the image and do nothing while it is built.
_TOLD = frozenset({"EXPOSE", "VOLUME", "HEALTHCHECK", "ENTRYPOINT", "CMD", "LABEL"})


def mount(*words: str | Path) -> None:
    """Mount something in this namespace."""
    subprocess.run(["mount", *(str(each) for each in words)], check=True)


@dataclass
class Built:
    """A stage: its whole root, what it added, and how a process in it starts."""

    root: Path
    upper: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    folder: str = "/"
    user: str = "0:0"

    def inside(self, path: str) -> Path:
        """Return where an absolute path of the stage, or one below its folder, lies."""
        return self.root / os.path.join(self.folder, path).lstrip("/")  # noqa: PTH118 - absolute wins


def build(read: Read, base: Path, work: Path) -> dict[str, Built]:
    """Make every stage and return them by name, the last one as "". ``base`` is a whole root."""
    made: dict[str, Built] = {}
    for number, stage in enumerate(read.stages):
        name = stage.name if number < len(read.stages) - 1 else ""
        built = _laid(base, work / (name or "final"))
        for step in stage.steps:
            _carry_out(step, built, made, read)
        made[name] = built
    return made


def _laid(base: Path, folder: Path) -> Built:
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(parents=True)
    options = f"lowerdir={base},upperdir={folder}/upper,workdir={folder}/work"
    mount("-t", "overlay", "overlay", "-o", options, folder / "root")
    return Built(folder / "root", folder / "upper")


def _carry_out(step: Step, built: Built, made: Mapping[str, Built], read: Read) -> None:
    if step.keyword == "RUN":
        _run(step.value, built)
    elif step.keyword == "COPY":
        _copy(step.words, built, made, read)
    elif step.keyword == "ENV":
        for pair in step.words:
            name, _, value = pair.partition("=")
            built.environment[name] = value.replace("$PATH", built.environment["PATH"])
    elif step.keyword == "WORKDIR":
        built.folder = step.value
        built.inside(".").mkdir(parents=True, exist_ok=True)
    elif step.keyword == "USER":
        built.user = step.value
    elif step.keyword not in _TOLD:
        raise ValueError(f"no way to carry out {step.keyword} {step.value}")


def _run(command: str, built: Built) -> None:
    given = {name: os.environ[name] for name in _NETWORK if name in os.environ}
    certificates = given.get("PIP_CERT", "")
    with _mounts(
        built, [Path("/etc/resolv.conf"), *([Path(certificates)] if certificates else [])]
    ):
        subprocess.run(
            ["chroot", built.root, "/bin/sh", "-c", f"cd {built.folder} && {command}"],
            check=True,
            env={**built.environment, **given},
        )


class _mounts:  # noqa: N801 - a context manager read as a word
    """What an engine mounts for a step and takes away after it."""

    def __init__(self, built: Built, files: list[Path]) -> None:
        self.built = built
        self.files = files
        self.made: list[Path] = []

    def __enter__(self) -> None:
        root = self.built.root
        mount("-t", "proc", "proc", root / "proc")
        mount("--rbind", "/dev", root / "dev")
        for file in self.files:
            target = root / str(file.resolve()).lstrip("/")
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
                self.made.append(target)
            mount("--bind", file.resolve(), target)

    def __exit__(self, *_: object) -> None:
        root = self.built.root
        for file in self.files:
            target = root / str(file.resolve()).lstrip("/")
            subprocess.run(["umount", target], check=True)
            if target in self.made:
                target.unlink()
        subprocess.run(["umount", "--recursive", root / "dev"], check=True)
        subprocess.run(["umount", root / "proc"], check=True)


def _copy(words: list[str], built: Built, made: Mapping[str, Built], read: Read) -> None:
    source_stage = ""
    if words[0].startswith("--from="):
        source_stage = words.pop(0).partition("=")[2]
    *sources, target = words
    into_folder = target.endswith("/") or len(sources) > 1
    for source in sources:
        if source_stage:
            origin = made[source_stage].inside(source)
            shutil.copytree(origin, built.inside(target), symlinks=True, dirs_exist_ok=True)
            continue
        below = [each for each in read.context if each.is_relative_to(source)]
        if not below:
            raise FileNotFoundError(f"{source} is not in the context that .dockerignore leaves")
        for file in below:
            if (ROOT / source).is_dir():
                place = built.inside(target) / file.relative_to(source)
            else:
                place = built.inside(target) / file.name if into_folder else built.inside(target)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, place)
            os.chown(place, 0, 0)


def layer_bytes(folder: Path) -> int:
    """Return what the files of a folder hold, in bytes."""
    return sum(
        each.lstat().st_size for each in folder.rglob("*") if each.is_file() or each.is_symlink()
    )


def entry(stage: Stage) -> list[str]:
    """Return what a container of the stage starts."""
    return [*stage.last("ENTRYPOINT").words, *stage.last("CMD").words]
