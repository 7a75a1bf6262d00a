"""The example in the docs is what the program writes, to the byte."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tripswitch.drive.demo.example import PROMPTS, write_example

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "examples" / "refund-bot-v18"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    for name in PROMPTS:
        shutil.copy(EXAMPLE / name, folder / name)
    write_example(folder)
    return folder


def test_the_same_files_are_written(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted(
        path.name for path in EXAMPLE.iterdir()
    )


@pytest.mark.parametrize(
    "name",
    ["postmortem.md", "postmortem.html", "drift.svg", "drift-2.svg", "filled-in.yaml"],
)
def test_every_file_is_the_same_to_the_byte(written: Path, name: str) -> None:
    assert (written / name).read_bytes() == (EXAMPLE / name).read_bytes()


def test_it_tells_the_reference_story(written: Path) -> None:
    text = (written / "postmortem.md").read_text("utf-8")
    for said in ("v18 back to v17", "refusal rate up 18", "faithfulness 0.8", "Pinned trace"):
        assert said in text
    assert "(nobody yet)" in text
