"""The flag file target, read by the OpenFeature provider that applications read it with."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext

from tests.actions.rollback.kinds import ask, asking, carried_out, planned, section_of
from tripswitch.actions.attempt import Attempt, AttemptState
from tripswitch.actions.rollback import file_edit

CANARY = {"cohort": "canary"}
VARIANTS = {"v17": "prompt seventeen", "v18": "prompt eighteen", "v16": "prompt sixteen"}
STORY = {"if": [{"==": [{"var": "cohort"}, "canary"]}, "v18", None]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "flags.json"


def write(path: Path, targeting: Any = STORY, default: str = "v17", **flag: Any) -> None:
    refund: dict[str, Any] = {"state": "ENABLED", "variants": VARIANTS, "defaultVariant": default}
    if targeting is not ...:
        refund["targeting"] = targeting
    other = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}
    document = {"flags": {"other": other, "refund-bot": refund | flag}}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


@contextmanager
def reader(path: Path) -> Iterator[FlagdProvider]:
    """Open the provider as an application does."""
    provider = FlagdProvider(resolver_type=ResolverType.FILE, offline_flag_source_path=str(path))
    provider.initialize(EvaluationContext())
    try:
        yield provider
    finally:
        provider.shutdown()


def served(path: Path, cohort: str | None, users: int = 1) -> set[str]:
    """Return the variants that an application of a cohort gets."""
    attributes = {} if cohort is None else {"cohort": cohort}
    with reader(path) as provider:
        found = [
            provider.resolve_string_details(
                "refund-bot", "no", EvaluationContext(f"user-{number}", attributes)
            ).variant
            for number in range(users)
        ]
    return {str(each) for each in found}


def section(path: Path, **fields: Any) -> Any:
    return section_of({"type": "openfeature", "path": str(path), **fields})


def canary(**changes: Any) -> Any:
    return asking("v18", "v17", **({"path": "cohort", "scope": CANARY} | changes))


def everybody(**changes: Any) -> Any:
    return asking("v18", "v17", **changes)


def done(path: Path, wanted: Any) -> tuple[Attempt, str]:
    return ask(section(path), lambda one: carried_out(one, wanted))


def test_the_cohort_is_on_v17_afterwards_and_nobody_else_moved(path: Path) -> None:
    write(path)
    assert (served(path, "canary"), served(path, "control")) == ({"v18"}, {"v17"})
    attempt, kept = done(path, canary())
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert (served(path, "canary"), served(path, "control")) == ({"v17"}, {"v17"})
    inode = path.stat().st_ino
    again, _ = done(path, canary())
    assert "nothing was sent" in again.detail
    assert path.stat().st_ino == inode
    undone, _ = done(
        path, asking("v17", "v18", path="cohort", scope=CANARY, undoes="rb", kept=kept)
    )
    assert undone.state is AttemptState.DONE, undone.detail
    assert served(path, "canary") == {"v18"}


def test_only_the_lines_of_the_rule_change(path: Path) -> None:
    write(path)
    before = path.read_text(encoding="utf-8")
    call = ask(section(path), lambda one: planned(one, canary()))
    (request,) = call.requests
    removed = [line for line in request.shown.splitlines() if line.startswith("-")][1:]
    assert all("v17" not in line for line in removed)
    assert path.read_text(encoding="utf-8") == before
    done(path, canary())
    assert path.read_bytes() == request.body
    assert json.loads(request.body)["flags"]["other"] == json.loads(before)["flags"]["other"]


RULES = [
    ({"if": [{"in": [{"var": "cohort"}, ["canary"]]}, "v18"]}, {"v16", "v17"}),
    ({"if": [{"in": [{"var": "cohort"}, ["canary", "beta"]]}, "v18", "v16"]}, {"v16"}),
    ({"fractional": [["v18", 40], ["v16", 60]]}, {"v16", "v18"}),
    (
        {"if": [STORY["if"][0], {"fractional": [["v18", 50], ["v16", 50]]}, "v16"]},
        {"v16"},
    ),
    ({"if": [{"ends_with": [{"var": "email"}, "@a.example"]}, "v18", "v18"]}, {"v18"}),
    ({"if": [{"==": ["canary", {"var": ["cohort"]}]}, "v18", "v16"]}, {"v16"}),
    ({"if": ["v18"]}, {"v18"}),
]


@pytest.mark.parametrize(("rule", "of_others"), RULES)
def test_whatever_the_rule_the_cohort_leaves_v18_and_the_others_stay(
    path: Path, rule: Any, of_others: set[str]
) -> None:
    write(path, rule)
    others = served(path, "control", 40)
    assert others <= of_others
    beta = served(path, "beta", 40)
    attempt, kept = done(path, canary())
    assert attempt.state is AttemptState.DONE, attempt.detail
    after = served(path, "canary", 40)
    assert "v17" in after
    assert "v18" not in after
    assert served(path, "control", 40) == others
    assert served(path, "beta", 40) == beta
    undo = asking("v17", "v18", path="cohort", scope=CANARY, undoes="rb-1", kept=kept)
    assert done(path, undo)[0].state is AttemptState.DONE
    assert json.loads(path.read_bytes())["flags"]["refund-bot"]["targeting"] == rule


@pytest.mark.parametrize("rule", [..., None, {}])
def test_a_flag_without_a_rule_gets_one_for_the_cohort(path: Path, rule: Any) -> None:
    write(path, rule, default="v18")
    attempt, kept = done(path, canary())
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert (served(path, "canary"), served(path, "control")) == ({"v17"}, {"v18"})
    undo = asking("v17", "v18", path="cohort", scope=CANARY, undoes="rb-1", kept=kept)
    assert done(path, undo)[0].state is AttemptState.DONE
    assert served(path, "canary") == {"v18"}
    assert "nothing was sent" in done(path, undo)[0].detail


@pytest.mark.parametrize(
    ("rule", "default"),
    [(..., "v18"), (STORY, "v17"), ({"fractional": [["v17", 90], ["v18", 10]]}, "v18")],
)
def test_without_a_cohort_everybody_leaves_v18(path: Path, rule: Any, default: str) -> None:
    write(path, rule, default)
    attempt, kept = done(path, everybody())
    assert attempt.state is AttemptState.DONE, attempt.detail
    assert served(path, "canary", 20) | served(path, None, 20) == {"v17"}
    before, path_text = json.loads(kept)["found"], path.read_bytes()
    assert done(path, asking("v17", "v18", undoes="rb-1", kept=kept))[0].state is AttemptState.DONE
    flag = json.loads(path.read_bytes())["flags"]["refund-bot"]
    assert flag["defaultVariant"] == before["default"] == default
    assert path.read_bytes() != path_text


def test_mode_and_link_stay_and_nothing_else_is_left(tmp_path: Path, path: Path) -> None:
    write(path)
    path.chmod(0o640)
    link = tmp_path / "mounted" / "flags.json"
    link.parent.mkdir()
    link.symlink_to(path)
    attempt, _ = done(link, canary())
    assert attempt.state is AttemptState.DONE
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert sorted(each.name for each in tmp_path.iterdir()) == ["flags.json", "mounted"]


def test_a_reader_that_is_running_sees_the_whole_new_file(path: Path) -> None:
    write(path)
    with path.open("rb") as before:
        done(path, canary())
        # Who has the old file open goes on reading the old bytes.
        assert json.loads(before.read())["flags"]["refund-bot"]["targeting"] == STORY


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "cannot be replaced: No such file"),
        (lambda path: path.write_text("flags: {}\n"), "is no JSON"),
        (lambda path: path.write_text("[]"), "has no flags"),
        (lambda path: path.write_text('{"flags": {}}'), 'has no flag "refund-bot"'),
        (lambda path: write(path, state="DISABLED"), "is disabled"),
        (lambda path: write(path, {"if": [True, "v16"]}), "a person moved it"),
        (lambda path: write(path, variants={"v18": "x", "v16": "y"}), "has no variant for"),
        (lambda path: write(path, variants={"a": "v17", "b": 17, "v18": 0}), "several variants"),
        (lambda path: write(path, "v18"), "rule is no object"),
        (lambda path: write(path, {"if": [True, {}]}), "cannot be changed safely"),
        (lambda path: write(path, {"$ref": "shared"}), "cannot be changed safely"),
        (lambda path: write(path, {"if": [True, {"sem_ver": []}]}), "cannot be changed safely"),
        (lambda path: write(path, {"fractional": [[]]}), "has no shares"),
        (lambda path: path.write_bytes(b"\xff" * 9), "is no JSON"),
        (lambda path: path.write_bytes(b" " * (9 << 20)), "larger than 8 MiB"),
        (
            lambda path: path.write_text(
                path.read_text().replace('"targeting"', '"targeting": null, "targeting"')
            ),
            "twice",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_refused_in_words(
    path: Path, change: Any, words: str
) -> None:
    write(path)
    change(path)
    before = path.read_bytes() if path.exists() else b""
    attempt, _ = done(path, canary())
    assert attempt.state is AttemptState.FAILED
    assert words in attempt.detail
    assert (path.read_bytes() if path.exists() else b"") == before


def test_a_rule_nested_beyond_reason_is_refused(path: Path) -> None:
    rule: Any = "v18"
    for _ in range(100):
        rule = {"if": [True, rule]}
    write(path, rule)
    assert "too deep" in done(path, canary())[0].detail


@pytest.mark.parametrize(
    "variants",
    [
        {"17": "x", "18": "y"},
        {"good": "v17", "bad": "v18"},
        {"good": 17, "bad": 18},
        {"good": {"prompt_version": "v17", "text": "x"}, "bad": {"version": 18}},
    ],
)
def test_a_variant_stands_for_a_version_by_name_or_value(path: Path, variants: Any) -> None:
    good, bad = variants
    write(path, {"if": [True, bad]}, default=good, variants=variants)
    attempt, _ = done(path, canary())
    assert attempt.state is AttemptState.DONE, attempt.detail


def test_an_undo_leaves_alone_what_was_edited_since(path: Path) -> None:
    write(path)
    _, kept = done(path, canary())
    undo = asking("v17", "v18", path="cohort", scope=CANARY, undoes="rb-1", kept=kept)
    write(path, {"if": [True, "v16"]})
    attempt, _ = done(path, undo)
    assert attempt.state is AttemptState.FAILED
    assert "left alone" in attempt.detail
    unkept = asking("v17", "v18", path="cohort", scope=CANARY, undoes="rb-1")
    assert "nothing is recorded" in done(path, unkept)[0].detail


def test_another_writer_between_plan_and_write_is_not_overwritten(path: Path) -> None:
    write(path)

    async def raced(target: Any) -> Any:
        call = await target.plan(canary())
        write(path, {"if": [True, "v16"]})
        return await target.apply(call, lambda: None)

    attempt = ask(section(path), raced)
    assert attempt.state is AttemptState.RETRY
    assert served(path, "canary") == {"v16"}


def test_another_writer_at_the_last_moment_is_not_overwritten(path: Path) -> None:
    write(path)
    old = file_edit.read_file(str(path))
    assert isinstance(old, file_edit.FileBytes)
    write(path, {"if": [True, "v16"]})
    left: list[bool] = []
    attempt = file_edit.replace_file(old, b"{}", lambda: left.append(True))
    assert attempt.state is AttemptState.RETRY
    assert not left
    assert served(path, "canary") == {"v16"}


def test_nothing_leaves_before_it_is_on_record(path: Path) -> None:
    write(path)
    before = path.read_bytes()

    class LedgerIsFullError(Exception):
        pass

    def refuse() -> None:
        raise LedgerIsFullError

    async def applied(target: Any) -> Any:
        return await target.apply(await target.plan(canary()), refuse)

    with pytest.raises(LedgerIsFullError):
        ask(section(path), applied)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["flags.json"]


def test_probe_and_snapshot_say_what_stands_there(path: Path) -> None:
    assert ask(section(path), lambda one: one.probe()).usable is False
    write(path)
    assert ask(section(path), lambda one: one.probe()).usable
    before = ask(section(path), lambda one: one.snapshot(canary()))
    assert (before.applied, before.pointer) == (False, "v18")
    done(path, canary())
    assert ask(section(path), lambda one: one.snapshot(canary())).applied


def test_the_radius_is_the_cohort_or_all_that_read_the_flag(path: Path) -> None:
    assert section(path).radius("canary") == "cohort"
    assert section(path).radius(None) == "global"
    assert section(path, routes=["/chat/refund"]).radius(None) == "route"
