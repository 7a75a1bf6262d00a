"""When evidence is sealed: at the page, when it grows or comes back, and at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.store.samples import NOW_NS, event
from tripswitch.config.evidence_section import Evidence
from tripswitch.config.model import Config
from tripswitch.drive.evidence import EvidenceKeeper
from tripswitch.drive.session import Arrival
from tripswitch.model.clocktext import NS_PER_S
from tripswitch.model.messages import EventName
from tripswitch.store.evidence import Vault
from tripswitch.store.ledger import Ledger

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "security", "is_sealed"),
    [
        (EventName.INCIDENT_OPENED, True, True),
        (EventName.INCIDENT_ESCALATED, True, True),
        (EventName.INCIDENT_UNRECOVERED, True, True),
        (EventName.INCIDENT_RESOLVED, True, True),
        (EventName.INCIDENT_RECOVERED, True, False),
        # Capture is off, and only the security class is sealed all the same.
        (EventName.INCIDENT_OPENED, False, False),
    ],
)
def test_a_bundle_is_sealed_when_there_is_something_new_to_keep(
    tmp_path: Path, name: EventName, security: bool, is_sealed: bool
) -> None:
    happened = event(name, id="inc_1", security=security)
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.record([happened], [])
        sealed = EvidenceKeeper(Vault(tmp_path), ledger).follow([happened], Config())
    assert bool(sealed) == is_sealed


def test_content_goes_when_its_time_is_over_also_while_nothing_comes(tmp_path: Path) -> None:
    on = Evidence(enabled=True)
    with Ledger(tmp_path / "ledger") as ledger:
        keeper = EvidenceKeeper(Vault(tmp_path), ledger)
        keeper.take([Arrival(b"prompt", NOW_NS)], on)
        keeper.expire(NOW_NS + 60 * NS_PER_S, on)
        assert keeper.counts["evidence_recent_bytes"] == len(b"prompt")
        keeper.expire(NOW_NS + int(on.window * NS_PER_S) + 1, on)
        assert keeper.counts["evidence_recent_bytes"] == 0
        keeper.take([Arrival(b"prompt", NOW_NS)], on)
        keeper.expire(NOW_NS + 1, Evidence())
        assert keeper.counts["evidence_recent_bytes"] == 0
