"""The Dockerfile as stages of steps, and the files that its build may see.

Reading is left to what others wrote: `dockerfile-parse` reads the Dockerfile, Docker's own SDK says
what .dockerignore leaves. Both are in a virtual environment of their own (.ci/stack/build linters).
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.names import ROOT
from tests.stack.places import part

_READ = """
import json, sys
from dockerfile_parse import DockerfileParser
from docker.utils.build import exclude_paths
root = sys.argv[1]
steps = DockerfileParser(path=root + "/Dockerfile").structure
patterns = [line.strip() for line in open(root + "/.dockerignore") if line.strip()]
files = sorted(exclude_paths(root, [each for each in patterns if not each.startswith("#")]))
json.dump({"steps": [[each["instruction"], each["value"]] for each in steps
                     if each["instruction"] != "COMMENT"], "files": files}, sys.stdout)
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: RUN, COPY and their like in capitals, and all that follows it."""

    keyword: str
    value: str

    @property
    def words(self) -> list[str]:
        """Return the value as words, from JSON form or from shell form."""
        if self.value.startswith("["):
            return [str(each) for each in json.loads(self.value)]
        return shlex.split(self.value)


@dataclass(frozen=True, slots=True)
class Stage:
    """What begins with FROM; ``name`` is empty where it has none."""

    base: str
    name: str
    steps: tuple[Step, ...]

    def last(self, keyword: str) -> Step:
        """Return the last step of a kind, the one that holds. Raises IndexError for none."""
        return [step for step in self.steps if step.keyword == keyword][-1]


@dataclass(frozen=True, slots=True)
class Read:
    """A Dockerfile and the files of its context, relative to it."""

    stages: tuple[Stage, ...]
    context: tuple[Path, ...]


def read_dockerfile(root: Path = ROOT) -> Read:
    """Read the Dockerfile and the .dockerignore of a folder."""
    program: list[str | Path] = [part("linters") / "bin/python", "-c", _READ, root]
    printed = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    content: dict[str, Any] = json.loads(printed)
    stages: list[tuple[str, str, list[Step]]] = []
    for keyword, value in content["steps"]:
        step = Step(keyword.upper(), value)
        if step.keyword == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append((base.strip(), name.strip(), []))
        else:
            stages[-1][2].append(step)
    files = [Path(each) for each in content["files"]]
    return Read(
        tuple(Stage(base, name, tuple(steps)) for base, name, steps in stages),
        tuple(each for each in files if (root / each).is_file()),
    )


def health_check(stage: Stage) -> tuple[dict[str, float], list[str]]:
    """Return the options of HEALTHCHECK, durations in seconds, and its command."""
    options, _, command = stage.last("HEALTHCHECK").value.partition("CMD ")
    found = {}
    for option in options.split():
        name, _, value = option.removeprefix("--").partition("=")
        found[name] = float(value.removesuffix("s"))
    return found, Step("CMD", command.strip()).words
