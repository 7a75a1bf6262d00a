"""The parts of the image's proof that need no root, and what the image says of itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.image.bill import components, folded, make_bill, without_hash
from tests.image.building import Built, _carry_out, entry
from tests.image.dockerfile import Read, Stage, Step, health_check, read_dockerfile
from tests.stack.names import ROOT


def test_its_labels_say_which_version_it_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    text = (ROOT / "Dockerfile").read_text("utf-8")
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', text))
    assert labels["title"] == project["name"]
    assert labels["version"] == project["version"]
    assert labels["licenses"] == project["license"]
    assert labels["description"].rstrip(".") in project["description"]


def test_words_come_from_either_form() -> None:
    assert Step("CMD", '["run", "--config", "a b"]').words == ["run", "--config", "a b"]
    assert Step("COPY", "a 'b c' d/").words == ["a", "b c", "d/"]


def test_a_step_that_nobody_knows_ends_the_proof(tmp_path: Path) -> None:
    built = Built(tmp_path, tmp_path)
    with pytest.raises(ValueError, match="ONBUILD"):
        _carry_out(Step("ONBUILD", "RUN true"), built, {}, Read((), ()))


def test_settings_hold_for_what_comes_after_them(tmp_path: Path) -> None:
    built = Built(tmp_path, tmp_path)
    for keyword, value in (
        ("ENV", "PATH=/opt/x/bin:$PATH A=1"),
        ("WORKDIR", "/var/lib/x"),
        ("USER", "10001:10001"),
    ):
        _carry_out(Step(keyword, value), built, {}, Read((), ()))
    assert built.environment["PATH"].startswith("/opt/x/bin:/usr/local/sbin:")
    assert built.environment["A"] == "1"
    assert built.inside("y") == tmp_path / "var/lib/x/y"
    assert (tmp_path / "var/lib/x").is_dir()
    assert built.user == "10001:10001"


def test_only_what_dockerignore_leaves_can_be_copied(tmp_path: Path) -> None:
    built = Built(tmp_path, tmp_path)
    read = Read((), (Path("config/prices.yaml"), Path("src/tripswitch/errors.py")))
    _carry_out(Step("COPY", "config/prices.yaml config/"), built, {}, read)
    _carry_out(Step("COPY", "config/prices.yaml /etc/p.yaml"), built, {}, read)
    _carry_out(Step("COPY", "src/ src/"), built, {}, read)
    copied = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert copied == {"config/prices.yaml", "etc/p.yaml", "src/tripswitch/errors.py"}
    with pytest.raises(FileNotFoundError, match="README"):
        _carry_out(Step("COPY", "README.md ./"), built, {}, read)


def test_a_bill_without_hashes_is_found() -> None:
    bill = {
        "components": [
            {"name": "A_b", "version": "1", "externalReferences": [{"hashes": [{"alg": "x"}]}]},
            {"name": "c", "version": "2"},
        ]
    }
    assert components(bill) == {"a-b": "1", "c": "2"}
    assert without_hash(bill) == ["c"]


@pytest.mark.parts
def test_the_dockerfile_is_read_as_it_is_written() -> None:
    read = read_dockerfile()
    build, final = read.stages
    assert (build.base, build.name) == ("python:3.11-slim", "build")
    assert final.base == build.base
    assert entry(final)[:2] == ["tripswitch", "run"]
    options, command = health_check(final)
    assert options == {"interval": 10.0, "timeout": 3.0, "start-period": 15.0, "retries": 3.0}
    assert command[:2] == ["python", "-c"]
    assert Path("src/tripswitch/py.typed") in read.context
    assert not [file for file in read.context if file.parts[0] in ("tests", ".git", "docs")]
    assert final.last("USER") == Step("USER", "10001:10001")
    with pytest.raises(IndexError):
        Stage("a", "", ()).last("USER")


@pytest.mark.parts
def test_the_bill_lists_every_pin_of_the_image(tmp_path: Path) -> None:
    pins = re.findall(
        r"^([\w.-]+)==(\S+) \\$", (ROOT / "requirements/image.txt").read_text("utf-8"), re.MULTILINE
    )
    bill = make_bill(tmp_path / "bill.json")
    assert components(bill) == {folded(name): version for name, version in pins}
    assert without_hash(bill) == []
