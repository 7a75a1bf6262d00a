"""What stands around the code: the README's commands, the pins, the pages and their links."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks import Webhook

import tripswitch
from tripswitch.config.loading import load

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").rglob("*.md")]
)
PINS = ("build.txt", "docs.txt", "image.txt", "test.txt")

TOP_LEVEL_FILES = [
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    ".dockerignore",
    ".gitignore",
    ".ci/run",
    ".ci/full",
]
TOP_LEVEL_FOLDERS = ["src", "tests", "config", "bench", "docs", "requirements"]

EXAMPLE_SECRET = "whsec_YW4gZXhhbXBsZSwgbmV2ZXIgYSBzZWNyZXQ="


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def fences(text: str, language: str) -> list[str]:
    """Return the content of each fence of ``language``, its indentation taken off."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [
        "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        for indent, body in found
    ]


def project() -> dict[str, object]:
    document: dict[str, object] = tomllib.loads(page("pyproject.toml"))["project"]
    return document


def dependency_names() -> set[str]:
    listed = project()["dependencies"]
    assert isinstance(listed, list)
    return {re.split(r"[<>=!~; \[]", requirement, maxsplit=1)[0] for requirement in listed}


def pinned(name: str) -> dict[str, str]:
    return dict(
        re.findall(r"^([a-z0-9._-]+)==(\S+) \\$", page(f"requirements/{name}"), re.MULTILINE)
    )


def folded(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the README's commands ------------------------------------------------------------------------


def test_readme_has_exactly_two_set_up_commands_of_one_line_each() -> None:
    commands = fences(page("README.md"), "sh")
    assert len(commands) == 2
    demo, tests = commands
    assert demo.count("\n") == tests.count("\n") == 1
    assert demo.startswith("python3 -m venv .venv && ")
    assert tests.startswith("python3 -m venv .venv && ")
    assert demo.rstrip().endswith(".venv/bin/tripswitch demo")
    assert tests.rstrip().endswith(".venv/bin/python -m pytest")


def test_ci_runs_the_readmes_test_command_to_the_letter_and_first() -> None:
    script = page(".ci/run")
    command = fences(page("README.md"), "sh")[1].strip()
    assert f"readme_tests='{command}'\n" in script
    first = re.search(r"^check .*$", script, re.MULTILINE)
    assert first is not None
    assert "$readme_tests" in first.group()


@pytest.mark.parametrize("name", [".ci/run", ".ci/full"])
def test_ci_scripts_stop_on_errors_and_can_be_run(name: str) -> None:
    assert page(name).startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in page(name)
    assert (ROOT / name).stat().st_mode & 0o111


def test_readmes_smallest_configuration_is_valid(tmp_path: Path) -> None:
    (text,) = fences(page("README.md"), "yaml")
    file = tmp_path / "tripswitch.yaml"
    file.write_text(text, "utf-8")
    loaded = load([file], {"TRIPSWITCH_WEBHOOK_SECRET": EXAMPLE_SECRET})
    assert loaded.warnings == []
    assert loaded.config.fleet.single
    assert [target.name for target in loaded.config.rollback.targets] == ["gateway"]
    assert len(loaded.config.notify) == 1


def test_readme_names_every_command_it_shows_as_the_program_knows_it() -> None:
    from typer.main import get_command

    from tripswitch.cli.app import app

    known = set(getattr(get_command(app), "commands", {}))
    shown = set(re.findall(r"(?:\.venv/bin/|`)tripswitch ([a-z]+)", page("README.md")))
    assert shown >= {"demo", "run", "check", "inspect", "replay"}
    assert shown <= known


# --- the folder -----------------------------------------------------------------------------------


def test_top_level_holds_what_a_stranger_looks_for() -> None:
    assert [name for name in TOP_LEVEL_FILES if not (ROOT / name).is_file()] == []
    assert [name for name in TOP_LEVEL_FOLDERS if not (ROOT / name).is_dir()] == []


def test_licence_is_the_whole_apache_licence() -> None:
    text = page("LICENSE")
    assert text.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_changelog_has_an_entry_for_the_version() -> None:
    version = str(project()["version"])
    heading = rf"^## \[{re.escape(version)}\] - (Unreleased|\d{{4}}-\d\d-\d\d)$"
    assert re.search(heading, page("CHANGELOG.md"), re.MULTILINE)


# --- dependencies and pins ------------------------------------------------------------------------


def test_every_run_time_dependency_has_its_reason_and_no_other_is_listed() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", page("docs/dependencies.md"), re.MULTILINE)
    assert {name for name, _ in rows} == dependency_names()
    assert all(reason.endswith(".") for _, reason in rows)


@pytest.mark.parametrize("name", PINS)
def test_every_pin_has_a_hash_and_names_no_place(name: str) -> None:
    text = page(f"requirements/{name}")
    assert len(pinned(name)) > 0
    for block in re.split(r"\n(?=\S)", text):
        if not block.startswith("#"):
            assert re.match(r"[a-z0-9._-]+==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", block), block
    assert "://" not in text
    assert not re.search(r"(^|\s)(/|--(extra-)?index|--find-links|--trusted-host|-e\b)", text)


def test_pins_cover_every_dependency_and_agree_with_each_other() -> None:
    image, tests, build, docs = (
        pinned(name) for name in ("image.txt", "test.txt", "build.txt", "docs.txt")
    )
    assert {folded(name) for name in dependency_names()} <= image.keys()
    assert image.items() <= tests.items()
    assert build.items() <= tests.items()
    assert all(tests.get(name, version) == version for name, version in docs.items())
    assert {"hatchling", "editables", "pytest", "mypy", "ruff"} <= tests.keys()
    assert not {"pytest", "mypy", "hatchling", "mkdocs"} & image.keys()


# --- the image ------------------------------------------------------------------------------------


def test_image_has_what_the_dockerfile_copies() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", page("Dockerfile"), re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    allowed = [line[1:] for line in page(".dockerignore").splitlines() if line.startswith("!")]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source.startswith(prefix) for prefix in allowed), source


def test_image_builds_its_wheel_from_all_that_the_wheel_takes() -> None:
    build = page("Dockerfile")[: page("Dockerfile").index("pip wheel")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", build, re.MULTILINE)
    sources = [source for line in copied for source in line.split()]
    wheel = tomllib.loads(page("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    taken = [*wheel["packages"], *wheel["force-include"]]
    assert "config/prices.yaml" in taken
    for path in taken:
        assert any(f"{path}/".startswith(source.rstrip("/") + "/") for source in sources), path


def test_image_runs_as_nobody_in_particular_and_says_how_it_is() -> None:
    text = page("Dockerfile")
    last_stage = text[text.rindex("\nFROM ") :]
    assert "\nUSER 10001:10001\n" in last_stage
    assert "\nHEALTHCHECK " in last_stage
    assert "\nVOLUME /var/lib/tripswitch\n" in last_stage


def test_configuration_of_the_image_fits_its_ports_and_its_volume() -> None:
    config = load([ROOT / "config" / "container.yaml"], {}).config
    exposed = re.search(r"^EXPOSE (.+)$", page("Dockerfile"), re.MULTILINE)
    assert exposed is not None
    endpoints = (
        config.receivers.otlp.protocols.grpc.endpoint,
        config.receivers.otlp.protocols.http.endpoint,
        config.telemetry.health.endpoint,
        config.telemetry.metrics.endpoint,
        config.telemetry.api.endpoint,
    )
    assert [endpoint.rpartition(":")[2] for endpoint in endpoints] == exposed.group(1).split()
    assert config.telemetry.api.endpoint.startswith("127.0.0.1:")
    assert config.storage.directory == "/var/lib/tripswitch"


# --- the pages ------------------------------------------------------------------------------------


def links(path: Path) -> Iterator[tuple[str, str]]:
    """Yield file and anchor of every link of a page that stays inside the repository."""
    text = re.sub(
        r"^( *)```.*?^\1```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", text.lower()).replace(" ", "-") for text in headings}


def test_pages_link_to_each_other_at_all() -> None:
    assert sum(1 for path in PAGES for _ in links(path)) > 15


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_resolves(path: Path) -> None:
    for file, anchor in links(path):
        target = (path.parent / file).resolve() if file else path
        assert target.is_relative_to(ROOT), file
        assert target.exists(), file
        if anchor:
            assert anchor in anchors(target), f"{file}#{anchor}"


def test_every_page_of_the_docs_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached:
            continue
        reached.add(path)
        targets = ((path.parent / file).resolve() for file, _ in links(path) if file)
        waiting += [target for target in targets if target.suffix == ".md"]
    assert set(PAGES) - reached == set()


def test_webhook_example_is_signed_as_it_says() -> None:
    text = page("docs/webhooks.md")
    event = json.loads(fences(text, "json")[0])
    body = json.dumps(event, separators=(",", ":"))
    headers = dict(re.findall(r"^([a-z-]+): (.+)$", fences(text, "http")[0], re.MULTILINE))
    moment = datetime.fromtimestamp(int(headers["webhook-timestamp"]), tz=UTC)
    signature = Webhook(EXAMPLE_SECRET).sign(headers["webhook-id"], moment, body)
    assert EXAMPLE_SECRET in text
    assert headers["webhook-signature"] == signature
    assert headers["webhook-id"] == headers["idempotency-key"] == event["data"]["action_id"]


def test_webhook_page_names_every_event_that_is_sent() -> None:
    from tripswitch.incidents.book import QUIET_EVENTS
    from tripswitch.model.messages import EventName

    _, _, alerts = page("docs/webhooks.md").partition("## Alerts")
    listed = re.findall(
        r"^\| `((?:incident|rollback|comms|postmortem)\.[a-z_]+)` \|", alerts, re.MULTILINE
    )
    assert set(listed) == set(EventName) - QUIET_EVENTS


def test_architecture_names_every_room() -> None:
    package = Path(tripswitch.__file__).parent
    rooms = {path.name + "/" for path in package.iterdir() if (path / "__init__.py").is_file()}
    listed = set(re.findall(r"^\| `([a-z]+/)` \|", page("docs/architecture.md"), re.MULTILINE))
    assert listed == rooms
