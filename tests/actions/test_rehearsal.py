"""What a person sees before anything is sent: probes of all targets, the literal requests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.actions.receiver import SECRET
from tests.actions.rollback.fakes.mlflow import FakeMlflow
from tests.actions.rollback.kinds import asking, section_of
from tripswitch.actions.attempt import Attempt
from tripswitch.actions.rehearsal import dry_run, plan_text, probe_all
from tripswitch.errors import ConfigError
from tripswitch.store.ledger import Ledger


def mlflow(fake: FakeMlflow, **fields: Any) -> Any:
    return section_of({"type": "mlflow", "url": fake.url, "token": "mlflow-token", **fields})


def test_every_target_is_probed_in_the_order_of_the_file() -> None:
    with FakeMlflow() as fake:
        targets = [
            mlflow(fake, token="wrong"),
            section_of({"type": "openfeature", "path": "/nowhere/flags.json"}),
            mlflow(fake),
            section_of({"type": "helicone", "url": fake.url, "api_key": "x"}),
        ]
        probed = asyncio.run(probe_all(targets))
        assert not fake.writes
    assert [each.probe.usable for each in probed] == [False, False, True, False]
    assert [each.is_verified for each in probed] == [True, True, True, False]
    assert "credentials" in probed[0].probe.detail


def test_a_dry_run_is_the_literal_request_in_words() -> None:
    with FakeMlflow() as fake:
        text = plan_text(asyncio.run(dry_run(mlflow(fake), asking("v18", "v17"))))
        assert not fake.writes
        lines = text.splitlines()
        assert lines[0] == f"POST {fake.url}/api/2.0/mlflow/registered-models/alias"
        assert '{"name":"refund-bot","alias":"production","version":"17"}' in lines
        assert "authorization: (redacted)" in lines
        assert lines[-1] == "blast radius: cohort"
        assert "mlflow-token" not in text
        fake.registry.labels["production"] = 3
        text = plan_text(asyncio.run(dry_run(mlflow(fake), asking("v18", "v17"))))
        assert "nothing would be sent" in text
        assert "a person moved it" in text


def test_a_dry_run_of_an_undo_takes_what_was_recorded(tmp_path: Path) -> None:
    undo = asking("v17", "v18", key="undo-1", undoes="rb-1")
    with FakeMlflow() as fake, Ledger(tmp_path / "state" / "ledger.sqlite") as ledger:
        fake.registry.labels["production"] = 17
        assert isinstance(asyncio.run(dry_run(mlflow(fake), undo, ledger.outbox)), Attempt)
        ledger.outbox.put([asking("v18", "v17")])
        ledger.outbox.begin("rb-1")
        ledger.outbox.mark_leaving("rb-1", '{"found":"18","wrote":"17"}')
        text = plan_text(asyncio.run(dry_run(mlflow(fake), undo, ledger.outbox)))
    assert '"version":"18"' in text


def test_control_characters_of_spans_do_not_reach_a_terminal(tmp_path: Path) -> None:
    flags = tmp_path / "flags.json"
    flags.write_text(
        '{"flags": {"a\\u001b[31m": {"variants": {"v17": 1, "v18": "\x7f"}, '
        '"defaultVariant": "v18"}}}',
        encoding="utf-8",
    )
    section = section_of({"type": "openfeature", "path": str(flags)})
    wanted = asking("v18", "v17", scope={"prompt_name": "a\x1b[31m"})
    text = plan_text(asyncio.run(dry_run(section, wanted)))
    assert text.startswith("REPLACE")
    assert "\x1b" not in text
    assert "\x7f" not in text


def test_an_unusable_address_is_said_by_its_place() -> None:
    section = section_of({"url": "nonsense", "secret": SECRET})
    with pytest.raises(ConfigError, match=r"rollback\.targets"):
        asyncio.run(probe_all([section]))
