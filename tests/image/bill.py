"""The bill of materials (CycloneDX) of the image's packages, compared with what is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.stack.names import ROOT
from tests.stack.places import part

_INSTALLED = (
    "import importlib.metadata as m, json; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def folded(name: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def make_bill(target: Path) -> dict[str, Any]:
    """Write the bill of requirements/image.txt, checked against CycloneDX's schema."""
    subprocess.run(
        [
            part("linters") / "bin/cyclonedx-py",
            "requirements",
            ROOT / "requirements/image.txt",
            "--pyproject",
            ROOT / "pyproject.toml",
            "--output-format=JSON",
            "--output-reproducible",
            "--validate",
            f"--output-file={target}",
        ],
        check=True,
        # It warns that a list of pins does not say who needs whom.
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    content: dict[str, Any] = json.loads(target.read_text("utf-8"))
    return content


def components(bill: dict[str, Any]) -> dict[str, str]:
    """Return the version of each component by its name."""
    return {folded(each["name"]): each["version"] for each in bill["components"]}


def without_hash(bill: dict[str, Any]) -> list[str]:
    """Return the components whose files nobody can check."""
    return [
        each["name"]
        for each in bill["components"]
        if not any(reference.get("hashes") for reference in each.get("externalReferences", ()))
        and not each.get("hashes")
    ]


def installed(python: list[str], environment: dict[str, str]) -> dict[str, str]:
    """Return the version of each package that a Python finds, by its name."""
    printed = subprocess.run(
        [*python, "-c", _INSTALLED], check=True, capture_output=True, text=True, env=environment
    ).stdout
    return {folded(name): version for name, version in json.loads(printed).items()}
